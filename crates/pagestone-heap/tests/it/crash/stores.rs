//! Heaps of one file crashed at every boundary of changes to both: the same commit in each.

use std::io::Write;

use pagestone_heap::{BlockId, BlockWriter, Error, RegionFile, Result};
use pagestone_storage::seam::{Event, Machine, mark, set_machine};
use pagestone_testkit::{
    images::{Device, Mix},
    random::Random,
};

use super::{
    check::{Kind, Tally},
    place::Place,
    session::Manner,
};

const NAMES: [&str; 3] = ["posts", "tags", "long ones"];
const LENS: [usize; 3] = [40, 3000, 270_000];

/// Replaces the block of each heap by one of this round, and the root.
fn change(file: &RegionFile, ids: &[BlockId], round: u8) -> Result<()> {
    let heaps = NAMES.map(|name| file.heap(name));
    let mut writer = file.writer();
    for ((heap, id), len) in heaps.into_iter().zip(ids).zip(LENS) {
        let content = vec![round; len];
        let write = |out: &mut BlockWriter<'_, '_>| out.write_all(&content);
        heap?
            .put_by(&mut writer, *id, write)
            .map_err(|error| error.downcast::<Error>().unwrap())?;
    }
    writer.set_root("round", BlockId::from_bits(round.into()))
}

/// The round that all heaps show.
fn round_of(file: &RegionFile, ids: &[BlockId]) -> std::result::Result<u8, String> {
    let text = |error: Error| error.to_string();
    let root = file.root("round").map(BlockId::to_bits).ok_or("no root")?;
    let round = u8::try_from(root).map_err(|_| "another root")?;
    for ((name, id), len) in NAMES.into_iter().zip(ids).zip(LENS) {
        let heap = file.heap(name).map_err(text)?;
        let pin = file.pin();
        let bytes = heap.get(&pin, *id).map_err(text)?;
        if bytes.len() != len || bytes.iter().any(|byte| *byte != round) {
            return Err(format!("{name} is not of round {round}"));
        }
    }
    Ok(round)
}

pub(crate) fn run(seed: u64, tally: &mut Tally) {
    tally.runs += 1;
    let mut random = Random::new(seed);
    let machine = Machine { boot: [5, seed + 1], mount: 5 };
    set_machine(Some(machine));
    let mut place = Place::new();
    let (at, options) = (place.at(), Manner::PLAIN.options());
    let file = options.create(at.clone()).unwrap();
    let ids = NAMES.map(|name| {
        let heap = file.heap(name).unwrap();
        heap.allocate_from(&mut file.writer(), b"").unwrap()
    });
    change(&file, &ids, 0).unwrap();
    file.close().unwrap();
    place.look();
    let mut device = Device::of(place.bytes().to_vec());
    let (ran, trace) = place.watched(|| {
        let file = options.open(at.clone()).map_err(|error| error.to_string())?;
        for round in 1..4 {
            change(&file, &ids, round).map_err(|error| error.to_string())?;
            file.commit().map_err(|error| error.to_string())?;
            mark(round.into());
        }
        Ok(())
    });
    ran.unwrap();
    let mut committed = 0;
    for (nth, event) in trace.events.iter().enumerate() {
        device.apply(event);
        if let Event::Mark(round) = event {
            committed = *round;
        }
        // Every boundary of a commit, some of the writes before it.
        let late = trace.events[nth..].iter().take(12).any(|event| *event == Event::Synced);
        if matches!(event, Event::Call(_) | Event::Mapped(_)) || !late && nth % 7 != 0 {
            continue;
        }
        tally.points += 1;
        let mix = random.pick(&Mix::ALL).unwrap_or(Mix::Any);
        tally.images += 1;
        place.install(&device.survivors(mix, &mut random));
        set_machine(Some(Kind::PowerLoss.machine(machine)));
        let (found, _) = place.watched(|| {
            let file = options.open(at.clone()).map_err(|error| error.to_string())?;
            round_of(&file, &ids)
        });
        // The one whose commit has returned, or the next, of which the commit was under way.
        let right = found.as_ref().is_ok_and(|found| {
            u64::from(*found) == committed || u64::from(*found) == committed + 1
        });
        if !right {
            tally.violations.push(format!("event {nth}, round {committed}: {found:?}"));
            return;
        }
    }
}
