//! The same for slabs and numbers: flips of every byte that is used, headers and bitmaps that lie.

use std::{collections::BTreeMap, time::Instant};

use pagestone_heap::{BlockId, RegionFile, SlabShape, SlotId};

use super::{
    Bench,
    driver::{Outcome, WAYS},
    flips::Flips,
    forge::{Image, Region},
    written,
};
use crate::support::{Dice, Scene, budget, marked, seed};

const SLAB: u8 = 6;
/// Classes of words in slot tables.
const NUMBER: u8 = 251;
const SLAB_WORD: u8 = 252;
/// Bytes before the header of a slab, and of it.
const HEADER: usize = 64;
const INDICES: [u32; 4] = [0, 3, 4092, 5000];

/// All objects, and the numbers.
type Held = (BTreeMap<SlotId, Vec<u8>>, Vec<u64>);

fn held(file: &RegionFile) -> pagestone_heap::Result<Held> {
    let (slabs, counts, pin) = (file.slabs("slabs")?, file.counts("counts")?, file.pin());
    let mut objects = BTreeMap::new();
    for facts in slabs.list(&pin)? {
        for id in slabs.ids(&pin, facts.slab) {
            objects.insert(id, slabs.get(&pin, id)?.to_vec());
        }
    }
    let numbers = INDICES.iter().map(|index| counts.get(&pin, *index));
    Ok((objects, numbers.collect::<Result<_, _>>()?))
}

/// A file with slabs of several shapes, emptied slots and numbers; closed or not.
fn slabs(closed: bool) -> (Image, Held) {
    let scene = Scene::fast();
    let file = scene.create();
    let (slabs, counts) = (file.slabs("slabs").unwrap(), file.counts("counts").unwrap());
    let mut writer = file.writer();
    let shape = |object_len, slots, generations| SlabShape {
        object_len,
        slots,
        generations,
        mark: u64::from(object_len),
    };
    let shapes =
        [shape(16, 70, true), shape(37, 9, true), shape(8, 20, false), shape(700, 3, true)];
    let made = shapes.map(|shape| slabs.create(&mut writer, shape).unwrap());
    let mut ids = Vec::new();
    for (slab, shape) in made.into_iter().zip(shapes) {
        for nth in 0..shape.slots.min(12) - 1 {
            let bytes = marked(nth.into(), shape.object_len as usize);
            ids.push(slabs.add(&mut writer, slab, &bytes).unwrap().unwrap());
        }
    }
    for (number, index) in (1..).zip(INDICES) {
        counts.set(&mut writer, index, number).unwrap();
    }
    writer.commit().unwrap();
    for id in ids.iter().step_by(4) {
        slabs.remove(&mut writer, *id).unwrap();
    }
    writer.commit().unwrap();
    slabs.add(&mut writer, made[0], &marked(9, 16)).unwrap();
    slabs.remove(&mut writer, ids[5]).unwrap();
    counts.set(&mut writer, 3, 99).unwrap();
    drop(writer);
    let shown = held(&file).unwrap();
    drop((slabs, counts));
    if closed {
        file.close().unwrap();
    } else {
        drop(file);
    }
    (Image { bytes: std::fs::read(scene.path("file.pgs")).unwrap() }, shown)
}

fn regions(image: &Image) -> Vec<Region> {
    image.regions().into_iter().filter(|region| region.kind == SLAB).collect()
}

/// What has no checksum: bitmaps, generations, objects, and the words that name slabs and numbers.
fn is_bare(image: &Image, at: usize) -> bool {
    let inside =
        |region: &Region| (region.start + 2 * HEADER..region.start + region.len).contains(&at);
    let words = |(pair, word): &(usize, u64)| {
        [NUMBER, SLAB_WORD].contains(&word.to_le_bytes()[5]) && (*pair..pair + 16).contains(&at)
    };
    regions(image).iter().any(inside) || image.slots().iter().any(words)
}

/// Each byte that is used with a bit flipped: an open that trusts nothing and a check after it
/// find it, or all is right, or the byte is one that has no checksum.
#[test]
fn flips_are_seen_where_there_are_checksums() {
    let (image, expected) = slabs(true);
    let is_bare = &|at: usize| is_bare(&image, at);
    let (image, expected) = (&image, &expected);
    Flips { what: "slabs", image, expected, show: held, is_bare }.check(2.0);
}

#[test]
fn flipped_or_forged_slabs_never_panic() {
    for closed in [true, false] {
        let (image, (objects, _)) = slabs(closed);
        let known = objects.keys().map(|id| BlockId::from_bits(id.to_bits())).collect();
        let mut bench = Bench::new(known);
        for outcome in bench.check_all("sound slabs", &image.bytes) {
            assert!(matches!(outcome, Outcome::Opened(20.., true)), "{outcome:?}");
        }
        let places = written(&image);
        let mut dice = Dice::new(seed());
        let (start, budget) = (Instant::now(), budget(2.0) / 2);
        while start.elapsed() < budget {
            let mut forged = image.clone();
            let mut what = format!("slabs, closed {closed}");
            for _ in 0..=dice.below(3) {
                what.push_str(&change(&mut forged, (&places, &mut dice)));
            }
            bench.check(&what, &forged.bytes, WAYS[dice.nth(WAYS.len())]);
        }
        bench.say("slabs");
    }
}

/// One change: a bit, a number of a header with a right checksum, a bitmap, a generation, a word
/// that names another place.
fn change(image: &mut Image, (places, dice): (&[usize], &mut Dice)) -> String {
    let regions = regions(image);
    let slots: Vec<(usize, u64)> = image
        .slots()
        .into_iter()
        .filter(|(_, word)| [NUMBER, SLAB_WORD].contains(&word.to_le_bytes()[5]))
        .collect();
    let (false, false) = (regions.is_empty(), slots.is_empty()) else { return String::new() };
    let (region, slot) = (regions[dice.nth(regions.len())], slots[dice.nth(slots.len())]);
    let header = region.start + HEADER;
    if image.bytes.len() < header + 512 {
        return String::new();
    }
    match dice.below(6) {
        0 => {
            let place = places[dice.nth(places.len())];
            image.bytes[place] ^= 1 << dice.below(8);
            format!(", byte {place:#x}")
        }
        1 | 2 => {
            let field = [0, 8, 12, 16, 20, 32][dice.nth(6)];
            let value = [0, 1, 2, 65_000, 1 << 20, (1 << 20) + 1, u32::MAX][dice.nth(7)];
            image.set(header + field, &value.to_le_bytes());
            if dice.below(4) != 0 {
                image.sum_region(header);
            }
            format!(", {value} at {field} of the slab at {header:#x}")
        }
        3 => {
            // Both bitmaps and, in small slabs, generations lie here.
            let at = header + HEADER + 8 * dice.nth(30);
            let word = [0, u64::MAX, 1 << 63, dice.word()][dice.nth(4)];
            image.set_word(at, word);
            format!(", {word:#x} at {at:#x}")
        }
        4 => {
            let to = [0, region.start, header, header + 64, region.start + region.len];
            let to = to[dice.nth(5)] / 16;
            let (at, word) = image.newest(slot.0);
            image.set_word(at, word & !0xff_ffff_ffff | to as u64);
            format!(", slot {:#x} names {to:#x}", slot.0)
        }
        _ => {
            let (at, word) = image.newest(slot.0);
            let class = [NUMBER, SLAB_WORD, 253, 254, 255, 0][dice.nth(6)];
            image.set_word(at, word & !(0xff << 40) | u64::from(class) << 40);
            format!(", class {class} at {at:#x}")
        }
    }
}
