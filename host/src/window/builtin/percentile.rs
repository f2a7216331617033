//! Percentiles, within 1 % of the value: a DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019).
//!
//! Values are counted in buckets whose bounds grow by 2 %, so what a sketch says does not depend on the order of records or of
//! merges while there are at most 2,048 buckets: those span 17 decimal orders of magnitude. Beyond that the smallest are joined.

use crate::window::StateError;
use crate::window::entry::{put_bytes, take_bytes};
use sketches_ddsketch::{Config, DDSketch};

/// Memory of a sketch, roughly.
pub(super) const BYTES: usize = 2_048;

/// Values and how many of each; none before the first, as most slots of a slab are free.
#[derive(Default)]
pub(super) struct Sketch(Option<Box<DDSketch>>);

impl std::fmt::Debug for Sketch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sketch of {} values", self.0.as_ref().map_or(0, |it| it.count()))
    }
}

impl Sketch {
    fn sketch(&mut self) -> &mut DDSketch {
        // A relative error of 1 %, 2,048 buckets.
        self.0.get_or_insert_with(|| Box::new(DDSketch::new(Config::defaults())))
    }

    /// Takes a value. Those that are no finite number are in no order, and are skipped.
    pub(super) fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.sketch().add(value);
        }
    }

    pub(super) fn merge(&mut self, from: &Sketch) {
        if let Some(from) = &from.0 {
            // All have one configuration, so that they can be merged.
            let merged = self.sketch().merge(from);
            debug_assert!(merged.is_ok());
        }
    }

    /// The value that `share` (0 to 1) of the values are at most; none over no values.
    pub(super) fn at(&self, share: f64) -> Option<f64> {
        self.0.as_ref()?.quantile(share).ok()?
    }

    /// The sketch in the form of Datadog's libraries, with its length before it; 0 for none.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let bytes = self.0.as_ref().map(|it| it.to_java_bytes()).unwrap_or_default();
        put_bytes(out, &bytes);
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, StateError> {
        let bytes = take_bytes(bytes, "a sketch")?;
        if bytes.is_empty() {
            return Ok(Sketch::default());
        }
        let wrong = StateError { what: "a sketch", found: bytes.len(), expected: "another form" };
        let sketch = DDSketch::from_java_bytes(bytes).map_err(|_| wrong)?;
        Ok(Sketch(Some(Box::new(sketch))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_percentile_is_within_a_percent_of_the_value_and_merging_and_restoring_changes_nothing(
            values in prop::collection::vec(prop_oneof![-1e6..1e6f64, 0.001..10f64, Just(0.0)], 1..200),
            cut in 0..200usize, share in 0..=100u32,
        ) {
            let share = f64::from(share) / 100.0;
            let (mut whole, mut parts) = (Sketch::default(), [Sketch::default(), Sketch::default()]);
            for (at, value) in values.iter().enumerate() {
                whole.add(*value);
                parts[usize::from(at >= cut)].add(*value);
            }
            let [mut merged, second] = parts;
            let mut bytes = Vec::new();
            second.encode(&mut bytes);
            merged.merge(&Sketch::decode(&mut &bytes[..]).unwrap());
            prop_assert_eq!(merged.at(share), whole.at(share));
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(share * (sorted.len() - 1) as f64) as usize];
            let found = whole.at(share).unwrap();
            prop_assert!((found - exact).abs() <= exact.abs() * 0.0101, "{found}, exactly {exact}");
        }
    }

    #[test]
    fn no_values_have_no_percentile_and_what_is_no_number_is_skipped() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.at(0.5), None);
        sketch.add(f64::NAN);
        sketch.add(f64::INFINITY);
        assert_eq!(sketch.at(0.5), None);
        let mut bytes = Vec::new();
        sketch.encode(&mut bytes);
        assert_eq!(bytes, [0]);
        assert!(Sketch::decode(&mut &[3, 0xff, 0xff, 0xff][..]).is_err());
    }
}
