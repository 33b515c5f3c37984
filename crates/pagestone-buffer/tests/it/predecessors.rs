//! What docs/defects-buffer.md says of the buffer that people used before, where no other test
//! shows it.

use pagestone_buffer::{Buffers, Compact, EntryId};

use crate::support::{Scene, check_clean, content};

/// Entries that end at the end of a segment, or some multiples of 16 bytes before it.
#[test]
fn entries_may_end_anywhere() {
    for left in 0..6 {
        let scene = Scene::fast();
        let file = scene.create();
        let buffer = file.buffer("buffer").unwrap();
        let mut writer = file.writer();
        let mut ids = vec![buffer.add(&mut writer, b"first").unwrap()];
        let counters = buffer.counters(&mut writer).unwrap();
        let room = counters.capacity - 64 - counters.used;
        let len = usize::try_from(room - 32 - 16 * left).unwrap();
        ids.push(buffer.add(&mut writer, &vec![7; len]).unwrap());
        for _ in 0..3 {
            ids.push(buffer.add(&mut writer, b"").unwrap());
        }
        let counters = buffer.counters(&mut writer).unwrap();
        assert_eq!(counters.segments, 2, "{left}: the third is the first of another segment");
        drop(writer);
        drop((buffer, file));
        for closes in [false, true] {
            let file = scene.open();
            let buffer = file.buffer("buffer").unwrap();
            assert_eq!(buffer.ids(&file.pin()).collect::<Vec<_>>(), ids, "{left}");
            assert_eq!(buffer.read(ids[0]).unwrap(), b"first");
            assert_eq!(buffer.read(ids[1]).unwrap(), vec![7; len]);
            check_clean(&file);
            ids.push(buffer.add(&mut file.writer(), b"").unwrap());
            drop(buffer);
            if closes {
                file.close().unwrap();
            }
        }
    }
}

#[test]
fn growth_moves_nothing() {
    let scene = Scene::fast();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let id = buffer.add(&mut file.writer(), &content(1)).unwrap();
    let pin = file.pin();
    let before = buffer.get(&pin, id).unwrap();
    let len = file.stats().file_len;
    for _ in 0..8 {
        buffer.add(&mut file.writer(), &vec![1; 1 << 20]).unwrap();
    }
    assert!(len + (8 << 20) <= file.stats().file_len);
    let after = buffer.get(&pin, id).unwrap();
    assert_eq!((before.as_ptr(), before), (after.as_ptr(), &content(1)[..]));
}

/// Rounds of updates, removes and adds, each with a compaction: space is used again.
#[test]
fn a_buffer_in_use_stops_growing() {
    let scene = Scene::fast();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let mut ids: Vec<EntryId> = Vec::new();
    let mut lens = Vec::new();
    for round in 0..12_u64 {
        let mut writer = file.writer();
        for (nth, id) in (0..).zip(&ids) {
            buffer.update(&mut writer, *id, &content(round << 32 | nth)).unwrap();
        }
        for id in ids.drain(..ids.len() / 3) {
            buffer.remove(&mut writer, id).unwrap();
        }
        while ids.len() < 4000 {
            ids.push(buffer.add(&mut writer, &content(ids.len() as u64)).unwrap());
        }
        writer.commit().unwrap();
        drop(writer);
        buffer.compact(Compact::new()).unwrap();
        lens.push(file.stats().file_len);
    }
    assert!(lens[11] <= lens[4], "{lens:?}");
}
