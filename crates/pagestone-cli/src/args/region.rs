//! The arguments of `pagestone info`, `stats`, `verify`, `dump`, `get`, `compact`, `orphans`,
//! `backup` and `salvage`.

use std::path::PathBuf;

use clap::Args;

use super::size;

#[derive(Debug, Args)]
pub(crate) struct RegionFileArgs {
    /// The region file
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// Write a dense copy here instead, and leave the file as it is
    #[arg(long, value_name = "OTHER")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// The name of the store
    pub(crate) store: String,

    /// Show payloads whole, in hexadecimal
    #[arg(long, conflicts_with = "raw")]
    pub(crate) hex: bool,

    /// Write the payloads alone, as they are, one behind the other
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,

    /// How many blocks, entries, objects, strings or numbers, 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct BlockArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// The name of the store
    pub(crate) store: String,

    /// The id of the block, entry or object, the symbol of the string, the index of the number: hexadecimal behind 0x, else decimal
    #[arg(value_parser = size::id)]
    pub(crate) id: u64,

    /// Write the payload alone, as it is
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OrphansArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// A text file of ids that are reachable too, one in a line, hexadecimal behind 0x, else
    /// decimal; what follows # is a remark
    #[arg(long, value_name = "LIST")]
    pub(crate) reachable: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// The file to make; nothing may be there
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SalvageArgs {
    #[command(flatten)]
    pub(crate) file: RegionFileArgs,

    /// The file to make; nothing may be there
    pub(crate) to: PathBuf,

    /// Look for segments also where the directory seems whole
    #[arg(long)]
    pub(crate) search: bool,
}
