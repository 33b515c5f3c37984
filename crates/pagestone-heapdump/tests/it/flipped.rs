//! An index with a damaged byte gives the answers that it gave before, or errors: never others.

use std::{
    fmt::Debug,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
};

use pagestone_heapdump::{Follow, HeapIndex, ObjectIds, Rank, Result, Subclasses};
use pagestone_testkit::hprof::{IdSize, Version, gzip, tiny};

use crate::support::{Built, files, open};

/// An answer as a text, none for an error.
fn text<T: Debug>(answer: Result<T>) -> Option<String> {
    answer.ok().map(|answer| format!("{answer:?}"))
}

fn all(ids: Result<Option<ObjectIds<'_>>>) -> Result<Option<Vec<u64>>> {
    ids?.map(Iterator::collect).transpose()
}

/// The strings of the first value that several have.
fn strings(index: &HeapIndex) -> Result<Vec<u64>> {
    let repeated = index.repeated_strings(1)?;
    index.strings_of(&repeated[0].value)?.collect()
}

/// The answers about the dump as a whole.
fn answers(index: &HeapIndex) -> Vec<Option<String>> {
    vec![
        text(index.histogram(Rank::Bytes)),
        text(index.biggest(usize::MAX)),
        text(index.roots().collect::<Result<Vec<_>>>()),
        text(index.repeated_strings(10)),
        text(index.string_values(10)),
        text(strings(index)),
        text(index.stack_trace(1)),
        text(index.stack_trace(2)),
        text(all(index.primitive_arrays("int[]"))),
        text(index.diff_classes(index)),
        text(index.diff_strings(index, 10)),
    ]
}

/// The answers about one object.
fn answers_about(index: &HeapIndex, id: u64) -> Vec<Option<String>> {
    vec![
        text(index.object(id)),
        text(index.class(id)),
        text(all(index.outbound(id))),
        text(all(index.inbound(id))),
        text(index.retained(id)),
        text(index.fields(id)),
        text(index.string(id, 50)),
        text(index.elements(id, (0, 50))),
        text(index.payload(id, (0, 50))),
        text(index.statics(id)),
        text(index.roots_of(id)),
        text(index.stack_trace_of(id)),
        text(index.subclasses(id)),
        text(all(index.instances(id, Subclasses::With))),
        text(index.shortest_path(id, Follow::All)),
        text(index.shortest_path(id, Follow::Strong)),
    ]
}

/// What the index said before.
struct Whole {
    ids: Vec<u64>,
    answers: Vec<Option<String>>,
    about: Vec<Vec<Option<String>>>,
}

impl Whole {
    /// The answers about all objects of a dump, and about an id that none has.
    fn of(index: &HeapIndex, mut ids: Vec<u64>) -> Self {
        ids.push(ids.iter().max().unwrap() + 1);
        let about = ids.iter().map(|&id| answers_about(index, id)).collect();
        Self { answers: answers(index), about, ids }
    }

    /// Compares the answers about the whole and about some objects; says whether one is missing.
    #[track_caller]
    fn compare(&self, index: &HeapIndex, place: usize) -> bool {
        let mut is_whole = check(&self.answers, &answers(index));
        for (&id, about) in self.ids.iter().zip(&self.about).skip(place % 7).step_by(7) {
            is_whole &= check(about, &answers_about(index, id));
        }
        is_whole
    }
}

#[track_caller]
fn check(expected: &[Option<String>], found: &[Option<String>]) -> bool {
    for (expected, found) in expected.iter().zip(found) {
        assert!(found.is_none() || found == expected, "{found:?} instead of {expected:?}");
    }
    found.iter().zip(expected).all(|(found, expected)| found.is_some() == expected.is_some())
}

/// At most some 40 bytes: of region files, which are mostly zeros, more of the others.
fn places(whole: &[u8]) -> Vec<usize> {
    let used: Vec<usize> = (0..whole.len()).filter(|&place| whole[place] != 0).collect();
    let zeros = (0..whole.len()).step_by((whole.len() / 10) | 1);
    let step = (used.len() / 30) | 1;
    used.into_iter().step_by(step).chain(zeros).collect()
}

/// Flips a bit of every such byte; returns how many of the flips changed no answer.
fn sweep(index: &Path, name: &str, whole: &Whole) -> (usize, usize) {
    let bytes = fs::read(index.join(name)).unwrap();
    let file = OpenOptions::new().write(true).open(index.join(name)).unwrap();
    let places = places(&bytes);
    let mut unnoticed = 0;
    for &place in &places {
        let flipped = bytes[place] ^ (1 << (place % 8));
        file.write_all_at(&[flipped], place as u64).unwrap();
        if let Ok(opened) = open(index)
            && whole.compare(&opened, place)
        {
            unnoticed += 1;
        }
        file.write_all_at(&bytes[place..=place], place as u64).unwrap();
    }
    (unnoticed, places.len())
}

#[test]
fn a_flipped_byte_gives_errors_and_no_other_answers() {
    let dump = tiny(IdSize::Eight, Version::V102);
    let ids: Vec<u64> = dump.objects().iter().map(|object| object.id).collect();
    let built = Built::new(&gzip(dump.bytes()));
    let whole = Whole::of(&built.index, ids);
    assert!(whole.about.iter().flatten().all(Option::is_some));
    let index = built.path();
    drop(built.index);
    for name in files(&index) {
        let (unnoticed, all) = sweep(&index, &name, &whole);
        // Each file but the empty ones is needed for some answer.
        assert!(all == 0 || unnoticed < all, "{name}: {all} flips changed nothing");
    }
    assert!(whole.compare(&open(&index).unwrap(), 0));
}
