//! Padding.
#[derive(pagestone_index::Record)]
#[repr(C)]
struct Padded {
    small: u8,
    wide: u64,
}
fn main() {}
