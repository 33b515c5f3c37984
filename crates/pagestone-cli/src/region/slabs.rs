//! What slabs hold, as `pagestone dump` and `get` show it: objects, strings, plain slots; and
//! numbers.

use pagestone_heap::{BlockId, Counts, Pin, RegionFile, Slabs, SlotId};
use pagestone_slab::{Error, FileInterner, FileStore, SlabFile as _, Symbol};
use serde::Serialize;

use super::blocks::{glance, limit, show};
use crate::{
    args::{BlockArgs, DumpArgs},
    exit::{Finding, Usage},
    output::{Align, Cell, Facts, Format, Listing, Output, hex, thousands},
};

/// A store of slabs, by who made it.
pub(super) enum SlabStore {
    Objects(FileStore),
    Strings(FileInterner),
    /// Of a program that knows what its slots mean.
    Slots(Slabs),
}

/// An object, a string or a slot.
struct Unit<'p> {
    /// The id, or the symbol.
    id: u64,
    /// Of a string: how often it is held, where that is counted.
    uses: Option<u64>,
    bytes: &'p [u8],
}

#[derive(Serialize)]
struct Object {
    id: u64,
    bytes: u64,
    hex: String,
}

#[derive(Serialize)]
struct Text {
    symbol: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u64>,
    hex: String,
}

#[derive(Serialize)]
struct Number {
    index: u32,
    number: u64,
}

type Ids<'p> = Box<dyn Iterator<Item = u64> + 'p>;

impl SlabStore {
    pub(super) fn open(file: &RegionFile, name: &str) -> anyhow::Result<Self> {
        let slabs = file.slabs(name)?;
        if !file.heaps().contains(&format!("{name}.spilled")) {
            return Ok(Self::Slots(slabs));
        }
        let listed = slabs.list(&file.pin()).unwrap_or_default();
        let has_uses = file.stores().contains(&format!("{name}.uses"));
        let has_strings = match listed.first() {
            Some(slab) => !slab.shape.generations,
            None => has_uses,
        };
        Ok(if has_strings {
            Self::Strings(file.interner(name)?)
        } else {
            Self::Objects(file.objects(name)?)
        })
    }

    fn is_counted(&self) -> bool {
        matches!(self, Self::Strings(strings) if strings.is_counted())
    }

    fn ids<'p>(&'p self, pin: &'p Pin<'_>) -> Result<Ids<'p>, Error> {
        Ok(match self {
            Self::Objects(objects) => Box::new(objects.ids(pin)?.map(SlotId::to_bits)),
            Self::Strings(strings) => {
                Box::new(strings.symbols(pin)?.map(|symbol| u64::from(symbol.to_bits())))
            }
            Self::Slots(slabs) => {
                let listed = slabs.list(pin)?.into_iter();
                let ids = listed.flat_map(|facts| slabs.ids(pin, facts.slab));
                Box::new(ids.map(SlotId::to_bits))
            }
        })
    }

    fn get<'p>(&self, pin: &'p Pin<'_>, id: u64) -> anyhow::Result<Unit<'p>> {
        let slot = SlotId::from_bits(id);
        Ok(match self {
            Self::Objects(objects) => Unit { id, uses: None, bytes: objects.get(pin, slot)? },
            Self::Slots(slabs) => Unit { id, uses: None, bytes: slabs.get(pin, slot)? },
            Self::Strings(strings) => {
                let symbol = u32::try_from(id).ok().and_then(Symbol::from_bits);
                let symbol = symbol.ok_or_else(|| Usage(format!("{id} is no symbol")))?;
                let bytes = strings.resolve(pin, symbol)?;
                let uses = strings.is_counted().then(|| strings.ref_count(pin, symbol));
                Unit { id, uses: uses.transpose()?, bytes }
            }
        })
    }

    /// The blocks that long objects or strings are in.
    pub(super) fn spilled<'p>(&'p self, pin: &'p Pin<'_>) -> Result<Vec<BlockId>, Error> {
        match self {
            Self::Objects(objects) => Ok(objects.spilled(pin)?.collect()),
            Self::Strings(strings) => Ok(strings.spilled(pin)?.collect()),
            Self::Slots(_) => Ok(Vec::new()),
        }
    }

    /// Whether a root names an object here.
    pub(super) fn contains(&self, pin: &Pin<'_>, id: BlockId) -> bool {
        let id = SlotId::from_bits(id.to_bits());
        match self {
            Self::Objects(objects) => objects.contains(pin, id),
            Self::Slots(slabs) => slabs.contains(pin, id),
            Self::Strings(_) => false,
        }
    }

    fn json(&self, unit: &Unit<'_>, out: &mut Output) -> anyhow::Result<()> {
        let (id, bytes, hex) = (unit.id, unit.bytes.len() as u64, hex(unit.bytes));
        match self {
            Self::Strings(_) => out.json(&Text { symbol: id, bytes, uses: unit.uses, hex }),
            _ => out.json(&Object { id, bytes, hex }),
        }
    }

    fn name(&self) -> &'static str {
        if matches!(self, Self::Strings(_)) { "symbol" } else { "id" }
    }

    fn cell(&self, id: u64) -> Cell {
        if matches!(self, Self::Strings(_)) {
            return id.into();
        }
        Cell::Text(BlockId::from_bits(id).to_string())
    }
}

/// Lists what slabs hold; returns what is damaged.
pub(super) fn dump(
    args: &DumpArgs,
    (store, pin): (&SlabStore, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<Vec<String>> {
    let align = if store.name() == "id" { Align::Left } else { Align::Right };
    let mut columns = vec![(store.name(), align), ("bytes", Align::Right)];
    columns.extend(store.is_counted().then_some(("uses", Align::Right)));
    columns.push(("payload", Align::Left));
    let mut listing = Listing::new(out.format(), columns);
    let mut damaged = Vec::new();
    for id in store.ids(pin)?.take(limit(args)) {
        let unit = match store.get(pin, id) {
            Ok(unit) => unit,
            Err(error) => {
                damaged.push(error.to_string());
                continue;
            }
        };
        if args.raw {
            out.bytes(unit.bytes)?;
        } else if out.format() == Format::Json {
            store.json(&unit, out)?;
        } else {
            let payload = if args.hex { hex(unit.bytes) } else { glance(unit.bytes) };
            let mut row = vec![store.cell(id), (unit.bytes.len() as u64).into()];
            row.extend(unit.uses.map(Cell::from));
            row.push(Cell::Text(payload));
            listing.row(out, row)?;
        }
    }
    if !args.raw {
        listing.end(out)?;
    }
    Ok(damaged)
}

pub(super) fn get(
    args: &BlockArgs,
    (store, pin): (&SlabStore, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<()> {
    let unit = store.get(pin, args.id)?;
    if args.raw {
        return out.bytes(unit.bytes);
    }
    if out.format() == Format::Json {
        return store.json(&unit, out);
    }
    let mut facts = Facts::new();
    facts.add(store.name(), store.cell(unit.id).for_people());
    facts.add("bytes", thousands(unit.bytes.len() as u64));
    if let Some(uses) = unit.uses {
        facts.add("uses", thousands(uses));
    }
    show(&facts, unit.bytes, out)
}

/// Lists the numbers that are not 0; returns what is damaged.
pub(super) fn dump_numbers(
    args: &DumpArgs,
    (numbers, pin): (&Counts, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<Vec<String>> {
    refuse_raw(args.raw || args.hex)?;
    let columns = [("index", Align::Right), ("number", Align::Right)];
    let mut listing = Listing::new(out.format(), columns);
    let mut damaged = Vec::new();
    for index in numbers.indices(pin).take(limit(args)) {
        match numbers.get(pin, index) {
            Ok(number) => listing.row(out, vec![u64::from(index).into(), number.into()])?,
            Err(error) => damaged.push(error.to_string()),
        }
    }
    listing.end(out)?;
    Ok(damaged)
}

pub(super) fn get_number(
    args: &BlockArgs,
    (numbers, pin): (&Counts, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<()> {
    refuse_raw(args.raw)?;
    let index = u32::try_from(args.id).map_err(|_| Usage(format!("{} is no index", args.id)))?;
    let number = numbers.get(pin, index)?;
    if number == 0 {
        let path = numbers.file().path().display();
        return Err(Finding(format!("{path}: the number of index {index} is 0 or not set")).into());
    }
    if out.format() == Format::Json {
        return out.json(&Number { index, number });
    }
    Facts::new()
        .add("index", thousands(u64::from(index)))
        .add("number", thousands(number))
        .show(out)?;
    out.took()
}

fn refuse_raw(raw: bool) -> Result<(), Usage> {
    if raw { Err(Usage("numbers have no bytes to show".to_owned())) } else { Ok(()) }
}
