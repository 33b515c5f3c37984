//! A reader as another process is one: an open file of its own, on a thread that waits for orders.

use std::{
    cell::RefCell,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use pagestone_heap::{BlockId, ErrorKind, Pin, RegionFile};
use pagestone_storage::{
    Location,
    seam::{Event, Machine, Plan, set_machine, watch},
};

use super::{
    model::Contents,
    session::Manner,
    view::{View, contents},
};

/// What a reader is told to do.
#[derive(Debug)]
enum Order {
    /// Pin, if it does not, and get a block, which it keeps while it pins.
    Get(&'static str, BlockId),
    /// Show everything.
    All,
    /// Compare what it keeps with what that was when it was got.
    Compare,
    Unpin,
}

/// A block in the file, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a reader answers.
#[derive(Debug)]
enum Answer {
    Block(Option<Kept>),
    All(Contents),
    Done,
}

/// What a reader saw, and in which generation.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) generation: u64,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Block(&'static str, BlockId, Option<Vec<u8>>),
    All(Contents),
}

type Told = Result<(u64, Answer), String>;

/// One reader.
#[derive(Debug)]
pub(crate) struct Outsider {
    orders: Option<Sender<Order>>,
    answers: Receiver<Told>,
    thread: Option<JoinHandle<()>>,
    /// The mount that shows it the file.
    pub(crate) mount: u64,
    /// The blocks that it keeps.
    pub(crate) kept: Vec<(u64, u64)>,
    /// The generation that it saw last.
    latest: u64,
}

impl Drop for Outsider {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its own was told as an answer that is missing.
            thread.join().ok();
        }
    }
}

impl Outsider {
    /// Opens the file as a process of this machine does it.
    pub(crate) fn open(at: Location, machine: Machine) -> Result<Self, String> {
        let (orders, ordered) = channel();
        let (answer, answers) = channel();
        let thread = std::thread::spawn(move || {
            set_machine(Some(machine));
            live(&at, (&ordered, &answer));
        });
        let (orders, thread) = (Some(orders), Some(thread));
        let reader =
            Self { orders, answers, thread, mount: machine.mount, kept: Vec::new(), latest: 0 };
        reader.told()?;
        Ok(reader)
    }

    fn told(&self) -> Told {
        self.answers.recv().unwrap_or_else(|_| Err("a reader panicked".to_owned()))
    }

    fn tell(&mut self, order: Order) -> Told {
        let told = self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok());
        if !told {
            return Err("a reader is gone".to_owned());
        }
        let (generation, answer) = self.told()?;
        if matches!(answer, Answer::Done) {
            return Ok((generation, answer));
        }
        if generation < self.latest {
            return Err(format!("a reader saw {generation} after {}", self.latest));
        }
        self.latest = generation;
        Ok((generation, answer))
    }

    pub(crate) fn get(&mut self, heap: &'static str, id: BlockId) -> Result<Sight, String> {
        let (generation, answer) = self.tell(Order::Get(heap, id))?;
        let Answer::Block(found) = answer else { return Err("no answer to a get".to_owned()) };
        if let Some(block) = &found {
            self.kept.push((block.offset, block.offset + block.bytes.len() as u64));
        }
        let what = What::Block(heap, id, found.map(|block| block.bytes));
        Ok(Sight { generation, what })
    }

    pub(crate) fn all(&mut self) -> Result<Sight, String> {
        match self.tell(Order::All)? {
            (generation, Answer::All(found)) => Ok(Sight { generation, what: What::All(found) }),
            _ => Err("no answer to a look at everything".to_owned()),
        }
    }

    /// What it keeps is as it was; the file has `len` bytes.
    pub(crate) fn compare(&mut self, len: u64) -> Result<(), String> {
        if let Some((from, end)) = self.kept.iter().find(|(_, end)| len < *end) {
            // To look would be a signal.
            return Err(format!("a block at {from}..{end} lies behind the end, {len}"));
        }
        self.tell(Order::Compare).map(drop)
    }

    pub(crate) fn unpin(&mut self) -> Result<(), String> {
        self.tell(Order::Unpin)?;
        self.kept.clear();
        Ok(())
    }
}

/// A slice, and what it was when it was got.
type Borrowed<'p> = (&'p [u8], Vec<u8>);

/// What a reader knows in all its life.
struct Life<'l> {
    file: RegionFile,
    /// The address of its mapping.
    base: usize,
    /// The heaps that were found: a committed one is there for good.
    heaps: RefCell<Vec<(String, View)>>,
    orders: &'l Receiver<Order>,
    answers: &'l Sender<Told>,
}

fn live(at: &Location, (orders, answers): (&Receiver<Order>, &Sender<Told>)) {
    let (file, trace) =
        watch(Plan::record(), || Manner::PLAIN.options().open_read_only(at.clone()));
    let base = trace.events.iter().find_map(|event| match event {
        Event::Mapped(base) => Some(*base),
        _ => None,
    });
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            answers.send(Err(format!("open to read: {error}"))).ok();
            return;
        }
    };
    let life = Life { file, base: base.unwrap_or(0), heaps: RefCell::default(), orders, answers };
    life.answer(Ok(Answer::Done));
    while let Ok(order) = orders.recv() {
        match order {
            Order::Get(heap, id) => {
                if !life.pinned(heap, id) {
                    return;
                }
            }
            Order::All => life.all(),
            Order::Compare | Order::Unpin => life.answer(Ok(Answer::Done)),
        }
    }
}

impl Life<'_> {
    fn answer(&self, answer: Result<Answer, String>) {
        // A comparison looks at memory alone.
        let looked = matches!(answer, Ok(Answer::Block(_) | Answer::All(_)));
        let generation = if looked { self.file.sequence() } else { 0 };
        // Whoever asked is gone where this fails.
        self.answers.send(answer.map(|answer| (generation, answer))).ok();
    }

    fn all(&self) {
        self.answer(contents(&self.file).map(Answer::All));
    }

    /// Follows orders under one pin; false when there are no more of them.
    fn pinned(&self, heap: &'static str, id: BlockId) -> bool {
        let pin = self.file.pin();
        let mut kept: Vec<Borrowed<'_>> = Vec::new();
        let mut next = Order::Get(heap, id);
        loop {
            match next {
                Order::Get(heap, id) => self.answer(self.get((&pin, &mut kept), heap, id)),
                Order::All => self.all(),
                Order::Compare => {
                    let changed = kept.iter().position(|(now, then)| now != then);
                    let wrong = |at: usize| {
                        format!("block {at} of {}, {} bytes, changed", kept.len(), kept[at].1.len())
                    };
                    self.answer(changed.map_or(Ok(Answer::Done), |at| Err(wrong(at))));
                }
                Order::Unpin => {
                    drop(pin);
                    self.answer(Ok(Answer::Done));
                    return true;
                }
            }
            let Ok(order) = self.orders.recv() else { return false };
            next = order;
        }
    }

    fn heap(&self, name: &str) -> Result<Option<View>, String> {
        let mut heaps = self.heaps.borrow_mut();
        if let Some((_, known)) = heaps.iter().find(|(its, _)| its == name) {
            // Nothing but the get itself notices a commit.
            return Ok(Some(known.clone()));
        }
        match View::of(&self.file, name) {
            Ok(heap) => {
                heaps.push((name.to_owned(), heap.clone()));
                Ok(Some(heap))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("a heap: {error}")),
        }
    }

    fn get<'p>(
        &self,
        (pin, kept): (&'p Pin<'_>, &mut Vec<Borrowed<'p>>),
        heap: &str,
        id: BlockId,
    ) -> Result<Answer, String> {
        let Some(heap) = self.heap(heap)? else { return Ok(Answer::Block(None)) };
        match heap.get(pin, id) {
            Ok(bytes) => {
                let offset = (bytes.as_ptr() as usize - self.base) as u64;
                let block = Kept { offset, bytes: bytes.to_vec() };
                kept.push((bytes, block.bytes.clone()));
                Ok(Answer::Block(Some(block)))
            }
            Err(error) if error.kind() == ErrorKind::StaleId => Ok(Answer::Block(None)),
            Err(error) => Err(format!("a get of {id:?}: {error}")),
        }
    }
}
