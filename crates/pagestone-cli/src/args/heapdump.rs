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
