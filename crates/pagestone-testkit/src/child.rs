//! A test that runs again in a process of its own, talks to its parent and can be killed.
//!
//! The child is the test binary with one test chosen by name. That test returns at once when
//! [`errand`] is `None`, as in an ordinary run; in a child it does what the errand says,
//! [`acknowledge`]s what has happened, and ends or waits for its [`Child::send`] orders.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::{Child as Spawned, ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    thread,
};

const ERRAND: &str = "PAGESTONE_ERRAND";
const MARK: &str = "\u{1}";

/// What this process was started for, if it is a child.
#[must_use]
pub fn errand() -> Option<String> {
    std::env::var(ERRAND).ok()
}

/// Tells the parent that something has happened; its death ends this process.
///
/// # Panics
///
/// When the parent is gone.
pub fn acknowledge(number: u64) {
    // Standard error: the test harness writes to standard output. One `write` per line.
    let line = format!("{MARK}{number}\n");
    let told = io::stderr().lock().write_all(line.as_bytes());
    assert!(told.is_ok(), "the parent is gone");
}

/// Waits for an order of the parent; `None` when it is gone or wants the child to end.
#[must_use]
pub fn order() -> Option<u64> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).ok()?;
    if read == 0 { None } else { line.trim().parse().ok() }
}

/// A running child, killed when dropped.
#[derive(Debug)]
pub struct Child {
    spawned: Spawned,
    orders: Option<ChildStdin>,
    pipe: BufReader<ChildStderr>,
    latest: Option<u64>,
    complaints: String,
}

impl Child {
    /// Runs `test`, by its full path in this test binary, in a process with this errand.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    #[must_use]
    pub fn start(test: &str, errand: &str) -> Self {
        let started = std::env::current_exe().and_then(|own| {
            Command::new(own)
                .args([test, "--exact", "--nocapture", "--test-threads=1"])
                .env(ERRAND, errand)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        });
        let mut spawned = match started {
            Ok(spawned) => spawned,
            Err(error) => panic_with(&format!("no child for {test}: {error}")),
        };
        let orders = spawned.stdin.take();
        let Some(told) = spawned.stderr.take() else { panic_with("a child without a pipe") };
        let pipe = BufReader::new(told);
        Self { spawned, orders, pipe, latest: None, complaints: String::new() }
    }

    /// Waits for the next acknowledgement; `None` when the child has ended.
    pub fn told(&mut self) -> Option<u64> {
        let mut line = String::new();
        loop {
            line.clear();
            // A line without its end was cut by the kill: it was not told.
            if self.pipe.read_line(&mut line).is_err() || !line.ends_with('\n') {
                return None;
            }
            let number = line.strip_prefix(MARK).and_then(|number| number.trim().parse().ok());
            if number.is_some() {
                self.latest = number;
                return number;
            }
            self.complaints.push_str(&line);
        }
    }

    /// Waits until the child acknowledges `number`.
    ///
    /// # Panics
    ///
    /// When it ends before.
    #[track_caller]
    pub fn wait_for(&mut self, number: u64) {
        while let Some(told) = self.told() {
            if told == number {
                return;
            }
        }
        panic_with(&format!("the child never told {number}: {}", self.complaints));
    }

    /// Gives an order.
    ///
    /// # Panics
    ///
    /// When the child is gone.
    #[track_caller]
    pub fn send(&mut self, order: u64) {
        let sent = self.orders.as_mut().map(|orders| writeln!(orders, "{order}"));
        assert!(matches!(sent, Some(Ok(()))), "the child is gone: {}", self.complaints);
    }

    /// Kills the child with `SIGKILL`, after yielding the processor so many times, and returns
    /// the latest number that it acknowledged in its life.
    ///
    /// # Panics
    ///
    /// When the child had failed by itself.
    #[expect(clippy::must_use_candidate, reason = "called for its effect as often as not")]
    #[track_caller]
    pub fn kill(mut self, yields: u64) -> Option<u64> {
        (0..yields).for_each(|_| thread::yield_now());
        self.spawned.kill().ok();
        while self.told().is_some() {}
        assert!(!self.complaints.contains("panicked"), "{}", self.complaints);
        self.latest
    }

    /// Lets the child end by itself, and expects that it succeeds.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[expect(clippy::must_use_candidate, reason = "called for its effect as often as not")]
    #[track_caller]
    pub fn end(mut self) -> Option<u64> {
        drop(self.orders.take());
        while self.told().is_some() {}
        let ended = self.spawned.wait();
        assert!(ended.is_ok_and(|status| status.success()), "{}", self.complaints);
        self.latest
    }

    /// Waits for the end of a child that may well have been ended by a signal.
    ///
    /// # Errors
    ///
    /// What the system says about waiting.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        drop(self.orders.take());
        while self.told().is_some() {}
        self.spawned.wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.spawned.kill().ok();
        self.spawned.wait().ok();
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "the test cannot go on without its child")]
fn panic_with(what: &str) -> ! {
    panic!("{what}");
}
