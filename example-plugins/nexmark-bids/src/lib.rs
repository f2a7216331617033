//! Nexmark's bids among its persons and auctions: what queries 2, 5, 11 and 12 begin with.

use serde::Deserialize;
use std::num::NonZeroU32;
use wasmill_plugin::prelude::*;

/// `event_type` of a bid.
const BID: i64 = 2;

/// What the rule reads.
#[derive(Record)]
struct Event {
    event_type: i64,
    /// None in what is no bid.
    #[field("bid.auction")]
    auction: Option<i64>,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Only bids on auctions whose number this divides pass: 123 in query 2.
    every: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        Config { every: NonZeroU32::MIN }
    }
}

/// Passes bids on: all, or those on every so many auctions.
#[wasmill_plugin::transform]
fn nexmark_bids(event: Event, config: &Config, out: &mut Output) {
    if event.event_type == BID && event.auction.is_some_and(|it| it % i64::from(config.every.get()) == 0) {
        out.pass();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use wasmill_plugin::testing::TransformTest;

    fn passed(config: Value) -> Vec<usize> {
        let rows = [
            json!({"event_type": 0, "person": {"id": 1000}}),
            json!({"event_type": 2, "bid": {"auction": 1107}}),
            json!({"event_type": 2, "bid": {"auction": 1108}}),
            json!({"event_type": 1, "bid": {"auction": 1107}}),
        ];
        TransformTest::<nexmark_bids>::new(config).run(rows).passed()
    }

    #[test]
    fn bids_pass_and_nothing_else() {
        assert_eq!(passed(json!({})), [1, 2]);
        assert_eq!(passed(json!({"every": 123})), [1]);
    }
}
