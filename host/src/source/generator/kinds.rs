//! The kinds of records: each a few draws and a text.

mod nexmark;

use crate::config::GeneratorKind;
use std::io::Write;

/// 2026-01-01T00:00:00Z: event time of the first record of every kind but Nexmark's.
const START_MS: i64 = 1_767_225_600_000;

/// Writes record `index` and answers its event time, ms.
pub(super) fn write(kind: GeneratorKind, seed: u64, index: u64, out: &mut Vec<u8>) -> i64 {
    let draws = Draws::new(seed, index);
    match kind {
        GeneratorKind::Transactions => transaction(draws, seed, index, out),
        GeneratorKind::Orders => order(draws, index, out),
        GeneratorKind::Sensors => reading(draws, seed, index, out),
        GeneratorKind::Rides => ride(draws, index, out),
        GeneratorKind::Nexmark => nexmark::write(draws, seed, index, out),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), started anew for each record.
struct Draws {
    state: u64,
}

impl Draws {
    fn new(seed: u64, stream: u64) -> Self {
        Draws { state: mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream)) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`, which is less than 2^32.
    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Adds text; a vector takes every write.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {{
        let written = write!($out, $($text)*);
        debug_assert!(written.is_ok());
    }};
}
use put;

/// Adds an amount of cents as a number with two decimals.
fn put_cents(out: &mut Vec<u8>, cents: u64) {
    put!(out, "{}.{:02}", cents / 100, cents % 100);
}

/// Adds `,"timestamp":"..."}`.
fn put_timestamp(out: &mut Vec<u8>, ms: i64) {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    put!(out, ",\"timestamp\":\"{time:.3}\"}}");
}

/// Four transactions a second of event time by 5,000 customers, amounts mostly below 500. One in 2,000 is over 10,000,
/// and in one of four blocks of 500 a customer pays 8 times within 6 seconds.
fn transaction(mut draws: Draws, seed: u64, index: u64, out: &mut Vec<u8>) -> i64 {
    const BLOCK: u64 = 500;
    const BURST: u64 = 8;
    let mut customer = draws.below(5_000);
    let size = draws.below(2_000);
    let cents = match size {
        0 => 1_000_000 + draws.below(4_000_000),
        1..=199 => 10_000 + draws.below(90_000),
        _ => 100 + draws.below(40_000),
    };
    let mut block = Draws::new(seed ^ 0x6275_7273_7473, index / BLOCK);
    if block.below(4) == 0 {
        let (first, fraudster) = (block.below(BLOCK - 3 * BURST), block.below(5_000));
        let place = (index % BLOCK).wrapping_sub(first);
        if place < 3 * BURST && place.is_multiple_of(3) {
            customer = fraudster;
        }
    }
    let ms = START_MS + index as i64 * 250;
    put!(out, "{{\"transaction_id\":\"t-{:06}\",\"customer_id\":\"c-{customer:04}\",\"amount\":", index + 1);
    put_cents(out, cents);
    put_timestamp(out, ms);
    ms
}

/// Five orders a second of event time, by 2,000 customers from 50 sellers.
fn order(mut draws: Draws, index: u64, out: &mut Vec<u8>) -> i64 {
    let (customer, seller) = (draws.below(2_000), draws.below(50).min(draws.below(50)));
    let cents = 500 + draws.below(500) * draws.below(100);
    let ms = START_MS + index as i64 * 200;
    put!(out, "{{\"order_id\":\"o-{:06}\",\"customer_id\":\"c-{customer:04}\",", index + 1);
    put!(out, "\"seller_id\":\"s-{seller:02}\",\"amount\":");
    put_cents(out, cents);
    put_timestamp(out, ms);
    ms
}

/// Every device of 100 once a second of event time, 40 to 80 degrees; of a device's runs of 20 readings one in 15 has
/// an excursion above 85 in its middle.
fn reading(mut draws: Draws, seed: u64, index: u64, out: &mut Vec<u8>) -> i64 {
    const DEVICES: u64 = 100;
    const RUN: u64 = 20;
    let (device, turn) = (index % DEVICES, index / DEVICES);
    let mut run = Draws::new(seed ^ 0x6865_6174, turn / RUN * DEVICES + device);
    let hot = run.below(15) == 0 && (6..6 + 2 + run.below(7)).contains(&(turn % RUN));
    let tenths = if hot { 855 + draws.below(100) } else { 400 + device * 3 + draws.below(100) };
    let ms = START_MS + index as i64 * 10;
    put!(out, "{{\"device\":\"d-{device:02}\",\"temperature\":{}.{}", tenths / 10, tenths % 10);
    put_timestamp(out, ms);
    ms
}

/// Twenty ride requests a second of event time in 64 cells, every second of them in the four busiest.
fn ride(mut draws: Draws, index: u64, out: &mut Vec<u8>) -> i64 {
    let cell = if draws.below(2) == 0 { draws.below(4) } else { draws.below(64) };
    let ms = START_MS + index as i64 * 50;
    put!(out, "{{\"ride_id\":\"r-{:06}\",\"cell\":\"{}-{}\"", index + 1, cell / 8, cell % 8);
    put_timestamp(out, ms);
    ms
}
