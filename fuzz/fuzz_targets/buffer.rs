//! A region file with a log that is a sound one with words changed as the fuzzer says.
#![no_main]

mod edited; // what every target does

use std::sync::LazyLock;

use edited::Base;
use libfuzzer_sys::fuzz_target;
use pagestone_heap::BlockId;

static BASE: LazyLock<Base> = LazyLock::new(|| {
    Base::new(|file| {
        let log = file.log("log").unwrap();
        let mut writer = file.writer();
        let ids: Vec<BlockId> =
            (0..20).map(|at| log.add(&mut writer, &[7; 400][..20 * at]).unwrap()).collect();
        writer.commit().unwrap();
        log.remove(&mut writer, ids[3]).unwrap();
        log.update(&mut writer, ids[5], &[8; 50]).unwrap();
        let number = log.segments(&mut writer).unwrap()[0].number;
        log.evacuate(&mut writer, (number, 0), |moved| 600 <= moved).unwrap();
        writer.commit().unwrap();
        log.update(&mut writer, ids[9], &[9; 70]).unwrap();
        ids
    })
});

fuzz_target!(|edits: &[u8]| BASE.ask(edits));
