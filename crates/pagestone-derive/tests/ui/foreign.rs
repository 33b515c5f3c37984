//! A type that is no column.
struct Stranger(u64);
#[derive(pagestone_index::Record)]
#[repr(C)]
struct Strange {
    value: Stranger,
}
fn main() {}
