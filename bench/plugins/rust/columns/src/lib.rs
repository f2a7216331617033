//! Writes half of the records as two columns.

use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

#[derive(Record)]
struct Payment<'a> {
    amount: f64,
    customer: Option<&'a str>,
}

#[derive(Emit)]
struct Alert<'a> {
    customer: Option<&'a str>,
    amount: f64,
}

/// Writes large payments.
#[wasmill_plugin::transform]
fn columns(payment: Payment<'_>, _config: &NoConfig, out: &mut Output<Alert<'_>>) {
    if payment.amount > 10_000.0 {
        out.emit(Alert { customer: payment.customer, amount: payment.amount });
    }
}
