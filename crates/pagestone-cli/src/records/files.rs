//! Opening a file of records: for reading, or for changes that lose nothing unasked.

use anyhow::Context as _;
use pagestone_storage::{ErrorKind, Field, Mutability, Options, Records, SidecarStatus, Storage};

use crate::{
    args::{FileArgs, TailArgs},
    exit::Finding,
    output::thousands,
};

fn options(args: &FileArgs) -> Options {
    let options = Options::new().record_size(args.record).backing(args.backing());
    if args.accept_interrupted_sort { options.accept_interrupted_sort() } else { options }
}

pub(super) fn read(args: &FileArgs) -> anyhow::Result<Records> {
    hinted(options(args).open_read_only(&args.file))
}

/// Names the way to open a file that an in-place sort was killed in.
fn hinted<T>(opened: pagestone_storage::Result<T>) -> anyhow::Result<T> {
    match opened {
        Err(error) if error.kind() == ErrorKind::InterruptedSort => {
            Err(error).context("only --accept-interrupted-sort opens the file")
        }
        opened => Ok(opened?),
    }
}

/// Opens a file to look at its state, whatever that is.
pub(super) fn inspect(args: &FileArgs) -> anyhow::Result<Records> {
    Ok(options(args).accept_interrupted_sort().open_read_only(&args.file)?)
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// It must be there.
    Open,
    /// It is made when it is not there.
    OpenOrCreate,
}

pub(super) fn write(
    args: &FileArgs,
    mutability: Mutability,
    opening: Opening,
) -> anyhow::Result<Storage> {
    let options = options(args).mutability(mutability);
    hinted(match opening {
        Opening::Open => options.open(&args.file),
        Opening::OpenOrCreate => options.open_or_create(&args.file),
    })
}

/// Refuses to change a file with a partial record at its end, which any change cuts: it may as
/// well be the record size that is wrong.
pub(super) fn check_tail(storage: &Storage, args: &TailArgs) -> anyhow::Result<()> {
    let tail = storage.partial_tail();
    if tail == 0 || args.cut_tail {
        return Ok(());
    }
    let size = storage.record_size();
    let offset = u128::from(storage.len()) * size as u128;
    Err(Finding(format!(
        "{}: the {} bytes from offset {offset} on are no whole record of {size} bytes; \
         --cut-tail drops them",
        storage.path().display(),
        thousands(tail),
    ))
    .into())
}

/// What the sidecar says the records are sorted by, where it covers them all.
pub(super) fn known_order(records: &Records) -> &[Field] {
    match records.sidecar() {
        SidecarStatus::Usable(sidecar) if sidecar.record_count == records.len() => {
            &sidecar.sorted_by
        }
        _ => &[],
    }
}

/// A field list as text.
pub(super) fn field_texts(fields: &[Field]) -> Vec<String> {
    fields.iter().map(ToString::to_string).collect()
}
