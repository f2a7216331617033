//! Passes half of the records on.

use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

/// What is read; the text costs what its bytes cost to be handed over.
#[derive(Record)]
#[expect(dead_code, reason = "each measured rule reads the same two fields")]
struct Payment<'a> {
    amount: f64,
    customer: Option<&'a str>,
}

/// Passes large payments on.
#[wasmill_plugin::transform]
fn filter(payment: Payment<'_>, _config: &NoConfig, out: &mut Output<Unchanged>) {
    if payment.amount > 10_000.0 {
        out.pass();
    }
}
