//! Flips of all bytes that are used: seen by an open that trusts nothing, or by a check after it.

use std::time::Instant;

use pagestone_heap::{RegionFile, Result, Verify};

use super::{forge::Image, gcd, written};
use crate::{
    crash::place::Place,
    support::{budget, options, say},
};

/// A file, and what it shows.
pub(super) struct Flips<'f, S> {
    /// What it is called.
    pub(super) what: &'f str,
    pub(super) image: &'f Image,
    pub(super) expected: &'f S,
    pub(super) show: fn(&RegionFile) -> Result<S>,
    /// Whether a byte has no checksum.
    pub(super) is_bare: &'f dyn Fn(usize) -> bool,
}

impl<S: PartialEq> Flips<'_, S> {
    /// Flips a bit of one byte after the other for so many seconds, mixed: it is refused, or found
    /// by `verify`, or all is right, or the byte is bare.
    #[track_caller]
    pub(super) fn check(&self, seconds: f64) {
        let Self { what, image, expected, show, is_bare } = self;
        let mut place = Place::new();
        // A superblock that is damaged is a commit that was torn: the one before it counts.
        let word = |at: usize| image.bytes.get(at..at + 8).is_some_and(|word| word != [0; 8]);
        let used = |at: &usize| {
            let at = *at / 8 * 8;
            8192 <= at && (word(at - 8) || word(at) || word(at + 8))
        };
        let places: Vec<usize> = written(image).into_iter().filter(used).collect();
        let mut bytes = image.bytes.clone();
        let (mut refused, mut found, mut right, mut bare) = (0, 0, 0, 0);
        let (start, budget) = (Instant::now(), budget(seconds));
        // A step that shares no factor with the number of places visits all of them, mixed.
        let (mut nth, count) = (0, places.len());
        let coprime = |step: &usize| gcd(*step as u64, count as u64) == 1;
        let step = (count * 5 / 8..2 * count).find(coprime).unwrap();
        while nth < count && start.elapsed() < budget {
            let flipped = places[nth * step % count];
            nth += 1;
            bytes[flipped] ^= 1 << (flipped % 8);
            place.install(&bytes);
            bytes[flipped] ^= 1 << (flipped % 8);
            let at = place.at();
            let (shown, _) = place.watched(|| {
                let file = options().untrusted(true).open(at).map_err(|error| error.to_string())?;
                let report = file.verify(Verify::new()).map_err(|error| error.to_string())?;
                Ok(report.is_clean().then(|| show(&file).unwrap()))
            });
            match shown {
                Err(error) => {
                    assert!(!error.starts_with("panic"), "byte {flipped:#x} flipped: {error}");
                    refused += 1;
                }
                Ok(None) => found += 1,
                Ok(Some(shown)) if shown == **expected => right += 1,
                Ok(Some(_)) => {
                    bare += 1;
                    let seen = !is_bare(flipped);
                    assert!(!seen, "byte {flipped:#x} flipped: wrong, and nobody says so");
                }
            }
        }
        say(&format!(
            "hostile: flips of {what}: {nth} of {count}, {refused} refused, {found} found by \
             verify, {right} right, {bare} of bytes without a checksum"
        ));
    }
}
