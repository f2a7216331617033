//! The input of most scenarios: purchases of some users, in several partitions, a little out of order.

use crate::random::Random;
use serde_json::{Value, json};

/// How far a purchase may be behind the latest of its partition, ms. Sources are given this delay.
pub const DELAY_MS: i64 = 2_000;
/// Between two purchases, on average, ms.
const STEP_MS: u64 = 40;
/// The time of the first purchase, ms.
const START_MS: i64 = 1_760_000_000_000;

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique; from 1.
    pub id: i64,
    /// Who bought. All of one user's purchases are in one partition.
    pub user: String,
    /// When, ms since the Unix epoch.
    pub at: i64,
    /// For how much.
    pub amount: i64,
    /// The partition.
    pub partition: usize,
}

impl Event {
    /// As it is written.
    pub fn json(&self) -> Value {
        json!({"id": self.id, "user": self.user, "at": self.at, "amount": self.amount})
    }
}

/// `count` purchases of `users` users over `partitions` partitions, at most [`DELAY_MS`] out of order.
pub fn events(random: &mut Random, count: u64, users: u64, partitions: usize) -> Vec<Event> {
    let mut now = START_MS;
    let mut events = Vec::with_capacity(count as usize);
    for id in 1..=count as i64 {
        now += random.within(0..2 * STEP_MS) as i64;
        let behind = if random.one_in(4) { random.within(0..DELAY_MS as u64) as i64 } else { 0 };
        let user = random.within(0..users);
        events.push(Event {
            id,
            user: format!("user-{user}"),
            at: now - behind,
            amount: random.within(1..1_000) as i64,
            partition: user as usize % partitions,
        });
    }
    events
}

/// The same with some records as far as `behind_ms` behind, and so late for some windows.
pub fn with_stragglers(random: &mut Random, mut events: Vec<Event>, behind_ms: u64) -> Vec<Event> {
    for event in &mut events {
        if random.one_in(20) {
            event.at -= random.within(0..behind_ms) as i64;
        }
    }
    events
}

/// The events of one partition, in order.
pub fn of_partition(events: &[Event], partition: usize) -> impl Iterator<Item = &Event> {
    events.iter().filter(move |it| it.partition == partition)
}
