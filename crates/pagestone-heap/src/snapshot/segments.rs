//! What the record of a close says of segments, so that an open need not look at each of them.

use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{engine::Engine, header::read_region_header, layout::SnapshotSegment, region::Region};

/// Bytes of the record of one segment.
pub(super) const SIZE: u64 = 48;

impl Engine<'_> {
    /// The records of all segments, in the order of their numbers.
    pub(super) fn segment_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for number in self.segment_numbers() {
            let Some(region) = self.state.region(number) else { continue };
            let record = SnapshotSegment {
                number: U32::new(number),
                store: U32::new(region.store),
                start: U64::new(region.range.start),
                first: U64::new(region.first),
                incarnation: U64::new(region.incarnation),
                end: U64::new(region.segment.end),
                live: U64::new(region.segment.live),
            };
            records.extend_from_slice(record.as_bytes());
        }
        records
    }

    /// Takes in what the record says of segments, which must be those of the directory and end
    /// where their end words say; `None` where it says something else.
    pub(super) fn read_segments(&mut self, records: &[u8]) -> Option<()> {
        let numbers = self.segment_numbers();
        let (records, rest) = records.as_chunks::<48>();
        if records.len() != numbers.len() || !rest.is_empty() {
            return None;
        }
        for (number, record) in numbers.iter().zip(records) {
            let record = SnapshotSegment::read_from_bytes(record).ok()?;
            self.read_end_word(*number).ok()?;
            let region = self.state.region_mut(*number)?;
            let (end, live) = (record.end.get(), record.live.get());
            let right = record.number.get() == *number
                && record.start.get() == region.range.start
                && region.segment.end == end
                && live <= end - region.base();
            if !right {
                return None;
            }
            (region.store, region.first) = (record.store.get(), record.first.get());
            region.set_incarnation(record.incarnation.get());
            region.segment.live = live;
        }
        self.state.logs.clear();
        self.enter_segments(&numbers);
        let active: Vec<u32> = self.state.logs.values().filter_map(|log| log.active).collect();
        active.into_iter().all(|number| self.is_as_recorded(number)).then_some(())
    }

    /// Whether the header of a segment that will be appended to says what the record says.
    fn is_as_recorded(&self, number: u32) -> bool {
        let Some(Region { kind, range, store, first, incarnation, .. }) =
            self.state.region(number).copied()
        else {
            return false;
        };
        read_region_header(self.shared, (number, kind, range)).is_ok_and(|header| {
            (header.store.get(), header.first.get(), header.incarnation.get())
                == (store, first, incarnation)
        })
    }
}
