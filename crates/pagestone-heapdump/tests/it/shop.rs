//! A small dump with known values of every type of field, and strings of three kinds.

use pagestone_testkit::hprof::{BasicType, ClassDump, DumpOptions, DumpWriter, IdSize, Value};

/// Ids of classes.
const OBJECT: u64 = 0x10;
const STRING: u64 = 0x20;
pub(crate) const ORDER: u64 = 0x30;
pub(crate) const RUSH: u64 = 0x40;

/// How strings keep their characters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Era {
    /// `char[]`, offset and count.
    Oldest,
    /// `char[]`.
    Old,
    /// `byte[]` and coder.
    Compact,
}

/// Orders by id: the text of the status, and the total, both also in the other fields.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) status: Option<&'static str>,
    pub(crate) total: i32,
    /// Of a subclass with one more field.
    pub(crate) is_rush: bool,
}

/// The dump of some orders. Each has a string of its own, 8 below its id, and the string's array,
/// 4 below.
pub(crate) fn shop(era: Era, id_size: IdSize, orders: &[Order]) -> Vec<u8> {
    let mut writer = DumpWriter::new(DumpOptions { id_size, ..DumpOptions::default() });
    let symbols = [
        (1, "java/lang/Object"),
        (2, "java/lang/String"),
        (3, "shop/Order"),
        (4, "shop/Rush"),
        (5, "value"),
        (6, "coder"),
        (7, "offset"),
        (8, "count"),
        (9, "hash"),
        (20, "status"),
        (21, "total"),
        (22, "big"),
        (23, "small"),
        (24, "tiny"),
        (25, "letter"),
        (26, "price"),
        (27, "rate"),
        (28, "open"),
        (29, "hurry"),
        (30, "next"),
    ];
    for (id, text) in symbols {
        writer.utf8(id, text.as_bytes());
    }
    for (serial, class) in [(1, OBJECT), (2, STRING), (3, ORDER), (4, RUSH)] {
        writer.load_class(serial, class, u64::from(serial));
    }
    classes(&mut writer, era);
    for order in orders {
        if let Some(status) = order.status {
            string(&mut writer, era, order.id - 8, status);
        }
        instance(&mut writer, order);
    }
    writer.heap_dump_end();
    writer.finish().bytes().to_vec()
}

fn classes(writer: &mut DumpWriter, era: Era) {
    let class = |id, super_id, fields| ClassDump { id, super_id, fields, ..ClassDump::default() };
    writer.class_dump(&class(OBJECT, 0, &[]));
    let fields: &[(u64, BasicType)] = match era {
        Era::Oldest => {
            &[(9, BasicType::Int), (5, BasicType::Object), (7, BasicType::Int), (8, BasicType::Int)]
        }
        Era::Old => &[(5, BasicType::Object), (9, BasicType::Int)],
        Era::Compact => &[(5, BasicType::Object), (9, BasicType::Int), (6, BasicType::Byte)],
    };
    writer.class_dump(&class(STRING, OBJECT, fields));
    let fields = [
        (20, BasicType::Object),
        (21, BasicType::Int),
        (22, BasicType::Long),
        (23, BasicType::Short),
        (24, BasicType::Byte),
        (25, BasicType::Char),
        (26, BasicType::Float),
        (27, BasicType::Double),
        (28, BasicType::Boolean),
        (30, BasicType::Object),
    ];
    writer.class_dump(&class(ORDER, OBJECT, &fields));
    writer.class_dump(&class(RUSH, ORDER, &[(29, BasicType::Int)]));
}

fn string(writer: &mut DumpWriter, era: Era, id: u64, text: &str) {
    let (array, units) = (id + 4, text.encode_utf16().collect::<Vec<_>>());
    let chars = |units: &[u16]| units.iter().map(|unit| Value::Char(*unit)).collect::<Vec<_>>();
    let is_narrow = units.iter().all(|unit| *unit < 0x100);
    match era {
        Era::Oldest => {
            // Three others around them.
            let around: Vec<u16> = [&[0x41, 0x3b1], &units[..], &[0x42]].concat();
            writer.primitive_array(array, BasicType::Char, &chars(&around));
            let count = i32::try_from(units.len()).unwrap();
            let fields = [Value::Int(7), Value::Object(array), Value::Int(2), Value::Int(count)];
            writer.instance(id, STRING, &fields);
        }
        Era::Old => {
            writer.primitive_array(array, BasicType::Char, &chars(&units));
            writer.instance(id, STRING, &[Value::Object(array), Value::Int(7)]);
        }
        Era::Compact => {
            let bytes: Vec<u8> = if is_narrow {
                units.iter().map(|unit| u8::try_from(*unit).unwrap()).collect()
            } else {
                units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
            };
            writer.byte_array(array, &bytes);
            let coder = Value::Byte(i8::from(!is_narrow));
            writer.instance(id, STRING, &[Value::Object(array), Value::Int(7), coder]);
        }
    }
}

fn instance(writer: &mut DumpWriter, order: &Order) {
    let status = order.status.map_or(0, |_| order.id - 8);
    let total = order.total;
    #[expect(clippy::cast_precision_loss, reason = "totals are small")]
    let price = total as f32 / 2.0;
    let letter = u16::try_from(i32::from(b'a') + total.rem_euclid(26)).unwrap();
    let mut values = vec![
        Value::Object(status),
        Value::Int(total),
        Value::Long(i64::from(total) << 33),
        Value::Short(i16::try_from(total).unwrap()),
        Value::Byte(i8::try_from(total % 100).unwrap()),
        Value::Char(letter),
        Value::Float(price),
        Value::Double(f64::from(total) / 4.0),
        Value::Boolean(0 < total),
        Value::Object(0),
    ];
    if order.is_rush {
        values.insert(0, Value::Int(total + 1));
    }
    let class = if order.is_rush { RUSH } else { ORDER };
    writer.instance(order.id, class, &values);
}
