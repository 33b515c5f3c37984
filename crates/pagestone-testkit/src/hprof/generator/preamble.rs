//! Owns what comes before the heap: symbols, loaded classes, stack traces.

use std::io::{self, Write as _};

use super::{
    GeneratorOptions,
    addresses::Addresses,
    catalog::{Catalog, FIELD_NAMES, known},
    random::mix,
    sink::Sink,
};

/// Threads with a stack.
pub(super) const THREADS: u32 = 16;

/// Frames of each.
pub(super) const FRAMES: u32 = 8;

/// Where symbols begin; they lie apart from the objects.
const SYMBOLS_START: u64 = 0x7f0e_0000_0000;

/// Steps through the symbols in file order, which is not the order of their ids. A prime.
const SYMBOL_STEP: u64 = 7919;

/// How many symbols and classes a dump of the given length has.
#[derive(Debug)]
pub(super) struct Preamble {
    pub(super) symbol_count: u64,
    pub(super) class_count: u64,
}

/// The id of a symbol: first the field names, then the class names, then the others.
fn symbol(index: u64) -> u64 {
    SYMBOLS_START + index * 48 + mix(index) % 5 * 8
}

/// The id of a field name.
pub(super) fn field_symbol(field: usize) -> u64 {
    symbol(field as u64)
}

fn class_symbol(class: usize) -> u64 {
    symbol((FIELD_NAMES.len() + class) as u64)
}

impl Preamble {
    pub(super) fn new(options: &GeneratorOptions) -> Self {
        let class_count =
            (options.target_len / 20_000).clamp(2 * known::FIRST_MADE_UP as u64, 2000);
        let mut symbol_count = (options.target_len / 200).clamp(class_count + 100, 50_000);
        if symbol_count.is_multiple_of(SYMBOL_STEP) {
            symbol_count += 1;
        }
        Self { symbol_count, class_count }
    }

    pub(super) fn write(
        &self,
        catalog: &Catalog,
        addresses: &Addresses,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        self.symbols(catalog, sink)?;
        load_classes(catalog, addresses, sink)?;
        stacks(self.symbol_count, sink)
    }

    fn symbols(&self, catalog: &Catalog, sink: &mut Sink<'_>) -> io::Result<()> {
        let classes = catalog.classes();
        let mut text = Vec::new();
        for step in 0..self.symbol_count {
            let number = step * SYMBOL_STEP % self.symbol_count;
            text.clear();
            #[expect(clippy::cast_possible_truncation, reason = "at most 50,000")]
            let index = number as usize;
            if let Some(name) = FIELD_NAMES.get(index) {
                text.extend_from_slice(name.as_bytes());
            } else if let Some(class) = classes.get(index - FIELD_NAMES.len()) {
                text.extend_from_slice(class.name.as_bytes());
            } else {
                other_text(number, &mut text)?;
            }
            let out = sink.record(0x01, 8 + text.len())?;
            out.u8(symbol(number));
            out.bytes(&text);
        }
        Ok(())
    }
}

/// A method, signature or message of 8 to 60 bytes.
fn other_text(number: u64, text: &mut Vec<u8>) -> io::Result<()> {
    match mix(number) % 4 {
        0 => write!(text, "lambda$apply${number}"),
        1 => write!(text, "(Ljava/lang/String;I[BLcom/example/app/Type{number};)V"),
        2 => write!(text, "get{number}"),
        _ => write!(text, "Ljava/util/function/Function<-TT;+TR{number};>;"),
    }
}

fn load_classes(catalog: &Catalog, addresses: &Addresses, sink: &mut Sink<'_>) -> io::Result<()> {
    let classes = || catalog.classes().iter().enumerate();
    let all = classes().chain(classes().filter(|(_, class)| class.is_array()));
    for (serial, (index, _)) in (1..).zip(all) {
        let out = sink.record(0x02, 24)?;
        out.u4(serial);
        out.u8(addresses.class(index));
        out.u4(1);
        out.u8(class_symbol(index));
    }
    Ok(())
}

fn stacks(symbol_count: u64, sink: &mut Sink<'_>) -> io::Result<()> {
    trace(sink, 0, 0)?;
    for thread in 1..=THREADS {
        for frame in 0..FRAMES {
            let id = thread * FRAMES + frame;
            let name = mix(u64::from(id)) % symbol_count;
            let out = sink.record(0x04, 40)?;
            out.u8(u64::from(id));
            out.u8(symbol(name));
            out.u8(symbol((name + 1) % symbol_count));
            out.u8(0);
            out.u4(1 + id % 20);
            out.u4(id * 3);
        }
        trace(sink, thread, FRAMES)?;
    }
    Ok(())
}

/// The trace of a thread; its serial is the thread's plus 1.
fn trace(sink: &mut Sink<'_>, thread: u32, frames: u32) -> io::Result<()> {
    let out = sink.record(0x05, 12 + 8 * frames as usize)?;
    out.u4(thread + 1);
    out.u4(thread);
    out.u4(frames);
    (0..frames).for_each(|frame| out.u8(u64::from(thread * FRAMES + frame)));
    Ok(())
}
