//! Entries of many threads, added and committed together.

use std::{collections::BTreeMap, thread};

use pagestone_buffer::{BufferOptions, Buffers, EntryBuffer, EntryId};
use pagestone_heap::{ErrorKind, RegionFile, Result};

use crate::support::{Scene, check_clean, content, options};

const THREADS: u64 = 8;

/// Lets threads add `each` entries; returns what they added.
fn add(each: u64, how: impl Fn(&[u8]) -> Result<EntryId> + Sync) -> BTreeMap<EntryId, u64> {
    let added = thread::scope(|scope| {
        let how = &how;
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let numbers = (0..each).map(|nth| thread << 32 | nth);
                    let add = |number| (how(&content(number)).unwrap(), number);
                    numbers.map(add).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let count = added.len();
    let added = BTreeMap::from_iter(added);
    assert_eq!(added.len(), count, "an id for two");
    added
}

#[track_caller]
fn check(file: &RegionFile, added: &BTreeMap<EntryId, u64>) {
    let buffer = file.buffer("buffer").unwrap();
    let pin = file.pin();
    assert_eq!(buffer.ids(&pin).collect::<Vec<_>>(), added.keys().copied().collect::<Vec<_>>());
    for (id, number) in added {
        assert_eq!(buffer.get(&pin, *id).unwrap(), content(*number));
    }
    drop(pin);
    check_clean(file);
}

fn with_factor(file: &RegionFile, factor: f64) -> EntryBuffer {
    file.buffer_with("buffer", BufferOptions::new().extension_factor(factor)).unwrap()
}

#[test]
fn each_thread_gets_the_ids_of_its_entries() {
    let scene = Scene::new();
    let file = scene.create();
    let group = with_factor(&file, 1.2);
    let mut added = add(3_000, |bytes| group.append(bytes));
    check(&file, &added);
    let generation = file.generation();
    added.extend(add(20, |bytes| group.append_durable(bytes)));
    assert!(file.generation() - generation <= THREADS * 20);
    check(&file, &added);
    drop((group, file));
    check(&scene.open(), &added);
}

#[test]
fn what_is_durable_survives_power_loss() {
    let scene = Scene::new();
    let file = scene.create();
    let group = with_factor(&file, 1.2);
    let added = add(25, |bytes| group.append_durable(bytes));
    // Another inode of the same bytes is what an open after a power loss finds.
    scene.copy("file.pgs", "copy.pgs");
    check(&options().open(scene.at("copy.pgs")).unwrap(), &added);
    group.append(b"lost").unwrap();
    scene.copy("file.pgs", "later.pgs");
    check(&options().open(scene.at("later.pgs")).unwrap(), &added);
}

#[test]
fn errors_are_of_their_own_entry() {
    let file = options().in_memory().unwrap();
    let group = with_factor(&file, 1e6);
    let is_long = |sum: u64| sum.is_multiple_of(7);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let group = &group;
            scope.spawn(move || {
                for nth in 0..300 {
                    let long = is_long(thread + nth);
                    let done = group.append(if long { &[1; 5000] } else { &[] });
                    assert_eq!(done.is_err(), long);
                    if let Err(error) = done {
                        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                    }
                }
            });
        }
    });
    let all = (0..THREADS).flat_map(|thread| (0..300).map(move |nth| thread + nth));
    let short = all.filter(|sum| !is_long(*sum)).count() as u64;
    assert_eq!(group.len(&mut file.writer()), short);
}
