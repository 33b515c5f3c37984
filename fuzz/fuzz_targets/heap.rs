//! A region file with blocks that is a sound one with words changed as the fuzzer says.
#![no_main]

mod edited; // what every target does

use std::sync::LazyLock;

use edited::Base;
use libfuzzer_sys::fuzz_target;
use pagestone_heap::BlockId;

static BASE: LazyLock<Base> = LazyLock::new(|| {
    Base::new(|file| {
        let heap = file.heap("blocks").unwrap();
        let ids: Vec<BlockId> = (0..20)
            .map(|at| heap.allocate_from(&mut file.writer(), &[7; 400][..20 * at]).unwrap())
            .collect();
        file.writer().set_root("first", ids[0]).unwrap();
        file.commit().unwrap();
        heap.free(&mut file.writer(), ids[3]).unwrap();
        ids
    })
});

fuzz_target!(|edits: &[u8]| BASE.ask(edits));
