//! pagestone-slab in a region file: a pin or a writer for each call, or one for all of them.

use pagestone_heap::{Pin, RegionFile, Writer};
use pagestone_slab::{FileStore, SlabFile, SlotId};

use super::{SlotStore, Value, ours::first_word};
use crate::{Folder, Result, must};

/// Byte objects in a file; each call takes a pin or the writer for itself.
#[derive(Debug)]
pub struct Filed {
    store: FileStore,
    _folder: Folder,
}

/// The same, with one pin for all reads and the writer held for all changes.
#[derive(Debug)]
pub struct FiledMany {
    // Before the store: both borrow the file.
    pin: Option<Pin<'static>>,
    writer: Option<Writer<'static>>,
    file: &'static RegionFile,
    store: FileStore,
    _folder: Folder,
}

/// A file in a folder of its own that stays open as long as the process.
pub(crate) fn leaked(folder: &Folder) -> Result<&'static RegionFile> {
    let file = RegionFile::options().create(folder.trusted().file("slab"))?;
    Ok(Box::leak(Box::new(file)))
}

fn mapped(store: &FileStore, writer: &mut Writer<'_>) -> u64 {
    must(store.stats(writer)).mapped
}

impl<const WORDS: usize> SlotStore<WORDS> for Filed {
    type Id = SlotId;

    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let file = RegionFile::options().create(folder.trusted().file("slab"))?;
        Ok(Self { store: file.objects("objects")?, _folder: folder })
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> SlotId {
        let store = &self.store;
        must(store.add(&mut store.file().writer(), bytemuck::bytes_of(value)))
    }

    #[inline]
    fn get(&self, id: &SlotId) -> u64 {
        first_word(must(self.store.get(&self.store.file().pin(), *id)))
    }

    #[inline]
    fn remove(&mut self, id: &mut SlotId) {
        must(self.store.remove(&mut self.store.file().writer(), *id));
    }

    fn mapped(&mut self) -> Option<u64> {
        let store = &self.store;
        Some(mapped(store, &mut store.file().writer()))
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.store.file().commit()?)
    }
}

impl FiledMany {
    fn writer(&mut self) -> (&FileStore, &mut Writer<'static>) {
        (&self.store, self.writer.get_or_insert_with(|| self.file.writer()))
    }
}

impl<const WORDS: usize> SlotStore<WORDS> for FiledMany {
    type Id = SlotId;

    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let file = leaked(&folder)?;
        let store = file.objects("objects")?;
        Ok(Self { pin: Some(file.pin()), writer: None, file, store, _folder: folder })
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> SlotId {
        let (store, writer) = self.writer();
        must(store.add(writer, bytemuck::bytes_of(value)))
    }

    #[inline]
    fn get(&self, id: &SlotId) -> u64 {
        let pin = must(self.pin.as_ref().ok_or("no pin"));
        first_word(must(self.store.get(pin, *id)))
    }

    #[inline]
    fn remove(&mut self, id: &mut SlotId) {
        let (store, writer) = self.writer();
        must(store.remove(writer, *id));
    }

    fn sum(&self, ids: &[SlotId]) -> Option<u64> {
        let pin = must(self.pin.as_ref().ok_or("no pin"));
        let mut sum = 0;
        self.store.get_many(pin, ids, |_, object| sum += first_word(must(object)));
        Some(sum)
    }

    fn mapped(&mut self) -> Option<u64> {
        let (store, writer) = self.writer();
        Some(mapped(store, writer))
    }

    fn settle(&mut self) -> Result<()> {
        self.pin = None;
        self.writer().1.commit()?;
        self.pin = Some(self.file.pin());
        Ok(())
    }
}
