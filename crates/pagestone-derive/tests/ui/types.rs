//! Types that are no fields.
use pagestone_index::Record;

#[derive(Record)]
#[repr(C)]
struct Borrowed {
    name: &'static str,
}
#[derive(Record)]
#[repr(C)]
struct Elsewhere {
    name: String,
}
#[derive(Record)]
#[repr(C)]
struct Machine {
    len: usize,
}
#[derive(Record)]
#[repr(C)]
struct Odd {
    is_odd: bool,
}
#[derive(Record)]
#[repr(C)]
struct Numbers {
    numbers: [u32; 4],
}
#[derive(Record)]
#[repr(u8)]
enum Color {
    Red,
}
#[derive(Record)]
#[repr(C)]
struct Generic<T> {
    value: T,
}
#[derive(Record)]
struct Unordered {
    value: u64,
}
#[derive(Record)]
#[repr(C)]
struct Unnamed(u64, u64);
#[derive(Record)]
#[repr(C)]
struct Empty {}
fn main() {}
