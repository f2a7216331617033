//! The records, and what must come out: the same bytes wherever they are made.

use crate::nexmark::digest::Digest;
use crate::topic::Writer;
use anyhow::Result;
use std::io::Write;
use std::ops::Range;

/// State of a key, bytes.
pub const STATE_BYTES: u64 = 1_024;
/// Words of it that are only kept.
const KEPT_WORDS: u64 = 126;
/// A prime: so many keys further is the next key that comes for the first time.
const STRIDE: u64 = 2_654_435_761;
const START_MS: i64 = 1_700_000_000_000;
const RECORDS_PER_MS: u64 = 100;

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Keys, 1 KiB of state each.
    pub keys: u64,
    /// Records of known keys before the kill.
    pub updates: u64,
    /// Records of known keys that are written while nobody reads.
    pub missed: u64,
    /// Partitions of the topics. A key is in one of them.
    pub partitions: u32,
}

impl Job {
    /// Records before the kill.
    pub fn before(&self) -> u64 {
        self.keys + self.updates
    }

    /// All records.
    pub fn all(&self) -> u64 {
        self.before() + self.missed
    }

    /// Key and number of record `index`: first every key once, in no order that helps, then any of them.
    fn record(&self, index: u64) -> (u64, u64) {
        let random = mix(index);
        let key = if index < self.keys { index.wrapping_mul(STRIDE) % self.keys } else { random % self.keys };
        (key, random >> 34)
    }

    /// Writes the records `which` to `topic`. The key is in the record's JSON and, in eight bytes, its Kafka key.
    ///
    /// # Errors
    /// The broker does not take them.
    pub fn write(&self, brokers: &str, topic: &str, which: Range<u64>) -> Result<()> {
        let writer = Writer::new(brokers, topic)?;
        let mut value = Vec::new();
        for index in which {
            let (key, number) = self.record(index);
            value.clear();
            let _ = write!(value, "{{\"key\":{key},\"number\":{number}}}"); // To memory, which never fails.
            let timestamp = START_MS + (index / RECORDS_PER_MS) as i64;
            writer.write((key % u64::from(self.partitions)) as i32, Some(&key.to_be_bytes()), &value, timestamp)?;
        }
        writer.finish()
    }

    /// What must come out.
    pub fn expected(&self) -> Digest {
        let mut tallies = vec![(0_u32, 0_u64); self.keys as usize];
        let (mut digest, mut line) = (Digest::default(), Vec::new());
        for index in 0..self.all() {
            let (key, number) = self.record(index);
            let Some((count, sum)) = tallies.get_mut(key as usize) else { continue };
            (*count, *sum) = (*count + 1, *sum + number);
            line.clear();
            let _ = write!(line, "{{\"key\":{key},\"count\":{count},\"sum\":{sum},\"check\":{}}}", check(key));
            digest.add(&line);
        }
        digest
    }
}

/// The sum of what is only kept of a key.
fn check(key: u64) -> i64 {
    (0..KEPT_WORDS).fold(0_u64, |sum, word| sum.wrapping_add(mix(key * KEPT_WORDS + word))) as i64
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
