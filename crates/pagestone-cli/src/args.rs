//! What can be said on the command line.

mod heapdump;
mod records;
mod region;
mod table;
mod size; // 64M and its like

pub(crate) use self::{
    heapdump::{
        BuildArgs, ClassArgs, DiffArg, DiffArgs, FindArgs, HeapdumpCommand, IndexArgs, NoteAddArgs,
        NoteCommand, ObjArgs, ObjectListArgs, PathArgs, RankArg, StringsArgs, TopArgs,
    },
    records::{
        AppendArgs, ColumnArgs, ExportArgs, FileArgs, FormatArg, GetArgs, HeadArgs, RangeArgs,
        RecordsCommand, SearchArgs, SidecarArgs, SidecarFileArgs, SortArgs, TailArgs,
    },
    region::{
        BackupArgs, BlockArgs, CompactArgs, DumpArgs, OrphansArgs, RegionFileArgs, SalvageArgs,
    },
    size::id,
    table::{
        ByArgs, CreateArgs, ExportRowsArgs, GetRowsArgs, ImportArgs, InfoArgs, InputArg, JoinArgs,
        RangeRowsArgs, TableArgs, TableCommand, TopRowsArgs,
    },
};

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::output::Format;

/// Looks into heap dumps, region files, tables and files of fixed-size records.
///
/// Exit codes: 0 done, 1 a finding (damage, or what was asked for is not there), 2 wrong usage,
/// 3 nothing could be done (input or output, a lock, no such file, no heap dump at all).
#[derive(Debug, Parser)]
#[command(name = "pagestone", version, verbatim_doc_comment)]
pub(crate) struct Cli {
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::People }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Index a Java heap dump, and ask the index
    ///
    /// The files of an index are mapped while a command reads it: nothing but pagestone may write
    /// them, or the command may end with a signal or a wrong answer.
    #[command(verbatim_doc_comment)]
    Heapdump {
        #[command(subcommand)]
        command: HeapdumpCommand,
    },
    /// Show, sort, search, append to, export and check files of fixed-size records
    Records {
        #[command(subcommand)]
        command: RecordsCommand,
    },
    /// Make, fill, ask and check tables: typed rows that are found by their keys
    ///
    /// The files of a table are mapped while a command reads it: nothing but pagestone may write
    /// them, or the command may end with a signal or a wrong answer.
    #[command(verbatim_doc_comment)]
    Table {
        #[command(subcommand)]
        command: TableCommand,
    },
    /// Show what a region file is and what it holds
    ///
    /// This command and `stats`, `verify`, `dump`, `get`, `orphans` and `backup` open the file for
    /// reading, at its last commit, and keep writers out meanwhile. It is mapped: nothing but
    /// pagestone may write it.
    #[command(verbatim_doc_comment)]
    Info(RegionFileArgs),
    /// Show how the space of a region file is used
    Stats(RegionFileArgs),
    /// Check everything in a region file against everything else
    Verify(RegionFileArgs),
    /// List the blocks, entries, objects, strings or numbers of a store of a region file
    Dump(DumpArgs),
    /// Show one block, entry, object, string or number of a region file
    Get(BlockArgs),
    /// Move the blocks and entries of a region file together, and give the space that they leave back
    ///
    /// Entries of logs go first, then blocks. Ids stay. The file is opened for writing; an end in the midst loses nothing.
    #[command(verbatim_doc_comment)]
    Compact(CompactArgs),
    /// List the blocks of a region file that no root reaches
    ///
    /// Only roots and slabs are known to lead to blocks, and what `--reachable` lists: the bytes of a
    /// block are its owner's, so ids inside are not seen. An id that names no block is a finding.
    #[command(verbatim_doc_comment)]
    Orphans(OrphansArgs),
    /// Copy a region file as of its last commit
    ///
    /// The copy is whole and on the device when it has its name. Free space in it is a hole, and
    /// its first open for writing reads all slots. A program that has the file open makes its own
    /// backups, by `RegionFile::backup`, without a pause.
    #[command(verbatim_doc_comment)]
    Backup(BackupArgs),
    /// Make a new region file from the logs of a damaged one
    ///
    /// Entries come from the segments alone, under the same ids, as of the last commit; slot tables,
    /// directory and superblocks may be damaged. What is wrong is a finding, and so is what had to
    /// be guessed. Blocks of heaps are left out. The old file is opened for reading.
    #[command(verbatim_doc_comment)]
    Salvage(SalvageArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_agree_with_each_other() {
        super::Cli::command().debug_assert();
    }
}
