//! The smallest whole plugin: a rule that looks at one record and its configuration.
//!
//! A built-in step before it, `window = { rolling = "5m" }` with `txn_count = "count()"`, adds how many transactions the customer
//! made in the five minutes up to this one. Without that step only the amount counts.

use serde::Deserialize;
use wasmill_plugin::prelude::*;

/// What the rule reads. The host decodes these fields and no others; a record that lacks one that is not an `Option`, or holds
/// another kind there, is dead-lettered before it gets here.
#[derive(Record)]
struct Txn<'a> {
    customer_id: &'a str,
    transaction_id: &'a str,
    amount: f64,
    /// As RFC 3339. It only goes through, so it stays text.
    timestamp: &'a str,
    txn_count: Option<i64>,
}

/// What the rule says, in this order. Text is borrowed from the record: nothing is copied before the output's columns.
#[derive(Emit)]
struct Alert<'a> {
    customer_id: &'a str,
    transaction_id: &'a str,
    amount: f64,
    alerts: Json<Vec<String>>,
    timestamp: &'a str,
}

/// The step's `config`. An unknown key refuses the deployment.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// An amount above this is an alert.
    max_amount: f64,
    /// More transactions than this in five minutes are an alert.
    max_count: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_amount: 10_000.0, max_count: 5 }
    }
}

/// Alerts on transactions of a customer that are too many in five minutes or too large.
#[wasmill_plugin::transform]
fn rules(txn: Txn<'_>, config: &Config, out: &mut Output<Alert<'_>>) {
    let count = txn.txn_count.unwrap_or(0);
    if count <= config.max_count && txn.amount <= config.max_amount {
        return; // Most records end here, without having cost an allocation.
    }
    let mut alerts = Vec::new();
    if count > config.max_count {
        alerts.push(format!("High velocity: {count} transactions in 5 min"));
    }
    if txn.amount > config.max_amount {
        alerts.push(format!("High amount: {:.2}", txn.amount));
    }
    out.emit(Alert {
        customer_id: txn.customer_id,
        transaction_id: txn.transaction_id,
        amount: txn.amount,
        alerts: Json(alerts),
        timestamp: txn.timestamp,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};
    use wasmill_plugin::testing::{TransformTest, config_error};

    #[track_caller]
    fn check(config: Value, rows: &[(f64, Value)], expected: Expect) {
        let rows = rows.iter().enumerate().map(|(n, (amount, txn_count))| {
            json!({
                "transaction_id": format!("t{n}"), "customer_id": "ann", "amount": amount,
                "timestamp": "2026-01-01T00:00:00Z", "txn_count": txn_count,
            })
        });
        expected.assert_eq(&TransformTest::<rules>::new(config).run(rows).to_string());
    }

    #[test]
    fn a_transaction_over_a_limit_is_an_alert_and_one_at_it_is_not() {
        check(
            json!({}),
            &[(10_000.0, json!(5)), (12_000.0, json!(1)), (20.5, json!(6)), (10_000.01, json!(7))],
            expect![[r#"
                out: {"customer_id":"ann","transaction_id":"t1","amount":12000.0,"alerts":["High amount: 12000.00"],"timestamp":"2026-01-01T00:00:00Z"}
                out: {"customer_id":"ann","transaction_id":"t2","amount":20.5,"alerts":["High velocity: 6 transactions in 5 min"],"timestamp":"2026-01-01T00:00:00Z"}
                out: {"customer_id":"ann","transaction_id":"t3","amount":10000.01,"alerts":["High velocity: 7 transactions in 5 min","High amount: 10000.01"],"timestamp":"2026-01-01T00:00:00Z"}"#]],
        );
    }

    #[test]
    fn without_a_count_only_the_amount_decides() {
        check(json!({"max_count": 0}), &[(5.0, Value::Null)], expect![""]);
    }

    #[test]
    fn the_limits_come_from_the_configuration() {
        check(
            json!({"max_amount": 4, "max_count": 1}),
            &[(5.0, json!(2))],
            expect![[
                r#"out: {"customer_id":"ann","transaction_id":"t0","amount":5.0,"alerts":["High velocity: 2 transactions in 5 min","High amount: 5.00"],"timestamp":"2026-01-01T00:00:00Z"}"#
            ]],
        );
    }

    #[test]
    fn a_record_without_an_amount_never_reaches_the_rule() {
        let run = TransformTest::<rules>::new(json!({})).run([
            json!({"transaction_id": "t", "customer_id": "ann", "timestamp": ""}),
            json!({"transaction_id": "t", "customer_id": 7, "timestamp": "", "amount": 1}),
        ]);
        expect![[r#"
            reject 0: field `amount` is missing
            reject 1: field `customer_id` is 7, expected text"#]]
        .assert_eq(&run.to_string());
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_the_key() {
        let error = |config| config_error::<rules>(&config).unwrap();
        assert_eq!(
            error(json!({"max_amount": "a lot"})),
            r#"config.max_amount: invalid type: string "a lot", expected f64"#
        );
        let unknown = error(json!({"max_amont": 1}));
        assert!(unknown.contains("unknown field `max_amont`, expected `max_amount` or `max_count`"), "{unknown}");
    }
}
