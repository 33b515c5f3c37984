//! Every byte of a small table changed, one after the other: with checked blocks an answer is right
//! or an error; whatever search accelerators say, answers are right.

use std::path::{Path, PathBuf};

use pagestone_index::{By, ErrorKind, KeyValue, Record, Result, Table, TableOptions};
use pagestone_storage::{Backing, le::U64};

use crate::support::{Dir, Row, build, rows};

/// Where a sidecar has its sections; see docs/format.md, "Sidecar header".
const HEADER: usize = 256;
const CHECKSUMS: usize = 4096;
const ACCELERATOR: usize = 8192;

fn is_sidecar(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "meta")
}

/// The bytes of a file that mean something.
fn places(name: &str, len: usize) -> impl Iterator<Item = usize> {
    let is_sidecar = is_sidecar(name);
    (0..len)
        .filter(move |at| !is_sidecar || matches!(at, 0..HEADER | CHECKSUMS..4100 | ACCELERATOR..))
}

/// Rows as their bytes.
fn told<R: Record>(rows: impl IntoIterator<Item = R>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        let start = bytes.len();
        bytes.resize(start + R::SIZE, 0);
        row.write(&mut bytes[start..]);
    }
    bytes
}

/// What one order answers: the whole of it, and keys that are there and that are not.
fn tell<R: Record + Clone, K: KeyValue>(
    answers: &mut Vec<Result<Vec<u8>>>,
    by: By<'_, R, K>,
    keys: &[K],
) {
    answers.push(by.range(..).and_then(Iterator::collect::<Result<Vec<R>>>).map(told));
    for &key in keys {
        answers.push(by.get(key).map(told));
        let ranks = by.ranks(key..=key);
        answers.push(ranks.map(|ranks| [ranks.start, ranks.end].map(u64::to_le_bytes).concat()));
        answers.push(by.nearest(key).map(told));
    }
    let mut found = vec![None; keys.len()];
    answers.push(by.get_many(keys, &mut found).map(|()| told(found.into_iter().flatten())));
    let mut found = vec![None; keys.len()];
    let places = by.indexes_of(keys, &mut found);
    answers.push(places.map(|()| format!("{found:?}").into_bytes()));
}

/// What a table answers, or that something in it is damaged.
fn answers(table: &Table<Row>, some: &[Row; 3]) -> Vec<Result<Vec<u8>>> {
    let mut answers = Vec::new();
    tell(&mut answers, table.by(Row::PLACE), &some.map(|row| row.place.get()));
    tell(&mut answers, table.by(Row::ID), &some.map(|row| row.id.get()));
    tell(&mut answers, table.by(Row::SCORE), &some.map(|row| row.score));
    tell(&mut answers, table.by(Row::GROUP), &some.map(|row| row.group));
    tell(&mut answers, table.by(Row::TAG), &some.map(|row| row.tag));
    tell(&mut answers, table.by(Row::NAME), &some.map(|row| row.name));
    tell(&mut answers, table.by(Row::BY_GROUP), &some.map(|row| (row.group, row.score)));
    answers.push(table.row(7).map(told));
    answers
}

/// One block of each file.
const COUNT: u64 = 20;

#[test]
fn with_checked_blocks_no_byte_of_a_small_table_can_change_an_answer() {
    let dir = Dir::new();
    let rows = rows(COUNT);
    // Two that are there, one that is not.
    let some = [rows[0], rows[17], Row::new(3, 5)];
    let right: Vec<Vec<u8>> =
        answers(&build(&dir, &rows), &some).into_iter().collect::<Result<_>>().unwrap();
    let (mut right_beside, mut names) = (0, 0);
    for name in dir.names().into_iter().filter(|name| name.starts_with(['r', 'k'])) {
        names += 1;
        let path = dir.table().join(&name);
        let bytes = std::fs::read(&path).unwrap();
        for at in places(&name, bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            let backing = if at % 16 == 0 { Backing::File } else { Backing::Map };
            let opened = TableOptions::new().backing(backing).check_blocks().open(dir.trusted());
            let what = format!("byte {at} of {name}");
            let table = match opened {
                Ok(table) => table,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                    continue;
                }
            };
            let mut errors = 0;
            for (found, right) in answers(&table, &some).into_iter().zip(&right) {
                match found {
                    Ok(found) => assert_eq!(found, *right, "{what}"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                        errors += 1;
                    }
                }
            }
            // What only says where to look changes nothing, all else is seen by whoever needs it.
            assert_eq!(errors == 0, is_sidecar(&name) && ACCELERATOR <= at, "{what}");
            right_beside += right.len() - errors;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(names == 14 && 15_000 < right_beside, "{names} files, {right_beside}");
}

/// A row whose keys accelerators are made over: numbers, and bytes by the first eight.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Pair {
    #[index(canonical)]
    place: U64,
    #[index(unique)]
    id: U64,
    #[index(multi)]
    name: [u8; 16],
}

/// A table whose sidecars are forged, with right checksums.
struct Forgery {
    dir: Dir,
    rows: Vec<Pair>,
    /// Ids that are there, and their neighbours.
    ids: Vec<u64>,
    right: Vec<Option<u64>>,
    asked: usize,
}

impl Forgery {
    /// A table with these ids in ascending order.
    fn new(ids: impl Iterator<Item = u64>) -> Self {
        let dir = Dir::new();
        let pair = |(place, id): (u64, u64)| {
            let mut name = [0; 16];
            // Four rows for each lead.
            name[..8].copy_from_slice(&(id / 4).swap_bytes().to_le_bytes());
            name[8..].copy_from_slice(&id.swap_bytes().to_le_bytes());
            Pair { place: place.into(), id: id.into(), name }
        };
        let rows: Vec<Pair> = (0..).zip(ids).map(pair).collect();
        let mut builder = Table::<Pair>::builder(dir.trusted()).unwrap();
        builder.extend(&rows).unwrap();
        builder.seal().unwrap();
        let near = |row: &Pair| [row.id.get(), row.id.get() + 1];
        let some = rows.iter().step_by(rows.len() / 400 + 1);
        let ids: Vec<u64> = some.flat_map(near).chain([0, u64::MAX]).collect();
        let find = |id: &u64| rows.binary_search_by_key(id, |row| row.id.get()).ok();
        let right = ids.iter().map(|id| find(id).map(|row| row as u64)).collect();
        Self { dir, rows, ids, right, asked: 0 }
    }

    /// The sidecars, with their paths; `form` is what their accelerators are.
    fn sidecars(&self, form: u8) -> Vec<(PathBuf, Vec<u8>)> {
        let names = self.dir.names().into_iter().filter(|name| is_sidecar(name));
        let read = |name| {
            let path = self.dir.table().join(name);
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        };
        let found: Vec<_> = names.map(read).collect();
        assert_eq!(found.len(), 3);
        // Places are even in either table.
        assert!(found[..2].iter().all(|(_, bytes)| bytes[200] == form), "the form of keys' trees");
        found
    }

    /// Writes a sidecar with another accelerator, looks everything up, with and without checks.
    fn check(&mut self, path: &PathBuf, (good, accelerator): (&[u8], &[u8]), what: &str) {
        let mut forged = [&good[..ACCELERATOR], accelerator].concat();
        forged[84..88].copy_from_slice(&crc32fast::hash(accelerator).to_le_bytes());
        let crc = crc32fast::hash(&forged[..252]);
        forged[252..256].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(path, &forged).unwrap();
        self.asked += 1;
        for options in [TableOptions::new(), TableOptions::new().check_blocks()] {
            let table = options.open::<Pair>(self.dir.trusted()).unwrap();
            let mut found = vec![None; self.ids.len()];
            table.by(Pair::ID).indexes_of(&self.ids, &mut found).unwrap();
            assert_eq!(found, self.right, "{what}");
            // Some of all, others each time.
            for (place, row) in
                self.rows.iter().enumerate().skip(self.asked % 7).step_by(7).take(200)
            {
                let (rank, next) = (place as u64, place as u64 + 1);
                let look = || -> Result<()> {
                    assert_eq!(table.by(Pair::ID).ranks(row.id.get()..=row.id.get())?, rank..next);
                    assert_eq!(table.by(Pair::ID).rank(row.id.get() + 1)?, next, "{what}");
                    assert_eq!(table.by(Pair::PLACE).get(rank)?.as_ref(), Some(row), "{what}");
                    assert_eq!(table.by(Pair::NAME).ranks(row.name..=row.name)?, rank..next);
                    assert_eq!(table.by(Pair::NAME).get(row.name)?.as_ref(), Some(row), "{what}");
                    Ok(())
                };
                look().unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
    }

    /// Each byte changed, by itself.
    fn each_byte(mut self, form: u8) {
        for (path, good) in self.sidecars(form) {
            for at in 0..good.len() - ACCELERATOR {
                let mut accelerator = good[ACCELERATOR..].to_vec();
                let byte = &mut accelerator[at];
                *byte = [!*byte, 0, 0xff, byte.wrapping_add(1), byte.wrapping_sub(1)][at % 5];
                self.check(&path, (&good, &accelerator), &format!("byte {at} of {path:?}"));
            }
            std::fs::write(path, good).unwrap();
        }
        assert!(400 < self.asked, "{}", self.asked);
    }

    /// All of it changed.
    fn whole(mut self, form: u8) {
        let mut random = pagestone_testkit::random::Random::new(11);
        for (path, good) in self.sidecars(form) {
            let accelerator = &good[ACCELERATOR..];
            let noise: Vec<u8> =
                accelerator.iter().map(|_| random.next().to_le_bytes()[0]).collect();
            let mut turned = accelerator.to_vec();
            turned.reverse();
            let mut moved = accelerator.to_vec();
            moved.rotate_left(64);
            let mut forgeries = vec![noise.clone(), turned, moved];
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                forgeries.push(vec![byte; accelerator.len()]);
            }
            for forgery in &mut forgeries {
                self.check(&path, (&good, forgery), &format!("all of {path:?}"));
                // The keys at both ends as they are, where counts have them.
                forgery[..16].copy_from_slice(&accelerator[..16]);
                self.check(&path, (&good, forgery), &format!("all of {path:?} but its ends"));
            }
            std::fs::write(path, good).unwrap();
        }
    }
}

const NODES: u8 = 0;
const COUNTS: u8 = 1;

/// Ids that lie evenly, for which there are counts.
fn even(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|number| number * 1000 + number * 7919 % 997)
}

/// Ids that do not, for which there are trees.
fn uneven(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(move |number| number.pow(5) * 4 + (1 << (number * 60 / count)))
}

#[test]
fn no_byte_of_a_forged_accelerator_can_change_an_answer() {
    Forgery::new(even(240)).each_byte(COUNTS);
    Forgery::new(uneven(240)).each_byte(NODES);
}

#[test]
fn accelerators_of_anything_change_no_answer() {
    Forgery::new(even(9_000)).whole(COUNTS);
    // Two levels of nodes.
    Forgery::new(uneven(5_000)).whole(NODES);
}
