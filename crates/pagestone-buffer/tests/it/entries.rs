//! Entries: what was put in comes out, under ids that stay.

use std::io::{BufRead, Read, Seek, SeekFrom};

use pagestone_buffer::Buffers;
use pagestone_heap::ErrorKind;
use rstest::rstest;

use crate::support::{Scene, check_clean, content, options};

#[rstest]
#[case::nothing(0)]
#[case::a_byte(1)]
#[case::fifteen(15)]
#[case::sixteen(16)]
#[case::a_page(4096)]
#[case::beyond_a_segment(3_000_000)]
fn any_length_is_kept(#[case] len: usize) {
    let scene = Scene::new();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let bytes: Vec<u8> = (0..len as u64).map(|at| at.to_le_bytes()[0]).collect();
    let mut writer = file.writer();
    let id = buffer.add(&mut writer, &bytes).unwrap();
    let other = buffer.add(&mut writer, b"other").unwrap();
    buffer.update(&mut writer, other, &bytes).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let pin = file.pin();
    assert_eq!(buffer.get(&pin, id).unwrap(), bytes);
    assert_eq!(buffer.header(&pin, id).unwrap().len, len as u64);
    assert!(
        buffer.header(&pin, id).unwrap().sequence < buffer.header(&pin, other).unwrap().sequence
    );
    drop(pin);
    drop(buffer);
    file.close().unwrap();
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    assert_eq!(buffer.read(other).unwrap(), bytes);
    check_clean(&file);
}

#[test]
fn a_removed_id_is_refused_for_ever() {
    let scene = Scene::new();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let mut writer = file.writer();
    let id = buffer.add(&mut writer, b"first").unwrap();
    buffer.remove(&mut writer, id).unwrap();
    let stale = |result: pagestone_heap::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::StaleId);
    };
    stale(buffer.remove(&mut writer, id));
    stale(buffer.update(&mut writer, id, b"again"));
    let next = buffer.add(&mut writer, b"next").unwrap();
    assert_ne!(next, id);
    stale(buffer.read(id).map(drop));
    assert_eq!(buffer.upsert(&mut writer, Some(next), b"changed").unwrap(), next);
    let fresh = buffer.upsert(&mut writer, Some(id), b"fresh").unwrap();
    assert_ne!(fresh, id);
    assert_eq!((buffer.len(&mut writer), buffer.is_empty(&mut writer)), (2, false));
}

#[test]
fn ids_come_in_two_orders() {
    let file = options().in_memory().unwrap();
    let buffer = file.buffer("buffer").unwrap();
    let mut writer = file.writer();
    let mut ids = Vec::new();
    buffer.add_many(&mut writer, (0..100).map(content), &mut ids).unwrap();
    buffer.update(&mut writer, ids[3], b"later").unwrap();
    buffer.remove(&mut writer, ids[50]).unwrap();
    drop(writer);
    let pin = file.pin();
    let mut expected: Vec<_> = ids.iter().copied().filter(|id| *id != ids[50]).collect();
    assert_eq!(buffer.ids(&pin).collect::<Vec<_>>(), expected);
    expected.remove(3);
    expected.push(ids[3]);
    assert_eq!(buffer.ids_as_written(&pin).unwrap(), expected);
    let mut seen = 0;
    buffer.get_many(&pin, &expected, |_, bytes| seen += bytes.unwrap().len());
    let all: usize = expected.iter().map(|id| buffer.get(&pin, *id).unwrap().len()).sum();
    assert_eq!(seen, all);
}

#[test]
fn an_entry_is_a_stream() {
    let file = options().in_memory().unwrap();
    let buffer = file.buffer("buffer").unwrap();
    let id = buffer.add(&mut file.writer(), b"one\ntwo\nthree").unwrap();
    let pin = file.pin();
    let mut reader = buffer.reader(&pin, id).unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!((line.as_str(), reader.as_bytes().len()), ("one\n", 13));
    reader.seek(SeekFrom::End(-5)).unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "three");
    let mut into = [0; 4];
    assert_eq!(buffer.read_at(&pin, (id, 4), &mut into).unwrap(), 4);
    assert_eq!(&into, b"two\n");
    assert_eq!(buffer.read_at(&pin, (id, 11), &mut into).unwrap(), 2);
    assert_eq!(buffer.read_at(&pin, (id, u64::MAX), &mut into).unwrap(), 0);
}

#[test]
fn a_buffer_is_no_heap() {
    let file = options().in_memory().unwrap();
    file.buffer("buffer").unwrap();
    file.heap("heap").unwrap();
    assert_eq!(file.buffer("heap").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(file.heap("buffer").unwrap_err().kind(), ErrorKind::InvalidArgument);
}
