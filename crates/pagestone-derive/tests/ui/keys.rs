//! Indexes that contradict themselves.
use pagestone_index::Record;

#[derive(Record)]
#[repr(C)]
struct Both {
    #[index(unique, multi)]
    id: u64,
}
#[derive(Record)]
#[repr(C)]
struct Silent {
    #[index()]
    id: u64,
}
#[derive(Record)]
#[repr(C)]
struct Orders {
    #[index(canonical)]
    id: u64,
    #[index(canonical)]
    other: u64,
}
#[derive(Record)]
#[repr(C)]
#[index(unique, pair(id, nothing))]
struct Missing {
    id: u64,
}
#[derive(Record)]
#[repr(C)]
#[index(unique, id(id, other))]
struct Twice {
    #[index(multi)]
    id: u64,
    other: u64,
}
fn main() {}
