//! The references of all objects as a graph, from the finished files.

use std::{cell::OnceCell, path::PathBuf};

use pagestone_storage as storage;
use storage::{
    Backing, Options, Records,
    le::{U32, U64},
};

use super::{
    batch::Batch,
    list_stream::ListStream,
    objects::{for_each_block, for_each_object},
    stage::Stage,
    staging::Staging,
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

/// Lists by key, opened when the first is asked for.
struct ListLookup<'c> {
    staging: &'c Staging,
    files: &'c ListFiles,
    value_count: u32,
    open: OnceCell<OpenLists>,
}

impl<'c> ListLookup<'c> {
    fn new(stage: &Stage<'c, '_>, files: &'c ListFiles) -> Self {
        let value_count = stage.object_count();
        Self { staging: stage.staging, files, value_count, open: OnceCell::new() }
    }

    /// Calls `look` with each number of the list of a key that there is.
    #[inline]
    fn each(&self, key: u32, look: impl FnMut(u32)) -> Result<()> {
        match self.open.get() {
            Some(lists) => lists.each(key, look),
            None => self.open()?.each(key, look),
        }
    }

    #[cold]
    fn open(&self) -> Result<&OpenLists> {
        let lists = OpenLists::open(self.staging, self.files, self.value_count)?;
        Ok(self.open.get_or_init(|| lists))
    }
}

/// The files are mapped, and what is looked at is copied.
struct OpenLists {
    heads: Vec<U64>,
    bytes: Records<u8>,
    value_count: u32,
}

impl OpenLists {
    fn open(staging: &Staging, files: &ListFiles, value_count: u32) -> Result<Self> {
        let options = Options::new().backing(Backing::Map);
        let records = options.open_read_only::<U64>(staging.file(files.heads))?;
        let mut heads = Vec::with_capacity(usize::try_from(records.len()).unwrap_or(0));
        for_each_block(&records, |block| {
            heads.extend_from_slice(block);
            Ok(())
        })?;
        let bytes = options.open_read_only::<u8>(staging.file(files.bytes))?;
        Ok(Self { heads, bytes, value_count })
    }

    /// Calls `look` with each number of the list of a key that there is.
    #[inline]
    fn each(&self, key: u32, mut look: impl FnMut(u32)) -> Result<()> {
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

/// The class objects that are no roots, by class and by object. An edge to a root changes neither
/// dominators nor distances, and most class objects are roots.
pub(super) struct ClassObjects {
    /// The ordinal of each class's object, `NONE` where there is none.
    of_class: Vec<u32>,
    /// Object and class, ascending.
    by_object: Vec<(u32, u32)>,
    /// A bit for each object that is one.
    is_one: Vec<u64>,
}

impl ClassObjects {
    /// Reads them; `roots` are ascending.
    fn read(stage: &Stage<'_, '_>, roots: &[u32]) -> Result<Self> {
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
                if *class_id == id && roots.binary_search(&ordinal).is_err() {
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

    /// Writes the class object of each object into a file of its own, where one look finds it,
    /// unless there is none.
    fn write(&self, stage: &Stage<'_, '_>) -> Result<Option<PathBuf>> {
        if self.is_empty() {
            return Ok(None);
        }
        let path = stage.staging.file("class_objects.tmp");
        let mut written = Batch::create(&path)?;
        for_each_object(stage.staging, |object| {
            written.push(U32::new(match object.kind {
                KindCode::Class | KindCode::PrimitiveArray => NONE,
                KindCode::Instance | KindCode::ObjectArray => self.of_class[object.class as usize],
            }))
        })?;
        written.finish()?;
        Ok(Some(path))
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
pub(super) struct Outbound<'c> {
    lists: ListLookup<'c>,
    /// The class object of each object, `NONE` where it refers to none; none where no object does.
    class_objects: Option<Records<U32>>,
    staging: &'c Staging,
    classes: &'c ClassObjects,
    count: u32,
}

/// Who refers to objects.
pub(super) struct Inbound<'c> {
    lists: ListLookup<'c>,
    instances: ListLookup<'c>,
    staging: &'c Staging,
    classes: &'c ClassObjects,
    count: u32,
}

/// Opens the graph of all references, but for those to some of the `roots`, which are ascending,
/// and calls `with` with it.
pub(super) fn with_graph<T>(
    stage: &Stage<'_, '_>,
    roots: &[u32],
    with: impl FnOnce(&Outbound<'_>, &Inbound<'_>) -> Result<T>,
) -> Result<T> {
    let (classes, count) = (ClassObjects::read(stage, roots)?, stage.object_count());
    let options = Options::new().backing(Backing::Map);
    let outbound = Outbound {
        lists: ListLookup::new(stage, &OUTBOUND),
        class_objects: match classes.write(stage)? {
            Some(path) => Some(options.open_read_only(path)?),
            None => None,
        },
        staging: stage.staging,
        classes: &classes,
        count,
    };
    let inbound = Inbound {
        lists: ListLookup::new(stage, &INBOUND),
        instances: ListLookup::new(stage, &INSTANCES),
        staging: stage.staging,
        classes: &classes,
        count,
    };
    with(&outbound, &inbound)
}

impl ClassObjects {
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.by_object.is_empty()
    }
}

impl Outbound<'_> {
    /// The class object to which an object leads.
    #[inline]
    fn class(&self, kind: KindCode, class: u32) -> Option<u32> {
        let is_one = matches!(kind, KindCode::Instance | KindCode::ObjectArray);
        let object = self.classes.of_class.get(class as usize).filter(|_| is_one)?;
        (*object != NONE).then_some(*object)
    }

    /// Calls `look` with each object, in order, and the class object to which it leads.
    fn for_each_class(&self, mut look: impl FnMut(u32, Option<u32>) -> Result<()>) -> Result<()> {
        if self.classes.is_empty() {
            return (0..self.count).try_for_each(|node| look(node, None));
        }
        let mut node = 0;
        for_each_object(self.staging, |object| {
            node += 1;
            look(node - 1, self.class(object.kind, object.class))
        })
    }
}

impl Links for Outbound<'_> {
    fn node_count(&self) -> u32 {
        self.count
    }

    #[inline]
    fn each(&self, node: u32, mut look: impl FnMut(u32)) -> Result<()> {
        if let Some(class_objects) = &self.class_objects {
            let class = class_objects.get(u64::from(node))?.get();
            if class != NONE {
                look(class);
            }
        }
        self.lists.each(node, look)
    }

    fn for_each(
        &self,
        wanted: impl Fn(u32) -> bool,
        mut look: impl FnMut(u32, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut lists = ListStream::open(&self.staging.file(OUTBOUND.bytes), self.count)?;
        let mut targets = Vec::new();
        self.for_each_class(|node, class| {
            if !wanted(node) {
                return lists.skip().map(|_| ());
            }
            targets.clear();
            targets.extend(class);
            lists.next(|target| targets.push(target))?;
            look(node, &targets)
        })
    }

    fn for_each_end(&self, mut look: impl FnMut(u32)) -> Result<()> {
        let mut lists = ListStream::open(&self.staging.file(OUTBOUND.bytes), self.count)?;
        self.for_each_class(|node, class| {
            if lists.skip()? && class.is_none() {
                look(node);
            }
            Ok(())
        })
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

    fn for_each(
        &self,
        wanted: impl Fn(u32) -> bool,
        mut look: impl FnMut(u32, &[u32]) -> Result<()>,
    ) -> Result<()> {
        let mut lists = ListStream::open(&self.staging.file(INBOUND.bytes), self.count)?;
        let mut sources = Vec::new();
        for node in 0..self.count {
            if !wanted(node) {
                lists.skip()?;
                continue;
            }
            sources.clear();
            if let Some(class) = self.classes.class(node) {
                self.instances.each(class, |instance| sources.push(instance))?;
            }
            lists.next(|source| sources.push(source))?;
            look(node, &sources)?;
        }
        Ok(())
    }
}
