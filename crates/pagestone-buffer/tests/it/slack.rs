//! Room behind contents, and changes in it: what fits, what does not, what a crash leaves.

use std::collections::BTreeMap;

use pagestone_buffer::{
    BufferOptions, Buffers, Compact, Counters, EntryBuffer, EntryId, EntryStatus,
};
use pagestone_heap::{ErrorKind, RegionFile, Verify};

use crate::support::{Scene, check_clean, content, mix, options};

fn with_factor(file: &RegionFile, factor: f64) -> EntryBuffer {
    file.buffer_with("buffer", BufferOptions::new().extension_factor(factor)).unwrap()
}

/// What the counters have to be, counted from the entries alone.
fn recount(buffer: &EntryBuffer) -> (u64, u64, u64) {
    let file = buffer.file();
    let pin = file.pin();
    let (mut entries, mut payload, mut slack) = (0, 0, 0);
    for id in buffer.ids(&pin) {
        let header = buffer.header(&pin, id).unwrap();
        assert_eq!(buffer.get(&pin, id).unwrap().len() as u64, header.len);
        entries += 1;
        payload += header.len;
        slack += header.room.max(header.len).next_multiple_of(16) - header.len;
    }
    (entries, payload, slack)
}

fn check_counters(buffer: &EntryBuffer, removed: u64) -> u64 {
    let sizes = buffer.sizes(&mut buffer.file().writer()).unwrap();
    let counters = buffer.counters(&mut buffer.file().writer()).unwrap();
    let (entries, payload, slack) = recount(buffer);
    assert_eq!((counters.entries, sizes.payload, sizes.slack), (entries, payload, slack));
    assert_eq!(counters.live, 32 * entries + payload + slack);
    assert_eq!(counters.removed, removed, "{counters:?}");
    payload
}

#[test]
fn counters_are_what_a_recount_says() {
    let scene = Scene::new();
    let file = scene.create();
    let mut buffer = with_factor(&file, 1.5);
    let plain = file.buffer("buffer").unwrap();
    let mut now = BTreeMap::new();
    let mut removed = 0;
    for round in 0..6_000_u64 {
        let dice = mix(round);
        let bytes = content(dice);
        let pick =
            || now.keys().nth(usize::try_from(mix(dice)).unwrap() % now.len().max(1)).copied();
        let mut writer = file.writer();
        match (dice % 10, pick()) {
            (0..4, _) | (_, None) => {
                let id =
                    if dice.is_multiple_of(2) { &plain } else { &buffer }.add(&mut writer, &bytes);
                // A vacant slot comes first.
                removed -= u64::from(removed != 0);
                now.insert(id.unwrap(), bytes);
            }
            (4..7, Some(id)) => {
                buffer.update(&mut writer, id, &bytes).unwrap();
                now.insert(id, bytes);
            }
            (_, Some(id)) => {
                buffer.remove(&mut writer, id).unwrap();
                now.remove(&id);
                removed += 1;
            }
        }
        if round == 10 {
            check_counters_of(&buffer, &mut writer);
        }
        drop(writer);
        if round % 1000 == 999 {
            check_counters(&buffer, removed);
            buffer.compact(Compact::new()).unwrap();
            check_counters(&buffer, removed);
        }
    }
    drop((file, plain));
    let mut in_place = 0;
    for (id, bytes) in &mut now {
        let next = content(mix(bytes.len() as u64 ^ id.to_bits()));
        in_place += u64::from(buffer.in_place().unwrap().update(*id, &next).unwrap());
        *bytes = next;
    }
    assert!(100 < in_place && in_place < now.len() as u64, "{in_place} of {}", now.len());
    let payload = check_counters(&buffer, removed);
    buffer.file().commit().unwrap();
    drop(buffer);
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    assert_eq!(check_counters(&buffer, removed), payload);
    for (id, bytes) in &now {
        assert_eq!(&buffer.read(*id).unwrap(), bytes);
    }
    check_clean(&file);
}

/// Begins the count, so that changes from here on have to keep it.
fn check_counters_of(buffer: &EntryBuffer, writer: &mut pagestone_heap::Writer<'_>) {
    assert_ne!(buffer.counters(writer).unwrap(), Counters::default());
}

#[test]
fn a_change_in_place_stays_in_place() {
    let scene = Scene::new();
    let mut buffer = with_factor(&scene.create(), 2.0);
    let mut writer = buffer.file().writer();
    let id = buffer.add(&mut writer, &[1; 100]).unwrap();
    let other = buffer.add(&mut writer, b"other").unwrap();
    writer.commit().unwrap();
    drop(writer);
    let before = buffer.header(&buffer.file().pin(), id).unwrap();
    assert_eq!((before.len, before.room, before.slack()), (100, 208, 108));
    let mut place = buffer.in_place().unwrap();
    for len in [100_u8, 0, 208, 17] {
        assert!(place.update(id, &vec![len; len.into()]).unwrap(), "{len}");
        assert_eq!(place.get(id).unwrap(), vec![len; len.into()]);
    }
    place.commit().unwrap();
    assert_eq!(place.get(other).unwrap(), b"other");
    drop(place);
    let after = buffer.header(&buffer.file().pin(), id).unwrap();
    assert_eq!(
        (after.offset, after.sequence, after.slack()),
        (before.offset, before.sequence, 191)
    );
    assert!(!buffer.in_place().unwrap().update(id, &[7; 209]).unwrap());
    let moved = buffer.header(&buffer.file().pin(), id).unwrap();
    assert_eq!((moved.len, moved.room), (209, 432));
    // The room goes with the entry, through a compaction and into a copy.
    buffer.remove(&mut buffer.file().writer(), other).unwrap();
    buffer.compact(Compact::new().least_garbage(0.0)).unwrap();
    check_clean(buffer.file());
    buffer.file().copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    drop(buffer);
    for name in ["file.pgs", "copy.pgs"] {
        let file = options().open(scene.at(name)).unwrap();
        let buffer = file.buffer("buffer").unwrap();
        assert_eq!(buffer.read(id).unwrap(), [7; 209]);
        let header = buffer.header(&file.pin(), id).unwrap();
        assert_eq!(header.room, 432);
        assert_ne!(header.sequence, moved.sequence, "it was written again");
        check_clean(&file);
    }
}

#[test]
fn only_who_has_the_file_alone_changes_in_place() {
    let scene = Scene::new();
    let file = scene.create();
    let mut buffer = with_factor(&file, 1.0);
    let id = buffer.add(&mut file.writer(), b"content").unwrap();
    file.commit().unwrap();
    assert_eq!(buffer.in_place().unwrap_err().kind(), ErrorKind::InvalidArgument);
    drop(file);
    let clone = buffer.clone();
    assert_eq!(buffer.in_place().unwrap_err().kind(), ErrorKind::InvalidArgument);
    drop(clone);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert_eq!(buffer.in_place().unwrap_err().kind(), ErrorKind::Locked);
    let mut seen = reader.buffer("buffer").unwrap();
    drop(reader);
    assert_eq!(seen.in_place().unwrap_err().kind(), ErrorKind::ReadOnly);
    drop(seen);
    let mut place = buffer.in_place().unwrap();
    let refused = options().open_read_only(scene.at("file.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(place.update(id, b"changed").unwrap());
    drop(place);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert_eq!(reader.buffer("buffer").unwrap().read(id).unwrap(), b"changed");
}

#[test]
fn a_change_that_was_broken_off_shows() {
    let scene = Scene::new();
    let mut buffer = with_factor(&scene.create(), 1.0);
    let ids: Vec<EntryId> =
        (0..20).map(|nth| buffer.add(&mut buffer.file().writer(), &[nth; 160]).unwrap()).collect();
    let offset = buffer.header(&buffer.file().pin(), ids[7]).unwrap().offset;
    buffer.in_place().unwrap().update(ids[7], &[77; 160]).unwrap();
    // A kill in the middle of the change, before anything was committed.
    drop(buffer);
    scene.store("file.pgs", offset + 32 + 80, &[78; 80]);
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    for (nth, id) in (0..).zip(&ids).filter(|(nth, _)| *nth != 7) {
        assert_eq!(buffer.read(*id).unwrap(), [nth; 160]);
    }
    let error = buffer.read(ids[7]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&format!("{}", offset + 20)), "{error}");
    let report = file.verify(Verify::new()).unwrap();
    assert_eq!((report.problem_count, report.problems[0].offset), (1, offset + 20));
    // What comes later is behind it, not over it; and an update makes it whole.
    let next = buffer.add(&mut file.writer(), &[99; 160]).unwrap();
    buffer.update(&mut file.writer(), ids[7], &[7; 160]).unwrap();
    file.commit().unwrap();
    assert_eq!(buffer.read(ids[7]).unwrap(), [7; 160]);
    assert_eq!(buffer.read(ids[8]).unwrap(), [8; 160]);
    assert_eq!(buffer.read(next).unwrap(), [99; 160]);
    check_clean(&file);
}

#[test]
fn slack_that_overflows_is_refused() {
    let file = options().in_memory().unwrap();
    for factor in [0.99, -1.0, f64::NAN, f64::INFINITY] {
        let refused = file.buffer_with("buffer", BufferOptions::new().extension_factor(factor));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument, "{factor}");
    }
    let buffer = with_factor(&file, 1e9);
    let mut writer = file.writer();
    let refused = buffer.add(&mut writer, &[1; 5]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.to_string().contains("times 5 bytes"), "{refused}");
    let empty = buffer.add(&mut writer, b"").unwrap();
    assert!(buffer.update(&mut writer, empty, &[1; 5]).is_err());
    assert_eq!(buffer.len(&mut writer), 1);
    drop(writer);
    assert_eq!(buffer.read(empty).unwrap(), b"");
}

#[test]
fn an_id_has_a_status() {
    let file = options().in_memory().unwrap();
    let buffer = file.buffer("buffer").unwrap();
    let mut writer = file.writer();
    let first = buffer.add(&mut writer, b"first").unwrap();
    let status = |id| buffer.status(&file.pin(), id).unwrap();
    assert_eq!(status(first), EntryStatus::Live);
    buffer.remove(&mut writer, first).unwrap();
    assert_eq!(status(first), EntryStatus::Removed);
    let second = buffer.add(&mut writer, b"second").unwrap();
    assert_eq!((status(first), status(second)), (EntryStatus::Removed, EntryStatus::Live));
    assert_eq!(status(EntryId::from_bits(second.to_bits() + 1)), EntryStatus::Unknown);
    assert_eq!(status(EntryId::from_bits(u64::MAX)), EntryStatus::Unknown);
}
