//! Names and values, one pair per line, for people.

use std::fmt::Display;

use super::{Output, cell::printable};

/// Pairs that are shown below each other.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.0.push((name, format!("{value}")));
        self
    }

    pub(crate) fn show(&self, out: &mut Output) -> anyhow::Result<()> {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            out.line(format_args!("{name:width$}  {}", printable(value)))?;
        }
        Ok(())
    }
}
