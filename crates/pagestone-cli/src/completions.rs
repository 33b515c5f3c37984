//! `pagestone completions`: what a shell needs to complete the command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Cli, output::Output};

pub(crate) fn run(shell: Shell, out: &mut Output) -> anyhow::Result<()> {
    // By way of memory: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pagestone", &mut script);
    out.bytes(&script)
}
