//! Owns the roots after the objects.

use std::io;

use super::{
    catalog::Catalog,
    objects::ObjectStream,
    preamble::{FRAMES, THREADS},
    random::mix,
    sink::Sink,
};

/// `ROOT_JNI_GLOBAL` records.
const JNI_GLOBALS: u64 = 64;

/// Bytes of the roots, of a segment's head and of the end record.
pub(super) fn trailer_len(catalog: &Catalog) -> u64 {
    let threads = u64::from(THREADS * (2 + FRAMES));
    17 * (threads + JNI_GLOBALS) + 9 * catalog.classes().len() as u64 + 18
}

/// Writes the roots in the order of `HotSpot` and answers how many.
pub(super) fn write(stream: &ObjectStream<'_>, sink: &mut Sink<'_>) -> io::Result<u64> {
    let mut count = 0;
    for thread in 1..=THREADS {
        let thread_roots = [(0x08, thread + 1), (0x02, u32::MAX)].into_iter();
        let frames = (0..FRAMES).map(|frame| (0x03, frame));
        for (tag, second) in thread_roots.chain(frames) {
            // The thread object comes back as the local of its last frame.
            let key = if second == FRAMES - 1 { 0 } else { u64::from(second) };
            let key = if tag == 0x08 { 0 } else { key };
            let out = sink.subrecord(tag, 17)?;
            out.u8(stream.existing_object(mix(u64::from(thread) << 32 | key)));
            out.u4(thread);
            out.u4(second);
            count += 1;
        }
    }
    for number in 0..JNI_GLOBALS {
        let out = sink.subrecord(0x01, 17)?;
        out.u8(stream.existing_object(mix(!number)));
        out.u8(0x7f0f_0000_0000 + 8 * number);
        count += 1;
    }
    for class in stream.class_ids() {
        sink.subrecord(0x05, 9)?.u8(class);
        count += 1;
    }
    Ok(count)
}
