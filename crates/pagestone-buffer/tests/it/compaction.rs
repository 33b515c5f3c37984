//! Compaction: space back in bounded steps, beside readers and writers, ids unchanged.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use pagestone_buffer::{Budget, Buffers, Compact, EntryBuffer, EntryId, Policy, State};
use pagestone_heap::{ErrorKind, RegionFile};

use crate::support::{Scene, check_clean, content, mix, number_of, options};

/// A buffer of which every third entry was updated and every second removed.
fn used(file: &RegionFile, count: u64) -> (EntryBuffer, Vec<(EntryId, u64)>) {
    let buffer = file.buffer("buffer").unwrap();
    let mut writer = file.writer();
    let mut entries: Vec<(EntryId, u64)> = (0..count)
        .map(|number| (buffer.add(&mut writer, &content(number)).unwrap(), number))
        .collect();
    writer.commit().unwrap();
    for (id, number) in entries.iter_mut().step_by(3) {
        *number += 1 << 32;
        buffer.update(&mut writer, *id, &content(*number)).unwrap();
    }
    let mut nth = 0;
    entries.retain(|(id, _)| {
        nth += 1;
        if nth % 2 == 0 {
            buffer.remove(&mut writer, *id).unwrap();
        }
        nth % 2 != 0
    });
    writer.commit().unwrap();
    drop(writer);
    (buffer, entries)
}

fn check(buffer: &EntryBuffer, entries: &[(EntryId, u64)]) {
    let pin = buffer.file().pin();
    for (id, number) in entries {
        assert_eq!(buffer.get(&pin, *id).unwrap(), content(*number));
    }
    assert_eq!(buffer.ids(&pin).count(), entries.len());
}

/// Bytes of the file that the disk gives.
fn taken(file: &RegionFile) -> u64 {
    let stats = file.stats();
    stats.file_len - stats.free_ranges
}

#[test]
fn compaction_gives_space_back_and_keeps_ids() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 60_000);
    let (len, before) = (file.stats().file_len, taken(&file));
    let mut steps = 0;
    let mut most = 0;
    let mut hook = |_| {
        steps += 1;
        most = most.max(file.stats().file_len);
        ControlFlow::Continue(())
    };
    let options = Compact::new().budget(Budget::bytes(100_000)).progress(&mut hook);
    let done = buffer.compact(options).unwrap();
    assert_eq!(done.state, State::Done);
    assert!(20 < steps, "{steps} steps");
    assert!(most <= len + (2 << 20), "{most} of {len}: more than one segment");
    check(&buffer, &entries);
    check_clean(&file);
    let counters = buffer.counters(&mut file.writer()).unwrap();
    let payload: u64 = entries.iter().map(|(_, number)| content(*number).len() as u64).sum();
    assert!(taken(&file) < before / 2, "{} of {before}", taken(&file));
    assert!(counters.used < payload * 125 / 100, "{counters:?} for {payload}");
    // Tombstones go when nothing older is left that they hide; then there is nothing more to do.
    let again = || buffer.compact(Compact::new()).unwrap().moved;
    assert!((0..5).map(|_| again()).any(|moved| moved == 0));
    assert_eq!(again(), 0);
    drop(buffer);
    file.close().unwrap();
    let file = scene.open();
    check(&file.buffer("buffer").unwrap(), &entries);
}

#[test]
fn a_compaction_can_be_broken_off_and_undone() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 20_000);
    let mut hook = |_| ControlFlow::Break(());
    let options = Compact::new().budget(Budget::bytes(5_000)).progress(&mut hook);
    assert!(buffer.compact(options).unwrap().is_running());
    check(&buffer, &entries);
    file.writer().discard().unwrap();
    check(&buffer, &entries);
    let mut writer = file.writer();
    while buffer.compact_step(&mut writer, Budget::bytes(50_000)).unwrap().is_running() {}
    writer.discard().unwrap();
    drop(writer);
    check(&buffer, &entries);
    check_clean(&file);
    buffer.compact(Compact::new()).unwrap();
    check(&buffer, &entries);
    check_clean(&file);
}

#[test]
fn nothing_is_left_of_a_buffer_that_was_emptied() {
    let file = options().in_memory().unwrap();
    let (buffer, entries) = used(&file, 20_000);
    let mut writer = file.writer();
    for (id, _) in &entries {
        buffer.remove(&mut writer, *id).unwrap();
    }
    drop(writer);
    for _ in 0..3 {
        buffer.compact(Compact::new()).unwrap();
    }
    let counters = buffer.counters(&mut file.writer()).unwrap();
    assert_eq!((counters.entries, counters.live), (0, 0));
    assert!(counters.used < 2 << 20, "tombstones stay: {counters:?}");
}

#[test]
fn compaction_ends_beside_readers_and_writers() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 40_000);
    let done = AtomicBool::new(false);
    let ids: Vec<EntryId> = entries.iter().map(|(id, _)| *id).collect();
    thread::scope(|scope| {
        let (done, buffer, file, ids) = (&done, &buffer, &file, &ids);
        for seed in 0..2 {
            scope.spawn(move || {
                let mut round = seed;
                while !done.load(Ordering::Acquire) {
                    round += 2;
                    let pin = file.pin();
                    let nth = usize::try_from(mix(round) % ids.len() as u64).unwrap();
                    let bytes = buffer.get(&pin, ids[nth]).unwrap();
                    number_of(bytes).unwrap();
                }
            });
        }
        scope.spawn(move || {
            let mut round = 0_u64;
            while !done.load(Ordering::Acquire) {
                round += 1;
                let nth = usize::try_from(mix(round) % ids.len() as u64).unwrap();
                let mut writer = file.writer();
                buffer.update(&mut writer, ids[nth], &content(round << 33)).unwrap();
                buffer.add(&mut writer, &content(round)).unwrap();
            }
        });
        for _ in 0..3 {
            let progress = buffer.compact(Compact::new()).unwrap();
            assert_eq!(progress.state, State::Done);
        }
        done.store(true, Ordering::Release);
    });
    let pin = file.pin();
    for id in &ids {
        number_of(buffer.get(&pin, *id).unwrap()).unwrap();
    }
    drop(pin);
    check_clean(&file);
}

#[test]
fn a_policy_says_when() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 40_000);
    let not_due = [
        Policy::Manual,
        Policy::GarbageShare(0.99),
        Policy::Garbage(u64::MAX),
        Policy::Every(Duration::from_hours(1)),
    ];
    let since = Duration::from_secs(5);
    for policy in not_due.iter().chain([&Policy::Any(not_due.to_vec())]) {
        assert_eq!(buffer.compact_if_due(policy, since).unwrap(), None, "{policy:?}");
    }
    let policy = Policy::Any(vec![Policy::Manual, Policy::GarbageShare(0.3)]);
    assert!(buffer.compact_if_due(&policy, since).unwrap().is_some());
    assert_eq!(buffer.compact_if_due(&policy, since).unwrap(), None);
    check(&buffer, &entries);
}

#[test]
fn a_compaction_ends_where_its_policy_is_content() {
    let moved = |options: Compact<'_>| {
        let file = crate::support::options().in_memory().unwrap();
        let (buffer, entries) = used(&file, 40_000);
        let done = buffer.compact(options).unwrap();
        check(&buffer, &entries);
        (done.moved, buffer.counters(&mut file.writer()).unwrap().garbage_share())
    };
    let policy = Policy::GarbageShare(0.3);
    let (all, none) = moved(Compact::new());
    let (some, left) = moved(Compact::new().until(&policy));
    assert!(some < all && none < left, "{some} of {all} bytes moved, {left} and {none} left");
    assert!(left < 0.3, "{left} left");
}

#[test]
fn a_thread_compacts_until_it_is_dropped() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 40_000);
    let before = taken(&file);
    let every = Duration::from_millis(1);
    let compactor = buffer.compact_in_background(Policy::GarbageShare(0.1), every).unwrap();
    while before / 2 < taken(&file) {
        thread::yield_now();
    }
    drop(compactor);
    check(&buffer, &entries);
    // Dropped before it ever looked.
    drop(buffer.compact_in_background(Policy::GarbageShare(0.3), Duration::from_hours(1)).unwrap());
    drop(buffer);
    file.close().unwrap();
}

#[test]
fn a_segment_begins_again_after_a_discard() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 20_000);
    for bytes in [5_000, 200_000, 1] {
        buffer.compact_step(&mut file.writer(), Budget::bytes(bytes)).unwrap();
        file.writer().discard().unwrap();
    }
    // What was moved before the discards is back in its segment: none of it is lost with it.
    let mut writer = file.writer();
    while buffer.compact_step(&mut writer, Budget::bytes(50_000)).unwrap().is_running() {}
    writer.commit().unwrap();
    for number in 0..10_000 {
        buffer.add(&mut writer, &content(number)).unwrap();
    }
    drop(writer);
    let pin = file.pin();
    for (id, number) in &entries {
        assert_eq!(buffer.get(&pin, *id).unwrap(), content(*number));
    }
    drop(pin);
    check_clean(&file);
}

#[test]
fn a_damaged_segment_is_left_alone() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 20_000);
    let (spoilt, _) = entries[entries.len() / 3];
    let at = buffer.header(&file.pin(), spoilt).unwrap().offset + 40;
    drop(buffer);
    file.close().unwrap();
    scene.change("file.pgs", at, |byte| byte ^ 1);
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    let before = taken(&file);
    let refused = loop {
        match buffer.compact(Compact::new()) {
            Err(error) => break error,
            Ok(done) => assert_ne!(done.moved, 0, "the damage was not met"),
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(refused.to_string().contains("file.pgs"), "{refused}");
    assert_eq!(buffer.compact(Compact::new()).unwrap().state, State::Done);
    assert!(taken(&file) < before * 3 / 4, "{} of {before}", taken(&file));
    let pin = file.pin();
    for (id, number) in entries.iter().filter(|(id, _)| *id != spoilt) {
        assert_eq!(buffer.get(&pin, *id).unwrap(), content(*number));
    }
}

#[test]
fn a_hook_follows_what_moves() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, entries) = used(&file, 20_000);
    let places = |file: &RegionFile| -> BTreeMap<EntryId, u64> {
        let pin = file.pin();
        let place = |id| (id, buffer.header(&pin, id).unwrap().offset + 32);
        buffer.ids(&pin).map(place).collect()
    };
    let known = Arc::new(Mutex::new(places(&file)));
    let (told, reader) = (Arc::clone(&known), buffer.clone());
    file.set_relocation_hook(move |moved| {
        // Readers see it at its old place still.
        let now = reader.header(&reader.file().pin(), moved.id).unwrap().offset + 32;
        assert!(now == moved.from && now != moved.to);
        assert_eq!(told.lock().unwrap().insert(moved.id, moved.to), Some(moved.from));
    });
    let compact = || {
        let mut writer = file.writer();
        while buffer.compact_step(&mut writer, Budget::bytes(50_000)).unwrap().is_running() {}
    };
    compact();
    assert_eq!(*known.lock().unwrap(), places(&file));
    // All go back, and may go again.
    file.writer().discard().unwrap();
    assert_eq!(*known.lock().unwrap(), places(&file));
    compact();
    assert_eq!(*known.lock().unwrap(), places(&file));
    file.clear_relocation_hook();
    check(&buffer, &entries);
}

#[test]
fn a_copy_is_minimal() {
    let scene = Scene::new();
    let file = scene.create();
    let (buffer, mut entries) = used(&file, 20_000);
    let mut writer = file.writer();
    for number in 1 << 40..(1 << 40) + 40_000 {
        entries.push((buffer.add(&mut writer, &content(number)).unwrap(), number));
    }
    let sizes = buffer.sizes(&mut writer).unwrap();
    drop(writer);
    let mut most = (0, 0);
    let mut hook = |progress: pagestone_heap::Progress| {
        assert!(most.0 < progress.done && progress.done <= progress.total);
        most = (progress.done, progress.total);
        ControlFlow::Continue(())
    };
    buffer.compact_into(scene.at("copy.pgs"), &options(), &mut hook).unwrap();
    assert!(40_000 < most.0, "{most:?}");
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    let len = copy.stats().file_len;
    assert!(len * 100 < sizes.stored() * 115, "{len} bytes for {}", sizes.stored());
    let other = copy.buffer("buffer").unwrap();
    check(&other, &entries);
    check_clean(&copy);
    assert_eq!(other.sizes(&mut copy.writer()).unwrap(), sizes);
    // It goes on as any file.
    entries.push((other.add(&mut copy.writer(), &content(7)).unwrap(), 7));
    let (id, number) = &mut entries[5];
    *number = 8;
    other.update(&mut copy.writer(), *id, &content(8)).unwrap();
    check(&other, &entries);
    // One that is broken off leaves nothing.
    let mut hook = |_| ControlFlow::Break(());
    let refused = buffer.compact_into(scene.at("none.pgs"), &options(), &mut hook).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
    let refused = options().open(scene.at("none.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}
