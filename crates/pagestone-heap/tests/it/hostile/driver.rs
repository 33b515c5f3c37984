//! Everything that can be asked of a file, asked of one that anybody may have made.
//!
//! Shared by the tests and by `fuzz/`: it knows the public interface alone.

use std::{
    cell::Cell,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use pagestone_heap::{
    BlockId, BlockWriter, Error, ErrorKind, FileOptions, Filter, Heap, HeapMut, Log, Pin,
    RegionFile, Result, SlabShape, Slabs, SlotId, Unclean, Verify, Writer,
};
use pagestone_storage::TrustedDir;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ReadOnly,
    Untrusted,
    Plain,
}

pub(crate) const WAYS: [Way; 3] = [Way::ReadOnly, Way::Untrusted, Way::Plain];

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused(ErrorKind),
    /// It was opened; how many blocks were read, and whether the check found nothing.
    Opened(usize, bool),
}

/// A file of one case.
#[derive(Debug)]
pub(crate) struct Subject {
    dir: TrustedDir,
    path: PathBuf,
    /// So that the bytes are really looked at.
    touched: Cell<u64>,
}

fn options(way: Way) -> FileOptions {
    let options = RegionFile::options().reserve(1 << 26).unclean(Unclean::Discard);
    options.untrusted(way == Way::Untrusted)
}

impl Subject {
    pub(crate) fn new(dir: TrustedDir, path: &Path) -> Self {
        Self { dir, path: path.join("hostile.pgs"), touched: Cell::new(0) }
    }

    /// Makes the file, with holes for pages of zeros.
    pub(crate) fn write(&self, image: &[u8]) {
        let file = File::options().write(true).create(true).truncate(true).open(&self.path);
        let file = file.expect("the directory of the case");
        file.set_len(image.len() as u64).expect("room for the case");
        for (at, page) in (0..).step_by(4096).zip(image.chunks(4096)) {
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, at).expect("room for the case");
            }
        }
    }

    /// Opens the file and asks everything; panics where a promise is broken.
    pub(crate) fn run(&self, way: Way, known: &[BlockId]) -> Outcome {
        let location = self.dir.file("hostile.pgs");
        let opened = match way {
            Way::ReadOnly => options(way).open_read_only(location),
            Way::Untrusted | Way::Plain => options(way).open(location),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Outcome::Refused(Self::check(&error)),
        };
        let (read, clean) = self.read(&file, known);
        if way != Way::ReadOnly {
            Self::change(&file, known, (way, clean));
            Self::change_logs(&file, (way, clean));
            Self::change_slabs(&file, (way, clean));
            self.look(&file, known);
            if Self::told(file.close()).is_some() {
                let again = options(Way::Untrusted).open(self.dir.file("hostile.pgs"));
                if let Some(again) = Self::told(again) {
                    self.look(&again, known);
                    drop(again);
                }
            }
        }
        Outcome::Opened(read, clean)
    }

    /// An error names the file, and damage its place.
    #[track_caller]
    fn check(error: &Error) -> ErrorKind {
        let said = error.to_string();
        assert!(said.contains("hostile.pgs"), "no file in: {said}");
        let placed = error.kind() != ErrorKind::Corrupt || said.contains("offset");
        assert!(placed, "no offset in: {said}");
        error.kind()
    }

    #[track_caller]
    fn told<T>(result: Result<T>) -> Option<T> {
        match result {
            Ok(answer) => Some(answer),
            Err(error) => {
                Self::check(&error);
                None
            }
        }
    }

    fn heaps(file: &RegionFile) -> Vec<Heap> {
        let stores = file.heaps();
        // More stores than a case has blocks are only more of the same.
        stores.iter().take(20).filter_map(|name| Self::told(file.heap(name))).collect()
    }

    /// Reads all there is, and checks all of it.
    fn read(&self, file: &RegionFile, known: &[BlockId]) -> (usize, bool) {
        let read = self.look(file, known);
        let report = Self::told(file.verify(Verify::new()));
        let clean = report.as_ref().is_some_and(pagestone_heap::Report::is_clean);
        for problem in report.iter().flat_map(|report| &report.problems) {
            assert!(!problem.to_string().is_empty());
        }
        (read, clean)
    }

    /// Every reading call on every heap; returns how many blocks were read.
    fn look(&self, file: &RegionFile, known: &[BlockId]) -> usize {
        let mut read = 0;
        let pin = file.pin();
        let roots = file.roots().into_iter().map(|(_, id)| id);
        let odd = [0, 1, 1 << 24, 3 << 24, 4 << 24, 4096 << 24, 4099 << 24, u64::MAX, 1 << 63];
        let ids: Vec<BlockId> =
            roots.chain(odd.map(BlockId::from_bits)).chain(known.iter().copied()).collect();
        for heap in Self::heaps(file) {
            for block in heap.blocks(&pin) {
                read += usize::from(Self::told(block).is_some_and(|(_, bytes)| sum(bytes) < 256));
            }
            for nth in [0, 1, 5, 4091, 4092, u64::MAX] {
                Self::told(heap.nth(&pin, nth));
            }
            let listed = heap.list(&pin, Filter::new());
            let listed = listed.filter_map(Self::told).fold(0, |sum, block| sum ^ block.len);
            self.touched.set(self.touched.get() ^ listed);
            if let Some(orphans) = Self::told(heap.orphans(&pin, ids.iter().copied().take(20))) {
                assert!(orphans.filter_map(Self::told).count() <= read + 1_000_000);
            }
            for id in &ids {
                Self::stream(&heap, &pin, *id);
                heap.prefetch(*id);
                let got = Self::told(heap.get(&pin, *id));
                let len = Self::told(heap.len(&pin, *id));
                assert_eq!(got.map(|bytes| bytes.len() as u64), len);
                assert_eq!(got.is_some(), heap.contains(&pin, *id));
                assert!(len <= Self::told(heap.capacity(&pin, *id)), "longer than its place");
                Self::told(heap.flags(&pin, *id));
                self.touched.set(self.touched.get() ^ got.map_or(0, sum));
            }
        }
        read += self.look_logs((file, &pin), &ids);
        read += self.look_slabs((file, &pin), &ids);
        drop(file.stats());
        assert!(file.root("no such name").is_none());
        read
    }

    fn logs(file: &RegionFile) -> Vec<Log> {
        file.logs().iter().take(20).filter_map(|name| Self::told(file.log(name))).collect()
    }

    /// Every reading call on every log; returns how many entries were read.
    fn look_logs(&self, (file, pin): (&RegionFile, &Pin<'_>), ids: &[BlockId]) -> usize {
        let mut read = 0;
        for log in Self::logs(file) {
            let listed: Vec<BlockId> = log.ids(pin).take(1_000_000).collect();
            for id in listed.iter().chain(ids) {
                let got = Self::told(log.get(pin, *id));
                let len = Self::told(log.facts(pin, *id)).map(|facts| facts.len);
                assert_eq!(got.map(|bytes| bytes.len() as u64), len);
                assert_eq!(got.is_some(), log.contains(pin, *id));
                self.touched.set(self.touched.get() ^ got.map_or(0, sum));
            }
            log.get_many(pin, &listed, |_, bytes| {
                read += usize::from(Self::told(bytes).is_some_and(|bytes| sum(bytes) < 256));
            });
        }
        read
    }

    /// Changes of all kinds to each log: what a pin shows stays, and what no change named.
    fn change_logs(file: &RegionFile, (way, clean): (Way, bool)) {
        for log in Self::logs(file) {
            let pin = file.pin();
            let ids: Vec<BlockId> = log.ids(&pin).take(2000).collect();
            let get = |id: &BlockId| Some((*id, Self::told(log.get(&pin, *id))?));
            let entries: Vec<(BlockId, &[u8])> = ids.iter().filter_map(get).collect();
            let copies: Vec<Vec<u8>> = entries.iter().map(|(_, bytes)| bytes.to_vec()).collect();
            let same = || entries.iter().zip(&copies).all(|((_, now), before)| now == before);
            let mut writer = file.writer();
            for len in [9_000, 10, 40, 120, 300, 0].iter().cycle().take(18) {
                Self::told(log.add(&mut writer, &vec![0xee; *len]));
            }
            assert!(same(), "{way:?}: live bytes were handed out");
            for (at, (id, _)) in entries.iter().enumerate().filter(|(at, _)| at % 5 < 2) {
                Self::told(match at % 5 {
                    0 => log.remove(&mut writer, *id),
                    _ => log.update(&mut writer, *id, &[0xdd; 90]),
                });
            }
            for _ in 0..2 {
                Self::empty(&log, &mut writer);
                Self::told(log.add(&mut writer, &vec![0xee; 70_000]));
                Self::told(writer.commit());
                assert!(same(), "{way:?}: pinned bytes were handed out");
            }
            drop(writer);
            let others = entries.iter().zip(&copies).enumerate().filter(|(at, _)| 2 <= at % 5);
            for (_, ((id, _), before)) in others {
                if let Some(now) = Self::told(log.get(&pin, *id)) {
                    assert!(!clean || now == before, "{way:?}: entry {id} changed by itself");
                }
            }
            drop(pin);
            Self::told(log.add(&mut file.writer(), b"undone"));
            Self::told(file.writer().discard());
        }
    }

    fn slabs(file: &RegionFile) -> Vec<Slabs> {
        let stores = file.slab_stores();
        stores.iter().take(20).filter_map(|name| Self::told(file.slabs(name))).collect()
    }

    /// Every reading call on all slabs and numbers; returns how many objects were read.
    fn look_slabs(&self, (file, pin): (&RegionFile, &Pin<'_>), ids: &[BlockId]) -> usize {
        let mut read = 0;
        for slabs in Self::slabs(file) {
            for facts in Self::told(slabs.list(pin)).into_iter().flatten() {
                for id in slabs.ids(pin, facts.slab).take(1_000_000) {
                    let got = Self::told(slabs.get(pin, id));
                    let len = facts.shape.object_len as usize;
                    assert!(got.is_none_or(|bytes| bytes.len() == len));
                    read += usize::from(got.is_some_and(|bytes| sum(bytes) < 256));
                }
            }
            for id in ids.iter().map(|id| SlotId::from_bits(id.to_bits())) {
                let got = Self::told(slabs.get(pin, id));
                assert_eq!(got.is_some(), slabs.contains(pin, id));
                self.touched.set(self.touched.get() ^ got.map_or(0, sum));
            }
        }
        for counts in file.stores().iter().take(20).filter_map(|name| file.counts(name).ok()) {
            for index in [0, 1, 5, 4091, 4092, u32::MAX] {
                Self::told(counts.get(pin, index));
            }
        }
        read
    }

    /// Changes of all kinds to all slabs: what a pin shows stays, and what no change named.
    fn change_slabs(file: &RegionFile, (way, clean): (Way, bool)) {
        for slabs in Self::slabs(file) {
            let pin = file.pin();
            let list = Self::told(slabs.list(&pin)).unwrap_or_default();
            let ids = list.iter().flat_map(|facts| slabs.ids(&pin, facts.slab)).take(2000);
            let get = |id: SlotId| Some((id, Self::told(slabs.get(&pin, id))?));
            let objects: Vec<(SlotId, &[u8])> = ids.filter_map(get).collect();
            let copies: Vec<Vec<u8>> = objects.iter().map(|(_, bytes)| bytes.to_vec()).collect();
            // Slabs that lie in each other are found by a check, and only by it.
            let same = || !clean || objects.iter().zip(&copies).all(|((_, now), old)| now == old);
            let mut writer = file.writer();
            let add_to_all = |writer: &mut Writer<'_>| {
                for facts in &list {
                    // Longer than the memory that a case may take: it is only refused.
                    let len = (facts.shape.object_len as usize).min(1 << 20);
                    for _ in 0..20 {
                        Self::told(slabs.add(writer, facts.slab, &vec![0xee; len]));
                    }
                    Self::told(slabs.room(writer, facts.slab));
                }
            };
            add_to_all(&mut writer);
            assert!(same(), "{way:?}: live objects were stored over");
            for (id, _) in objects.iter().step_by(3) {
                Self::told(slabs.remove(&mut writer, *id));
            }
            for facts in list.iter().skip(1).step_by(3) {
                Self::told(slabs.release(&mut writer, facts.slab));
            }
            let shape = SlabShape { object_len: 40, slots: 9, generations: true, mark: 0 };
            for _ in 0..2 {
                if let Some(slab) = Self::told(slabs.create(&mut writer, shape)) {
                    Self::told(slabs.add(&mut writer, slab, &[0xdd; 40]));
                }
                Self::told(writer.commit());
                add_to_all(&mut writer);
                assert!(same(), "{way:?}: pinned objects were stored over");
            }
            drop(writer);
            drop(pin);
            Self::told(file.writer().discard());
        }
        for counts in file.stores().iter().take(20).filter_map(|name| file.counts(name).ok()) {
            for index in [0, 4, 4092] {
                Self::told(counts.set(&mut file.writer(), index, 77));
            }
            Self::told(file.commit());
        }
    }

    /// Evacuates every segment there is, each in steps.
    fn empty(log: &Log, writer: &mut Writer<'_>) {
        for segment in Self::told(log.segments(writer)).into_iter().flatten() {
            let mut next = Some(0);
            while let Some(from) = next {
                let enough = |moved| 200 <= moved;
                let step = Self::told(log.evacuate(writer, (segment.number, from), enough));
                next = step.and_then(|step| step.next);
                assert!(next.is_none_or(|next| from < next), "no end");
            }
        }
    }

    /// A reader shows what a get shows, and stops where the block does.
    fn stream(heap: &Heap, pin: &Pin<'_>, id: BlockId) {
        let got = Self::told(heap.get(pin, id));
        let Some(mut reader) = Self::told(heap.reader(pin, id)) else { return };
        assert_eq!(got.map(|bytes| bytes.len() as u64), Some(reader.len()));
        let mut front = [0; 300];
        let read = reader.read(&mut front).expect("bytes of a file that is there");
        assert!(got.is_some_and(|bytes| bytes.starts_with(&front[..read])));
        reader.seek(SeekFrom::End(-1)).ok();
        let read = reader.read(&mut front).expect("bytes of a file that is there");
        assert!(read <= 1 || reader.len() <= 300, "bytes behind the end");
        reader.seek(SeekFrom::Start(1 << 43)).expect("a place behind the end");
        assert_eq!(reader.read(&mut front).ok(), Some(0));
    }

    /// Changes of all kinds: what a pin shows stays, what was not named by a change stays.
    fn change(file: &RegionFile, known: &[BlockId], (way, clean): (Way, bool)) {
        let Some(heap) = Self::heaps(file).into_iter().next_back() else { return };
        let pin = file.pin();
        let blocks: Vec<(BlockId, &[u8])> =
            heap.blocks(&pin).filter_map(|block| Self::told(block)).take(2000).collect();
        let copies: Vec<Vec<u8>> = blocks.iter().map(|(_, bytes)| bytes.to_vec()).collect();
        let same = || blocks.iter().zip(&copies).all(|((_, now), before)| now == before);
        let mut made = Vec::new();
        Self::fill(&heap, (60, &mut made));
        assert!(same(), "{way:?}: live bytes were handed out");
        Self::told(file.commit());
        Self::fill(&heap, (30, &mut made));
        assert!(same(), "{way:?}: live bytes were handed out after a commit");
        let ids: Vec<BlockId> = blocks.iter().map(|(id, _)| *id).collect();
        let named = |at: usize| at % 5 < 2;
        let mut writer = file.writer();
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| named(*at)) {
            let done = if at % 5 == 0 {
                heap.free(&mut writer, *id)
            } else {
                heap.put(&mut writer, *id, &[0xdd; 90])
            };
            Self::told(done);
        }
        for id in known.iter().take(3) {
            Self::told(heap.modify(&mut writer, *id, <[u8]>::reverse));
            Self::told(heap.set_flags(&mut writer, *id, 9));
            let write = |out: &mut BlockWriter<'_, '_>| out.write_all(&vec![0xcc; 70_000]);
            if let Err(error) = heap.put_by(&mut writer, *id, write) {
                Self::told::<()>(Err(error.downcast().expect("an error of the crate")));
            }
        }
        if let Some(mut stream) = Self::told(heap.allocate_stream(&mut writer)) {
            // Longer than what shares a region, then given up.
            stream.write_all(&vec![0xbb; 300_000]).ok();
        }
        Self::told(writer.set_root("hostile", BlockId::from_bits(77)));
        Self::told(writer.remove_root("first"));
        Self::told(writer.commit());
        drop(writer);
        assert!(same(), "{way:?}: pinned bytes were handed out");
        drop(pin);
        Self::fill(&heap, (60, &mut made));
        Self::told(file.commit());
        Self::fill(&heap, (60, &mut made));
        let pin = file.pin();
        let unchanged =
            |at: usize, id: BlockId| !named(at) && !known[..3.min(known.len())].contains(&id);
        for (at, (id, before)) in ids.iter().zip(&copies).enumerate() {
            if unchanged(at, *id)
                && let Some(now) = Self::told(heap.get(&pin, *id))
            {
                // Damage that a check finds may come to light at any time.
                assert!(!clean || now == before, "{way:?}: block {id} changed by itself");
            }
        }
        drop(pin);
        Self::told(file.writer().discard());
        drop(heap);
        let mut writer = file.writer();
        if let Some(heap) = Self::told(writer.heap("made here")) {
            Self::told(heap.allocate_from(&mut writer, b"made here"));
        }
        Self::told(writer.commit());
    }

    fn fill(heap: &Heap, (count, made): (usize, &mut Vec<BlockId>)) {
        let mut writer = heap.file().writer();
        for len in [90_000, 10, 40, 120, 300].iter().cycle().take(count) {
            if let Some(id) = Self::told(heap.allocate_from(&mut writer, &vec![0xee; *len])) {
                made.push(id);
            }
        }
    }

    /// The form that lends bytes to be changed.
    pub(crate) fn run_alone(&self, known: &[BlockId]) {
        let opened = options(Way::Untrusted).open(self.dir.file("hostile.pgs"));
        let Some(file) = Self::told(opened) else { return };
        let Some(mut heap) = Self::told(HeapMut::new(file, "blocks")) else { return };
        for id in known {
            Self::told(heap.get(*id).map(sum));
            if let Some(mut bytes) = Self::told(heap.modify_private(*id)) {
                bytes.fill(1);
            }
            if let Some(mut bytes) = Self::told(heap.in_place(*id)) {
                bytes.fill(2);
            }
        }
        Self::told(heap.for_each(|_, bytes| self.touched.set(sum(bytes))));
        Self::told(heap.close());
    }
}

/// Touches every byte.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.wrapping_add(u64::from(*byte))) % 256
}
