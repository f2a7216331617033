//! Dead letters as a file sink writes them.

use serde_json::Value;
use wasmill_tests::json::{int, parse, text};

/// The id of the record that a dead letter holds.
pub(crate) fn id(letter: &Value) -> i64 {
    int(&record(letter), "id")
}

/// The record that a dead letter holds.
pub(crate) fn record(letter: &Value) -> Value {
    parse(value(letter))
}

/// The value of the record that a dead letter holds, as text.
pub(crate) fn value(letter: &Value) -> &str {
    text(letter, "value")
}

/// Why the record was refused.
pub(crate) fn reason(letter: &Value) -> &str {
    text(letter, "reason")
}
