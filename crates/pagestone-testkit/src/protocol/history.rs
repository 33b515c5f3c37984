//! Histories: operations, crashes and recoveries by seed, under oracles.

mod checks; // what must be true after a crash and between operations
pub(super) mod operations; // one operation of the writer

use std::rc::Rc;

use crate::protocol::{
    engine::{Engine, commit::FirstSync},
    machine::{Board, Company, Machine, Result, Stop, broken},
    memory::Memory,
    place::Key,
    random::Random,
    reader::ReaderKind,
    rules::{Mutant, Variant},
    state::{Issued, Shared, State},
};

/// A committed state with the ids given out until then.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) state: Shared,
    pub(super) issued: Issued,
}

/// How a session of the writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    PowerLoss,
    /// The device vanishes and comes back in the same boot.
    DeviceLoss,
    /// A sync failed, and the program opens the file again.
    FailedSync,
}

/// Whether commits are cut inside their superblock and second sync, discards before their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Always,
    Sometimes,
    Never,
}

/// Why a commit is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    Group,
    Alone,
    Close,
}

/// One line of a trace: what was done to which key with which value.
pub(super) type Note = (&'static str, Key, u64);

/// A file, its writer, and what both have promised.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) engine: Engine,
    /// The state after the last operation that returned.
    pub(super) current: Shared,
    /// States that the commit on the device may be.
    pub(super) sealed: Vec<Sealed>,
    /// The commit under way.
    pub(super) sealing: Option<Sealed>,
    /// The commit that a killed writer left, until an open has made it durable.
    pub(super) inherited: Option<Sealed>,
    /// States that the operation under way may leave.
    pub(super) pending: Vec<Shared>,
    pub(super) trace: Vec<Note>,
    pub(super) crashes: u64,
    pub(super) images: u64,
    step: u64,
    focus: Option<(u32, u32)>,
    in_group: bool,
    discarding: bool,
    /// Whether the last session got through its recovery.
    opened: bool,
    discards: u32,
    pub(super) cut: Cut,
}

const NO_READERS: Company = Company::Alone;

impl World {
    /// A new empty file.
    pub(super) fn new(seed: u64, rules: Variant) -> Result<Self> {
        let mut random = Random::new(seed);
        let focus =
            [None, None, Some((530, 700)), Some((700, 900)), Some((360, 530)), Some((800, 980))];
        let focus = random.pick(&focus).flatten();
        let empty = Rc::new(State::default());
        let board = Board {
            epoch: 2,
            clock: 0,
            durable: 1,
            published: vec![(1, Rc::clone(&empty))],
            seen: vec![Rc::clone(&empty)],
            acked: 0,
            issued: Issued::new(),
            exclusive: false,
        };
        let machine = Machine {
            memory: Memory::new(),
            rules,
            random,
            fuse: None,
            sync_fuse: None,
            company: NO_READERS,
            readers: Vec::new(),
            board,
        };
        let mut engine = Engine::new(machine);
        engine.create()?;
        Ok(Self {
            engine,
            current: Rc::clone(&empty),
            sealed: vec![Sealed { state: empty, issued: Issued::new() }],
            sealing: None,
            inherited: None,
            pending: Vec::new(),
            trace: Vec::new(),
            crashes: 0,
            images: 0,
            step: 0,
            focus,
            in_group: false,
            discarding: false,
            opened: true,
            discards: 0,
            cut: Cut::Sometimes,
        })
    }

    /// A whole history: four sessions that end in a crash, then everything is removed.
    pub(super) fn run(&mut self) -> Result<()> {
        for _ in 0..4 {
            self.set_fuses();
            let end = match self.session() {
                Err(Stop::Crash) => self.crash(),
                Err(Stop::SyncFailed) => self.fail(),
                Err(stop) => return Err(stop),
                Ok(()) => continue,
            };
            self.settle(end)?;
        }
        self.drain()
    }

    /// Torn commits of one generation, again and again.
    pub(super) fn run_torn(&mut self) -> Result<()> {
        self.open()?;
        for _ in 0..3 {
            self.operation()?;
        }
        self.commit(Occasion::Alone)?;
        for _ in 0..3 {
            self.cut = Cut::Always;
            let stopped = self.torn_attempt();
            self.cut = Cut::Sometimes;
            match stopped {
                Err(Stop::Crash) | Ok(()) => {}
                Err(stop) => return Err(stop),
            }
            self.calm();
            self.lose_power();
            self.settle(End::PowerLoss)?;
            self.reopen()?;
        }
        self.drain()
    }

    fn torn_attempt(&mut self) -> Result<()> {
        for _ in 0..self.below(4) {
            self.operation()?;
        }
        self.commit(Occasion::Alone)
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.engine.machine.random
    }

    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.random().below(bound)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random().chance(percent)
    }

    pub(super) fn note(&mut self, what: &'static str, key: Key, value: u64) {
        self.trace.push((what, key, value));
    }

    fn set_fuses(&mut self) {
        let again = !std::mem::replace(&mut self.opened, false);
        let random = self.random();
        let most = match random.below(10) {
            0 | 1 => 12,
            2..=4 => 120,
            _ => 420,
        };
        let fuse = random.below(most + 1);
        let sync_fuse = match random.below(20) {
            0 => Some(0),
            4..10 if again => Some(0),
            1..4 => Some(random.below(8)),
            _ => None,
        };
        self.engine.machine.fuse = Some(fuse);
        self.engine.machine.sync_fuse = sync_fuse;
        self.pending.clear();
        self.sealing = None;
        self.in_group = false;
    }

    /// The writer's process begins anew.
    pub(super) fn renew(&mut self) {
        let machine = self.engine.machine.clone();
        let offsets = std::mem::take(&mut self.engine.offsets);
        self.engine = Engine::new(machine);
        self.engine.offsets = offsets;
    }

    pub(super) fn reopen(&mut self) -> Result<()> {
        self.renew();
        self.open()
    }

    pub(super) fn open(&mut self) -> Result<()> {
        self.engine.open()?;
        self.opened = true;
        if let Some(inherited) = self.inherited.take() {
            self.sealed = vec![inherited];
        }
        let board = &mut self.engine.machine.board;
        board.seen = vec![Rc::clone(&self.current)];
        board.acked = 0;
        self.note("opened", Key::ROOT, u64::from(self.engine.generation));
        Ok(())
    }

    fn session(&mut self) -> Result<()> {
        self.renew();
        self.engine.machine.company = Company::Processes;
        // For a while nobody writes, but other processes may read.
        for _ in 0..self.below(3) * self.below(20) {
            self.engine.machine.tick()?;
        }
        self.open()?;
        self.engine.machine.company = Company::Everybody;
        loop {
            self.group()?;
            if self.chance(10) {
                self.auto_commit()?;
            }
            if self.chance(15) {
                self.check_account()?;
            }
            if self.chance(5) {
                self.close_and_open()?;
            }
        }
    }

    fn group(&mut self) -> Result<()> {
        self.in_group = true;
        for _ in 0..=self.below(4) {
            self.operation()?;
            self.engine.machine.check_pins()?;
            if self.chance(5) {
                self.auto_commit()?;
            }
        }
        match self.below(100) {
            0..25 => self.commit(Occasion::Group)?,
            25..31 => self.discard()?,
            _ => {}
        }
        self.engine.machine.check_pins()?;
        self.in_group = false;
        Ok(())
    }

    fn close_and_open(&mut self) -> Result<()> {
        self.engine.machine.company = Company::Processes;
        self.engine.machine.dismiss(ReaderKind::Thread);
        self.note("close", Key::ROOT, 0);
        self.commit(Occasion::Close)?;
        self.reopen()?;
        self.engine.machine.company = Company::Everybody;
        Ok(())
    }

    fn auto_commit(&mut self) -> Result<()> {
        if self.in_group && self.engine.keeps(Mutant::AutoCommitInGroup) {
            return Ok(());
        }
        self.commit(Occasion::Alone)?;
        if self.in_group {
            return broken("an automatic commit published half a group");
        }
        Ok(())
    }

    /// A commit with what others do in its unlocked sync.
    pub(super) fn commit(&mut self, occasion: Occasion) -> Result<()> {
        self.note("commit", Key::ROOT, u64::from(self.engine.epoch()));
        self.pending.clear();
        let (start, discards) = (Rc::clone(&self.current), self.discards);
        let closing = occasion == Occasion::Close;
        let snapshot = if closing { self.engine.snapshot()? } else { [0; 2] };
        let unlocked =
            occasion == Occasion::Group || closing && self.engine.breaks(Mutant::CloseUnlocked);
        let first = if unlocked { FirstSync::Unlocked } else { FirstSync::None };
        let mark = self.engine.commit_begin(first)?;
        if unlocked {
            self.others_go_on()?;
        }
        self.engine.commit_prepare(mark)?;
        self.announce();
        self.engine.commit_seal(snapshot)?;
        if closing {
            self.engine.finish_close()?;
        }
        self.sealed = self.sealing.take().into_iter().collect();
        let lost = |key: Key| self.current.get(key) != start.get(key);
        if discards < self.discards && start.all_keys().any(lost) {
            return broken("a commit returned although its group was discarded");
        }
        Ok(())
    }

    /// From here on the commit may be found on the device.
    fn announce(&mut self) {
        let random = self.random();
        let soon = random.within(1, 9);
        let hurry = random.chance(12);
        let fuse = &mut self.engine.machine.fuse;
        match self.cut {
            Cut::Always => *fuse = Some(soon),
            Cut::Sometimes if hurry => *fuse = fuse.map(|fuse| fuse.min(soon + 3)),
            Cut::Sometimes | Cut::Never => {}
        }
        let epoch = self.engine.epoch();
        let board = &mut self.engine.machine.board;
        board.published.retain(|entry| entry.0 < epoch);
        board.published.push((epoch, Rc::clone(&self.current)));
        let issued = board.issued.clone();
        self.sealing = Some(Sealed { state: Rc::clone(&self.current), issued });
    }

    fn others_go_on(&mut self) -> Result<()> {
        match self.below(100) {
            0..50 => {
                for _ in 0..=self.below(3) {
                    self.operation()?;
                    self.engine.machine.check_pins()?;
                }
                Ok(())
            }
            50..60 => self.commit(Occasion::Alone),
            60..80 if self.engine.breaks(Mutant::DiscardInCommit) => self.discard(),
            _ => Ok(()),
        }
    }

    pub(super) fn discard(&mut self) -> Result<()> {
        self.note("discard", Key::ROOT, 0);
        self.discards += 1;
        let Some(sealed) = self.sealed.first().cloned() else { return Ok(()) };
        self.propose(vec![Rc::clone(&sealed.state)]);
        let random = self.random();
        let soon = random.within(1, 20);
        if random.chance(15) && self.cut == Cut::Sometimes {
            let fuse = &mut self.engine.machine.fuse;
            *fuse = fuse.map(|fuse| fuse.min(soon));
        }
        self.discarding = true;
        self.engine.discard()?;
        self.discarding = false;
        self.accept();
        self.engine.machine.board.issued = sealed.issued;
        Ok(())
    }

    /// States that the operation may leave, the last one when it returns.
    pub(super) fn propose(&mut self, states: Vec<Shared>) {
        self.engine.machine.board.seen.extend(states.iter().cloned());
        self.pending = states;
    }

    /// The operation returned.
    pub(super) fn accept(&mut self) {
        if let Some(last) = self.pending.pop() {
            self.current = last;
        }
        self.pending.clear();
        let board = &mut self.engine.machine.board;
        board.acked = board.seen.len() - 1;
    }

    fn calm(&mut self) {
        let machine = &mut self.engine.machine;
        machine.fuse = None;
        machine.sync_fuse = None;
        machine.company = NO_READERS;
        machine.board.exclusive = false;
        machine.dismiss(ReaderKind::Thread);
    }

    fn lose_power(&mut self) {
        let machine = &mut self.engine.machine;
        machine.dismiss(ReaderKind::Process);
        machine.memory.lose_power(&mut machine.random);
        machine.memory.boot += 1;
    }

    fn crash(&mut self) -> End {
        self.calm();
        match self.below(5) {
            0 | 1 => End::Kill,
            2 | 3 => {
                self.lose_power();
                End::PowerLoss
            }
            _ => {
                self.lose_power();
                self.engine.machine.memory.boot -= 1;
                End::DeviceLoss
            }
        }
    }

    fn fail(&mut self) -> End {
        self.calm();
        if self.engine.breaks(Mutant::KilledBeforePoison) {
            return End::Kill;
        }
        self.engine.poison();
        if self.chance(30) {
            self.lose_power();
            return End::PowerLoss;
        }
        End::FailedSync
    }
}
