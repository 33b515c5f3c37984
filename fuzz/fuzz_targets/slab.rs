//! A region file with slabs and numbers that is a sound one with words changed as the fuzzer says.
#![no_main]

mod edited; // what every target does

use std::sync::LazyLock;

use edited::Base;
use libfuzzer_sys::fuzz_target;
use pagestone_heap::{BlockId, SlabShape};

static BASE: LazyLock<Base> = LazyLock::new(|| {
    Base::new(|file| {
        let (slabs, counts) = (file.slabs("slabs").unwrap(), file.counts("counts").unwrap());
        let mut writer = file.writer();
        let mut ids = Vec::new();
        for (object_len, slots) in [(16, 70), (37, 9), (700, 3)] {
            let shape = SlabShape { object_len, slots, generations: slots != 9, mark: 7 };
            let slab = slabs.create(&mut writer, shape).unwrap();
            let bytes = vec![7; object_len as usize];
            for _ in 0..slots.min(12) - 1 {
                ids.push(slabs.add(&mut writer, slab, &bytes).unwrap().unwrap());
            }
        }
        writer.commit().unwrap();
        for id in ids.iter().step_by(4) {
            slabs.remove(&mut writer, *id).unwrap();
        }
        counts.set(&mut writer, 5, 3).unwrap();
        writer.commit().unwrap();
        counts.set(&mut writer, 4092, 4).unwrap();
        slabs.remove(&mut writer, ids[5]).unwrap();
        ids.iter().map(|id| BlockId::from_bits(id.to_bits())).collect()
    })
});

fuzz_target!(|edits: &[u8]| BASE.ask(edits));
