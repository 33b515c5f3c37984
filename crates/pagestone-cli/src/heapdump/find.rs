//! `pagestone heapdump find`: instances by their fields.

use pagestone_heapdump::{Filter, FindOptions, Subclasses};

use super::{limit, open_to_ask};
use crate::{
    args::FindArgs,
    output::{Format, Output, thousands},
};

pub(super) fn run(args: &FindArgs, out: &mut Output) -> anyhow::Result<()> {
    let filter = Filter::parse(&args.filter)?;
    let index = open_to_ask(&args.index.directory)?;
    let subclasses = if args.subclasses { Subclasses::With } else { Subclasses::Without };
    let found = index.find(&filter, FindOptions { subclasses, limit: limit(args.limit) })?;
    if out.format() == Format::Json {
        return out.json(&found);
    }
    for id in &found.ids {
        out.line(format_args!("{id:#x}"))?;
    }
    if out.format() == Format::People {
        let (count, looked_at) = (thousands(found.count), thousands(found.looked_at));
        out.line(format_args!("{count} of {looked_at} instances"))?;
    }
    out.took()
}
