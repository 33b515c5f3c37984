//! The arguments of `pagestone table`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{FormatArg, size};

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Make a table without rows, which `import` fills
    Create(CreateArgs),
    /// Show what a table is: rows, columns, keys, bytes
    Info(InfoArgs),
    /// Add rows from CSV, TSV or lines of JSON
    ///
    /// The table is built anew, from its rows and those of the input, and published whole. Rows
    /// that do not fit the schema go to a side file, with line numbers and reasons.
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
    /// Show the rows that have some keys
    Get(GetRowsArgs),
    /// Show the rows of a range of keys, in key order
    Range(RangeRowsArgs),
    /// Show the rows with the highest keys, or the lowest
    Top(TopRowsArgs),
    /// Show the rows of two tables that have the same key
    Join(JoinArgs),
    /// Write all rows as CSV or JSON
    Export(ExportRowsArgs),
    /// Compare every file of a table with its checksums and its order
    Verify(TableArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The directory of the table
    pub(crate) table: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// The file that holds the schema: a line `NAME KIND [canonical] [unique] [multi]` for each
    /// column, a line `NAME(COLUMN, …) [canonical] [unique] [multi]` for each key of several
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// Print the schema alone, as `--schema` of `create` and `import` reads it
    #[arg(long)]
    pub(crate) schema: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// The rows; standard input unless given
    #[arg(value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// What the input is; told from the name of the file unless given
    #[arg(long, value_enum)]
    pub(crate) format: Option<InputArg>,

    /// The first line holds rows, not names: columns go by their order
    #[arg(long)]
    pub(crate) no_header: bool,

    /// The file that holds the schema of a table that is not there yet; from the input unless given
    #[arg(long, value_name = "FILE", conflicts_with_all = ["canonical", "unique", "multi"])]
    pub(crate) schema: Option<PathBuf>,

    /// The order of the rows, where the schema comes from the input: COLUMN or NAME(COLUMN, …)
    #[arg(long, value_name = "KEY")]
    pub(crate) canonical: Option<String>,

    /// A key that no two rows share, where the schema comes from the input; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) unique: Vec<String>,

    /// A key that rows may share, where the schema comes from the input; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) multi: Vec<String>,

    /// Put the rows in the place of those that are there
    #[arg(long)]
    pub(crate) replace: bool,

    /// Merge the rows into the table that is there, sorting none of its rows anew. They are kept
    /// in memory; a row whose unique key is there already does not fit
    #[arg(long, conflicts_with_all = ["replace", "schema", "canonical", "unique", "multi"])]
    pub(crate) append: bool,

    #[command(flatten)]
    pub(crate) fit: FitArgs,

    /// Memory to sort in, as in 64M
    #[arg(long, value_name = "BYTES", value_parser = size::size, default_value = "256M")]
    pub(crate) memory: u64,

    /// Threads at most; as many as the machine runs unless given
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// What happens to rows that do not fit.
#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Leave out what the input has beside the columns of the table
    #[arg(long)]
    pub(crate) only_known: bool,

    /// Take 0 where a number is empty or absent; such rows do not fit otherwise
    #[arg(long)]
    pub(crate) empty_is_zero: bool,

    /// Where rows go that do not fit; TABLE.rejected.csv unless given
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Publish nothing when a row does not fit
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputArg {
    /// Values between commas
    Csv,
    /// Values between tabs
    Tsv,
    /// An object per line
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct ByArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// The key
    #[arg(long, value_name = "KEY")]
    pub(crate) by: String,

    /// Print CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GetRowsArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// Keys: integers, 0x…, floats, text, bytes behind 0x; of several columns, values between
    /// commas, as many of the first as wished
    #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RangeRowsArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// LOW..HIGH without HIGH, LOW..=HIGH with it; either may be left out
    #[arg(allow_hyphen_values = true)]
    pub(crate) range: String,

    /// Rows at most; all unless given
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TopRowsArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) limit: u64,

    /// The lowest first
    #[arg(long)]
    pub(crate) lowest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The directory of a table
    pub(crate) left: PathBuf,

    /// The directory of another table, or the same
    pub(crate) right: PathBuf,

    /// The key of both tables, or LEFT=RIGHT
    #[arg(long, value_name = "KEY")]
    pub(crate) by: String,

    /// Print CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportRowsArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,

    /// The key whose order the rows come in; the order that they lie in unless given
    #[arg(long, value_name = "KEY")]
    pub(crate) by: Option<String>,

    /// What is written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: FormatArg,
}
