//! The file of one key: entries of images with positions, sorted within the memory given.

use std::ops::RangeInclusive;

use pagestone_storage::{ByteOrder, Field, Kind, Options, Records, Storage};

use crate::{
    builder::Build,
    directory,
    error::Result,
    files::put_fields,
    key::{image_field, swap_stored},
    manifest::FileFacts,
    output::Output,
    schema::NamedKey,
    seal::{StoredKeys, Unique, check_unique, each_block, finish},
};

/// The most passes over the rows: what needs more is sorted in parts that are merged, through a
/// second file.
const PASSES_MAX: u64 = 8;
/// Keys that are looked at to cut the order in parts of about one length.
const SAMPLES: u64 = 1 << 13;
/// Bytes of entries that are collected before they are handed over.
const BLOCK: usize = 64 << 10;

/// Writes the file of one key of `rows`.
pub(crate) fn write_key(
    build: &mut Build,
    rows: &Records<[u8]>,
    (number, key): (usize, &NamedKey),
) -> Result<FileFacts> {
    let name = directory::name(&format!("key-{number}"), build.version, "idx");
    build.unpublished.add(&name);
    let size = key.len() + build.options.position_size_of(rows.len());
    let file: Storage<[u8]> =
        Options::new().record_size(size).create(build.directory.file(&name))?;
    let entries = Entries { rows, key, size };
    let memory = build.options.memory;
    // A sort that keeps the order of equals needs as much again.
    let taken = if key.order.is_unique() { memory - memory / 16 } else { memory / 2 };
    let fitting = taken / size as u64;
    let file = match entries.parts(fitting)? {
        Some(parts) => match entries.sort_in_passes((build, file), (&parts, fitting))? {
            Sorted::All(file) => file,
            Sorted::Nothing(file) => entries.sort_in_file((build, file))?,
        },
        None => entries.sort_in_file((build, file))?,
    };
    finish(file, &name, (Some(image_field(key.len())), build))
}

/// The entries of one key, as they are made from rows.
struct Entries<'a> {
    rows: &'a Records<[u8]>,
    key: &'a NamedKey,
    /// Bytes of an entry.
    size: usize,
}

/// What has come of a sort within the memory.
enum Sorted {
    All(Storage<[u8]>),
    /// It did not fit; the file is empty.
    Nothing(Storage<[u8]>),
}

impl Entries<'_> {
    /// Cuts the order in parts of up to `fitting` entries each, by the heads of keys; none where
    /// too many passes were needed.
    fn parts(&self, fitting: u64) -> Result<Option<Vec<RangeInclusive<u64>>>> {
        let count = self.rows.len();
        if count <= fitting {
            return Ok(Some(vec![0..=u64::MAX]));
        }
        // Room for what samples do not tell.
        let number = count.div_ceil((fitting - fitting / 32).max(1));
        if PASSES_MAX < number {
            return Ok(None);
        }
        let mut heads = Vec::new();
        let mut row = vec![0; self.rows.record_size()];
        let mut image = vec![0; self.key.len()];
        let step = (count / SAMPLES).max(1);
        let mut index = 0;
        while index < count {
            self.rows.read_into(index, &mut row)?;
            put_fields(&self.key.fields, &row, &mut image)?;
            heads.push(head(&image));
            index += step;
        }
        heads.sort_unstable();
        let mut parts = Vec::new();
        let mut start = 0;
        for part in 1..number {
            let at = usize::try_from(heads.len() as u64 * part / number).unwrap_or(0);
            let bound = heads.get(at).copied().unwrap_or(0);
            if start < bound {
                parts.push(start..=bound - 1);
                start = bound;
            }
        }
        parts.push(start..=u64::MAX);
        Ok(Some(parts))
    }

    /// Sorts part by part, the lowest keys first, with a pass over the rows for each: nothing is
    /// written twice.
    fn sort_in_passes(
        &self,
        (build, file): (&Build, Storage<[u8]>),
        (parts, fitting): (&[RangeInclusive<u64>], u64),
    ) -> Result<Sorted> {
        let (key, options) = (self.key, Options::new().record_size(self.size));
        let mut unique = key.order.is_unique().then(Unique::default);
        let keys = StoredKeys { len: key.len() };
        let mut output = Output::new(file);
        for part in parts {
            let mut memory: Storage<[u8]> = options.in_memory()?;
            let is_whole = self.each_in(part, |entries| {
                memory.append(entries)?;
                Ok(memory.len() <= fitting)
            })?;
            if !is_whole {
                // More of some keys than samples told.
                let mut file = output.into_file()?;
                file.truncate(0)?;
                return Ok(Sorted::Nothing(file));
            }
            let sort = memory.sort_by(image_field(key.len())).in_place();
            let sort = if unique.is_some() { sort } else { sort.stable() };
            sort.memory(build.options.memory).threads(build.options.threads).run()?;
            each_block(&memory, |block| {
                if let Some(unique) = &mut unique {
                    unique.look(block, (self.size, &keys));
                }
                output.put(block)
            })?;
        }
        if let Some(unique) = unique {
            unique.check((build, key))?;
        }
        Ok(Sorted::All(output.into_file()?))
    }

    /// Writes all entries, then sorts the file.
    fn sort_in_file(&self, (build, file): (&Build, Storage<[u8]>)) -> Result<Storage<[u8]>> {
        let mut output = Output::new(file);
        self.each_in(&(0..=u64::MAX), |entries| output.put(entries).map(|()| true))?;
        let mut file = output.into_file()?;
        let sort = file.sort_by(image_field(self.key.len())).stable();
        sort.memory(build.options.memory).threads(build.options.threads).run()?;
        if self.key.order.is_unique() {
            check_unique(&file, &StoredKeys { len: self.key.len() }, (build, self.key))?;
        }
        Ok(file)
    }

    /// Hands the entries of keys with these heads to `take`, many at once, in row order, until it
    /// answers false.
    fn each_in(
        &self,
        part: &RangeInclusive<u64>,
        take: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<bool> {
        let fields = &self.key.fields;
        let wide = |number: Number| {
            move |row: &[u8], entry: &mut [u8]| {
                let word = number.wide(row);
                if let Some(image) = entry.first_chunk_mut() {
                    *image = word.to_le_bytes();
                }
                Ok(word)
            }
        };
        // Lengths that the compiler knows make short copies of the usual entries.
        match (Number::of(fields), self.size) {
            (Some(number), 12) if number.is_wide => self.each_by(part, take, (8, 12, wide(number))),
            (Some(number), size) if number.is_wide => {
                self.each_by(part, take, (8, size, wide(number)))
            }
            (Some(number), size) => {
                let put = |row: &[u8], entry: &mut [u8]| {
                    let word = number.narrow(row);
                    if let Some(image) = entry.first_chunk_mut() {
                        *image = word.to_le_bytes();
                    }
                    Ok(u64::from(word) << 32)
                };
                self.each_by(part, take, (4, size, put))
            }
            (None, size) => {
                let len = self.key.len();
                let put = |row: &[u8], entry: &mut [u8]| {
                    let image = entry.get_mut(..len).unwrap_or_default();
                    put_fields(fields, row, image)?;
                    let head = head(image);
                    swap_stored(image);
                    Ok(head)
                };
                self.each_by(part, take, (len, size, put))
            }
        }
    }

    /// As [`each_in`](Self::each_in), for images of `len` bytes and entries of `size`; `put`
    /// writes the image of a row's key as it is stored, and answers its head.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "lengths are constants of the caller")]
    fn each_by(
        &self,
        part: &RangeInclusive<u64>,
        mut take: impl FnMut(&[u8]) -> Result<bool>,
        (len, size, put): (usize, usize, impl Fn(&[u8], &mut [u8]) -> Result<u64>),
    ) -> Result<bool> {
        let (low, span) = (*part.start(), part.end() - part.start());
        let mut block = vec![0; BLOCK + size];
        let (mut filled, mut position, mut goes_on) = (0, 0u64, true);
        each_block(self.rows, |rows| {
            // Of this function's own: no store for each row.
            let (mut at, mut row_position) = (filled, position);
            for row in rows.chunks_exact(self.rows.record_size()) {
                let entry = block.get_mut(at..at + size).unwrap_or_default();
                let head = put(row, entry)?;
                let place = entry.get_mut(len..).unwrap_or_default();
                if let Some(wide) = place.first_chunk_mut() {
                    *wide = row_position.to_le_bytes();
                } else if let (Some(narrow), [low, high, third, fourth, ..]) =
                    (place.first_chunk_mut(), row_position.to_le_bytes())
                {
                    *narrow = [low, high, third, fourth];
                }
                row_position += 1;
                // What is of another part is written over by the next one: no branch to miss.
                at += if head.wrapping_sub(low) <= span { size } else { 0 };
                if BLOCK <= at {
                    goes_on = goes_on && take(block.get(..at).unwrap_or_default())?;
                    at = 0;
                }
            }
            (filled, position) = (at, row_position);
            Ok(())
        })?;
        if goes_on { take(block.get(..filled).unwrap_or_default()) } else { Ok(false) }
    }
}

/// The first 8 bytes of an image, filled with zeros, as the number that orders them.
fn head(image: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(image) {
        *to = *from;
    }
    u64::from_le_bytes(bytes).swap_bytes()
}

/// A key of one number of 8 or 4 bytes, of which an image is made without asking for its kind
/// again at each row.
#[derive(Debug, Clone, Copy)]
struct Number {
    offset: usize,
    is_wide: bool,
    is_big: bool,
    kind: Turn,
}

/// How a number becomes its image.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Unsigned,
    Signed,
    Float,
}

impl Number {
    fn of(fields: &[Field]) -> Option<Self> {
        let &[field] = fields else { return None };
        let (is_wide, kind) = match field.kind() {
            Kind::U64 => (true, Turn::Unsigned),
            Kind::I64 => (true, Turn::Signed),
            Kind::F64 => (true, Turn::Float),
            Kind::U32 => (false, Turn::Unsigned),
            Kind::I32 => (false, Turn::Signed),
            Kind::F32 => (false, Turn::Float),
            _ => return None,
        };
        let is_big = field.byte_order() == ByteOrder::Big;
        Some(Self { offset: field.offset() as usize, is_wide, is_big, kind })
    }

    #[inline]
    fn wide(self, row: &[u8]) -> u64 {
        const TOP: u64 = 1 << 63;
        let bytes = row.get(self.offset..).and_then(|from| from.first_chunk());
        let word = u64::from_le_bytes(bytes.copied().unwrap_or_default());
        let word = if self.is_big { word.swap_bytes() } else { word };
        match self.kind {
            Turn::Unsigned => word,
            Turn::Float if word & TOP != 0 => !word,
            Turn::Signed | Turn::Float => word ^ TOP,
        }
    }

    #[inline]
    fn narrow(self, row: &[u8]) -> u32 {
        const TOP: u32 = 1 << 31;
        let bytes = row.get(self.offset..).and_then(|from| from.first_chunk());
        let word = u32::from_le_bytes(bytes.copied().unwrap_or_default());
        let word = if self.is_big { word.swap_bytes() } else { word };
        match self.kind {
            Turn::Unsigned => word,
            Turn::Float if word & TOP != 0 => !word,
            Turn::Signed | Turn::Float => word ^ TOP,
        }
    }
}

#[cfg(test)]
mod tests {
    use pagestone_storage::{ByteOrder, Field, Kind};

    use super::Number;

    #[test]
    fn numbers_have_the_images_of_their_fields() {
        let kinds = [Kind::U64, Kind::I64, Kind::F64, Kind::U32, Kind::I32, Kind::F32];
        let words = [0, 1, 1 << 63, u64::MAX, 0x7ff8_0000_0000_0001, 0xfff0_0000_8000_0000, 77];
        for kind in kinds {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let field = Field::new(3, kind).order(order);
                let number = Number::of(&[field]).unwrap();
                for word in words {
                    let mut row = [9; 16];
                    row[3..11].copy_from_slice(&word.to_le_bytes());
                    let size = field.size() as usize;
                    let mut image = vec![0; size];
                    field.put_image(&row[3..3 + size], &mut image).unwrap();
                    image.reverse();
                    let (wide, narrow) = (number.wide(&row), number.narrow(&row));
                    let found = if size == 8 {
                        wide.to_le_bytes().to_vec()
                    } else {
                        narrow.to_le_bytes().to_vec()
                    };
                    assert_eq!(found, image, "{field} of {word:#x}");
                }
            }
        }
    }
}
