//! Searches by a value's image: its place in the order of its field, as bytes.

use std::ops::Range;

use super::{
    keys::prefetch_line,
    many::{self, BATCH},
    one::{self, Search},
};
use crate::{
    error::{Error, Result},
    field::Field,
    record::Record,
    records::Records,
};

/// Searches for layers above that keep keys as images, see [`Field::put_image`]. Nothing is
/// converted, so that they tell apart what a [`Value`](crate::Value) cannot, such as two NaNs.
impl<T: Record + ?Sized> Records<T> {
    /// Returns the index of the first record whose field's image is not below `image`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field does not lie inside a record or has another size than
    /// the image; `Io` when the file is not mapped.
    pub fn lower_bound_image(&self, field: Field, image: &[u8]) -> Result<u64> {
        self.search_image(field, image)?.lower_bound()
    }

    /// Returns the index of the first record whose field's image is above `image`.
    ///
    /// # Errors
    ///
    /// As [`lower_bound_image`](Self::lower_bound_image).
    pub fn upper_bound_image(&self, field: Field, image: &[u8]) -> Result<u64> {
        self.search_image(field, image)?.upper_bound()
    }

    /// Returns the indexes of all records whose field has this image.
    ///
    /// # Errors
    ///
    /// As [`lower_bound_image`](Self::lower_bound_image).
    pub fn equal_range_image(&self, field: Field, image: &[u8]) -> Result<Range<u64>> {
        self.search_image(field, image)?.equal_range()
    }

    /// Returns the index of the first record whose field, of at most 8 bytes, has this image,
    /// given as the number that its bytes are.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a field of more than 8 bytes; else as
    /// [`lower_bound_image`](Self::lower_bound_image).
    #[inline]
    pub fn find_image(&self, field: Field, image: u64) -> Result<Option<u64>> {
        field.check(self.record_size())?;
        if 8 < field.size() {
            return Err(Error::argument(format!("field {field} has more than 8 bytes")));
        }
        one::find((self.core(), self.loaded()), field, image)
    }

    /// Looks up many images of a field of at most 8 bytes at once, each given as the number
    /// that its bytes are, and puts the first record that has it into `found`.
    ///
    /// Cache misses of many searches overlap. Without allocation.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a field of more than 8 bytes, and unless there is one place in
    /// `found` for each image; else as [`lower_bound_image`](Self::lower_bound_image).
    pub fn get_many_images(
        &self,
        field: Field,
        images: &[u64],
        found: &mut [Option<u64>],
    ) -> Result<()> {
        field.check(self.record_size())?;
        if 8 < field.size() || images.len() != found.len() {
            let what = format!(
                "{} images of field {field}, {} places for answers",
                images.len(),
                found.len()
            );
            return Err(Error::argument(what));
        }
        found.fill(Some(0));
        for (images, found) in images.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
            many::replace((&**self.core(), &**self.loaded()), field, images, found)?;
        }
        Ok(())
    }

    /// Hints that the record at `index` is needed soon; does nothing where records are copied.
    #[inline]
    pub fn prefetch(&self, index: u64) {
        let Some(record) = self.core().record(index) else { return };
        prefetch_line(record.as_ptr());
        if let Some(last) = record.last() {
            prefetch_line(std::ptr::from_ref(last));
        }
    }

    fn search_image<'s>(&'s self, field: Field, image: &'s [u8]) -> Result<Search<'s>> {
        Search::of_image((self.core(), self.loaded()), field, image)
    }
}
