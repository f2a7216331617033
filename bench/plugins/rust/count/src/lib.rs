//! Counts the records of each key, and writes a row for each key of a batch.

use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

/// What is read; the rule looks at none of it.
#[derive(Record)]
#[expect(dead_code, reason = "each measured rule reads the same two fields")]
struct Payment<'a> {
    amount: f64,
    customer: Option<&'a str>,
}

#[derive(Emit)]
struct Count {
    count: i64,
}

/// Counts.
#[wasmill_plugin::keyed(state_version = 1)]
fn count<'a>(payments: Group<'a, Payment<'a>>, state: &mut i64, _config: &NoConfig, out: &mut Output<Count>) {
    *state += payments.len() as i64;
    out.emit(Count { count: *state });
}
