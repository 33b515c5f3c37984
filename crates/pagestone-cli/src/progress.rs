//! A progress bar on standard error, there only when standard error is a terminal.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{msg} [{bar:30}] {decimal_bytes} of {decimal_total_bytes}, \
                        {decimal_bytes_per_sec}, {eta} left";

/// How far something has come, in bytes; gone when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(what: &'static str) -> Self {
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0).with_message(what);
        match ProgressStyle::with_template(TEMPLATE) {
            Ok(style) => Self(bar.with_style(style.progress_chars("=> "))),
            Err(_) => Self(bar),
        }
    }

    pub(crate) fn set(&self, done: u64, total: u64) {
        // Every change of the length draws the bar, a change of the position does so seldom.
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
        self.0.set_position(done);
    }

    /// Says what is being done where it is not counted in bytes.
    pub(crate) fn say(&self, what: &'static str) {
        if self.0.message() != what {
            self.0.set_message(what);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
