//! The class tables: names resolved, totals, and the classes in order of id and of name.

use std::collections::HashMap;

use super::{batch::Batch, class_table::ClassEntry, staging::Staging, symbols::Symbols};
use crate::{
    error::{Error, ErrorKind, Result},
    format::Primitive,
    layout::{ClassOrderRecord, ClassRecord, origin},
    manifest::file,
    name,
    summary::TableFacts,
};

/// The class tables, and what all classes come to.
pub(super) struct Written {
    pub(super) facts: [TableFacts; 3],
    /// Bytes of all instances.
    pub(super) payload_len: u64,
    pub(super) dumped: u64,
    pub(super) loaded: u64,
}

/// Writes and syncs the class tables.
pub(super) fn write(
    entries: &[ClassEntry],
    symbols: &Symbols,
    staging: &Staging,
) -> Result<Written> {
    let names = Names::resolve(entries, symbols)?;
    let by_name = names.order(entries);
    let mut by_id = by_name.clone();
    // Stable, so classes with one id, the primitive arrays, stay in the order of their names.
    by_id.sort_by_key(|&ordinal| entries[ordinal as usize].id);
    let mut name_ranks = vec![0; entries.len()];
    for (rank, &ordinal) in (0_u32..).zip(&by_name) {
        name_ranks[ordinal as usize] = rank;
    }

    let mut records = Batch::create(&staging.file(file::CLASSES))?;
    for (entry, (name, rank)) in entries.iter().zip(names.of_class.iter().zip(name_ranks)) {
        records.push(record(entry, names.texts[*name as usize].place, rank))?;
    }
    let mut orders = Batch::create(&staging.file(file::CLASS_ORDERS))?;
    for (by_id, by_name) in by_id.into_iter().zip(by_name) {
        orders.push(ClassOrderRecord { by_id: by_id.into(), by_name: by_name.into() })?;
    }
    let mut texts = Batch::create(&staging.file(file::CLASS_NAMES))?;
    for text in &names.texts {
        // Up to three times as long as a symbol, so still less than a batch.
        texts.extend(text.name.as_bytes())?;
    }
    let has = |bit| entries.iter().filter(|entry| entry.origin & bit != 0).count() as u64;
    Ok(Written {
        facts: [records.close()?, orders.close()?, texts.close()?],
        payload_len: entries.iter().map(|entry| entry.payload_len).sum(),
        dumped: has(origin::DUMPED),
        loaded: has(origin::LOADED),
    })
}

fn record(entry: &ClassEntry, (name_offset, name_len): (u64, u32), rank: u32) -> ClassRecord {
    ClassRecord {
        id: entry.id.into(),
        super_id: entry.super_id.into(),
        loader_id: entry.loader_id.into(),
        dump_offset: entry.dump_offset.into(),
        instance_count: entry.instance_count.into(),
        payload_len: entry.payload_len.into(),
        name_offset: name_offset.into(),
        name_len: name_len.into(),
        name_rank: rank.into(),
        instance_size: entry.instance_size.into(),
        origin: entry.origin.into(),
    }
}

/// The names of all classes, each once: classes that share a symbol share its text, so that the
/// texts are not longer than the dump says them.
struct Names {
    texts: Vec<Text>,
    /// The index of each class's text, by class ordinal.
    of_class: Vec<u32>,
    end: u64,
}

struct Text {
    name: String,
    /// Offset and length in the file of names.
    place: (u64, u32),
}

impl Names {
    fn resolve(entries: &[ClassEntry], symbols: &Symbols) -> Result<Self> {
        let mut names = Self { texts: Vec::new(), of_class: Vec::new(), end: 0 };
        let mut known: HashMap<u64, u32> = HashMap::new();
        for (ordinal, entry) in entries.iter().enumerate() {
            let index = if let Some(primitive) = Primitive::ALL.get(ordinal) {
                names.add(format!("{}[]", primitive.name()))?
            } else if entry.origin & origin::LOADED == 0 {
                names.add(unnamed(entry.id))?
            } else if let Some(&index) = known.get(&entry.name_id) {
                index
            } else if let Some(text) = symbols.text(entry.name_id)? {
                let index = names.add(name::class_name(&text))?;
                known.insert(entry.name_id, index);
                index
            } else {
                names.add(unnamed(entry.id))?
            };
            names.of_class.push(index);
        }
        Ok(names)
    }

    fn add(&mut self, name: String) -> Result<u32> {
        let index = u32::try_from(self.texts.len());
        let (Ok(index), Ok(len)) = (index, u32::try_from(name.len())) else {
            let path = std::path::Path::new(file::CLASS_NAMES);
            return Err(Error::refused(ErrorKind::Unsupported, path, "too many names"));
        };
        self.texts.push(Text { name, place: (self.end, len) });
        self.end += u64::from(len);
        Ok(index)
    }

    /// The ordinals of the classes by name, those of one name by id.
    fn order(&self, entries: &[ClassEntry]) -> Vec<u32> {
        // The texts are ranked first: many classes may share one long name.
        let mut sorted: Vec<usize> = (0..self.texts.len()).collect();
        sorted.sort_by(|&left, &right| self.texts[left].name.cmp(&self.texts[right].name));
        let mut ranks = vec![0_u32; self.texts.len()];
        let (mut rank, mut last) = (0, None::<&str>);
        for index in sorted {
            let name = self.texts[index].name.as_str();
            rank += u32::from(last.is_some_and(|last| last != name));
            ranks[index] = rank;
            last = Some(name);
        }
        let mut by_name: Vec<u32> = (0..).take(entries.len()).collect();
        by_name.sort_by_key(|&ordinal| {
            let ordinal = ordinal as usize;
            (ranks[self.of_class[ordinal] as usize], entries[ordinal].id)
        });
        by_name
    }
}

/// What a class is called whose name is not in the dump.
fn unnamed(id: u64) -> String {
    format!("<class {id:#x}>")
}
