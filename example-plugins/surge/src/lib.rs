//! A map: every row in gives one row out, with a field more.
//!
//! A built-in step before it, `key = "cell"` and `window = { tumbling = "5s" }` with `demand = "count()"`, counts the ride requests of
//! each geographic cell.

use serde::Deserialize;
use wasmill_plugin::prelude::*;

/// Demand of one cell in one window.
#[derive(Record)]
struct Demand<'a> {
    cell: &'a str,
    window_start: i64,
    window_end: i64,
    demand: i64,
}

/// The same, with the price.
#[derive(Emit)]
struct Price<'a> {
    cell: &'a str,
    window_start: i64,
    window_end: i64,
    demand: i64,
    multiplier: f64,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// From `demand` on, prices are multiplied; the highest threshold that is reached counts. Below all of them, by 1.
    thresholds: Vec<Threshold>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    demand: i64,
    multiplier: f64,
}

impl Default for Config {
    fn default() -> Self {
        let threshold = |demand, multiplier| Threshold { demand, multiplier };
        Config { thresholds: vec![threshold(5, 1.2), threshold(10, 1.5), threshold(20, 2.0)] }
    }
}

impl Config {
    /// The multiplier at `demand`. The thresholds may be listed in any order.
    fn multiplier(&self, demand: i64) -> f64 {
        let reached = self.thresholds.iter().filter(|it| it.demand <= demand);
        reached.max_by_key(|it| it.demand).map_or(1.0, |it| it.multiplier)
    }
}

/// Turns the demand of a cell into a price multiplier.
#[wasmill_plugin::transform]
fn surge(row: Demand<'_>, config: &Config, out: &mut Output<Price<'_>>) {
    let Demand { cell, window_start, window_end, demand } = row;
    out.emit(Price { cell, window_start, window_end, demand, multiplier: config.multiplier(demand) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};
    use wasmill_plugin::testing::{TransformTest, config_error};

    #[track_caller]
    fn check(config: Value, demands: &[i64], expected: Expect) {
        let rows =
            demands.iter().map(|it| json!({"cell": "u33d", "window_start": 0, "window_end": 5000, "demand": it}));
        expected.assert_eq(&TransformTest::<surge>::new(config).run(rows).to_string());
    }

    #[test]
    fn the_highest_threshold_reached_sets_the_multiplier() {
        check(
            json!({}),
            &[4, 5, 19, 500],
            expect![[r#"
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":4,"multiplier":1.0}
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":5,"multiplier":1.2}
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":19,"multiplier":1.5}
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":500,"multiplier":2.0}"#]],
        );
    }

    #[test]
    fn thresholds_may_be_listed_in_any_order() {
        check(
            json!({"thresholds": [{"demand": 3, "multiplier": 3}, {"demand": 1, "multiplier": 1.5}]}),
            &[2, 3],
            expect![[r#"
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":2,"multiplier":1.5}
                out: {"cell":"u33d","window_start":0,"window_end":5000,"demand":3,"multiplier":3.0}"#]],
        );
    }

    #[test]
    fn a_wrong_threshold_is_refused_with_its_key() {
        let error = config_error::<surge>(&json!({"thresholds": [{"demand": "many", "multiplier": 2}]})).unwrap();
        assert_eq!(error, r#"config.thresholds.demand: invalid type: string "many", expected i64"#);
    }
}
