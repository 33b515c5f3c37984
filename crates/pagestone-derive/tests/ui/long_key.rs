//! A key that is too long.
#[derive(pagestone_index::Record)]
#[repr(C)]
struct Long {
    #[index(multi)]
    name: [u8; 200],
}
fn main() {}
