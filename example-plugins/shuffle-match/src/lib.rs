//! A matcher of raw records: which of many rules a record matches. ShuffleBench's first half.
//!
//! A record is random bytes. Rule `i` matches a range of what its first eight bytes can be, which begins anywhere and is as wide as the
//! rule is probable. The rules are looked up in an index of slots, as ShuffleBench does.

use serde::Deserialize;
use wasmill_plugin::prelude::*;

/// Slots of the index.
const SLOT_BITS: u32 = 16;
/// Half of what eight bytes can be: the range that the rules share.
const RANGE_BITS: u32 = 63;
const RANGE_MASK: u64 = u64::MAX >> 1;

/// What the rule reads.
#[derive(Record)]
struct Event<'a> {
    #[slot(value)]
    value: &'a [u8],
}

/// Written for every rule that a record matches.
#[derive(Emit)]
struct Match {
    rule: i64,
    /// The record's first eight bytes.
    head: i64,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many rules there are.
    rules: u32,
    /// How many of them a record matches on average.
    selectivity: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { rules: 1_000, selectivity: 0.2 }
    }
}

/// The rules, found by the slot of what they match.
#[derive(Deserialize)]
#[serde(from = "Options")]
struct Rules {
    /// Rule `i` matches the heads from the first to the second less 1.
    ranges: Vec<(u64, u64)>,
    /// The rules that match something in a slot, by number.
    slots: Vec<Vec<u32>>,
}

impl From<Options> for Rules {
    fn from(options: Options) -> Self {
        let mut rules = Rules { ranges: Vec::new(), slots: vec![Vec::new(); 1 << SLOT_BITS] };
        let share = (options.selectivity / f64::from(options.rules.max(1))).clamp(0.0, 1.0);
        let width = (share * (1_u64 << RANGE_BITS) as f64) as u64;
        for rule in 0..options.rules {
            let first = mix(u64::from(rule)) & RANGE_MASK;
            rules.ranges.push((first, width));
            let covered =
                slot(first) + (((first % (1 << (RANGE_BITS - SLOT_BITS))) + width) >> (RANGE_BITS - SLOT_BITS));
            for slot in slot(first)..=covered {
                if let Some(slot) = rules.slots.get_mut(slot as usize % (1 << SLOT_BITS)) {
                    slot.push(rule);
                }
            }
        }
        rules
    }
}

impl Rules {
    /// The rules that match, lowest first.
    fn matching(&self, head: u64) -> impl Iterator<Item = u32> {
        let head = head & RANGE_MASK;
        let near = self.slots.get(slot(head) as usize).into_iter().flatten();
        near.copied().filter(move |&it| {
            let range = self.ranges.get(it as usize);
            range.is_some_and(|&(first, width)| head.wrapping_sub(first) & RANGE_MASK < width)
        })
    }
}

fn slot(head: u64) -> u64 {
    head >> (RANGE_BITS - SLOT_BITS)
}

/// SplitMix64 (Steele, Lea, Flood 2014): a number that looks random.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Tells each rule that a record matches.
#[wasmill_plugin::transform]
fn shuffle_match(event: Event<'_>, rules: &Rules, out: &mut Output<Match>) -> Result<(), Reject> {
    let Some(head) = event.value.first_chunk::<8>() else {
        return Err(Reject::new(format!("{} bytes, expected at least 8", event.value.len())));
    };
    let head = u64::from_be_bytes(*head);
    for rule in rules.matching(head) {
        out.emit(Match { rule: i64::from(rule), head: head as i64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::{Row, TransformTest};

    #[test]
    fn the_index_finds_what_looking_at_every_rule_finds() {
        let rules = Rules::from(Options { rules: 50, selectivity: 3.0 });
        let mut found = 0;
        for number in 0..10_000 {
            let head = mix(number + 1_000_000) & RANGE_MASK;
            let all = rules.ranges.iter().enumerate();
            let all = all.filter(|(_, it)| head.wrapping_sub(it.0) & RANGE_MASK < it.1).map(|it| it.0 as u32);
            let matching: Vec<u32> = rules.matching(head).collect();
            assert_eq!(matching, all.collect::<Vec<_>>(), "{head:x}");
            found += matching.len();
        }
        assert!((28_000..32_000).contains(&found), "{found} matches, expected some 30,000");
    }

    #[test]
    fn a_record_goes_to_each_rule_that_it_matches() {
        let rules = Rules::from(Options::default());
        let head = rules.ranges[7].0;
        let run = TransformTest::<shuffle_match>::new(json!({}))
            .run([Row::raw([&head.to_be_bytes()[..], b"and the rest"].concat()), Row::raw(b"short")]);
        let expected =
            rules.matching(head).map(|it| format!("out: {{\"rule\":{it},\"head\":{head}}}\n")).collect::<String>();
        assert!(expected.contains("\"rule\":7,"), "{expected}");
        assert_eq!(run.to_string(), format!("{expected}reject 1: 5 bytes, expected at least 8"));
    }
}
