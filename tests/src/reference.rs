//! What must come out, computed from the records alone in the most obvious way. Nothing of wasmill is used here.
//!
//! Windows are half-open. A record is late when each of its windows had closed before it: when the watermark, which is the
//! latest time so far less the delay less 1 ms, had reached the window's last millisecond.

use crate::stream::Event;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// What the windows of the scenarios compute: `n = "count()"`, `spent = "sum(amount)"` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Records.
    pub n: i64,
    /// Sum of the amounts.
    pub spent: i64,
    /// Smallest amount.
    pub least: i64,
    /// Largest amount.
    pub most: i64,
}

/// The aggregates of a step whose results are those of [`Fold`], as TOML.
pub const FOLD: &str = r#"{ n = "count()", spent = "sum(amount)", least = "min(amount)", most = "max(amount)" }"#;

impl Fold {
    fn of<'a>(amounts: impl IntoIterator<Item = &'a Event>) -> Fold {
        let mut fold = Fold { n: 0, spent: 0, least: i64::MAX, most: i64::MIN };
        for event in amounts {
            fold.n += 1;
            fold.spent += event.amount;
            fold.least = fold.least.min(event.amount);
            fold.most = fold.most.max(event.amount);
        }
        fold
    }

    fn row(self, user: &str, start: i64, end: i64) -> Value {
        json!({
            "user": user, "window_start": start, "window_end": end,
            "n": self.n, "spent": self.spent, "least": self.least, "most": self.most,
        })
    }
}

/// The windows of `size_ms`, one every `slide_ms`, that hold time `at`: their starts, earliest first.
pub fn starts(at: i64, size_ms: i64, slide_ms: i64) -> Vec<i64> {
    let last = at.div_euclid(slide_ms) * slide_ms;
    let mut starts: Vec<i64> = (0..).map(|it| last - it * slide_ms).take_while(|start| start + size_ms > at).collect();
    starts.reverse();
    starts
}

/// The final result of each user's windows, each user's in order of time. Tumbling where `slide_ms` is `size_ms`.
pub fn windows(events: &[Event], size_ms: i64, slide_ms: i64) -> Vec<Value> {
    let mut windows: BTreeMap<(&str, i64), Vec<&Event>> = BTreeMap::new();
    for event in events {
        for start in starts(event.at, size_ms, slide_ms) {
            windows.entry((&event.user, start)).or_default().push(event);
        }
    }
    windows.into_iter().map(|((user, start), events)| Fold::of(events).row(user, start, start + size_ms)).collect()
}

/// The final result of each user's sessions, each user's in order of time. A silence of exactly `gap_ms` splits.
pub fn sessions(events: &[Event], gap_ms: i64) -> Vec<Value> {
    let mut users: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        users.entry(&event.user).or_default().push(event);
    }
    let mut rows = Vec::new();
    for (user, mut events) in users {
        events.sort_by_key(|it| it.at);
        for session in events.chunk_by(|a, b| b.at - a.at < gap_ms) {
            let (start, end) = (session[0].at, session[session.len() - 1].at + gap_ms);
            rows.push(Fold::of(session.iter().copied()).row(user, start, end));
        }
    }
    rows
}

/// Each event with the aggregates of its user over the events so far in `(at - size_ms, at]`, in order of arrival.
pub fn rolling(events: &[Event], size_ms: i64) -> Vec<Value> {
    let mut users: HashMap<&str, Vec<&Event>> = HashMap::new();
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let seen = users.entry(&event.user).or_default();
        seen.push(event);
        let within = seen.iter().copied().filter(|it| event.at - size_ms < it.at && it.at <= event.at);
        let fold = Fold::of(within);
        rows.push(json!({
            "id": event.id, "user": event.user, "at": event.at, "amount": event.amount,
            "n": fold.n, "spent": fold.spent, "least": fold.least, "most": fold.most,
        }));
    }
    rows
}

/// How many events of its user each one is preceded by and is, in order of arrival: what a counting plugin answers.
pub fn counts(events: &[Event]) -> Vec<(String, i64)> {
    let mut users: HashMap<&str, i64> = HashMap::new();
    let mut counts = Vec::with_capacity(events.len());
    for event in events {
        let count = users.entry(&event.user).or_default();
        *count += 1;
        counts.push((event.user.clone(), *count));
    }
    counts
}

/// What windows of one source partition make of events that may be late, record by record.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    /// The result of each window that a record changed, after that record.
    pub updates: Vec<Value>,
    /// The last result of each window, in no order.
    pub closed: Vec<Value>,
    /// The ids of the late records, in order.
    pub late: Vec<i64>,
}

/// Windows of `size_ms`, one every `slide_ms`, over the events of one partition.
pub fn updates(events: &[Event], size_ms: i64, slide_ms: i64, delay_ms: i64) -> Updates {
    let mut result = Updates::default();
    let mut windows: BTreeMap<(&str, i64), Vec<&Event>> = BTreeMap::new();
    let mut latest: Option<i64> = None;
    for event in events {
        let watermark = latest.map_or(i64::MIN, |it| it - delay_ms - 1);
        let mut late = true;
        for start in starts(event.at, size_ms, slide_ms) {
            let last = start + size_ms - 1;
            if watermark >= last {
                continue;
            }
            late = false;
            let window = windows.entry((&event.user, start)).or_default();
            window.push(event);
            result.updates.push(Fold::of(window.iter().copied()).row(&event.user, start, start + size_ms));
        }
        if late {
            result.late.push(event.id);
        }
        latest = latest.max(Some(event.at));
    }
    let rows = windows.into_iter().map(|((user, start), it)| Fold::of(it).row(user, start, start + size_ms));
    result.closed = rows.collect();
    result
}
