//! The symbol table: sorted by id, and the texts that ids stand for.

use pagestone_storage as storage;
use storage::{Backing, Field, Kind, Options, Records};

use super::{batch::Batch, staging::Staging};
use crate::{error::Result, layout::SymbolRecord, manifest::file};

const ID: Field = Field::new(0, Kind::U64);

/// The symbols of a dump, sorted.
pub(super) struct Symbols {
    symbols: Records<SymbolRecord>,
    texts: Records<u8>,
}

impl Symbols {
    /// Sorts the symbols, in up to `sort_memory` bytes.
    pub(super) fn sort(
        staging: &Staging,
        (mut symbols, texts): (Batch<SymbolRecord>, Batch<u8>),
        sort_memory: u64,
    ) -> Result<Self> {
        symbols.storage().sort_by(ID).memory(sort_memory).run()?;
        symbols.finish()?;
        texts.finish()?;
        Self::open(staging)
    }

    /// Opens what was sorted.
    pub(super) fn open(staging: &Staging) -> Result<Self> {
        let options = Options::new().backing(Backing::Map);
        let symbols = options.open_read_only(staging.file(file::SYMBOLS))?;
        let texts = options.open_read_only(staging.file(file::SYMBOL_TEXTS))?;
        Ok(Self { symbols, texts })
    }

    /// The text of a symbol, none where no record has the id. Of several the last one counts.
    pub(super) fn text(&self, id: u64) -> Result<Option<Vec<u8>>> {
        let mut last: Option<SymbolRecord> = None;
        for symbol in self.symbols.range(self.symbols.equal_range(ID, id)?) {
            let symbol = *symbol?;
            if last.is_none_or(|last| last.text_offset.get() <= symbol.text_offset.get()) {
                last = Some(symbol);
            }
        }
        let Some(symbol) = last else { return Ok(None) };
        // At most 64 KiB: the scanner cuts texts.
        let mut text = vec![0; symbol.text_len.get() as usize];
        self.texts.read_into(symbol.text_offset.get(), &mut text)?;
        Ok(Some(text))
    }
}
