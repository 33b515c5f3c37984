//! The arguments of `pagestone records`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pagestone_storage::{Backing, Bias, Field};

use super::size;

#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// Show how many records there are and what the sidecar says of them
    Info(FileArgs),
    /// Show records from the beginning or from an index on
    Head(HeadArgs),
    /// Show the records at some indexes
    Get(GetArgs),
    /// Sort the file: a sorted copy takes its place, or where it lies
    Sort(SortArgs),
    /// Look values up in a file that is sorted by the key
    Search(SearchArgs),
    /// Show the records of a range of keys in a file that is sorted by the key
    Range(RangeArgs),
    /// Append raw records from standard input or a file
    Append(AppendArgs),
    /// Write all records as CSV or JSON
    Export(ExportArgs),
    /// Compare a file with the checksums and the order that its sidecar names
    Verify(FileArgs),
    /// Write the sidecar NAME.meta
    Sidecar(SidecarFileArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file of records
    pub(crate) file: PathBuf,

    /// Bytes of a record
    #[arg(long, value_name = "BYTES", value_parser = size::record_size)]
    pub(crate) record: usize,

    /// How the file is reached; a mapped file must not be cut by other programs meanwhile
    #[arg(long, value_enum, default_value_t)]
    backing: BackingArg,

    /// Open the file even though an in-place sort of it never ended
    #[arg(long)]
    pub(crate) accept_interrupted_sort: bool,
}

impl FileArgs {
    pub(crate) fn backing(&self) -> Backing {
        match self.backing {
            BackingArg::File => Backing::File,
            BackingArg::Map => Backing::Map,
            BackingArg::Windowed => Backing::Windowed,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum BackingArg {
    /// Positioned reads and writes
    #[default]
    File,
    /// One mapping
    Map,
    /// Mappings of 64 MiB
    Windowed,
}

#[derive(Debug, Args)]
pub(crate) struct ColumnArgs {
    /// A column to show, as in u64le@8, i32be@0 or bytes20@4; may be repeated. Without one, the
    /// bytes of the record in hexadecimal
    #[arg(long = "field", value_name = "FIELD")]
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, Args)]
pub(crate) struct HeadArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    /// How many records
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) count: u64,

    /// The index of the first
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub(crate) from: u64,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    /// Indexes of records, from 0 on
    #[arg(value_name = "INDEX", required = true)]
    pub(crate) indexes: Vec<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct SortArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// The field to sort by, as in u64le@8; may be repeated, the most significant first
    #[arg(long = "key", value_name = "FIELD", required = true)]
    pub(crate) keys: Vec<Field>,

    /// Keep the order of records with equal keys
    #[arg(long)]
    pub(crate) stable: bool,

    /// Sort without a copy: needs no space, and a crash in the middle loses records
    #[arg(long)]
    pub(crate) in_place: bool,

    /// Sort in parts of this size, for files larger than memory, as in 64M
    #[arg(long, value_name = "BYTES", value_parser = size::size)]
    pub(crate) memory: Option<u64>,

    /// Threads at most; as many as the machine runs unless given
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) tail: TailArgs,

    /// Write the sidecar, which remembers the order
    #[arg(long)]
    pub(crate) sidecar: bool,

    #[command(flatten)]
    pub(crate) sidecar_content: SidecarArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Drop the bytes behind the last whole record, which otherwise are refused
    #[arg(long)]
    pub(crate) cut_tail: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    /// The field that the file is sorted by
    #[arg(long, value_name = "FIELD")]
    pub(crate) key: Field,

    /// What answers where no record has the value
    #[arg(long, value_enum, default_value_t)]
    pub(crate) bias: BiasArg,

    /// Integers, 0x…, floats, or hexadecimal bytes, as the key is
    #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum BiasArg {
    /// Nothing
    #[default]
    Exact,
    /// The last record with a lower value
    Before,
    /// The first record with a higher value
    After,
    /// The nearer of the two
    Nearest,
}

impl From<BiasArg> for Bias {
    fn from(bias: BiasArg) -> Self {
        match bias {
            BiasArg::Exact => Self::Exact,
            BiasArg::Before => Self::Before,
            BiasArg::After => Self::After,
            BiasArg::Nearest => Self::Nearest,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    /// The field that the file is sorted by
    #[arg(long, value_name = "FIELD")]
    pub(crate) key: Field,

    /// LOW..HIGH without HIGH, LOW..=HIGH with it; either may be left out
    #[arg(allow_hyphen_values = true)]
    pub(crate) range: String,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,

    /// Read the records from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Create the file when it is not there
    #[arg(long)]
    pub(crate) create: bool,

    #[command(flatten)]
    pub(crate) tail: TailArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,

    /// What is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: FormatArg,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// A line of field names, then a line per record
    #[default]
    Csv,
    /// An object per line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct SidecarFileArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) content: SidecarArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SidecarArgs {
    /// Put checksums of 64 KiB blocks into the sidecar, for `verify`
    #[arg(long)]
    pub(crate) checksums: bool,

    /// Put a search tree into the sidecar, over a field that the file is sorted by
    #[arg(long, value_name = "FIELD")]
    pub(crate) accelerate: Option<Field>,
}
