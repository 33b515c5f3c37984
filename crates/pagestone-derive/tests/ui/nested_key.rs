//! An index over a nested record.
use pagestone_index::Record;

#[derive(Record)]
#[repr(C)]
struct Point {
    x: u32,
    y: u32,
}
#[derive(Record)]
#[repr(C)]
struct Place {
    #[index(multi)]
    point: Point,
}
fn main() {}
