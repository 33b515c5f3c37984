//! The symbol table: sorted by id, and the texts that ids stand for.

use pagestone_storage as storage;
use storage::{Field, Kind, Records};

use super::tables::Tables;
use crate::{error::Result, layout::SymbolRecord};

const ID: Field = Field::new(0, Kind::U64);

/// Sorts the symbols of `tables`, in up to `sort_memory` bytes.
pub(super) fn sort(tables: &mut Tables, sort_memory: u64) -> Result<()> {
    tables.symbols.storage().sort_by(ID).memory(sort_memory).run()?;
    Ok(())
}

/// The text of a symbol, none where no record has the id. Of several the last one counts.
pub(super) fn text(
    symbols: &Records<SymbolRecord>,
    texts: &Records<u8>,
    id: u64,
) -> Result<Option<Vec<u8>>> {
    let mut last: Option<SymbolRecord> = None;
    for symbol in symbols.range(symbols.equal_range(ID, id)?) {
        let symbol = *symbol?;
        if last.is_none_or(|last| last.text_offset.get() <= symbol.text_offset.get()) {
            last = Some(symbol);
        }
    }
    let Some(symbol) = last else { return Ok(None) };
    // At most 64 KiB: the scanner cuts texts.
    let mut text = vec![0; symbol.text_len.get() as usize];
    texts.read_into(symbol.text_offset.get(), &mut text)?;
    Ok(Some(text))
}
