//! The arguments of `pagestone heapdump`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::size;

#[derive(Debug, Subcommand)]
pub(crate) enum HeapdumpCommand {
    /// Build the index of a dump (HPROF, plain or gzip) and show its totals and biggest classes
    Build(BuildArgs),
    /// Show what an index says about its dump as a whole
    Info(IndexArgs),
    /// List the classes with the most instances or bytes, or the objects that retain most
    Top(TopArgs),
    /// Show the classes of a name
    Class(ClassArgs),
    /// Show an object with its fields, elements or static fields
    Obj(ObjArgs),
    /// List the objects that refer to an object
    In(ObjectListArgs),
    /// List what an object refers to
    Out(ObjectListArgs),
    /// Show the shortest way from a root to an object
    Path(PathArgs),
    /// Show what an object keeps alive, and what keeps it alive
    Retained(ObjArgs),
    /// Compare every file of an index with its checksum
    Verify(IndexArgs),
    /// List the values of strings that most strings have, or the strings of a value
    Strings(StringsArgs),
    /// Find instances by their fields: `CLASS where field op value and …`
    #[command(after_help = FIND_HELP)]
    Find(FindArgs),
    /// Compare two indexes, by class or by the values of strings
    Diff(DiffArgs),
    /// Keep notes in an index
    #[command(subcommand)]
    Note(NoteCommand),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The dump
    pub(crate) dump: PathBuf,

    /// The directory of the index; beside the dump, named after it with `.index`, unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Replace an index that is there, once the other is complete
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    /// The directory of the index
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: RankArg,

    /// How many, 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum RankArg {
    /// The class with the most instances
    Count,
    /// The class with the most bytes
    #[default]
    Bytes,
    /// The object that retains the most bytes
    Retained,
}

#[derive(Debug, Args)]
pub(crate) struct ClassArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// The name, as in java.lang.String, int[] or java.lang.Object[][]
    pub(crate) name: String,

    /// List the classes below it
    #[arg(long)]
    pub(crate) subclasses: bool,

    /// List its instances, and with --subclasses theirs
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20")]
    pub(crate) instances: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ObjArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// The object's id, hexadecimal behind 0x, else decimal
    #[arg(value_parser = size::id)]
    pub(crate) id: u64,

    /// The dump, if it is not where the index was built from it
    #[arg(long, value_name = "FILE")]
    pub(crate) dump: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ObjectListArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// The object's id, hexadecimal behind 0x, else decimal
    #[arg(value_parser = size::id)]
    pub(crate) id: u64,

    /// How many objects, 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct PathArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// The object's id, hexadecimal behind 0x, else decimal
    #[arg(value_parser = size::id)]
    pub(crate) id: u64,

    /// Do not follow weak, soft and phantom references
    #[arg(long)]
    pub(crate) skip_weak: bool,

    /// The dump, if it is not where the index was built from it
    #[arg(long, value_name = "FILE")]
    pub(crate) dump: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StringsArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// List only values that more than one string has
    #[arg(long)]
    pub(crate) dup: bool,

    /// List the strings that have this value
    #[arg(long, value_name = "TEXT", conflicts_with = "dup")]
    pub(crate) value: Option<String>,

    /// How many, 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

/// What a filter can say.
const FIND_HELP: &str = "\
Operators: = != < <= > >= and, for strings, ~ (contains).
Values: integers (0x… for the id of an object), fractions, true, false, null, 'strings' in single
or double quotes.
Example: pagestone heapdump find app.index 'java.util.HashMap where size > 100 and table != null'";

#[derive(Debug, Args)]
pub(crate) struct FindArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// What to find, as one argument
    pub(crate) filter: String,

    /// Look at instances of subclasses, too
    #[arg(long)]
    pub(crate) subclasses: bool,

    /// How many to list, 0 for all; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The directory of the index of the dump before
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,

    /// The directory of the index of the dump after
    #[arg(value_name = "AFTER")]
    pub(crate) after: PathBuf,

    /// What to compare
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: DiffArg,

    /// How many, 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum DiffArg {
    /// Instances and bytes of classes
    #[default]
    Class,
    /// How many strings have a value
    String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoteCommand {
    /// Add a note, about the dump or an object
    Add(NoteAddArgs),
    /// List all notes, the oldest first
    List(IndexArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NoteAddArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,

    /// The note
    pub(crate) text: String,

    /// The id of the object that it is about, hexadecimal behind 0x, else decimal
    #[arg(long, value_name = "ID", value_parser = size::id)]
    pub(crate) object: Option<u64>,
}
