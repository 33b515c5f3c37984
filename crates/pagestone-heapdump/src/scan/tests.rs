//! Dumps cut at every byte, and with every byte changed, as the scanner sees them.
#![expect(clippy::as_conversions, reason = "lengths of small dumps")]

use std::path::Path;

use pagestone_testkit::hprof::{Dump, DumpObject, IdSize, Version, tiny};

use super::{
    ClassFacts, FrameFacts, LoadFacts, ObjectFacts, RootFacts, Scanned, Source, Visitor,
    parse_header, scan,
};
use crate::error::{Error, ErrorKind, Result};

const FORMATS: [(IdSize, Version); 3] =
    [(IdSize::Eight, Version::V102), (IdSize::Four, Version::V101), (IdSize::Four, Version::V103)];

/// A dump in memory.
struct Bytes<'b>(&'b [u8]);

impl Source for Bytes<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let (now, later) = self.0.split_at(self.0.len().min(into.len()));
        into[..now.len()].copy_from_slice(now);
        self.0 = later;
        Ok(now.len())
    }

    fn skip(&mut self, _len: u64) -> Result<u64> {
        Ok(0)
    }
}

/// Ids and offsets in the order in which they came.
#[derive(Default)]
struct Seen(Vec<(u64, u64)>);

impl Visitor for Seen {
    fn text(&mut self, _id: u64, _text: &[u8]) -> Result<()> {
        Ok(())
    }

    fn load_class(&mut self, _class: &LoadFacts) -> Result<()> {
        Ok(())
    }

    fn frame(&mut self, _frame: &FrameFacts) -> Result<()> {
        Ok(())
    }

    fn trace(&mut self, _trace_serial: u32, _thread_serial: u32) -> Result<()> {
        Ok(())
    }

    fn trace_frame(&mut self, _frame_id: u64) -> Result<()> {
        Ok(())
    }

    fn root(&mut self, _root: &RootFacts) -> Result<()> {
        Ok(())
    }

    fn class(&mut self, class: &ClassFacts) -> Result<()> {
        self.0.push((class.id, class.offset));
        Ok(())
    }

    fn object(&mut self, object: &ObjectFacts) -> Result<()> {
        self.0.push((object.id, object.value_offset));
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Result<(Scanned, Seen)> {
    let mut seen = Seen::default();
    let scanned = scan(&mut Bytes(bytes), &mut seen)?;
    Ok((scanned, seen))
}

#[track_caller]
fn check_cut(dump: &Dump, cut: usize) {
    let bytes = &dump.bytes()[..cut];
    let cut = cut as u64;
    if cut < dump.boundaries()[0].end {
        let refused = read(bytes).err().map(|error: Error| error.kind());
        assert_eq!(refused, Some(ErrorKind::NotADump), "cut {cut}");
        return;
    }
    let (scanned, seen) = read(bytes).expect("a dump");
    let place = |object: &DumpObject| (object.id, object.value_offset);
    let expected: Vec<_> = dump.objects_before(cut).map(place).collect();
    assert_eq!(seen.0, expected, "cut {cut}");
    let stop = scanned.damages.listed.iter().find(|damage| damage.is_end());
    assert_eq!(stop.map(|damage| damage.offset), dump.stop_of(cut), "cut {cut}");
    assert_eq!(scanned.len, cut);
}

#[test]
fn a_dump_cut_at_any_byte_is_read_up_to_there() {
    for (id_size, version) in FORMATS {
        let dump = tiny(id_size, version);
        (0..=dump.bytes().len()).for_each(|cut| check_cut(&dump, cut));
    }
}

#[track_caller]
fn check_changed(bytes: &[u8]) {
    let header = parse_header(bytes, Path::new("dump"));
    match read(bytes) {
        Ok((scanned, seen)) => {
            let len = bytes.len() as u64;
            assert_eq!(header.expect("a header"), scanned.header);
            assert!(scanned.len <= len);
            assert!(scanned.damages.listed.iter().all(|damage| damage.offset <= len));
            assert!(seen.0.iter().all(|&(_, offset)| offset <= len));
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotADump, "{error}"),
    }
}

#[test]
fn a_dump_with_any_byte_changed_is_read() {
    for (id_size, version) in FORMATS {
        let mut bytes = tiny(id_size, version).into_bytes();
        for place in 0..bytes.len() {
            let change = if place % 2 == 0 { 0xff } else { 1 << (place / 2 % 8) };
            bytes[place] ^= change;
            check_changed(&bytes);
            bytes[place] ^= change;
        }
    }
}
