//! Size classes of blocks, counted in grains of 16 bytes, header included.
//!
//! Classes 1 to 128 are that many grains; above, eight classes a doubling up to 256 KiB. What is
//! longer has a region of its own.

/// The unit of block places and lengths.
pub(crate) const GRAIN: u64 = 16;
/// Grains of the longest block that shares a region.
pub(crate) const GRAINS_MAX: u32 = 16_384;
/// The class of that block.
pub(crate) const CLASS_MAX: u8 = class_of(GRAINS_MAX);
/// Places in a list per class of runs; runs reach 1 MiB.
pub(crate) const BINS: usize = 201;

const LINEAR: u32 = 128;

/// The smallest class of at least `grains`, which is at least 1.
pub(crate) const fn class_of(grains: u32) -> u8 {
    let class = if grains <= LINEAR {
        grains
    } else {
        let before = grains - 1;
        let shift = before.ilog2() - 3;
        // `before >> shift` is 8 to 15: the step inside the doubling, of which the next is ours.
        LINEAR + 8 * (shift - 4) + (before >> shift) - 8 + 1
    };
    #[expect(clippy::cast_possible_truncation, reason = "runs are at most 1 MiB: class 200")]
    {
        class as u8
    }
}

/// The largest class of at most `grains`, which is at least 1 and at most 65,536.
pub(crate) const fn class_below(grains: u32) -> u8 {
    let class = class_of(grains);
    if grains < grains_of(class) { class - 1 } else { class }
}

/// The grains of a class.
#[inline]
pub(crate) const fn grains_of(class: u8) -> u32 {
    let class = class as u32;
    if class <= LINEAR {
        class
    } else {
        let step = class - LINEAR - 1;
        (9 + step % 8) << (4 + step / 8)
    }
}

/// Bytes of each class that a block can have; more than any file for the others.
static ROOMS: [u64; 256] = {
    let mut rooms = [u64::MAX / 2; 256];
    let mut class = 2;
    while class <= CLASS_MAX {
        rooms[class as usize] = grains_of(class) as u64 * GRAIN;
        class += 1;
    }
    rooms
};

/// Bytes of a class; more than any file for one that no block can have.
#[inline]
pub(crate) fn room_of(class: u8) -> u64 {
    ROOMS[usize::from(class)]
}

#[cfg(test)]
mod tests {
    use super::{BINS, CLASS_MAX, GRAINS_MAX, class_below, class_of, grains_of};

    #[test]
    fn classes_hold_what_they_are_asked_for() {
        for grains in 1..=65_536 {
            let class = class_of(grains);
            let held = grains_of(class);
            assert!(grains <= held && held <= grains + grains / 8, "{grains} in {held}");
            assert!(class == 1 || grains_of(class - 1) < grains, "{grains}");
            let below = class_below(grains);
            assert!(grains_of(below) <= grains, "{grains}");
            assert!(grains < grains_of(below + 1), "{grains}");
        }
        assert_eq!(grains_of(CLASS_MAX), GRAINS_MAX);
        assert_eq!(usize::from(class_of(65_536)) + 1, BINS);
    }
}
