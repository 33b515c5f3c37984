//! Where the heap of this workspace joins the suite; until it does, its rows are skipped.
//!
//! To plug it in, hold the heap in [`Ours`], a pin in [`OursReader`], a writer in [`OursWriter`],
//! implement the methods, [`create_with_regions`](BlockHeap::create_with_regions) with them, and
//! remove `PRESENT`.

use std::marker::PhantomData;

use super::{BlockHeap, BlockReader, BlockWriter, Place};
use crate::{Folder, Result};

const ABSENT: &str = "pagestone-heap is not plugged in";

/// The heap, as one file `heap` of the folder.
#[derive(Debug)]
pub struct Ours;

/// A pin.
#[derive(Debug)]
pub struct OursReader<'a>(PhantomData<&'a Ours>);

/// A writer.
#[derive(Debug)]
pub struct OursWriter<'a>(PhantomData<&'a mut Ours>);

impl BlockHeap for Ours {
    const PRESENT: bool = false;
    type Reader<'a> = OursReader<'a>;
    type Writer<'a> = OursWriter<'a>;

    fn create(_folder: &Folder) -> Result<Self> {
        Err(ABSENT.into())
    }

    fn open(_folder: &Folder) -> Result<Self> {
        Err(ABSENT.into())
    }

    fn writer(&mut self) -> Result<OursWriter<'_>> {
        Err(ABSENT.into())
    }

    fn commit(&mut self) -> Result<()> {
        Err(ABSENT.into())
    }

    fn reader(&self) -> Result<OursReader<'_>> {
        Err(ABSENT.into())
    }

    fn verify(&mut self) -> Result<()> {
        Err(ABSENT.into())
    }

    fn close(self) -> Result<()> {
        Err(ABSENT.into())
    }
}

impl BlockWriter for OursWriter<'_> {
    fn alloc_fill(&mut self, _bytes: &[u8]) -> Result<u64> {
        Err(ABSENT.into())
    }

    fn free(&mut self, _id: u64) -> Result<()> {
        Err(ABSENT.into())
    }

    fn write8(&mut self, _place: Place, _value: u64) -> Result<()> {
        Err(ABSENT.into())
    }
}

impl BlockReader for OursReader<'_> {
    fn read8(&self, _place: Place) -> Result<u64> {
        Err(ABSENT.into())
    }
}
