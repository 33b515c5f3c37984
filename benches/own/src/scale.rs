//! How large everything is.

/// The size of a run: every count of the full size is divided by the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// What the rows say.
    Full,
    /// A twentieth: shows that everything runs, proves nothing.
    Quick,
    /// A few thousand records, for debug builds under `cargo test`.
    Tiny,
}

impl Scale {
    /// The scale of a benchmark of criterion: `cargo test` leaves `--bench` out.
    #[must_use]
    pub fn of_bench() -> Self {
        let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
        match (has("--bench"), has("--quick")) {
            (false, _) => Self::Tiny,
            (true, true) => Self::Quick,
            (true, false) => Self::Full,
        }
    }

    /// The scale that an argument asks for.
    #[must_use]
    pub fn of_argument(argument: Option<&str>) -> Option<Self> {
        match argument {
            None => Some(Self::Full),
            Some("--quick") => Some(Self::Quick),
            Some("--tiny") => Some(Self::Tiny),
            Some(_) => None,
        }
    }

    /// The argument that asks for this scale.
    #[must_use]
    pub const fn argument(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Quick => Some("--quick"),
            Self::Tiny => Some("--tiny"),
        }
    }

    /// How many of `full` there are at this scale; never none.
    #[must_use]
    pub fn count(self, full: usize) -> usize {
        let divisor = match self {
            Self::Full => 1,
            Self::Quick => 20,
            Self::Tiny => 5_000,
        };
        (full / divisor).max(64)
    }
}
