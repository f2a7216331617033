//! Counts and sums up the orders of each window.

use serde::{Deserialize, Serialize};
use wasmill_plugin::prelude::*;

/// What the rule reads. Key and window are told to `finish`.
#[derive(Record)]
struct Order {
    amount: f64,
}

/// What is known of a window so far. Whoever changes its form raises `state_version`.
#[derive(Default, Serialize, Deserialize)]
struct Takings {
    orders: i64,
    revenue: f64,
}

/// Written for each window, in this order.
#[derive(Emit)]
struct Row<'a> {
    seller: &'a str,
    window_start: i64,
    window_end: i64,
    orders: i64,
    revenue: f64,
}

struct ExampleRule;

/// Counts and sums up the orders of each window.
#[wasmill_plugin::aggregate(name = "example-rule", state_version = 1)]
impl Aggregate for ExampleRule {
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
    use serde_json::json;
    use wasmill_plugin::testing::AggregateTest;

    #[test]
    fn orders_are_counted_and_summed_up() {
        let orders = [json!({"amount": 10.125}), json!({"amount": 5})];
        let run = AggregateTest::<ExampleRule>::new(json!({})).run("shop", 0..60_000, orders);
        let expected = r#"out: {"seller":"shop","window_start":0,"window_end":60000,"orders":2,"revenue":15.125}"#;
        assert_eq!(run.to_string(), expected);
    }
}
