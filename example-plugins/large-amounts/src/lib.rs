//! A filter: a rule that makes nothing, and passes the records that it lets through on byte for byte.

use serde::Deserialize;
use wasmill_plugin::prelude::*;

/// What the rule reads.
#[derive(Record)]
struct Payment<'a> {
    amount: f64,
    currency: &'a str,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Smaller amounts do not pass.
    min_amount: f64,
    /// Other currencies do not pass; without it, every one does.
    currency: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config { min_amount: 10_000.0, currency: None }
    }
}

/// Passes on payments of at least an amount, in one currency or in any.
#[wasmill_plugin::transform]
fn large_amounts(payment: Payment<'_>, config: &Config, out: &mut Output) {
    let wanted = config.currency.as_deref().is_none_or(|it| it == payment.currency);
    if payment.amount >= config.min_amount && wanted {
        out.pass();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use wasmill_plugin::testing::{TransformTest, config_error};

    /// Which of three payments pass, by their index.
    fn passed(config: Value) -> Vec<usize> {
        let payments = [(9_999.99, "EUR"), (10_000.0, "EUR"), (20_000.0, "USD")];
        let rows = payments.map(|(amount, currency)| json!({"amount": amount, "currency": currency}));
        let run = TransformTest::<large_amounts>::new(config).run(rows);
        assert_eq!(run.emitted.len(), run.passed().len(), "every row is a record as it was");
        run.passed()
    }

    #[test]
    fn payments_of_at_least_the_amount_pass() {
        assert_eq!(passed(json!({})), [1, 2]);
        assert_eq!(passed(json!({"min_amount": 0})), [0, 1, 2]);
    }

    #[test]
    fn with_a_currency_both_fields_decide() {
        assert_eq!(passed(json!({"currency": "EUR"})), [1]);
        assert_eq!(passed(json!({"min_amount": 10001, "currency": "EUR"})), [0; 0]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = config_error::<large_amounts>(&json!({"amount": 1})).unwrap();
        assert!(error.contains("unknown field `amount`"), "{error}");
    }
}
