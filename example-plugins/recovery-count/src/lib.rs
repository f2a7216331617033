//! State of 1 KiB a key: count and sum of its records, and bytes that are only kept. What `bench/src/recovery` kills and restores.

use wasmill_plugin::prelude::*;
use wasmill_plugin::{NoConfig, State};

/// Words of 8 bytes that are only kept: with the count and the sum they are 1 KiB.
const KEPT_WORDS: usize = 126;
const STATE_BYTES: usize = (2 + KEPT_WORDS) * 8;

/// What the rule reads.
#[derive(Record)]
struct Update {
    key: i64,
    number: i64,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
struct Tally {
    count: i64,
    sum: i64,
    /// Made of the key by its first record.
    kept: [u64; KEPT_WORDS],
}

impl Default for Tally {
    fn default() -> Self {
        Tally { count: 0, sum: 0, kept: [0; KEPT_WORDS] }
    }
}

impl State for Tally {
    fn load(bytes: &[u8]) -> Result<Self, String> {
        let (words, []) = bytes.as_chunks::<8>() else { return Err(wrong(bytes)) };
        let [count, sum, kept @ ..] = words else { return Err(wrong(bytes)) };
        let kept: &[[u8; 8]; KEPT_WORDS] = kept.try_into().map_err(|_| wrong(bytes))?;
        let [count, sum] = [count, sum].map(|it| i64::from_le_bytes(*it));
        Ok(Tally { count, sum, kept: kept.map(u64::from_le_bytes) })
    }

    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        self.kept.iter().for_each(|it| bytes.extend_from_slice(&it.to_le_bytes()));
        Ok(())
    }
}

fn wrong(bytes: &[u8]) -> String {
    format!("{} bytes, expected {STATE_BYTES}", bytes.len())
}

/// Written for every record.
#[derive(Emit)]
struct Told {
    key: i64,
    count: i64,
    sum: i64,
    /// The sum of what is only kept, which has come through every restart.
    check: i64,
}

/// Counts and sums up, and tells each time.
#[wasmill_plugin::keyed(state_version = 1)]
fn recovery_count(update: Update, state: &mut Tally, _config: &NoConfig, out: &mut Output<Told>) {
    if state.count == 0 {
        let first = (update.key as u64).wrapping_mul(KEPT_WORDS as u64);
        state.kept = std::array::from_fn(|word| mix(first.wrapping_add(word as u64)));
    }
    state.count += 1;
    state.sum = state.sum.wrapping_add(update.number);
    let check = state.kept.iter().fold(0_u64, |sum, it| sum.wrapping_add(*it)) as i64;
    out.emit(Told { key: update.key, count: state.count, sum: state.sum, check });
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::{KeyedTest, Row};

    #[test]
    fn records_are_counted_and_the_rest_of_the_state_stays() {
        let mut test = KeyedTest::<recovery_count>::new(json!({}));
        let record = |number: i64| Row::new(json!({"key": 7, "number": number})).key("7");
        let run = test.run([record(5), record(6)]);
        let kept: [u64; KEPT_WORDS] = std::array::from_fn(|it| mix(7 * 126 + it as u64));
        let check = kept.iter().fold(0_u64, |sum, it| sum.wrapping_add(*it)) as i64;
        let told = |count: i64, sum: i64| format!(r#"out: {{"key":7,"count":{count},"sum":{sum},"check":{check}}}"#);
        assert_eq!(run.to_string(), format!("{}\n{}", told(1, 5), told(2, 11)));
        assert_eq!(test.state("7"), Some(Tally { count: 2, sum: 11, kept }));
    }

    #[test]
    fn state_is_a_kilobyte_and_nothing_else() {
        let mut bytes = Vec::new();
        let tally = Tally { count: 3, sum: -4, kept: std::array::from_fn(|it| mix(it as u64)) };
        tally.store(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 1_024);
        assert_eq!(Tally::load(&bytes), Ok(tally));
        for length in [0, 8, 1_016, 1_023] {
            assert_eq!(Tally::load(&bytes[..length]).unwrap_err(), format!("{length} bytes, expected 1024"));
        }
        bytes.extend_from_slice(&[0; 8]);
        assert_eq!(Tally::load(&bytes).unwrap_err(), "1032 bytes, expected 1024");
    }
}
