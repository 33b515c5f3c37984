//! Writes the sampled tree, front to back, from the sorted records.

use crate::search::{
    Keys,
    tree::{
        Tree,
        shape::{FANOUT, GROUP, Level, MARKS, STRETCH, TreeLayout, mark, word},
    },
};

/// Bytes handed to the sink at once, at most.
const BLOCK_SIZE: usize = 8192;

impl Tree<'_> {
    /// Makes the tree over the `n` sorted records of `keys` and hands its bytes to `sink`, front
    /// to back; they are as many as `TreeLayout::new(n).byte_len()`. Needs no memory but a block
    /// on the stack, and reads every fourth key, one pass for each level and one for the marks.
    ///
    /// # Errors
    ///
    /// The first error of `sink`.
    pub(crate) fn build<E>(
        n: u64,
        keys: impl Keys,
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let layout = TreeLayout::new(n);
        let mut out = Blocks { block: [0; BLOCK_SIZE], len: 0, sink };
        for level in layout.levels() {
            write_level(n, keys, level, &mut out)?;
        }
        let mut base = 0;
        for group in 0..layout.group_count() {
            let first = group * GROUP;
            let top = keys.key_at(last_of(n, first, GROUP));
            write_marks(n - first, |at| mark(keys.key_at(first + at), base, top), &mut out)?;
            base = top;
        }
        out.finish()
    }
}

fn write_level<E, S: FnMut(&[u8]) -> Result<(), E>>(
    n: u64,
    keys: impl Keys,
    level: &Level,
    out: &mut Blocks<S>,
) -> Result<(), E> {
    for at in 0..level.word_count {
        let last = last_of(n, at * level.span, level.span);
        out.put(word(keys.key_at(last)).to_le_bytes())?;
    }
    for _ in level.word_count..level.word_count.next_multiple_of(FANOUT) {
        out.put(i64::MAX.to_le_bytes())?;
    }
    Ok(())
}

/// The last of the `span` records from `first`, of which there is at least one among the `n`.
fn last_of(n: u64, first: u64, span: u64) -> u64 {
    (span - 1).min(n - 1 - first) + first
}

/// Writes the marks of a group, whose first record has `left - 1` records behind it.
fn write_marks<E, S: FnMut(&[u8]) -> Result<(), E>>(
    left: u64,
    mark_at: impl Fn(u64) -> u16,
    out: &mut Blocks<S>,
) -> Result<(), E> {
    if GROUP <= left {
        for stretch in 0..MARKS {
            out.put(mark_at(stretch * STRETCH + STRETCH - 1).to_le_bytes())?;
        }
        return Ok(());
    }
    for stretch in 0..MARKS {
        let last = stretch * STRETCH + STRETCH - 1;
        let mark = if last < left { mark_at(last) } else { u16::MAX };
        out.put(mark.to_le_bytes())?;
    }
    Ok(())
}

/// Gathers small pieces for a sink.
struct Blocks<S> {
    block: [u8; BLOCK_SIZE],
    len: usize,
    sink: S,
}

impl<E, S: FnMut(&[u8]) -> Result<(), E>> Blocks<S> {
    /// Adds one piece; pieces must divide the block, which is then handed on whole.
    #[inline]
    fn put<const SIZE: usize>(&mut self, piece: [u8; SIZE]) -> Result<(), E> {
        const { assert!(BLOCK_SIZE.is_multiple_of(SIZE), "pieces fill the block") };
        self.block[self.len..self.len + SIZE].copy_from_slice(&piece);
        self.len += SIZE;
        if self.len < BLOCK_SIZE {
            return Ok(());
        }
        self.len = 0;
        (self.sink)(&self.block)
    }

    fn finish(mut self) -> Result<(), E> {
        if 0 < self.len { (self.sink)(&self.block[..self.len]) } else { Ok(()) }
    }
}
