//! Comparing what came out with what should have.

use serde_json::Value;
use std::collections::BTreeMap;

/// How many differences a failure shows.
const SHOWN_MAX: usize = 5;

/// Asserts that `found` and `expected` hold the same records, each as often, in any order.
#[track_caller]
pub fn same_records(what: &str, found: &[Value], expected: &[Value]) {
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for record in found {
        *balance.entry(canonical(record)).or_default() += 1;
    }
    for record in expected {
        *balance.entry(canonical(record)).or_default() -= 1;
    }
    let extra: Vec<_> = balance.iter().filter(|it| *it.1 > 0).collect();
    let missing: Vec<_> = balance.iter().filter(|it| *it.1 < 0).collect();
    assert!(
        extra.is_empty() && missing.is_empty(),
        "{what}: found {} records, expected {}\n{} too many, such as {:#?}\n{} missing, such as {:#?}",
        found.len(),
        expected.len(),
        extra.len(),
        &extra[..extra.len().min(SHOWN_MAX)],
        missing.len(),
        &missing[..missing.len().min(SHOWN_MAX)],
    );
}

/// Asserts [`same_records`], and that those of one `key` are in the same order.
#[track_caller]
pub fn same_in_order_of_key(what: &str, key: &str, found: &[Value], expected: &[Value]) {
    same_records(what, found, expected);
    let (found, expected) = (by_key(key, found), by_key(key, expected));
    for (name, records) in &expected {
        let other = &found[name];
        if let Some(index) = (0..records.len()).find(|&it| records[it] != other[it]) {
            panic!("{what}: record {index} of {key} {name} is {}, expected {}", other[index], records[index]);
        }
    }
}

fn by_key<'a>(key: &str, records: &'a [Value]) -> BTreeMap<String, Vec<&'a Value>> {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for record in records {
        groups.entry(record[key].to_string()).or_default().push(record);
    }
    groups
}

/// The record with its fields in the order of their names, so that equal records are equal texts.
fn canonical(record: &Value) -> String {
    match record {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, String> = fields.iter().map(|(name, it)| (name, canonical(it))).collect();
            let fields: Vec<String> = sorted.iter().map(|(name, it)| format!("{name:?}:{it}")).collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}
