//! Records of the fields that a plugin reads, the same ones each time.

use crate::cli::plugin::records;
use serde_json::{Map, Value, json};
use wasmill::batch::RawBatch;
use wasmill::column::Kind;
use wasmill::schema::{Field, Slot};

/// Where the numbers begin.
const SEED: u64 = 0x2545_F491_4F6C_DD1D;
/// Different texts of a field.
const TEXTS: u64 = 64;

/// `count` records with a value for each field of `reads`: numbers up to 20,000, texts such as `customer-0017`.
pub(super) fn records(reads: &[Field], count: usize) -> RawBatch {
    let mut random = Random(SEED);
    let mut text = String::new();
    for _ in 0..count {
        let mut record = Map::new();
        for field in reads {
            if let Slot::Field(path) = &field.slot {
                insert(&mut record, path, value(path, field.kind, &mut random));
            }
        }
        text.push_str(&Value::Object(record).to_string());
        text.push('\n');
    }
    let headers = reads.iter().filter_map(|it| match &it.slot {
        Slot::Header(name) => Some((&**name, "made-up")),
        _ => None,
    });
    records::of_text(&text, headers)
}

fn value(path: &str, kind: Kind, random: &mut Random) -> Value {
    let number = random.next();
    match kind {
        Kind::S64 => json!(number % 20_000),
        // Hundredths, as amounts are written.
        Kind::F64 | Kind::Number => json!((number % 2_000_000) as f64 / 100.0),
        Kind::Boolean => json!(number.is_multiple_of(2)),
        Kind::Text | Kind::Bytes => {
            let name = path.rsplit('.').next().unwrap_or(path);
            json!(format!("{name}-{:04}", number % TEXTS))
        }
        Kind::Json => json!([number % 100, "made up", { "a": number.is_multiple_of(2) }]),
    }
}

/// Puts `value` at a path of names joined by dots.
fn insert(record: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(record.insert(path.to_owned(), value)),
        Some((name, rest)) => {
            let inner = record.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Marsaglia's xorshift64: no need for more.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_each_field_in_its_kind_and_are_the_same_each_time() {
        let field = |slot, kind| Field { slot, kind, required: true };
        let reads = [
            field(Slot::Field("card.country".into()), Kind::Text),
            field(Slot::Field("card.limit".into()), Kind::S64),
            field(Slot::Field("amount".into()), Kind::F64),
            field(Slot::Key, Kind::Text),
        ];
        let batch = records(&reads, 2);
        assert_eq!(batch.offsets, [0, 1]);
        let record: Value = serde_json::from_slice(batch.rows.value(1).unwrap()).unwrap();
        assert!(record["card"]["country"].as_str().unwrap().starts_with("country-00"), "{record}");
        assert!(record["card"]["limit"].is_i64() && record["amount"].is_f64(), "{record}");
        assert_eq!(record.as_object().unwrap().len(), 2);
        assert_eq!(batch.rows.value(1), records(&reads, 2).rows.value(1));
    }
}
