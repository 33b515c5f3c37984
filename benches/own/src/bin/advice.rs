//! Which advice a mapping of blocks should have: cost of the fill, device bytes of a sync.
//!
//! `advice [--quick | --tiny]` prints three tables. Fills and stores are timed by thread CPU and by the wall;
//! device bytes are those of the whole device, so medians are taken and nothing else should run.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bench_own::{Clock, Device, Folder, Mapping, Populate, Random, Result, Scale};
use rustix::fs::{Advice, OFlags, fadvise, fdatasync};

const PAGE: usize = 4096;
/// Blocks of a fill at the full scale.
const BLOCKS: usize = 1_000_000;
/// The file grows by as much.
const STEP: usize = 16 << 20;
/// Pages are brought in by as much.
const AHEAD: usize = 256 << 10;
/// Bytes of a read of a whole pass.
const READ: usize = 1 << 20;
/// Random pages dirtied before a sync, and how often.
const DIRTY: [(usize, usize); 3] = [(1, 9), (16, 7), (256, 3)];

/// What a mapping is told, and who brings in its pages ahead of the blocks.
#[derive(Debug, Clone, Copy)]
struct Variant {
    name: &'static str,
    random: bool,
    /// Zeros are written to the file in pieces of so many bytes.
    zeros: Option<usize>,
    populate: bool,
}

impl Variant {
    const fn new(name: &'static str) -> Self {
        Self { name, random: false, zeros: None, populate: false }
    }

    const fn random(self) -> Self {
        Self { random: true, ..self }
    }

    const fn populate(self) -> Self {
        Self { populate: true, ..self }
    }

    const fn zeros(self, len: usize) -> Self {
        Self { zeros: Some(len), ..self }
    }
}

const VARIANTS: [Variant; 9] = [
    Variant::new("default"),
    Variant::new("RANDOM").random(),
    Variant::new("RANDOM + populate").random().populate(),
    Variant::new("default + populate").populate(),
    Variant::new("RANDOM + zeros by 4 KiB").random().zeros(PAGE),
    Variant::new("RANDOM + zeros by 8 KiB").random().zeros(2 * PAGE),
    Variant::new("RANDOM + zeros by 8 KiB + populate").random().zeros(2 * PAGE).populate(),
    Variant::new("RANDOM + zeros by 16 KiB + populate").random().zeros(4 * PAGE).populate(),
    Variant::new("RANDOM + zeros by 64 KiB + populate").random().zeros(16 * PAGE).populate(),
];

/// The variants to measure: at the smallest scale, one shows that everything runs.
const fn variants(scale: Scale) -> &'static [Variant] {
    match scale {
        Scale::Tiny => VARIANTS.split_at(1).0,
        Scale::Quick | Scale::Full => &VARIANTS,
    }
}

/// What happened to the pages of the file before stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum History {
    Fresh,
    Reopened,
    Dropped,
    MappedPass,
    PopulatedPass,
    ReadPass,
    AdvisedReadPass,
    SmallReadPass,
    DirectPass,
}

const HISTORIES: [(History, &str); 9] = [
    (History::Fresh, "fresh"),
    (History::Reopened, "reopened, cached"),
    (History::Dropped, "dropped"),
    (History::MappedPass, "dropped, read by mapping"),
    (History::PopulatedPass, "dropped, POPULATE_READ 256 KiB"),
    (History::ReadPass, "dropped, pread 1 MiB"),
    (History::AdvisedReadPass, "dropped, pread 1 MiB, FADV_RANDOM"),
    (History::SmallReadPass, "dropped, pread 4 KiB, FADV_RANDOM"),
    (History::DirectPass, "dropped, O_DIRECT pread"),
];

fn main() -> Result<()> {
    let argument = env::args().nth(1);
    let scale = Scale::of_argument(argument.as_deref()).ok_or("advice [--quick | --tiny]")?;
    let mut out = io::stdout().lock();
    print_fills(&mut out, scale)?;
    print_stores(&mut out, scale)?;
    print_syncs(&mut out, scale)
}

/// What a block costs in a new file.
fn print_fills(out: &mut impl Write, scale: Scale) -> Result<()> {
    let rounds = if scale == Scale::Full { 5 } else { 1 };
    writeln!(out, "| advice | CPU ns/block | wall ns/block | faults/MiB | worst, us |")?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    let mut fills: [Vec<[f64; 4]>; VARIANTS.len()] = Default::default();
    for _ in 0..rounds {
        for (&variant, fills) in variants(scale).iter().zip(&mut fills) {
            let folder = Folder::new()?;
            let (fill, _) = Blocks::fill(&folder.path("blocks"), (variant, scale))?;
            fills.push(fill);
        }
    }
    for (variant, fills) in variants(scale).iter().zip(&fills) {
        let [cpu, wall, faults, worst] =
            [0, 1, 2, 3].map(|at| median(fills.iter().map(|fill| fill[at]).collect()));
        writeln!(out, "| {} | {cpu:.0} | {wall:.0} | {faults:.1} | {worst:.0} |", variant.name)?;
    }
    Ok(())
}

/// What the first touch of each page costs after a sync of all of them.
fn print_stores(out: &mut impl Write, scale: Scale) -> Result<()> {
    writeln!(
        out,
        "\n| advice, CPU ns/page after a sync | store in order | store at random | populate | new mapping: store at random | populate |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|")?;
    for &variant in variants(scale) {
        let folder = Folder::new()?;
        let (_, mut blocks) = Blocks::fill(&folder.path("blocks"), (variant, scale))?;
        let figures = [
            blocks.touch(Touch::Stores { in_order: true })?,
            blocks.touch(Touch::Stores { in_order: false })?,
            blocks.touch(Touch::Populate)?,
            {
                blocks.pass(History::Reopened)?;
                blocks.touch(Touch::Stores { in_order: false })?
            },
            {
                blocks.pass(History::Reopened)?;
                blocks.touch(Touch::Populate)?
            },
        ];
        let cells = figures.map(|nanos| format!(" {nanos:.0} |")).concat();
        writeln!(out, "| {} |{cells}", variant.name)?;
    }
    Ok(())
}

/// What a sync of few pages costs the device, by the history of the pages.
fn print_syncs(out: &mut impl Write, scale: Scale) -> Result<()> {
    writeln!(
        out,
        "\n| advice | pages | KiB 1 | 16 | 256 | store us 1 | 16 | 256 | sync us 1 | 16 | 256 |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for &variant in variants(scale) {
        let folder = Folder::new()?;
        let (_, mut blocks) = Blocks::fill(&folder.path("blocks"), (variant, scale))?;
        for (history, name) in HISTORIES {
            blocks.pass(history)?;
            let mut columns = [const { String::new() }; 3];
            for (pages, times) in DIRTY {
                let cost = blocks.dirty(pages, times)?;
                for (column, figure) in columns.iter_mut().zip(cost) {
                    write!(column, " {figure:.1} |")?;
                }
            }
            writeln!(out, "| {} | {name} |{}", variant.name, columns.concat())?;
            out.flush()?;
        }
    }
    Ok(())
}

/// Who touches all pages.
#[derive(Debug, Clone, Copy)]
enum Touch {
    Stores { in_order: bool },
    Populate,
}

/// A mapped file full of blocks.
struct Blocks {
    path: PathBuf,
    variant: Variant,
    mapping: Option<Mapping>,
    device: Device,
    random: Random,
}

impl Blocks {
    /// Fills a new file; CPU and wall nanoseconds per block, faults per MiB, worst microseconds.
    fn fill(path: &Path, (variant, scale): (Variant, Scale)) -> Result<([f64; 4], Self)> {
        let count = scale.count(BLOCKS);
        let mut random = Random::new(21);
        let pool: Vec<u8> = (0..8 << 10).flat_map(|_| random.next().to_le_bytes()).collect();
        let sizes: Vec<usize> = (0..count).map(|_| 32 + random.below(481)).collect();
        let end = sizes.iter().sum::<usize>().next_multiple_of(STEP);
        let mut mapping = Mapping::create(path, end)?;
        if variant.random {
            mapping.advise_random()?;
        }
        let (mut cursor, mut populated, mut worst) = (0, 0, Duration::ZERO);
        let faults = faults()?;
        let cpu = Clock::Thread.now();
        let start = Clock::Wall.now();
        let mut last = start;
        for (&size, number) in sizes.iter().zip(0_usize..) {
            if mapping.bytes().len() < cursor + size {
                mapping.grow((cursor + size).next_multiple_of(STEP))?;
            }
            if populated < cursor + size {
                let next = (cursor + size).next_multiple_of(AHEAD);
                bring_in(&mapping, populated..next, variant)?;
                populated = next;
            }
            let from = number * 64 % (pool.len() - 512);
            mapping.bytes_mut()[cursor..cursor + size].copy_from_slice(&pool[from..from + size]);
            cursor += size;
            if number % 16 == 0 {
                worst = worst.max(Clock::Wall.since(last));
                last = Clock::Wall.now();
            }
        }
        let (wall, cpu) = (Clock::Wall.since(start), Clock::Thread.since(cpu));
        let faults = float(self::faults()? - faults) / (float(cursor as u64) / 1_048_576.0);
        let nanos = |time: Duration| time.as_secs_f64() * 1e9 / float(count as u64);
        let figures = [nanos(cpu), nanos(wall), faults, worst.as_secs_f64() * 1e6];
        let device = Device::of(path)?;
        Ok((figures, Self { path: path.into(), variant, mapping: Some(mapping), device, random }))
    }

    /// Brings the pages into a state, and the file into a new mapping unless it is fresh.
    fn pass(&mut self, history: History) -> Result<()> {
        if history == History::Fresh {
            return self.device.settle();
        }
        self.mapping = None;
        let mut file = OpenOptions::new();
        file.read(true).write(true);
        if history == History::DirectPass {
            file.custom_flags(i32::try_from(OFlags::DIRECT.bits())?);
        }
        let file = file.open(&self.path)?;
        if history != History::Reopened {
            fdatasync(&file)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        if matches!(history, History::AdvisedReadPass | History::SmallReadPass) {
            fadvise(&file, 0, None, Advice::Random)?;
        }
        match history {
            History::ReadPass | History::AdvisedReadPass | History::DirectPass => {
                read_all(&file, READ)?;
            }
            History::SmallReadPass => read_all(&file, PAGE)?,
            _ => {}
        }
        drop(file);
        let mapping = Mapping::open(&self.path, 0)?;
        if self.variant.random {
            mapping.advise_random()?;
        }
        if history == History::MappedPass {
            let sum = mapping.bytes().chunks(64).fold(0_u8, |sum, line| sum ^ line[0]);
            std::hint::black_box(sum);
        }
        if history == History::PopulatedPass {
            for start in (0..mapping.bytes().len()).step_by(AHEAD) {
                mapping.populate(start..start + AHEAD, Populate::Read)?;
            }
        }
        self.mapping = Some(mapping);
        self.device.settle()
    }

    /// Nanoseconds per page to touch all pages, which a sync has made read-only.
    fn touch(&mut self, touch: Touch) -> Result<f64> {
        let mapping = self.mapping.as_mut().ok_or("not mapped")?;
        mapping.sync()?;
        let count = mapping.bytes().len() / PAGE;
        let mut pages: Vec<usize> = (0..count).collect();
        if matches!(touch, Touch::Stores { in_order: false }) {
            for last in (1..count).rev() {
                pages.swap(last, self.random.below(last + 1));
            }
        }
        let (time, touched) = Clock::Thread.time(|| -> Result<()> {
            match touch {
                Touch::Stores { .. } => {
                    for page in &pages {
                        mapping.bytes_mut()[page * PAGE] ^= 1;
                    }
                }
                Touch::Populate => {
                    for start in (0..count * PAGE).step_by(AHEAD) {
                        mapping.populate(start..start + AHEAD, Populate::Write)?;
                    }
                }
            }
            Ok(())
        });
        touched?;
        Ok(time.as_secs_f64() * 1e9 / float(count as u64))
    }

    /// KiB that the device writes, microseconds of the first store to a page, of the sync.
    fn dirty(&mut self, pages: usize, times: usize) -> Result<[f64; 3]> {
        let mapping = self.mapping.as_mut().ok_or("not mapped")?;
        let count = mapping.bytes().len() / PAGE;
        let mut costs: [Vec<f64>; 3] = Default::default();
        for _ in 0..times {
            let places: Vec<usize> =
                (0..pages).map(|_| self.random.below(count) * PAGE + 8).collect();
            let before = self.device.written()?;
            let (store, ()) = Clock::Thread.time(|| {
                for &place in &places {
                    mapping.bytes_mut()[place] ^= 1;
                }
            });
            let (sync, synced) = Clock::Wall.time(|| mapping.sync());
            synced?;
            let bytes = self.device.written()? - before;
            costs[0].push(float(bytes) / 1024.0);
            costs[1].push(store.as_secs_f64() * 1e6 / float(pages as u64));
            costs[2].push(sync.as_secs_f64() * 1e6);
        }
        Ok(costs.map(median))
    }
}

/// Brings in pages that no block is in yet.
fn bring_in(mapping: &Mapping, range: Range<usize>, variant: Variant) -> Result<()> {
    if let Some(len) = variant.zeros {
        let zeros = vec![0; len];
        for start in range.clone().step_by(len) {
            mapping.file().write_all_at(&zeros, start as u64)?;
        }
    }
    if variant.populate {
        mapping.populate(range, Populate::Write)?;
    }
    Ok(())
}

/// One pass over the file.
fn read_all(file: &File, step: usize) -> Result<()> {
    let mut buffer = vec![0; step + PAGE];
    let start = buffer.as_ptr().align_offset(PAGE);
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer[start..start + step], offset)? {
            0 => return Ok(()),
            len => offset += len as u64,
        }
    }
}

/// Page faults of this process so far.
fn faults() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after = text.rsplit_once(')').ok_or("no name")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    // Without and with a page that had to be brought in.
    let counts = [7, 9].map(|at| fields.get(at).and_then(|count| count.parse::<u64>().ok()));
    Ok(counts[0].ok_or("no faults")? + counts[1].ok_or("no faults")?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits of a count")]
const fn float(count: u64) -> f64 {
    count as f64
}
