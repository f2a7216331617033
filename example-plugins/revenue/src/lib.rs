//! An aggregate of one's own: orders and revenue of each seller and window.
//!
//! The host assigns windows, keeps and merges the accumulators and decides when a window is finished; the plugin says how a record is
//! added, how two accumulators become one, and what comes out. (For this very example the built-in `count()` and `sum(amount)` would
//! do, faster.)

use serde::{Deserialize, Serialize};
use wasmill_plugin::prelude::*;

/// The only field that the sum needs. Key and window are told to `finish`.
#[derive(Record)]
struct Order {
    amount: f64,
}

/// What is known of a window so far.
#[derive(Default, Serialize, Deserialize)]
struct Takings {
    orders: i64,
    revenue: f64,
}

/// Written for each window.
#[derive(Emit)]
struct Row<'a> {
    seller: &'a str,
    window_start: i64,
    window_end: i64,
    orders: i64,
    revenue: f64,
}

struct Revenue;

/// Counts the orders of each window and sums up their amounts.
#[wasmill_plugin::aggregate(name = "revenue", state_version = 1)]
impl Aggregate for Revenue {
    type Record<'a> = Order;
    type Accumulator = Takings;
    type Config = wasmill_plugin::NoConfig;
    type Output = Row<'static>;

    fn add(order: Order, takings: &mut Takings, _: &Self::Config) {
        takings.orders += 1;
        takings.revenue += order.amount;
    }

    fn merge(left: &mut Takings, right: Takings, _: &Self::Config) {
        left.orders += right.orders;
        left.revenue += right.revenue;
    }

    fn finish(
        window: Window<'_>,
        takings: Takings,
        _: &Self::Config,
        out: &mut Output<Row<'static>>,
    ) -> Result<(), Reject> {
        out.emit(Row {
            seller: window.key_text()?,
            window_start: window.start,
            window_end: window.end,
            orders: takings.orders,
            revenue: takings.revenue,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;
    use wasmill_plugin::testing::{AggregateTest, config_error};

    #[test]
    fn orders_are_counted_and_their_amounts_summed_up() {
        // Eighths are exact, so that the merged halves, which the test compares, are equal to the last bit.
        let orders = [json!({"amount": 10.125}), json!({"amount": 5}), json!({"amount": 0.25})];
        let run = AggregateTest::<Revenue>::new(json!({})).run("shop", 0..300_000, orders);
        expect![[r#"out: {"seller":"shop","window_start":0,"window_end":300000,"orders":3,"revenue":15.375}"#]]
            .assert_eq(&run.to_string());
    }

    #[test]
    fn an_order_without_an_amount_counts_for_nothing() {
        let run = AggregateTest::<Revenue>::new(json!({})).run("shop", 0..10, [json!({"amount": 1}), json!({})]);
        expect![[r#"
            out: {"seller":"shop","window_start":0,"window_end":10,"orders":1,"revenue":1.0}
            reject 1: field `amount` is missing"#]]
        .assert_eq(&run.to_string());
    }

    #[test]
    fn there_is_nothing_to_configure() {
        assert!(config_error::<Revenue>(&json!({"window": "5m"})).unwrap().contains("unknown field `window`"));
    }
}
