//! Owns the classes of a generated dump and the layout of their instances.

use super::{
    super::{BasicType, IdSize},
    random::Random,
};

/// Indices of the classes every dump has, in the order of [`Catalog::classes`].
pub(super) mod known {
    pub(in super::super) const OBJECT: usize = 0;
    pub(in super::super) const STRING: usize = 2;
    pub(in super::super) const LONG: usize = 4;
    pub(in super::super) const INTEGER: usize = 5;
    pub(in super::super) const HASH_MAP: usize = 7;
    pub(in super::super) const HASH_NODE: usize = 8;
    pub(in super::super) const CONCURRENT_NODE: usize = 9;
    pub(in super::super) const ARRAY_LIST: usize = 10;
    pub(in super::super) const OBJECT_ARRAY: usize = 11;
    pub(in super::super) const NODE_ARRAY: usize = 12;
    /// `[Z`, the first of the eight primitive arrays in the order of the type codes.
    pub(in super::super) const BOOLEAN_ARRAY: usize = 13;
    /// The first of the classes made up by seed.
    pub(in super::super) const FIRST_MADE_UP: usize = BOOLEAN_ARRAY + 8;
}

/// Names of fields; a field is an index into them. `String` needs the first four.
pub(super) const FIELD_NAMES: [&str; 32] = [
    "value",
    "coder",
    "hash",
    "hashIsZero",
    "key",
    "val",
    "next",
    "keySet",
    "values",
    "table",
    "entrySet",
    "size",
    "modCount",
    "threshold",
    "loadFactor",
    "elementData",
    "name",
    "id",
    "parent",
    "children",
    "state",
    "owner",
    "left",
    "right",
    "first",
    "last",
    "flags",
    "timestamp",
    "index",
    "length",
    "lock",
    "target",
];

/// One class.
#[derive(Debug)]
pub(super) struct Class {
    /// As stored, with slashes.
    pub(super) name: String,
    pub(super) super_index: Option<usize>,
    /// Index into the field names, and type.
    pub(super) fields: Vec<(usize, BasicType)>,
    pub(super) statics: Vec<(usize, BasicType)>,
    /// Types of all field values of an instance in stored order.
    pub(super) layout: Vec<BasicType>,
    /// The sum of their sizes.
    pub(super) payload_len: usize,
    depth: u64,
}

/// All classes of a dump; a superclass comes before its subclasses.
#[derive(Debug)]
pub(super) struct Catalog {
    classes: Vec<Class>,
}

impl Catalog {
    /// The known classes and made-up ones up to `class_count`.
    pub(super) fn new(class_count: u64, seed: u64) -> Self {
        let mut catalog = Self { classes: Vec::new() };
        catalog.add_known();
        let mut random = Random::new(seed ^ 0xc1a5);
        for number in catalog.classes.len() as u64..class_count {
            catalog.add_made_up(number, &mut random);
        }
        catalog
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Array classes are announced twice, as `HotSpot` 17 does.
    pub(super) fn load_class_count(&self) -> u64 {
        let arrays = self.classes.iter().filter(|class| class.is_array()).count();
        (self.classes.len() + arrays) as u64
    }

    fn add_known(&mut self) {
        use BasicType::{Boolean, Byte, Float, Int, Long, Object};
        let no_fields: &[(usize, BasicType)] = &[];
        let node = [(2, Int), (4, Object), (0, Object), (6, Object)];
        let map = [(9, Object), (10, Object), (11, Int), (12, Int), (13, Int), (14, Float)];
        self.add("java/lang/Object", None, no_fields);
        self.add("java/lang/Class", Some(0), no_fields);
        let string = [(0, Object), (1, Byte), (2, Int), (3, Boolean)];
        self.add("java/lang/String", Some(0), &string);
        self.add("java/lang/Number", Some(0), no_fields);
        self.add("java/lang/Long", Some(3), &[(0, Long)]);
        self.add("java/lang/Integer", Some(3), &[(0, Int)]);
        self.add("java/util/AbstractMap", Some(0), &[(7, Object), (8, Object)]);
        self.add("java/util/HashMap", Some(6), &map);
        self.add("java/util/HashMap$Node", Some(0), &node);
        let node = [(2, Int), (4, Object), (5, Object), (6, Object)];
        self.add("java/util/concurrent/ConcurrentHashMap$Node", Some(0), &node);
        self.add("java/util/ArrayList", Some(0), &[(12, Int), (15, Object), (11, Int)]);
        self.add("[Ljava/lang/Object;", Some(0), no_fields);
        self.add("[Ljava/util/HashMap$Node;", Some(0), no_fields);
        for name in ["[Z", "[C", "[F", "[D", "[B", "[S", "[I", "[J"] {
            self.add(name, Some(0), no_fields);
        }
    }

    fn add(&mut self, name: &str, super_index: Option<usize>, fields: &[(usize, BasicType)]) {
        let mut layout: Vec<_> = fields.iter().map(|&(_, basic_type)| basic_type).collect();
        let mut depth = 0;
        if let Some(parent) = super_index.map(|index| &self.classes[index]) {
            layout.extend(&parent.layout);
            depth = parent.depth + 1;
        }
        self.classes.push(Class {
            name: name.to_owned(),
            super_index,
            fields: fields.to_vec(),
            statics: Vec::new(),
            payload_len: payload_len(&layout),
            layout,
            depth,
        });
    }

    /// Six in ten extend `Object`, the others an earlier made-up class.
    fn add_made_up(&mut self, number: u64, random: &mut Random) {
        let earlier = number - known::FIRST_MADE_UP as u64;
        let mut super_index = known::OBJECT;
        if 0 < earlier && random.below(10) < 4 {
            let chosen = known::FIRST_MADE_UP + usize_below(random, earlier);
            if self.classes[chosen].depth < 6 {
                super_index = chosen;
            }
        }
        let (package, kind) = (number % 97, ["Order", "Handler", "Node", "Type"]);
        let kind = kind[usize_below(random, 4)];
        let name = format!("com/example/app/module{package}/{kind}{number}");
        let fields = made_up_fields(random, 6);
        self.add(&name, Some(super_index), &fields);
        if let Some(class) = self.classes.last_mut() {
            class.statics = made_up_fields(random, 4);
        }
    }
}

impl Class {
    pub(super) fn is_array(&self) -> bool {
        self.name.starts_with('[')
    }
}

/// Bytes of values of these types.
pub(super) fn payload_len(types: &[BasicType]) -> usize {
    types.iter().map(|basic_type| basic_type.size(IdSize::Eight) as usize).sum()
}

/// Up to `limit - 1` fields of distinct names, every second one a reference.
fn made_up_fields(random: &mut Random, limit: u64) -> Vec<(usize, BasicType)> {
    let first = usize_below(random, FIELD_NAMES.len() as u64);
    (0..usize_below(random, limit))
        .map(|step| {
            let basic_type = match random.below(2) {
                0 => BasicType::Object,
                _ => BasicType::PRIMITIVES[usize_below(random, 8)],
            };
            ((first + step) % FIELD_NAMES.len(), basic_type)
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the number is below the limit, a small one")]
fn usize_below(random: &mut Random, limit: u64) -> usize {
    random.below(limit) as usize
}
