//! Strings in a region file: random operations against a map, with every way to end.

use std::collections::BTreeMap;

use pagestone_heap::{RegionFile, Verify, Writer};
use pagestone_slab::{ErrorKind, FileInterner, SlabFile, Symbol};

use super::file::{Dice, Scene};

/// Strings with their symbols, and how often each is held.
type Held = BTreeMap<Vec<u8>, (Symbol, u64)>;

fn string(dice: &mut Dice) -> Vec<u8> {
    let number = dice.below(150);
    match number {
        0 => Vec::new(),
        1..5 => vec![7; 300 + usize::try_from(number).unwrap()],
        5 => vec![8; 70_000],
        _ => format!("tag-{number}").repeat(1 + usize::try_from(number % 4).unwrap()).into_bytes(),
    }
}

#[track_caller]
fn check(file: &RegionFile, interner: &FileInterner, held: &Held) {
    let pin = file.pin();
    assert_eq!(interner.len(&pin).unwrap(), held.len() as u64);
    let resolver = interner.resolver(&pin).unwrap();
    for (string, (symbol, count)) in held {
        assert_eq!(interner.resolve(&pin, *symbol).unwrap(), string);
        assert_eq!(resolver.resolve(*symbol).unwrap(), string);
        assert_eq!(interner.lookup(&pin, string).unwrap(), Some(*symbol));
        assert_eq!(interner.ref_count(&pin, *symbol).unwrap(), *count);
    }
    assert_eq!(interner.lookup(&pin, b"no such tag").unwrap(), None);
    let mut all: Vec<_> = interner.strings(&pin).unwrap().collect();
    all.sort_unstable();
    let mut expected: Vec<_> =
        held.iter().map(|(string, (symbol, _))| (*symbol, &**string)).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
    let report = file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

fn step(dice: &mut Dice, (writer, interner): (&mut Writer<'_>, &FileInterner), held: &mut Held) {
    let nth = usize::try_from(dice.below(held.len().max(1) as u64)).unwrap();
    let known = held.iter().nth(nth).map(|(string, (symbol, _))| (string.clone(), *symbol));
    match (dice.below(8), known) {
        (0..4, _) | (_, None) => {
            let string = string(dice);
            let symbol = interner.intern(writer, &string).unwrap();
            let entry = held.entry(string).or_insert((symbol, 0));
            assert_eq!(entry.0, symbol);
            entry.1 += 1;
        }
        (4, Some((string, symbol))) => {
            let count = interner.retain(writer, symbol).unwrap();
            let entry = held.get_mut(&string).unwrap();
            entry.1 += 1;
            assert_eq!(entry.1, count);
        }
        (_, Some((string, symbol))) => {
            let left = interner.release(writer, symbol).unwrap();
            let entry = held.get_mut(&string).unwrap();
            entry.1 -= 1;
            assert_eq!(entry.1, left);
            if left == 0 {
                held.remove(&string);
            }
        }
    }
}

#[test]
fn an_interner_is_a_map_with_commits() {
    for seed in 0..5 {
        let scene = Scene::new();
        let mut file = scene.file();
        let mut interner = file.counted_interner("tags").unwrap();
        file.commit().unwrap();
        let (mut dice, mut held, mut committed) = (Dice(seed), Held::new(), Held::new());
        for _ in 0..18 {
            for _ in 0..dice.below(150) {
                step(&mut dice, (&mut file.writer(), &interner), &mut held);
            }
            match dice.below(8) {
                0..2 => {
                    file.commit().unwrap();
                    committed = held.clone();
                }
                2 => {
                    file.writer().discard().unwrap();
                    held = committed.clone();
                }
                3 => {
                    // A kill.
                    drop((interner, file));
                    file = scene.file();
                    interner = file.interner("tags").unwrap();
                }
                4 => {
                    interner.clear(&mut file.writer()).unwrap();
                    held.clear();
                }
                5 => interner.save(&mut file.writer()).unwrap(),
                _ => {
                    interner.save(&mut file.writer()).unwrap();
                    drop(interner);
                    file.close().unwrap();
                    file = scene.file();
                    interner = file.interner("tags").unwrap();
                    committed = held.clone();
                }
            }
            check(&file, &interner, &held);
        }
    }
}

#[test]
fn views_and_processes_see_the_same_strings() {
    let scene = Scene::new();
    let file = scene.file();
    let one = file.interner("tags").unwrap();
    let other = file.interner("tags").unwrap();
    let mut symbols = Vec::new();
    for nth in 0..3000_u32 {
        let view = if nth % 100 < 50 { &one } else { &other };
        symbols.push(view.intern(&mut file.writer(), &nth.to_le_bytes()).unwrap());
        if nth == 1500 {
            one.save(&mut file.writer()).unwrap();
        }
    }
    file.commit().unwrap();
    for (nth, symbol) in (0_u32..).zip(&symbols) {
        let view = if nth % 2 == 0 { &one } else { &other };
        assert_eq!(view.resolve(&file.pin(), *symbol).unwrap(), nth.to_le_bytes());
        assert_eq!(view.lookup(&file.pin(), &nth.to_le_bytes()).unwrap(), Some(*symbol));
    }
    let reader = scene.reader();
    let theirs = reader.interner("tags").unwrap();
    assert_eq!(theirs.len(&reader.pin()).unwrap(), 3000);
    let later = one.intern(&mut file.writer(), b"later").unwrap();
    assert_eq!(theirs.lookup(&reader.pin(), b"later").unwrap(), None);
    one.save(&mut file.writer()).unwrap();
    file.commit().unwrap();
    assert_eq!(theirs.lookup(&reader.pin(), b"later").unwrap(), Some(later));
    assert_eq!(theirs.resolve_str(&reader.pin(), later).unwrap(), "later");
    let joined = one.join(&file.pin(), [later, later], b", ").unwrap();
    assert_eq!(joined, b"later, later");
    let bytes = one.intern(&mut file.writer(), b"\xff").unwrap();
    let error = one.resolve_str(&file.pin(), bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let error = one.retain(&mut file.writer(), bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = file.counted_interner("tags").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    for bits in [u32::MAX, 1 << 31, later.to_bits() + 5000] {
        let error = one.resolve(&file.pin(), Symbol::from_bits(bits).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StaleId);
    }
}

/// Blocks of the heap of tables and long strings.
fn blocks(file: &RegionFile) -> usize {
    file.heap("tags.spilled").unwrap().blocks(&file.pin()).count()
}

#[test]
fn a_saved_table_is_changed_beside_it_and_leaves_with_the_next() {
    let scene = Scene::new();
    let mut file = scene.file();
    let mut held = BTreeMap::new();
    for round in 0..4_u32 {
        let tags = file.interner("tags").unwrap();
        let beside = file.interner("tags").unwrap();
        for nth in 0..500_u32 {
            let string = (round * 300 + nth).to_le_bytes();
            let symbol = tags.intern(&mut file.writer(), &string).unwrap();
            assert!(*held.entry(string).or_insert(symbol) == symbol, "known from before");
            if nth % 5 == round {
                tags.release(&mut file.writer(), symbol).unwrap();
                held.remove(&string);
                assert_eq!(tags.lookup(&file.pin(), &string).unwrap(), None);
            }
        }
        assert!(blocks(&file) <= 1, "the image that is looked into, at most");
        let views = if round % 2 == 0 { [&tags, &beside] } else { [&beside, &tags] };
        for view in views {
            view.save(&mut file.writer()).unwrap();
            assert_eq!(blocks(&file), 1);
            // Either has to find out what the other has done.
            for view in [&tags, &beside] {
                assert_eq!(view.len(&file.pin()).unwrap(), held.len() as u64);
                for (string, symbol) in &held {
                    assert_eq!(view.lookup(&file.pin(), string).unwrap(), Some(*symbol));
                }
            }
            let once = view.intern(&mut file.writer(), b"passing").unwrap();
            view.release(&mut file.writer(), once).unwrap();
            let other = if std::ptr::eq(view, &raw const tags) { &beside } else { &tags };
            assert_eq!(other.lookup(&file.pin(), b"passing").unwrap(), None);
        }
        if round != 1 {
            tags.save(&mut file.writer()).unwrap();
        }
        drop((tags, beside));
        if round == 2 {
            drop(file);
        } else {
            file.close().unwrap();
        }
        file = scene.file();
        // What a close left is as good as what is made of all strings.
        let tags = file.interner("tags").unwrap();
        assert_eq!(tags.len(&file.pin()).unwrap(), held.len() as u64);
        for (string, symbol) in &held {
            assert_eq!(tags.lookup(&file.pin(), string).unwrap(), Some(*symbol));
        }
    }
    let tags = file.interner("tags").unwrap();
    tags.clear(&mut file.writer()).unwrap();
    assert_eq!(blocks(&file), 0);
}
