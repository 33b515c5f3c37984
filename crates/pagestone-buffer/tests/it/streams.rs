//! Entries of unknown length: whole or not there, beside all else that happens to a buffer.

use std::{collections::BTreeMap, io::Write};

use pagestone_buffer::{BufferOptions, Buffers, Compact, EntryBuffer, EntryId};
use pagestone_heap::{ErrorKind, RegionFile};
use rstest::rstest;

use crate::support::{Scene, check_clean, content, mix, options};

/// Bytes that follow from a seed.
fn long(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut next = seed;
    while bytes.len() < len {
        next = mix(next);
        bytes.extend_from_slice(&next.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Writes bytes in pieces of several lengths.
fn write(out: &mut impl Write, mut bytes: &[u8]) {
    let mut nth = bytes.len() as u64;
    while !bytes.is_empty() {
        nth += 1;
        let most = usize::try_from(mix(nth) % 400_000).unwrap() >> (nth % 3 * 6);
        let (piece, rest) = bytes.split_at(most.clamp(1, bytes.len()));
        out.write_all(piece).unwrap();
        bytes = rest;
    }
}

fn check(buffer: &EntryBuffer, entries: &BTreeMap<EntryId, Vec<u8>>) {
    let pin = buffer.file().pin();
    assert_eq!(buffer.ids(&pin).collect::<Vec<_>>(), entries.keys().copied().collect::<Vec<_>>());
    for (id, bytes) in entries {
        assert!(buffer.get(&pin, *id).unwrap() == bytes, "{id} of {} bytes", bytes.len());
    }
    drop(pin);
    check_clean(buffer.file());
    let mut writer = buffer.file().writer();
    let (counters, sizes) = (buffer.counters(&mut writer), buffer.sizes(&mut writer));
    let (counters, sizes) = (counters.unwrap(), sizes.unwrap());
    assert_eq!(sizes.payload, entries.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    assert_eq!(counters.live, 32 * counters.entries + sizes.payload + sizes.slack);
}

#[rstest]
#[case::nothing(0)]
#[case::a_byte(1)]
#[case::what_is_kept(256 << 10)]
#[case::a_byte_more((256 << 10) + 1)]
#[case::behind_the_last(700_000)]
#[case::to_the_end_of_the_segment(1_048_400)]
#[case::apart(1_100_000)]
#[case::moved(5_000_001)]
fn any_length_is_streamed(#[case] len: usize, #[values(None, Some(1.7))] factor: Option<f64>) {
    let scene = Scene::new();
    let file = scene.create();
    let mut how = BufferOptions::new();
    if let Some(factor) = factor {
        how = how.extension_factor(factor);
    }
    let buffer = file.buffer_with("buffer", how).unwrap();
    let mut entries = BTreeMap::new();
    let mut writer = file.writer();
    let short = |writer: &mut _, entries: &mut BTreeMap<_, _>, nth| {
        entries.insert(buffer.add(writer, &content(nth)).unwrap(), content(nth));
    };
    short(&mut writer, &mut entries, 1);
    let bytes = long(1, len);
    let mut stream = buffer.add_stream(&mut writer).unwrap();
    write(&mut stream, &bytes);
    assert_eq!(stream.len(), len as u64);
    let id = stream.finish().unwrap();
    let room = factor.map_or(0, |factor| buffer_room(len, factor));
    assert_eq!(buffer.header(&file.pin(), id).unwrap().room, room);
    entries.insert(id, bytes);
    short(&mut writer, &mut entries, 2);
    drop(writer);
    check(&buffer, &entries);
    // The same length once more, over an entry; and one that is given up.
    let mut writer = file.writer();
    let bytes = long(2, len);
    let mut stream = buffer.update_stream(&mut writer, id).unwrap();
    write(&mut stream, &bytes);
    assert_eq!(stream.finish().unwrap(), id);
    entries.insert(id, bytes);
    short(&mut writer, &mut entries, 3);
    let used = buffer.counters(&mut writer).unwrap();
    let mut stream = buffer.add_stream(&mut writer).unwrap();
    write(&mut stream, &long(3, len));
    drop(stream);
    assert_eq!(buffer.counters(&mut writer).unwrap(), used);
    short(&mut writer, &mut entries, 4);
    drop(writer);
    check(&buffer, &entries);
    // A kill.
    drop((buffer, file));
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    check(&buffer, &entries);
    file.commit().unwrap();
    file.writer().discard().unwrap();
    buffer.compact(Compact::new()).unwrap();
    check(&buffer, &entries);
    drop(buffer);
    file.close().unwrap();
    check(&scene.open().buffer("buffer").unwrap(), &entries);
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "short lengths"
)]
fn buffer_room(len: usize, factor: f64) -> u64 {
    ((len as f64 * factor).ceil() as u64).next_multiple_of(16)
}

#[test]
fn streams_go_with_all_else() {
    let scene = Scene::new();
    let mut file = scene.create();
    let mut buffer = file.buffer("buffer").unwrap();
    file.commit().unwrap();
    let (mut now, mut committed) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..15_u64 {
        let mut writer = file.writer();
        for nth in 0..12 {
            let dice = mix(round << 8 | nth);
            let most = if dice.is_multiple_of(7) { 3_000_000 } else { 600_000 };
            let bytes = long(dice, usize::try_from(mix(dice) % most).unwrap());
            let known = now.keys().nth(usize::try_from(dice % 20).unwrap()).copied();
            let mut stream = match known {
                Some(id) => buffer.update_stream(&mut writer, id).unwrap(),
                None => buffer.add_stream(&mut writer).unwrap(),
            };
            write(&mut stream, &bytes);
            if (dice >> 40).is_multiple_of(4) {
                drop(stream);
            } else {
                now.insert(stream.finish().unwrap(), bytes);
            }
            let id = buffer.add(&mut writer, &content(dice)).unwrap();
            now.insert(id, content(dice));
            if let Some(id) = now.keys().nth(usize::try_from(dice % 30).unwrap()).copied() {
                buffer.remove(&mut writer, id).unwrap();
                now.remove(&id);
            }
        }
        drop(writer);
        match mix(round) % 4 {
            0 => {
                file.writer().discard().unwrap();
                now = committed.clone();
            }
            1 => {
                drop((buffer, file));
                file = scene.open();
                buffer = file.buffer("buffer").unwrap();
            }
            2 => drop(buffer.compact(Compact::new()).unwrap()),
            _ => file.commit().unwrap(),
        }
        if mix(round) % 4 > 1 {
            committed = now.clone();
        }
        check(&buffer, &now);
    }
}

#[test]
fn lengths_from_4_gib_on_are_refused() {
    let file = options().in_memory().unwrap();
    let buffer = file.buffer("buffer").unwrap();
    let mut writer = file.writer();
    // Nobody reads it, so it takes no memory.
    let much = vec![0; (1 << 32) - 1];
    let refused = |error: &dyn std::fmt::Display| {
        assert!(error.to_string().contains(&much.len().to_string()), "{error}");
    };
    let error = buffer.add(&mut writer, &much).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    refused(&error);
    let id = buffer.add(&mut writer, b"short").unwrap();
    let error = buffer.update(&mut writer, id, &much).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let mut stream = buffer.update_stream(&mut writer, id).unwrap();
    stream.write_all(b"longer").unwrap();
    let error = stream.write(&much[6..]).unwrap_err();
    refused(&error);
    assert_eq!(stream.finish().unwrap(), id);
    assert_eq!(buffer.read(id).unwrap(), b"longer");
}

#[test]
fn nothing_of_what_was_given_up_is_seen_again() {
    let scene = Scene::new();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let keep = buffer.add(&mut file.writer(), b"keep").unwrap();
    file.commit().unwrap();
    // What is written is entries of this very segment, as a hostile content would be.
    let offset = buffer.header(&file.pin(), keep).unwrap().offset;
    let entry = scene.load("file.pgs", offset, 48);
    let mut writer = file.writer();
    let mut stream = buffer.add_stream(&mut writer).unwrap();
    stream.write_all(&entry.repeat(10_000)).unwrap();
    drop(stream);
    let next = buffer.add(&mut writer, &[1; 16]).unwrap();
    drop(writer);
    let end = buffer.header(&file.pin(), next).unwrap().offset + 48;
    assert_eq!(scene.load("file.pgs", end, 480_000), vec![0; 480_000]);
    drop((buffer, file));
    let file: RegionFile = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    assert_eq!(buffer.counters(&mut file.writer()).unwrap().used, 96);
}
