//! Answers of searches compared with their neighbours, where blocks are checked.
//!
//! A search may have been led astray by a damaged block, or a damaged search tree, that it passed
//! through. Its answer is right all the same if the entries on both sides of the place lie in
//! blocks that are as they were sealed, and the key belongs between them.

use std::ops::Range;

use crate::{
    error::{Error, Result},
    files::{Files, Order},
    key::Image,
};

impl Files {
    /// Whether blocks are compared with their checksums when they are first needed.
    #[inline]
    pub(crate) fn is_checked(&self) -> bool {
        self.rows.is_checked()
    }

    /// Compares all blocks of all files, where blocks are compared.
    pub(crate) fn check_all(&self) -> Result<()> {
        self.rows.check_all()?;
        self.orders.iter().filter_map(Order::file).try_for_each(|file| file.entries.check_all())
    }

    /// Returns `place` if it is the first one whose key is not below `image`.
    #[inline]
    pub(crate) fn confirm_lower(&self, order: &Order, image: &[u8], place: u64) -> Result<u64> {
        if self.is_checked() { self.confirm(order, (image, Side::Lower), place) } else { Ok(place) }
    }

    /// Returns `place` if it is the first one whose key is above `image`.
    #[inline]
    pub(crate) fn confirm_upper(&self, order: &Order, image: &[u8], place: u64) -> Result<u64> {
        if self.is_checked() { self.confirm(order, (image, Side::Upper), place) } else { Ok(place) }
    }

    /// Returns `places` if they are those that have this key.
    #[inline]
    pub(crate) fn confirm_equal(
        &self,
        order: &Order,
        image: &[u8],
        places: Range<u64>,
    ) -> Result<Range<u64>> {
        let start = self.confirm_lower(order, image, places.start)?;
        Ok(start..self.confirm_upper(order, image, places.end)?)
    }

    #[cold]
    fn confirm(&self, order: &Order, (image, side): (&[u8], Side), place: u64) -> Result<u64> {
        let mut near = Image::padded(&[], image.len(), 0);
        let mut is_in_front = |place| {
            self.image_at(order, place, &mut near)?;
            Ok::<_, Error>(match side {
                Side::Lower => near.as_slice() < image,
                Side::Upper => near.as_slice() <= image,
            })
        };
        let count = self.rows.len();
        let follows = match place.checked_sub(1) {
            Some(before) if before < count => is_in_front(before)?,
            before => before.is_none(),
        };
        if follows && (count <= place || !is_in_front(place)?) {
            return Ok(place);
        }
        let file = order.file().map_or(&self.rows, |file| &file.entries);
        let found = format!("place {place}, where it does not belong");
        Err(Error::corrupt(file.records.path(), "search for a key", ("its place", found)))
    }
}

/// Which bound is looked for.
#[derive(Clone, Copy)]
enum Side {
    Lower,
    Upper,
}
