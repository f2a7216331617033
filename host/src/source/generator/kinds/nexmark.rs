//! Nexmark's events: persons, auctions and bids in a cycle of 1, 3 and 46, 100 events a millisecond.
//!
//! Ids, hot keys (one bid in two on a hot auction, three in four by a hot bidder), prices and lengths follow the Nexmark
//! generator (Tucker et al., "NEXMark: a benchmark for queries over data streams", as in nexmark-flink).

use super::{Draws, put};
use std::io::Write;

const START_MS: i64 = 1_700_000_000_000;
const EVENTS_PER_MS: u64 = 100;
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
const CYCLE: u64 = 50;
const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const ACTIVE_PERSONS: u64 = 1000;
/// How far a bid or an auction may run ahead of the persons and auctions that there are.
const LEAD: u64 = 10;
const IN_FLIGHT: u64 = 100;
const HOT_STRIDE: u64 = 100;

const STATES: [&str; 6] = ["az", "ca", "id", "or", "wa", "wy"];
const CITIES: [&str; 10] =
    ["phoenix", "los angeles", "san francisco", "boise", "portland", "bend", "redmond", "seattle", "kent", "cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["peter", "paul", "luke", "john", "saul", "vicky", "kate", "julie", "sarah", "deiter", "walter"];
const LAST_NAMES: [&str; 9] = ["shultz", "abrams", "spencer", "white", "bartels", "walton", "smith", "jones", "noris"];
const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

pub(super) fn write(draws: Draws, seed: u64, index: u64, out: &mut Vec<u8>) -> i64 {
    let mut event = Event { draws, seed, index, out };
    match index % CYCLE {
        0 => event.person(),
        1..=3 => event.auction(),
        _ => event.bid(),
    }
    time(index)
}

fn time(index: u64) -> i64 {
    START_MS + (index / EVENTS_PER_MS) as i64
}

/// The newest person at event `index`, from 0.
fn last_person(index: u64) -> u64 {
    index / CYCLE * PERSONS + (PERSONS - 1) // Each cycle begins with its persons.
}

/// The newest auction at event `index`, from 0; the first person comes before any.
fn last_auction(index: u64) -> u64 {
    let (cycle, place) = (index / CYCLE, index % CYCLE);
    match place.checked_sub(PERSONS) {
        None => (cycle * AUCTIONS).saturating_sub(1),
        Some(place) => cycle * AUCTIONS + place.min(AUCTIONS - 1),
    }
}

struct Event<'a> {
    draws: Draws,
    seed: u64,
    index: u64,
    out: &'a mut Vec<u8>,
}

impl Event<'_> {
    fn person(&mut self) {
        let start = self.out.len();
        let (first, last) = (self.draws.pick(&FIRST_NAMES), self.draws.pick(&LAST_NAMES));
        let id = last_person(self.index) + FIRST_ID;
        put!(self.out, "{{\"event_type\":0,\"person\":{{\"id\":{id},\"name\":\"{first} {last}\",\"emailAddress\":\"");
        self.word(7);
        self.out.push(b'@');
        self.word(5);
        put!(self.out, ".com\",\"creditCard\":\"");
        for group in 0..4 {
            put!(self.out, "{}{:04}", if group == 0 { "" } else { " " }, self.draws.below(10_000));
        }
        let (city, state) = (self.draws.pick(&CITIES), self.draws.pick(&STATES));
        put!(self.out, "\",\"city\":\"{city}\",\"state\":\"{state}\",\"dateTime\":{}", time(self.index));
        self.extra(start + 90, 200);
    }

    fn auction(&mut self) {
        let start = self.out.len();
        put!(self.out, "{{\"event_type\":1,\"auction\":{{\"id\":{}", last_auction(self.index) + FIRST_ID);
        put!(self.out, ",\"itemName\":\"");
        self.word(20);
        put!(self.out, "\",\"description\":\"");
        self.word(100);
        let (initial, time_ms) = (self.price(), time(self.index));
        let reserve = initial + self.price();
        let horizon_ms = (time(self.index + IN_FLIGHT * CYCLE / AUCTIONS) - time_ms).unsigned_abs();
        let expires = time_ms as u64 + 1 + self.draws.below((horizon_ms * 2).max(1));
        let seller = self.hot_person(0) + FIRST_ID;
        let category = FIRST_CATEGORY + self.draws.below(5);
        put!(
            self.out,
            "\",\"initialBid\":{initial},\"reserve\":{reserve},\"dateTime\":{time_ms},\"expires\":{expires}"
        );
        put!(self.out, ",\"seller\":{seller},\"category\":{category}");
        self.extra(start + 120, 500);
    }

    fn bid(&mut self) {
        let last = last_auction(self.index);
        let auction = if self.draws.below(2) > 0 { last / HOT_STRIDE * HOT_STRIDE } else { self.some_auction(last) };
        let bidder = self.hot_person(1);
        let (auction, bidder, price) = (auction + FIRST_ID, bidder + FIRST_ID, self.price());
        put!(self.out, "{{\"event_type\":2,\"bid\":{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price}");
        let channel = if self.draws.below(2) > 0 { None } else { Some(self.draws.below(10_000)) };
        let hot = self.draws.below(CHANNELS.len() as u64);
        match channel {
            None => put!(self.out, ",\"channel\":\"{}\"", CHANNELS[hot as usize]),
            Some(number) => put!(self.out, ",\"channel\":\"channel-{number}\""),
        }
        put!(self.out, ",\"url\":\"https://www.nexmark.com/");
        // A channel always has the same address: its letters come from its number.
        let mut address = Draws::new(self.seed ^ 0x75_726c, channel.map_or(hot, |it| it + CHANNELS.len() as u64));
        std::mem::swap(&mut self.draws, &mut address);
        for _ in 0..3 {
            self.word(5);
            self.out.push(b'/');
        }
        put!(self.out, "item.htm?query=1");
        if let Some(number) = channel.filter(|_| self.draws.below(10) > 0) {
            put!(self.out, "&channel_id={}", (number as u32).reverse_bits() & 0x7fff_ffff);
        }
        std::mem::swap(&mut self.draws, &mut address);
        put!(self.out, "\",\"dateTime\":{}", time(self.index));
        self.extra(self.out.len() - 32, 100);
    }

    /// Three in four times the hot person (`shift` after it), otherwise any active one or one soon to come.
    fn hot_person(&mut self, shift: u64) -> u64 {
        let last = last_person(self.index);
        if self.draws.below(4) > 0 {
            return last / HOT_STRIDE * HOT_STRIDE + shift;
        }
        let active = (last + 1).min(ACTIVE_PERSONS);
        last + 1 - active + self.draws.below(active + LEAD)
    }

    /// Any auction in flight, or one soon to come.
    fn some_auction(&mut self, last: u64) -> u64 {
        let oldest = last.saturating_sub(IN_FLIGHT);
        oldest + self.draws.below(last - oldest + 1 + LEAD)
    }

    /// 100 to 100,000,000, as many below as above 100,000: a digit count first, then the digits. Integers only, so that no
    /// rounding of floats can differ between machines.
    fn price(&mut self) -> u64 {
        let decade = 10_u64.pow(2 + self.draws.below(6) as u32);
        decade + self.draws.below(9 * decade)
    }

    /// A word of 3 to `bound - 1` letters.
    fn word(&mut self, bound: u64) {
        let letters = 3 + self.draws.below(bound - 3);
        self.letters(letters);
    }

    fn letters(&mut self, count: u64) {
        let mut bits = 0;
        for at in 0..count {
            if at % 10 == 0 {
                bits = self.draws.next() >> 4; // 60 bits, 10 letters.
            }
            self.out.push(b'a' + (((bits & 63) * 26) >> 6) as u8);
            bits >>= 6;
        }
    }

    /// Fills the event up to about `average` bytes after `start`, and closes it.
    fn extra(&mut self, start: usize, average: u64) {
        put!(self.out, ",\"extra\":\"");
        let want = average.saturating_sub(self.out.len().saturating_sub(start) as u64);
        let delta = want / 5;
        let count = want - delta + self.draws.below(2 * delta + 1);
        self.letters(count);
        put!(self.out, "\"}}}}");
    }
}
