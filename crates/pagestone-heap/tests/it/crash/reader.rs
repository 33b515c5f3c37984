//! A reader that looks at a block before each store of the writer, without the writer's lock.

use std::{cell::RefCell, rc::Rc};

use pagestone_heap::BlockId;
use pagestone_storage::seam::set_observer;

use super::{model::Model, view::View};

type Seen = Option<Vec<u8>>;

/// What the reader looks at and what it saw during one operation.
#[derive(Debug, Default)]
struct Watch {
    heaps: Vec<(String, View)>,
    /// What each block held before the operation.
    before: Vec<(usize, BlockId, Seen)>,
    next: usize,
    /// What was seen that was not there before.
    turned: Vec<(usize, Seen)>,
    wrong: Option<String>,
}

/// Looks as long as it lives.
#[derive(Debug)]
pub(crate) struct Reader(Rc<RefCell<Watch>>);

impl Drop for Reader {
    fn drop(&mut self) {
        set_observer(None);
    }
}

impl Reader {
    pub(crate) fn new() -> Self {
        let watch = Rc::new(RefCell::new(Watch::default()));
        let inner = Rc::clone(&watch);
        set_observer(Some(Box::new(move || inner.borrow_mut().look())));
        Self(watch)
    }

    /// Before an operation.
    pub(crate) fn begin(&self, heaps: Vec<(String, View)>, model: &Model) {
        let mut watch = self.0.borrow_mut();
        watch.before.clear();
        for (name, id) in &model.given {
            let Some(heap) = heaps.iter().position(|(its, _)| its == name) else { continue };
            let block = model.contents.heaps.get(name).and_then(|blocks| blocks.get(id));
            watch.before.push((heap, *id, block.map(|block| block.bytes.to_vec())));
        }
        watch.heaps = heaps;
        watch.turned.clear();
    }

    /// After it: everything seen was there before it or is there now.
    pub(crate) fn end(&self, after: &Model, torn: Option<BlockId>) -> Result<(), String> {
        let mut watch = self.0.borrow_mut();
        let wrong = watch.wrong.take();
        let (heaps, turned) = (std::mem::take(&mut watch.heaps), std::mem::take(&mut watch.turned));
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        for (at, seen) in turned {
            let (heap, id, _) = &watch.before[at];
            let blocks = after.contents.heaps.get(&heaps[*heap].0);
            let block = blocks.and_then(|blocks| blocks.get(id));
            let new = block.map(|block| block.bytes.to_vec());
            if seen != new && torn != Some(*id) {
                let lens = (seen.map(|bytes| bytes.len()), new.map(|bytes| bytes.len()));
                return Err(format!("a get of {id:?} saw neither old nor new: {lens:?}"));
            }
        }
        Ok(())
    }
}

impl Watch {
    fn look(&mut self) {
        if self.before.is_empty() {
            return;
        }
        self.next = (self.next + 1) % self.before.len();
        let (heap, id, before) = &self.before[self.next];
        let seen = match self.heaps[*heap].1.read(*id) {
            Ok(seen) => seen,
            Err(error) => {
                self.wrong = Some(format!("a get of {id:?}: {error}"));
                return;
            }
        };
        let before_it = self.turned.iter().any(|(at, _)| *at == self.next);
        if seen != *before {
            self.turned.push((self.next, seen));
        } else if before_it {
            self.wrong = Some(format!("a get of {id:?} saw new, then old"));
        }
    }
}
