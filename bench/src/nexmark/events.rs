//! The events: a pure function of their number, so the same topic can be filled anywhere, in any language.
//!
//! Event `n` is in partition `n % partitions`, has no key, and its timestamp is its event time. A cycle of 50 events is a
//! person, three auctions and 46 bids; 100,000 events are a second. Numbers come from SplitMix64, seeded for each event.

use std::io::Write;

const SEED: u64 = 42;
const START_MS: i64 = 1_700_000_000_000;
const EVENTS_PER_MS: u64 = 100;
/// Persons, auctions and all events of a cycle.
const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
const CYCLE: u64 = 50;
const FIRST_ID: i64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const ACTIVE_PERSONS: i64 = 1000;
/// How far a bid or a seller may run ahead of the auctions and persons that there are.
const LEAD: u64 = 10;
const IN_FLIGHT: i64 = 100;
/// One auction, bidder or seller in so many is hot for a while.
const HOT_STRIDE: i64 = 100;
/// Odds of a hot one: one auction in 2, three bidders and sellers in 4.
const HOT_AUCTION_ODDS: u64 = 2;
const HOT_PERSON_ODDS: u64 = 4;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const STATES: [&str; 6] = ["az", "ca", "id", "or", "wa", "wy"];
const CITIES: [&str; 10] =
    ["phoenix", "los angeles", "san francisco", "boise", "portland", "bend", "redmond", "seattle", "kent", "cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["peter", "paul", "luke", "john", "saul", "vicky", "kate", "julie", "sarah", "deiter", "walter"];
const LAST_NAMES: [&str; 9] = ["shultz", "abrams", "spencer", "white", "bartels", "walton", "smith", "jones", "noris"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// Event time of event `index`, ms since the Unix epoch.
pub fn time_ms(index: u64) -> i64 {
    START_MS + (index / EVENTS_PER_MS) as i64
}

/// Makes events in memory of its own.
#[derive(Debug, Default)]
pub struct Events {
    state: u64,
    out: Vec<u8>,
}

/// Writes to memory, which never fails.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {{
        let _ = write!($out, $($format)*);
    }};
}

impl Events {
    /// The JSON of event `index`.
    pub fn make(&mut self, index: u64) -> &[u8] {
        self.state = mix(SEED.wrapping_mul(GOLDEN).wrapping_add(index));
        self.out.clear();
        match index % CYCLE {
            place if place < PERSONS => self.person(index),
            place if place < PERSONS + AUCTIONS => self.auction(index),
            _ => self.bid(index),
        }
        &self.out
    }

    fn person(&mut self, index: u64) {
        let id = last_person(index) + FIRST_ID;
        let (first, last) = (self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES));
        put!(self.out, "{{\"event_type\":0,\"person\":{{\"id\":{id},\"name\":\"{first} {last}\",\"emailAddress\":\"");
        self.word(7);
        put!(self.out, "@");
        self.word(5);
        put!(self.out, ".com\",\"creditCard\":\"");
        for group in 0..4 {
            let digits = self.below(10_000);
            put!(self.out, "{}{digits:04}", if group == 0 { "" } else { " " });
        }
        let (city, state, time) = (self.pick(&CITIES), self.pick(&STATES), time_ms(index));
        put!(self.out, "\",\"city\":\"{city}\",\"state\":\"{state}\",\"dateTime\":{time}");
        self.extra(self.out.len() as i64 - 90, 200);
    }

    fn auction(&mut self, index: u64) {
        put!(self.out, "{{\"event_type\":1,\"auction\":{{\"id\":{},\"itemName\":\"", last_auction(index) + FIRST_ID);
        self.word(20);
        put!(self.out, "\",\"description\":\"");
        self.word(100);
        let (initial, time) = (self.price(), time_ms(index));
        let reserve = initial + self.price();
        let horizon = time_ms(index + IN_FLIGHT as u64 * CYCLE / AUCTIONS) - time;
        let expires = time + 1 + self.below((horizon * 2).max(1) as u64) as i64;
        let seller = self.hot_person(index, 0) + FIRST_ID;
        let category = FIRST_CATEGORY + self.below(5);
        put!(self.out, "\",\"initialBid\":{initial},\"reserve\":{reserve},\"dateTime\":{time},\"expires\":{expires}");
        put!(self.out, ",\"seller\":{seller},\"category\":{category}");
        self.extra(self.out.len() as i64 - 120, 500);
    }

    fn bid(&mut self, index: u64) {
        let last = last_auction(index);
        let hot = self.below(HOT_AUCTION_ODDS) > 0;
        let auction = FIRST_ID + if hot { last / HOT_STRIDE * HOT_STRIDE } else { self.some_auction(last) };
        let bidder = FIRST_ID + self.hot_person(index, 1);
        let price = self.price();
        put!(self.out, "{{\"event_type\":2,\"bid\":{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price}");
        // Hot channels are -1 to -4.
        let channel = match self.below(2) {
            0 => self.below(10_000) as i64,
            _ => -1 - self.below(HOT_CHANNELS.len() as u64) as i64,
        };
        match HOT_CHANNELS.get((-1 - channel) as usize) {
            Some(name) => put!(self.out, ",\"channel\":\"{name}\",\"url\":\"https://www.nexmark.com/"),
            None => put!(self.out, ",\"channel\":\"channel-{channel}\",\"url\":\"https://www.nexmark.com/"),
        }
        // A channel always has the same address: its letters come from its number.
        let saved = std::mem::replace(&mut self.state, mix(SEED.wrapping_add_signed(channel)));
        for _ in 0..3 {
            self.word(5);
            put!(self.out, "/");
        }
        put!(self.out, "item.htm?query=1");
        if channel >= 0 && self.below(10) > 0 {
            put!(self.out, "&channel_id={}", (channel as i32).reverse_bits().wrapping_abs());
        }
        self.state = saved;
        put!(self.out, "\",\"dateTime\":{}", time_ms(index));
        self.extra(32, 100);
    }

    /// Fills an event of `size` bytes up to about `average`, and closes it.
    fn extra(&mut self, size: i64, average: i64) {
        put!(self.out, ",\"extra\":\"");
        let want = average - size;
        if want > 0 {
            let delta = (want as f32 * 0.2 + 0.5).floor() as i64;
            let more = if delta == 0 { 0 } else { self.below(2 * delta as u64) as i64 };
            self.letters((want - delta + more) as u64);
        }
        put!(self.out, "\"}}}}");
    }

    /// Three in four times the hot person (`shift` after it), otherwise any active one or one soon to come.
    fn hot_person(&mut self, index: u64, shift: i64) -> i64 {
        let last = last_person(index);
        if self.below(HOT_PERSON_ODDS) > 0 {
            return last / HOT_STRIDE * HOT_STRIDE + shift;
        }
        let active = (last + 1).min(ACTIVE_PERSONS);
        last + 1 - active + self.below(active as u64 + LEAD) as i64
    }

    /// Any auction in flight, or one soon to come.
    fn some_auction(&mut self, last: i64) -> i64 {
        let oldest = (last - IN_FLIGHT).max(0);
        oldest + self.below((last - oldest) as u64 + 1 + LEAD) as i64
    }

    /// 100 to 100,000,000, as many below as above 10,000.
    fn price(&mut self) -> i64 {
        let draw = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (10_f64.powf(draw * 6.0) * 100.0 + 0.5).floor() as i64
    }

    /// A word of 3 to `bound - 1` letters.
    fn word(&mut self, bound: u64) {
        let letters = 3 + self.below(bound - 3);
        self.letters(letters);
    }

    fn letters(&mut self, count: u64) {
        let mut bits = 0;
        for at in 0..count {
            if at % 10 == 0 {
                bits = self.next() >> 4; // 60 bits, 10 letters.
            }
            self.out.push(b'a' + (((bits & 63) * 26) >> 6) as u8);
            bits >>= 6;
        }
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`, which is less than 2^32.
    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }
}

/// SplitMix64's finalizer (Steele et al., "Fast splittable pseudorandom number generators").
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The newest person at event `index`, from 0.
fn last_person(index: u64) -> i64 {
    (index / CYCLE * PERSONS + PERSONS - 1) as i64 // Each cycle begins with its persons.
}

/// The newest auction at event `index`, from 0; -1 where there is none yet.
fn last_auction(index: u64) -> i64 {
    let (cycle, place) = ((index / CYCLE) as i64, index % CYCLE);
    match place.checked_sub(PERSONS) {
        None => cycle * AUCTIONS as i64 - 1,
        Some(place) => cycle * AUCTIONS as i64 + place.min(AUCTIONS - 1) as i64,
    }
}
