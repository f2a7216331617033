//! Alerts on transactions that are too large.

use wasmill_plugin::prelude::*;

/// What the rule reads. No other field is decoded; a record without one that is not an `Option` goes to the dead letters.
#[derive(Record)]
struct Txn<'a> {
    customer_id: &'a str,
    amount: f64,
    note: Option<&'a str>,
}

/// What it writes, in this order.
#[derive(Emit)]
struct Alert<'a> {
    customer_id: &'a str,
    amount: f64,
    note: Option<&'a str>,
}

/// The step's `config`. A wrong one is refused before anything starts.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    max_amount: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_amount: 10_000.0 }
    }
}

/// Alerts on transactions that are too large.
#[wasmill_plugin::transform]
fn example_rule(txn: Txn<'_>, config: &Config, out: &mut Output<Alert<'_>>) -> Result<(), Reject> {
    if txn.amount < 0.0 {
        return Err(Reject::new("a negative amount")); // To the dead letters, with this reason.
    }
    if txn.amount > config.max_amount {
        out.emit(Alert { customer_id: txn.customer_id, amount: txn.amount, note: txn.note });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::TransformTest;

    #[test]
    fn only_a_large_amount_is_an_alert() {
        let test = TransformTest::<example_rule>::new(json!({"max_amount": 100}));
        let run = test.run([json!({"customer_id": "ann", "amount": 100}), json!({"customer_id": "bob", "amount": 101})]);
        assert_eq!(run.to_string(), r#"out: {"customer_id":"bob","amount":101.0,"note":null}"#);
    }
}
