//! State of 32 bytes in a form of its own: count, sum, first and last time of the records of a key. ShuffleBench's second half.

use wasmill_plugin::prelude::*;
use wasmill_plugin::{NoConfig, State};

/// So many records of a key are told at once.
const TOLD: i64 = 10;

/// What the rule reads.
#[derive(Record)]
struct Match {
    rule: i64,
    head: i64,
    #[slot(time)]
    at: i64,
}

/// What is known of a key since it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    count: i64,
    /// Of the heads; it may overflow.
    sum: i64,
    first: i64,
    last: i64,
}

impl State for Tally {
    fn load(bytes: &[u8]) -> Result<Self, String> {
        let (words, []) = bytes.as_chunks::<8>() else { return Err(format!("{} bytes, expected 32", bytes.len())) };
        let &[count, sum, first, last] = words else { return Err(format!("{} bytes, expected 32", bytes.len())) };
        let [count, sum, first, last] = [count, sum, first, last].map(i64::from_le_bytes);
        Ok(Tally { count, sum, first, last })
    }

    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        [self.count, self.sum, self.first, self.last].iter().for_each(|it| bytes.extend_from_slice(&it.to_le_bytes()));
        Ok(())
    }
}

/// What is told.
#[derive(Emit)]
struct Told {
    rule: i64,
    count: i64,
    sum: i64,
    first: i64,
    last: i64,
}

/// Counts and sums up, and tells every tenth record of a key.
#[wasmill_plugin::keyed(state_version = 1)]
fn shuffle_count(record: Match, state: &mut Tally, _config: &NoConfig, out: &mut Output<Told>) {
    state.count += 1;
    state.sum = state.sum.wrapping_add(record.head);
    if state.count == 1 {
        state.first = record.at;
    }
    state.last = record.at;
    if state.count == TOLD {
        let Tally { count, sum, first, last } = std::mem::take(state);
        out.emit(Told { rule: record.rule, count, sum, first, last });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::{KeyedTest, Row};

    #[test]
    fn every_tenth_record_of_a_key_is_told() {
        let mut test = KeyedTest::<shuffle_count>::new(json!({}));
        let record = |at: i64| Row::new(json!({"rule": 7, "head": i64::MAX - 45 + at})).key("7").time(at);
        let run = test.run((0..12).map(record));
        let sum = (0..10).fold(0_i64, |sum, at| sum.wrapping_add(i64::MAX - 45 + at));
        assert_eq!(run.to_string(), format!(r#"out: {{"rule":7,"count":10,"sum":{sum},"first":0,"last":9}}"#));
        let left = (i64::MAX - 35).wrapping_add(i64::MAX - 34);
        assert_eq!(test.state("7"), Some(Tally { count: 2, sum: left, first: 10, last: 11 }));
    }

    #[test]
    fn state_of_another_length_is_refused() {
        assert_eq!(Tally::load(&[0; 31]).unwrap_err(), "31 bytes, expected 32");
        assert_eq!(Tally::load(&[0; 40]).unwrap_err(), "40 bytes, expected 32");
        assert_eq!(Tally::load(&[0; 32]), Ok(Tally::default()));
    }
}
