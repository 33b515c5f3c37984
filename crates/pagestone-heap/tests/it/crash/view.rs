//! The stores of a file as those who read see them, and all that a file shows.

use pagestone_heap::{BlockId, Counts, ErrorKind, Heap, Log, Pin, RegionFile, Slabs, SlotId};

use super::{
    model::{Block, Contents, LOG, NUMBERS, SLOTS},
    session::text,
};

type Done<T = ()> = Result<T, String>;

/// The indices whose numbers are set and looked at; some need further parts of the table.
pub(crate) const INDICES: [u32; 7] = [0, 1, 2, 7, 4091, 4092, 9000];

/// A store, to be read. Objects in slots have the bits of their ids; numbers have their index and 1.
#[derive(Debug, Clone)]
pub(crate) enum View {
    Heap(Heap),
    Log(Log),
    Slabs(Slabs),
    Counts(Counts),
}

/// The id that stands for a number.
pub(crate) fn number_id(index: u32) -> BlockId {
    BlockId::from_bits(u64::from(index) + 1)
}

impl View {
    pub(crate) fn of(file: &RegionFile, name: &str) -> pagestone_heap::Result<Self> {
        match name {
            LOG => file.log(name).map(Self::Log),
            SLOTS => file.slabs(name).map(Self::Slabs),
            NUMBERS => file.counts(name).map(Self::Counts),
            _ => file.heap(name).map(Self::Heap),
        }
    }

    pub(crate) fn all(file: &RegionFile) -> Done<Vec<(String, Self)>> {
        let view = |name: String| {
            let view = Self::of(file, &name).map_err(|error| text(&error))?;
            Ok((name, view))
        };
        file.stores().into_iter().map(view).collect()
    }

    /// Borrows a content; numbers lend nothing.
    pub(crate) fn get<'p>(
        &self,
        pin: &'p Pin<'_>,
        id: BlockId,
    ) -> pagestone_heap::Result<&'p [u8]> {
        match self {
            Self::Heap(heap) => heap.get(pin, id),
            Self::Log(log) => log.get(pin, id),
            Self::Slabs(slabs) => slabs.get(pin, SlotId::from_bits(id.to_bits())),
            Self::Counts(_) => Ok(&[]),
        }
    }

    /// A content, if there is one.
    pub(crate) fn read(&self, id: BlockId) -> pagestone_heap::Result<Option<Vec<u8>>> {
        let read = match self {
            Self::Heap(heap) => heap.read(id, <[u8]>::to_vec),
            Self::Log(log) => log.get(&log.file().pin(), id).map(<[u8]>::to_vec),
            Self::Slabs(slabs) => {
                let id = SlotId::from_bits(id.to_bits());
                slabs.get(&slabs.file().pin(), id).map(<[u8]>::to_vec)
            }
            Self::Counts(counts) => {
                let index = u32::try_from(id.to_bits() - 1).unwrap_or(u32::MAX);
                let number = counts.get(&counts.file().pin(), index)?;
                return Ok((number != 0).then(|| number.to_le_bytes().to_vec()));
            }
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::StaleId => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds all that the store shows.
    fn show(&self, pin: &Pin<'_>, (name, found): (String, &mut Contents)) -> Done {
        let wrong = |error: pagestone_heap::Error| format!("contents: {error}");
        let blocks = found.heaps.entry(name).or_default();
        let mut add = |id: BlockId, bytes: &[u8], flags| {
            blocks.insert(id, Block { bytes: bytes.into(), flags });
        };
        match self {
            Self::Heap(heap) => {
                for block in heap.blocks(pin) {
                    let (id, bytes) = block.map_err(wrong)?;
                    add(id, bytes, heap.flags(pin, id).map_err(wrong)?);
                }
            }
            Self::Log(log) => {
                for id in log.ids(pin) {
                    add(id, log.get(pin, id).map_err(wrong)?, 0);
                }
            }
            Self::Slabs(slabs) => {
                for facts in slabs.list(pin).map_err(wrong)? {
                    found.slabs.insert(facts.slab, facts.shape);
                    for id in slabs.ids(pin, facts.slab) {
                        let bits = id.to_bits();
                        if bits.trailing_zeros() >= 8 {
                            return Err(format!("an object without a generation: {bits:#x}"));
                        }
                        add(BlockId::from_bits(bits), slabs.get(pin, id).map_err(wrong)?, 0);
                    }
                }
            }
            Self::Counts(counts) => {
                for index in INDICES {
                    let number = counts.get(pin, index).map_err(wrong)?;
                    if number != 0 {
                        add(number_id(index), &number.to_le_bytes(), 0);
                    }
                }
            }
        }
        Ok(())
    }
}

/// All that a file shows.
pub(crate) fn contents(file: &RegionFile) -> Done<Contents> {
    let mut found = Contents::default();
    let pin = file.pin();
    for (name, view) in View::all(file)? {
        view.show(&pin, (name, &mut found))?;
    }
    found.roots = file.roots().into_iter().collect();
    Ok(found)
}
