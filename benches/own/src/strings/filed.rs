//! pagestone-slab in a region file: strings that are counted; opens after a close and after a kill.

use std::io::{self, Read as _, Write};

use pagestone_heap::{Pin, RegionFile, Writer};
use pagestone_slab::{FileInterner, SlabFile, Symbol};

use super::StringStore;
use crate::{
    Clock, Folder, Result, Scale,
    entries::{Told, at_share},
    must, run_and_kill, run_child,
    slots::leaked,
};

const NAME: &str = "tags";
/// Strings of a file that is opened again, all of them different.
const STRINGS: usize = 1_000_000;
const TIMES: usize = 7;
const TIMES_KILLED: usize = 5;

/// Strings in a file, with one pin for all reads and the writer held for all changes.
#[derive(Debug)]
pub struct Filed {
    // Both borrow the file.
    pin: Pin<'static>,
    writer: Option<Writer<'static>>,
    file: &'static RegionFile,
    tags: FileInterner,
    _folder: Folder,
}

impl Filed {
    fn writer(&mut self) -> (&FileInterner, &mut Writer<'static>) {
        (&self.tags, self.writer.get_or_insert_with(|| self.file.writer()))
    }
}

impl StringStore for Filed {
    type Symbol = Symbol;
    const RELEASES: bool = true;

    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let file = leaked(&folder)?;
        let tags = file.counted_interner(NAME)?;
        Ok(Self { pin: file.pin(), writer: None, file, tags, _folder: folder })
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Symbol {
        let (tags, writer) = self.writer();
        must(tags.intern(writer, string.as_bytes()))
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a Symbol) -> &'a str {
        must(self.tags.resolve_str(&self.pin, *symbol))
    }

    #[inline]
    fn release(&mut self, symbol: &mut Symbol) {
        let (tags, writer) = self.writer();
        must(tags.release(writer, *symbol));
    }

    /// Bytes of the file in slabs.
    fn memory(&mut self, _before: u64) -> Option<u64> {
        let (tags, writer) = self.writer();
        Some(must(tags.stats(writer)).mapped)
    }
}

/// The nth string, of 16 bytes.
fn string(number: usize) -> String {
    // Odd, so that no two are the same.
    format!("service:{:08x}", (number as u64).wrapping_mul(0x9e37_79b1) & 0xffff_ffff)
}

fn made(folder: &Folder, count: usize) -> Result<(RegionFile, FileInterner)> {
    let file = RegionFile::options().create(folder.trusted().file("slab"))?;
    let tags = file.interner(NAME)?;
    let mut writer = file.writer();
    for number in 0..count {
        tags.intern(&mut writer, string(number).as_bytes())?;
    }
    writer.commit()?;
    drop(writer);
    Ok((file, tags))
}

/// Opens to the first lookup, and the first change after it, in new processes.
///
/// # Errors
///
/// Those of the store or of a child.
pub fn reopened(scale: Scale) -> Result<Vec<Told>> {
    let count = scale.count(STRINGS);
    let text = count.to_string();
    let mut told = Vec::new();
    let mut tell = |way: &str, figures: [Vec<f64>; 2]| {
        let [open, change] = figures.map(|figures| at_share(figures, 0.5));
        told.push(Told::new(way, open, "ms"));
        told.push(Told::new(format!("{way}_change"), change, "ms"));
    };
    let mut clean: [Vec<f64>; 2] = Default::default();
    for _ in 0..TIMES {
        let folder = Folder::new()?;
        let (file, tags) = made(&folder, count)?;
        tags.save(&mut file.writer())?;
        drop(tags);
        file.close()?;
        open_in_child((&folder, &text), &mut clean)?;
    }
    tell("clean", clean);
    let mut killed: [Vec<f64>; 2] = Default::default();
    for _ in 0..TIMES_KILLED {
        let folder = Folder::new()?;
        run_and_kill(&["slab_hold", folder.as_text()?, &text])?;
        open_in_child((&folder, &text), &mut killed)?;
    }
    tell("killed", killed);
    Ok(told)
}

fn open_in_child((folder, count): (&Folder, &str), figures: &mut [Vec<f64>; 2]) -> Result<()> {
    let told = run_child(&["slab_open", folder.as_text()?, count])?;
    figures.iter_mut().zip(told).for_each(|(figures, figure)| figures.push(figure));
    Ok(())
}

/// Milliseconds by the wall to open and find a string, then to store one more.
///
/// # Errors
///
/// Those of the store, or when the string is not there.
pub fn child_open(out: &mut impl Write, folder: &str, count: usize) -> Result<()> {
    let folder = Folder::of_parent(folder);
    let wanted = string(count / 2);
    let start = Clock::Wall.now();
    let file = RegionFile::options().open(folder.trusted().file("slab"))?;
    let tags = file.interner(NAME)?;
    let symbol = tags.lookup(&file.pin(), wanted.as_bytes())?.ok_or("no such string")?;
    let open = Clock::Wall.since(start);
    let (change, changed) =
        Clock::Wall.time(|| tags.intern(&mut file.writer(), b"one that is not there"));
    let pin = file.pin();
    if tags.resolve(&pin, symbol)? != wanted.as_bytes() || changed? == symbol {
        return Err("a symbol has another string".into());
    }
    writeln!(out, "{} {}", open.as_secs_f64() * 1e3, change.as_secs_f64() * 1e3)?;
    Ok(())
}

/// Stores strings, the last one without a commit, says so and waits to be killed.
///
/// # Errors
///
/// Those of the store.
pub fn child_hold(out: &mut impl Write, folder: &str, count: usize) -> Result<()> {
    let (file, tags) = made(&Folder::of_parent(folder), count)?;
    tags.intern(&mut file.writer(), b"not committed")?;
    writeln!(out, "filled")?;
    out.flush()?;
    // Until the parent kills this process, which has the file open.
    io::stdin().read_to_end(&mut Vec::new())?;
    drop((file, tags));
    Ok(())
}
