//! Region files that are forged or damaged, and limits: an error or the right answer.

use std::fs;

use pagestone_heap::{Counts, RegionFile, SlabShape};
use pagestone_slab::{Error, ErrorKind, FileInterner, SlabFile, Symbol};

use super::file::Scene;

/// Every how many bytes one is changed.
const STEP: usize = 97;

fn text(number: usize) -> Vec<u8> {
    format!("string {number}").repeat(1 + number % 5).into_bytes()
}

fn index_of(symbol: Symbol) -> u32 {
    symbol.to_bits() - 1
}

#[track_caller]
fn refused<T>(done: Result<T, Error>, kind: ErrorKind) -> String {
    let Err(error) = done else { panic!("no error, {kind:?} expected") };
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[test]
fn lengths_at_every_end_come_back() {
    let scene = Scene::fast();
    let file = scene.file();
    let (store, tags) = (file.objects("objects").unwrap(), file.interner("tags").unwrap());
    refused(store.add(&mut file.writer(), b""), ErrorKind::InvalidArgument);
    let lens = [1, 7, 8, 255, 256, 257, 258, 288, 289, 65_535, 65_536, 65_537, 1 << 20];
    let bytes = |len: usize| -> Vec<u8> { (1..=251).cycle().take(len).collect() };
    let mut kept = Vec::new();
    for len in lens {
        let id = store.add(&mut file.writer(), &bytes(len)).unwrap();
        kept.push((id, tags.intern(&mut file.writer(), &bytes(len)).unwrap()));
    }
    let empty = tags.intern(&mut file.writer(), b"").unwrap();
    drop((store, tags));
    file.close().unwrap();
    let file = scene.file();
    let (store, tags) = (file.objects("objects").unwrap(), file.interner("tags").unwrap());
    let pin = file.pin();
    for (len, (id, symbol)) in lens.into_iter().zip(&kept) {
        assert!(store.get(&pin, *id).unwrap() == bytes(len), "{len}");
        assert!(tags.resolve(&pin, *symbol).unwrap() == bytes(len), "{len}");
        assert_eq!(tags.lookup(&pin, &bytes(len)).unwrap(), Some(*symbol), "{len}");
        assert_eq!(store.find(&pin, &bytes(len)).unwrap(), Some(*id), "{len}");
    }
    assert_eq!(tags.resolve(&pin, empty).unwrap(), b"");
    assert_eq!(tags.lookup(&pin, b"").unwrap(), Some(empty));
    assert_eq!(store.spilled(&pin).unwrap().count(), 2, "of 65,537 bytes and of a mebibyte");
    drop(pin);
    for (id, symbol) in kept {
        store.remove(&mut file.writer(), id).unwrap();
        tags.release(&mut file.writer(), symbol).unwrap();
    }
    for heap in ["objects.spilled", "tags.spilled"] {
        assert_eq!(file.heap(heap).unwrap().blocks(&file.pin()).count(), 0, "{heap}");
    }
}

#[test]
fn a_damaged_table_misleads_nobody() {
    let scene = Scene::fast();
    let file = scene.file();
    let tags = file.interner("tags").unwrap();
    let symbols: Vec<Symbol> =
        (0..150).map(|number| tags.intern(&mut file.writer(), &text(number)).unwrap()).collect();
    tags.save(&mut file.writer()).unwrap();
    drop(tags);
    file.close().unwrap();
    let whole = fs::read(scene.path()).unwrap();
    let places = (0..whole.len()).step_by(8).filter(|at| whole[*at..].starts_with(b"PGSINTN1"));
    let [start] = places.collect::<Vec<_>>()[..] else { panic!("not one table") };
    let len = 32 + 8 * 512;
    // Every part of the header, too.
    for at in (0..32).step_by(5).chain((32..len).step_by(STEP)) {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[start + at] ^= bit;
            fs::write(scene.path(), &bytes).unwrap();
            check_misled(&scene.file(), &symbols);
        }
    }
}

#[track_caller]
fn check_misled(file: &RegionFile, symbols: &[Symbol]) {
    let tags = file.interner("tags").unwrap();
    let resolves_all = |tags: &FileInterner| {
        let pin = file.pin();
        for (number, symbol) in symbols.iter().enumerate() {
            assert_eq!(tags.resolve(&pin, *symbol).unwrap(), text(number));
        }
    };
    resolves_all(&tags);
    for (number, symbol) in symbols.iter().enumerate() {
        let found = tags.lookup(&file.pin(), &text(number)).unwrap();
        assert!(found.is_none_or(|found| found == *symbol));
    }
    assert_eq!(tags.lookup(&file.pin(), b"no such string").unwrap(), None);
    tags.len(&file.pin()).unwrap();
    for number in 0..symbols.len() + 20 {
        let symbol = tags.intern(&mut file.writer(), &text(number)).unwrap();
        assert_eq!(tags.resolve(&file.pin(), symbol).unwrap(), text(number));
        let again = tags.intern(&mut file.writer(), &text(number)).unwrap();
        assert_eq!(again, symbol, "known from here on");
    }
    resolves_all(&tags);
    // What goes is found no more under its symbol, and the others stay.
    tags.release(&mut file.writer(), symbols[0]).unwrap();
    refused(tags.resolve(&file.pin(), symbols[0]), ErrorKind::StaleId);
    for (number, symbol) in symbols.iter().enumerate().skip(1) {
        assert_eq!(tags.resolve(&file.pin(), *symbol).unwrap(), text(number));
    }
}

#[test]
fn strings_that_are_there_twice_are_two_strings() {
    let scene = Scene::fast();
    let file = scene.file();
    let one = file.interner("tags").unwrap().intern(&mut file.writer(), b"twice").unwrap();
    let slabs = file.slabs("tags").unwrap();
    let slab = slabs.list(&file.pin()).unwrap()[0].slab;
    slabs.add(&mut file.writer(), slab, b"twice").unwrap().unwrap();
    slabs.add(&mut file.writer(), slab, b"\xff\xfe...").unwrap().unwrap();
    drop(slabs);
    file.close().unwrap();
    let file = scene.file();
    let tags = file.interner("tags").unwrap();
    let [two, three] = [1, 2].map(|more| Symbol::from_bits(one.to_bits() + more).unwrap());
    assert_eq!(tags.len(&file.pin()).unwrap(), 3);
    for symbol in [one, two] {
        assert_eq!(tags.resolve_str(&file.pin(), symbol).unwrap(), "twice");
    }
    let what = refused(tags.resolve_str(&file.pin(), three), ErrorKind::Corrupt);
    assert!(what.contains("file.pgs"), "{what}");
    assert_eq!(tags.resolve(&file.pin(), three).unwrap(), b"\xff\xfe...");
    let found = tags.lookup(&file.pin(), b"twice").unwrap().unwrap();
    assert!([one, two].contains(&found));
    assert_eq!(tags.intern(&mut file.writer(), b"twice").unwrap(), found);
    tags.release(&mut file.writer(), found).unwrap();
    let other = tags.lookup(&file.pin(), b"twice").unwrap().unwrap();
    assert!(other != found && [one, two].contains(&other));
    tags.release(&mut file.writer(), other).unwrap();
    assert_eq!(tags.lookup(&file.pin(), b"twice").unwrap(), None);
}

/// Everything that looks at the slabs of a store says that they are damaged.
#[track_caller]
fn check_forged(shape: SlabShape) {
    for name in ["tags", "objects"] {
        let file = RegionFile::options().in_memory().unwrap();
        let (tags, store) = (file.interner("tags").unwrap(), file.objects("objects").unwrap());
        let symbol = tags.intern(&mut file.writer(), b"first").unwrap();
        let id = store.add(&mut file.writer(), b"first").unwrap();
        let shape = SlabShape { generations: name == "objects", ..shape };
        let slab = file.slabs(name).unwrap().create(&mut file.writer(), shape).unwrap();
        let object = vec![1; shape.object_len as usize];
        file.slabs(name).unwrap().add(&mut file.writer(), slab, &object).unwrap().unwrap();
        let (pin, corrupt) = (file.pin(), ErrorKind::Corrupt);
        if name == "tags" {
            for tags in [&tags, &file.interner("tags").unwrap()] {
                let what = refused(tags.intern(&mut file.writer(), b"second"), corrupt);
                assert!(what.contains("offset"), "{what}");
                refused(tags.lookup(&pin, b"first"), corrupt);
                refused(tags.resolve(&pin, symbol), corrupt);
                refused(tags.release(&mut file.writer(), symbol), corrupt);
                refused(tags.len(&pin), corrupt);
                refused(tags.save(&mut file.writer()), corrupt);
                assert_eq!(tags.strings(&pin).err().unwrap().kind(), corrupt);
            }
        } else {
            for store in [&store, &file.objects("objects").unwrap()] {
                assert_eq!(store.get(&pin, id).unwrap(), b"first", "what is whole is read");
                refused(store.add(&mut file.writer(), b"second"), corrupt);
                refused(store.remove(&mut file.writer(), id), corrupt);
                refused(store.stats(&mut file.writer()), corrupt);
                for id in store.ids(&pin).unwrap() {
                    // Some bytes, or an error.
                    store.get(&pin, id).map(<[u8]>::len).unwrap_or_default();
                }
                assert_eq!(store.find(&pin, b"first").unwrap(), Some(id));
            }
        }
    }
}

#[test]
fn marks_that_make_no_sense_are_refused() {
    let mark = |class: u64, first: u64| class | first << 32;
    let shape = |object_len, mark| SlabShape { object_len, slots: 100, generations: false, mark };
    for (object_len, class) in [
        (6, 5),
        (5, 6),
        (2, 0),
        (5, 322),
        (5, 0xffff_ffff),
        (288, 257),
        (289, 257),
        (264, 256),
        (263, 321),
        (1, 321),
    ] {
        check_forged(shape(object_len, mark(class, 5000)));
    }
    // Objects have no indexes; strings have some that overlap or reach beyond all symbols.
    for first in [1, 1023, 0xffff_ffff, 0xffff_ffff - 99, 0xffff_ffff - 100] {
        check_forged(shape(5, mark(5, first)));
    }
}

#[test]
fn objects_are_not_taken_for_strings() {
    let file = RegionFile::options().in_memory().unwrap();
    let id = file.objects("objects").unwrap().add(&mut file.writer(), b"one").unwrap();
    let symbol = file.interner("tags").unwrap().intern(&mut file.writer(), b"one").unwrap();
    for done in [file.interner("objects"), file.counted_interner("objects")] {
        refused(done, ErrorKind::InvalidArgument);
    }
    refused(file.objects("tags"), ErrorKind::InvalidArgument);
    // Empty stores can be either; the first slab decides.
    let (store, tags) = (file.objects("new").unwrap(), file.interner("new").unwrap());
    let first = tags.intern(&mut file.writer(), b"one").unwrap();
    refused(store.add(&mut file.writer(), b"two"), ErrorKind::Corrupt);
    assert_eq!(tags.resolve(&file.pin(), first).unwrap(), b"one");
    assert_eq!(file.objects("objects").unwrap().get(&file.pin(), id).unwrap(), b"one");
    assert_eq!(file.interner("tags").unwrap().resolve(&file.pin(), symbol).unwrap(), b"one");
}

#[test]
fn a_count_at_its_limit_stays_there() {
    let scene = Scene::fast();
    let file = scene.file();
    let tags = file.counted_interner("tags").unwrap();
    let symbol = tags.intern(&mut file.writer(), b"often").unwrap();
    let uses = file.counts("tags.uses").unwrap();
    uses.set(&mut file.writer(), index_of(symbol), Counts::MAX - 1).unwrap();
    assert_eq!(tags.retain(&mut file.writer(), symbol).unwrap(), Counts::MAX);
    for _ in 0..3 {
        let what = refused(tags.retain(&mut file.writer(), symbol), ErrorKind::CountLimit);
        assert!(what.contains(&Counts::MAX.to_string()), "{what}");
        refused(tags.intern(&mut file.writer(), b"often"), ErrorKind::CountLimit);
        assert_eq!(tags.ref_count(&file.pin(), symbol).unwrap(), Counts::MAX);
    }
    drop((tags, uses));
    file.close().unwrap();
    let file = scene.file();
    let tags = file.interner("tags").unwrap();
    refused(tags.intern(&mut file.writer(), b"often"), ErrorKind::CountLimit);
    assert_eq!(tags.release(&mut file.writer(), symbol).unwrap(), Counts::MAX - 1);
    assert_eq!(tags.intern(&mut file.writer(), b"often").unwrap(), symbol);
    // A string that a count does not know goes with the next release.
    file.counts("tags.uses").unwrap().set(&mut file.writer(), index_of(symbol), 0).unwrap();
    assert_eq!(tags.release(&mut file.writer(), symbol).unwrap(), 0);
    refused(tags.release(&mut file.writer(), symbol), ErrorKind::StaleId);
}
