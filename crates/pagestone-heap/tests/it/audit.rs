//! Every store of the heap to its file is announced: shown by page protection, store by store.

use pagestone_heap::{ErrorKind, HeapMut};
use pagestone_storage::seam::{Event, Plan, watch};
use pagestone_testkit::audit::stores_to;

use crate::support::{Scene, bytes, options};

/// What stands behind all stores here: small and long blocks, a commit, a discard.
fn work(heap: &mut HeapMut) {
    let first = heap.allocate_from(&bytes(1, 100)).unwrap();
    let second = heap.allocate_with(3000, |bytes| bytes.fill(7)).unwrap();
    // A copy of all of it would be a step for each byte.
    let long = heap.allocate_with(300_000, |bytes| bytes[299_999] = 1).unwrap();
    heap.put(first, &bytes(3, 1500)).unwrap();
    heap.resize(second, 10).unwrap();
    heap.set_root("first", first).unwrap();
    heap.commit().unwrap();
    heap.modify_private(first).unwrap()[17] = 1;
    heap.in_place(second).unwrap()[3] = 9;
    heap.set_flags(first, 5).unwrap();
    heap.free(long).unwrap();
    heap.discard().unwrap();
    heap.free(second).unwrap();
    heap.commit().unwrap();
    assert_eq!(heap.get(second).unwrap_err().kind(), ErrorKind::StaleId);
}

#[test]
fn no_store_bypasses_the_recording_primitives() {
    let scene = Scene::new();
    let (opened, trace) = watch(Plan::record(), || HeapMut::open(scene.at("file.pgs"), &options()));
    let mut heap = opened.unwrap();
    let base = trace.events.iter().find_map(|event| match event {
        Event::Mapped(base) => Some(*base),
        _ => None,
    });
    let base = base.unwrap();
    let (((), stores), trace) =
        watch(Plan::record(), || stores_to(base, 64 << 20, || work(&mut heap)));
    let mut announced: Vec<(usize, usize)> = trace
        .events
        .iter()
        .filter_map(|event| match event {
            // A part of a word is stored with the rest of it.
            Event::Store { at, bytes } => Some((at / 8 * 8, (at + bytes.len()).div_ceil(8) * 8)),
            _ => None,
        })
        .collect();
    announced.sort_unstable();
    assert!(200 < stores.len(), "{} stores were seen", stores.len());
    for at in stores {
        let known = announced.iter().any(|(from, end)| *from <= at && at < *end);
        assert!(known, "a store to offset {:#x} was not announced", at - base);
    }
}
