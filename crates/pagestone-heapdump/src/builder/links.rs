//! The references of all objects as a graph, from the finished files.

use std::path::PathBuf;

use pagestone_storage as storage;
use storage::{
    Backing, Options, Records,
    le::{U32, U64},
};

use super::{
    batch::Batch,
    objects::{for_each_block, for_each_object},
    stage::Stage,
};
use crate::{
    error::{Error, Result},
    graph::Links,
    layout::{ClassRecord, KindCode, NONE},
    lists::{List, STRIDE},
    manifest::{INBOUND, INSTANCES, ListFiles, OUTBOUND, file},
    varint,
};

/// Bytes that are looked at first: most lists lie within, with those before them that have no
/// head of their own.
const LOOK_LEN: usize = 64;

/// Lists by key. The files are mapped, and what is looked at is copied.
pub(super) struct ListLookup {
    heads: Vec<U64>,
    bytes: Records<u8>,
    value_count: u32,
}

impl ListLookup {
    pub(super) fn open(stage: &Stage<'_, '_>, files: &ListFiles) -> Result<Self> {
        let options = Options::new().backing(Backing::Map);
        let records = options.open_read_only::<U64>(stage.staging.file(files.heads))?;
        let mut heads = Vec::with_capacity(usize::try_from(records.len()).unwrap_or(0));
        for_each_block(&records, |block| {
            heads.extend_from_slice(block);
            Ok(())
        })?;
        let bytes = options.open_read_only::<u8>(stage.staging.file(files.bytes))?;
        Ok(Self { heads, bytes, value_count: stage.object_count() })
    }

    /// Calls `look` with each number of the list of a key that there is.
    #[inline]
    pub(super) fn each(&self, key: u32, mut look: impl FnMut(u32)) -> Result<()> {
        let mut offset = self.heads[(key / STRIDE) as usize].get();
        let mut left = key % STRIDE;
        let mut look_at = [0_u8; LOOK_LEN];
        loop {
            let begin = offset;
            let len = usize::try_from(self.bytes.len() - offset).unwrap_or(LOOK_LEN).min(LOOK_LEN);
            let seen = &mut look_at[..len];
            self.bytes.read_into(offset, seen)?;
            let mut rest = &*seen;
            // Lists that begin within what was looked at; each takes a byte at least.
            loop {
                let before = rest;
                let Some(list_len) = varint::take(&mut rest) else {
                    offset += (len - before.len()) as u64;
                    break;
                };
                let list_len = usize::try_from(list_len).unwrap_or(usize::MAX);
                if left == 0 {
                    if let Some(list) = rest.get(..list_len) {
                        return self.tell((key, list), &mut look);
                    }
                    let start = offset + (len - rest.len()) as u64;
                    return self.long((key, start, list_len), &mut look);
                }
                left -= 1;
                let Some(after) = rest.get(list_len..) else {
                    offset += (len - rest.len()) as u64 + list_len as u64;
                    break;
                };
                rest = after;
            }
            if self.bytes.len() <= offset || offset == begin {
                return Err(self.malformed(key));
            }
        }
    }

    #[cold]
    fn long(&self, (key, start, len): (u32, u64, usize), look: &mut dyn FnMut(u32)) -> Result<()> {
        // The lists were written by this build.
        if self.bytes.len() - start < len as u64 {
            return Err(self.malformed(key));
        }
        let mut list = vec![0; len];
        self.bytes.read_into(start, &mut list)?;
        self.tell((key, &list), look)
    }

    #[inline]
    fn tell(&self, (key, list): (u32, &[u8]), mut look: impl FnMut(u32)) -> Result<()> {
        for value in List::new(key, list, self.value_count) {
            look(value.map_err(|_| self.malformed(key))?);
        }
        Ok(())
    }

    #[cold]
    fn malformed(&self, key: u32) -> Error {
        let found = format!("others in list {key}");
        Error::corrupt(self.bytes.path(), "list", ("numbers of objects", found))
    }
}

/// The class objects, by class and by object.
pub(super) struct ClassObjects {
    /// The ordinal of each class's object, `NONE` where there is none.
    of_class: Vec<u32>,
    /// Object and class, ascending.
    by_object: Vec<(u32, u32)>,
    /// A bit for each object that is one.
    is_one: Vec<u64>,
}

impl ClassObjects {
    fn read(stage: &Stage<'_, '_>) -> Result<Self> {
        let options = Options::new().backing(Backing::File);
        let records = options.open_read_only::<ClassRecord>(stage.staging.file(file::CLASSES))?;
        let mut by_id = Vec::new();
        let mut class = 0_u32;
        for_each_block(&records, |block| {
            for record in block {
                by_id.push((record.id.get(), class));
                class += 1;
            }
            Ok(())
        })?;
        let mut of_class = vec![NONE; by_id.len()];
        by_id.retain(|(id, _)| *id != 0);
        by_id.sort_unstable();
        let mut rest = by_id.as_slice();
        let mut ordinal = 0_u32;
        super::ids::for_each(stage.staging, stage.object_count(), |id| {
            while let [(class_id, class), after @ ..] = rest
                && *class_id <= id
            {
                rest = after;
                if *class_id == id {
                    of_class[*class as usize] = ordinal;
                }
            }
            ordinal += 1;
            Ok(())
        })?;
        let mut by_object: Vec<(u32, u32)> =
            of_class.iter().copied().zip(0..).filter(|(object, _)| *object != NONE).collect();
        by_object.sort_unstable();
        let mut is_one = vec![0_u64; ordinal as usize / 64 + 1];
        for (object, _) in &by_object {
            is_one[*object as usize / 64] |= 1 << (object % 64);
        }
        Ok(Self { of_class, by_object, is_one })
    }

    /// Writes the class object of each object into a file of its own, where one look finds it.
    fn write(&self, stage: &Stage<'_, '_>) -> Result<PathBuf> {
        let path = stage.staging.file("class_objects.tmp");
        let mut written = Batch::create(&path)?;
        for_each_object(stage.staging, |object| {
            written.push(U32::new(match object.kind {
                KindCode::Class | KindCode::PrimitiveArray => NONE,
                KindCode::Instance | KindCode::ObjectArray => self.of_class[object.class as usize],
            }))
        })?;
        written.finish()?;
        Ok(path)
    }

    /// The class whose object this is.
    #[inline]
    fn class(&self, object: u32) -> Option<u32> {
        if self.is_one[object as usize / 64] & (1 << (object % 64)) == 0 {
            return None;
        }
        let place = self.by_object.binary_search_by_key(&object, |(object, _)| *object).ok()?;
        Some(self.by_object[place].1)
    }
}

/// What objects refer to.
pub(super) struct Outbound {
    lists: ListLookup,
    /// The class object of each object, `NONE` where it refers to none.
    class_objects: Records<U32>,
    count: u32,
}

/// Who refers to objects.
pub(super) struct Inbound<'c> {
    lists: ListLookup,
    instances: ListLookup,
    classes: &'c ClassObjects,
    count: u32,
}

/// Opens the graph of all references and calls `with` with it.
pub(super) fn with_graph<T>(
    stage: &Stage<'_, '_>,
    with: impl FnOnce(&Outbound, &Inbound<'_>) -> Result<T>,
) -> Result<T> {
    let (classes, count) = (ClassObjects::read(stage)?, stage.object_count());
    let options = Options::new().backing(Backing::Map);
    let outbound = Outbound {
        lists: ListLookup::open(stage, &OUTBOUND)?,
        class_objects: options.open_read_only(classes.write(stage)?)?,
        count,
    };
    let inbound = Inbound {
        lists: ListLookup::open(stage, &INBOUND)?,
        instances: ListLookup::open(stage, &INSTANCES)?,
        classes: &classes,
        count,
    };
    with(&outbound, &inbound)
}

impl Links for Outbound {
    fn node_count(&self) -> u32 {
        self.count
    }

    #[inline]
    fn each(&self, node: u32, mut look: impl FnMut(u32)) -> Result<()> {
        let class = self.class_objects.get(u64::from(node))?.get();
        if class != NONE {
            look(class);
        }
        self.lists.each(node, look)
    }
}

impl Links for Inbound<'_> {
    fn node_count(&self) -> u32 {
        self.count
    }

    #[inline]
    fn each(&self, node: u32, mut look: impl FnMut(u32)) -> Result<()> {
        if let Some(class) = self.classes.class(node) {
            self.instances.each(class, &mut look)?;
        }
        self.lists.each(node, look)
    }
}
