//! Reading fields of JSON records, where a wrong one is a failed test.

use serde_json::Value;

/// One record.
pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
}

/// The integer `field`.
pub fn int(record: &Value, field: &str) -> i64 {
    record[field].as_i64().unwrap_or_else(|| panic!("`{field}` is not an integer in {record}"))
}

/// The number `field`.
pub fn float(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_else(|| panic!("`{field}` is not a number in {record}"))
}

/// The text `field`.
pub fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_else(|| panic!("`{field}` is not a text in {record}"))
}
