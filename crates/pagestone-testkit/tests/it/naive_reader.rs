//! A slow reader of dumps that shares no code with the writer.

use std::collections::BTreeMap;

/// An object or class as found in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: u64,
    /// The type byte of its sub-record.
    pub(crate) tag: u8,
    pub(crate) class_id: u64,
    pub(crate) element_type: u8,
    pub(crate) payload_len: u64,
    pub(crate) value_offset: u64,
    /// Ids among its field values or elements; fields are known when the class came before.
    pub(crate) references: Vec<u64>,
}

/// Everything found in a file.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) version: String,
    pub(crate) id_size: usize,
    pub(crate) timestamp_ms: u64,
    /// Tag, start, end.
    pub(crate) records: Vec<(u8, u64, u64)>,
    pub(crate) subrecords: Vec<(u8, u64, u64)>,
    pub(crate) objects: Vec<Found>,
    /// Type byte and object.
    pub(crate) roots: Vec<(u8, u64)>,
    pub(crate) texts: BTreeMap<u64, Vec<u8>>,
    /// Name ids by class, and how many records.
    pub(crate) loaded: BTreeMap<u64, u64>,
    pub(crate) loaded_count: u64,
    /// Superclass and own field types by class.
    pub(crate) classes: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Where and why reading of a segment or of the file stopped.
    pub(crate) problems: Vec<(u64, String)>,
}

type Step<T> = Result<T, Box<(u64, String)>>;

fn problem<T>(at: usize, text: &str) -> Step<T> {
    Err(Box::new((at as u64, text.to_owned())))
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    id_size: usize,
}

impl Walk<'_> {
    fn number(&mut self, size: usize) -> Step<u64> {
        if self.end < self.at + size {
            return problem(self.at, "cut off");
        }
        let mut number = 0;
        for &byte in &self.bytes[self.at..self.at + size] {
            number = number << 8 | u64::from(byte);
        }
        self.at += size;
        Ok(number)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(u8::try_from(self.number(1)?).unwrap())
    }

    fn id(&mut self) -> Step<u64> {
        self.number(self.id_size)
    }

    fn count(&mut self, size: usize) -> Step<usize> {
        Ok(usize::try_from(self.number(size)?).unwrap())
    }

    fn skip(&mut self, len: usize) -> Step<()> {
        if self.end < self.at + len {
            return problem(self.at, "cut off");
        }
        self.at += len;
        Ok(())
    }

    fn type_size(&self, code: u8) -> Step<usize> {
        Ok(match code {
            2 => self.id_size,
            4 | 8 => 1,
            5 | 9 => 2,
            6 | 10 => 4,
            7 | 11 => 8,
            _ => return problem(self.at, &format!("type {code}")),
        })
    }
}

/// Reads a whole file; faults end up among the problems.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let zero = bytes.iter().position(|&byte| byte == 0).unwrap();
    reading.version = String::from_utf8(bytes[..zero].to_vec()).unwrap();
    let mut walk = Walk { bytes, at: zero + 1, end: bytes.len(), id_size: 0 };
    walk.id_size = walk.count(4).unwrap();
    reading.id_size = walk.id_size;
    reading.timestamp_ms = walk.number(8).unwrap();
    while walk.at < bytes.len() {
        if let Err(problem) = reading.record(&mut walk) {
            reading.problems.push(*problem);
            break;
        }
    }
    reading
}

impl Reading {
    fn record(&mut self, walk: &mut Walk<'_>) -> Step<()> {
        let start = walk.at;
        let tag = walk.byte()?;
        walk.skip(4)?;
        let stated = walk.at + 4 + walk.count(4)?;
        let end = stated.min(walk.bytes.len());
        self.records.push((tag, start as u64, end as u64));
        let mut body = Walk { bytes: walk.bytes, at: walk.at, end, id_size: walk.id_size };
        match tag {
            0x01 => {
                let id = body.id()?;
                self.texts.insert(id, body.bytes[body.at..end].to_vec());
            }
            0x02 => {
                body.skip(4)?;
                let class = body.id()?;
                body.skip(4)?;
                self.loaded.insert(class, body.id()?);
                self.loaded_count += 1;
                assert_eq!(body.at, end);
            }
            0x0c | 0x1c => {
                while body.at < end {
                    if let Err(problem) = self.subrecord(&mut body) {
                        self.problems.push(*problem);
                        break;
                    }
                }
            }
            _ => {}
        }
        walk.at = end;
        if end < stated { problem(end, "file ends") } else { Ok(()) }
    }

    fn subrecord(&mut self, walk: &mut Walk<'_>) -> Step<()> {
        let start = walk.at;
        let tag = walk.byte()?;
        match tag {
            0x20 => self.class(walk)?,
            0x21 => self.instance(walk)?,
            0x22 => {
                let id = walk.id()?;
                walk.skip(4)?;
                let count = walk.count(4)?;
                let class_id = walk.id()?;
                let value_offset = walk.at as u64;
                let references = (0..count).map(|_| walk.id()).collect::<Step<Vec<_>>>()?;
                let payload_len = walk.at as u64 - value_offset;
                let rest = Found { id, tag, class_id, ..Found::default() };
                self.objects.push(Found { payload_len, value_offset, references, ..rest });
            }
            0x23 | 0xc3 => {
                let id = walk.id()?;
                walk.skip(4)?;
                let count = walk.count(4)?;
                let code = walk.byte()?;
                let size = walk.type_size(code)?;
                let value_offset = walk.at as u64;
                walk.skip(if tag == 0x23 { count * size } else { 0 })?;
                let payload_len = walk.at as u64 - value_offset;
                let rest = Found { id, tag, element_type: code, ..Found::default() };
                self.objects.push(Found { payload_len, value_offset, ..rest });
            }
            0xfe => walk.skip(4 + walk.id_size)?,
            _ => {
                let rest = match tag {
                    0xff | 0x05 | 0x07 | 0x89..=0x8d | 0x90 => 0,
                    0x01 => walk.id_size,
                    0x02 | 0x03 | 0x08 | 0x8e => 8,
                    0x04 | 0x06 => 4,
                    _ => return problem(start, &format!("sub-record {tag:#x}")),
                };
                let object = walk.id()?;
                walk.skip(rest)?;
                self.roots.push((tag, object));
            }
        }
        self.subrecords.push((tag, start as u64, walk.at as u64));
        Ok(())
    }

    fn class(&mut self, walk: &mut Walk<'_>) -> Step<()> {
        let value_offset = walk.at as u64;
        let id = walk.id()?;
        walk.skip(4)?;
        let super_id = walk.id()?;
        walk.skip(5 * walk.id_size + 4)?;
        for _ in 0..walk.count(2)? {
            walk.skip(2)?;
            let code = walk.byte()?;
            walk.skip(walk.type_size(code)?)?;
        }
        let (mut payload_len, mut references) = (0, Vec::new());
        for _ in 0..walk.count(2)? {
            walk.skip(walk.id_size)?;
            let code = walk.byte()?;
            let size = walk.type_size(code)?;
            payload_len += size as u64;
            match code {
                2 => references.push(walk.id()?),
                _ => walk.skip(size)?,
            }
        }
        let mut own = Vec::new();
        for _ in 0..walk.count(2)? {
            walk.skip(walk.id_size)?;
            let code = walk.byte()?;
            walk.type_size(code)?;
            own.push(code);
        }
        self.classes.insert(id, (super_id, own));
        let rest = Found { id, tag: 0x20, ..Found::default() };
        self.objects.push(Found { payload_len, value_offset, references, ..rest });
        Ok(())
    }

    fn instance(&mut self, walk: &mut Walk<'_>) -> Step<()> {
        let id = walk.id()?;
        walk.skip(4)?;
        let class_id = walk.id()?;
        let len = walk.count(4)?;
        let value_offset = walk.at as u64;
        walk.skip(len)?;
        let mut fields = Walk { end: walk.at, at: walk.at - len, ..*walk };
        let mut references = Vec::new();
        let mut class = class_id;
        // As many steps as classes, so that a cycle ends.
        for _ in 0..=self.classes.len() {
            let Some((super_id, types)) = self.classes.get(&class) else { break };
            for &code in types {
                match code {
                    2 => references.extend(fields.id().ok()),
                    _ => drop(fields.skip(fields.type_size(code)?)),
                }
            }
            class = *super_id;
        }
        let rest = Found { id, tag: 0x21, class_id, ..Found::default() };
        let payload_len = len as u64;
        self.objects.push(Found { payload_len, value_offset, references, ..rest });
        Ok(())
    }

    /// Whether every instance is as long as the fields of its class and superclasses together.
    pub(crate) fn payloads_fit(&self) -> bool {
        let walk = Walk { bytes: &[], at: 0, end: 0, id_size: self.id_size };
        self.objects.iter().filter(|object| object.tag == 0x21).all(|object| {
            let (mut class, mut sum) = (object.class_id, 0);
            while let Some((super_id, types)) = self.classes.get(&class) {
                sum += types.iter().map(|&code| walk.type_size(code).unwrap() as u64).sum::<u64>();
                class = *super_id;
            }
            class == 0 && sum == object.payload_len
        })
    }
}
