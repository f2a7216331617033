//! State and timers: counts the records of each key, and sums up when a key falls silent.
//!
//! The step needs a `key`. The host keeps the state of each key, checkpoints it with the offsets and hands it over with the
//! key's records; time is event time, so a replay gives the same result.

use serde::{Deserialize, Serialize};
use wasmill_plugin::prelude::*;

/// The rule needs no field of the value: any record with a time will do.
#[derive(Record)]
struct Event {
    /// Event time in milliseconds since the Unix epoch, as the source declares it.
    #[slot(time)]
    at: i64,
}

/// What is remembered of a key while it is active. The form is part of the deployment: whoever changes it raises `state_version`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Activity {
    /// Time of the earliest record.
    first: i64,
    /// Time of the latest record.
    last: i64,
    /// Records since the key became active.
    count: i64,
}

/// Written once for each time that a key was active.
#[derive(Emit)]
struct Summary<'a> {
    key: &'a str,
    first: i64,
    last: i64,
    count: i64,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// A key without a record for this long is silent, in milliseconds.
    silence_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config { silence_ms: 300_000 }
    }
}

/// The only timer; a key can hold one of each number.
const SILENCE: u32 = 0;

/// Counts the records of each key and writes one summary when the key has been silent for a while.
#[wasmill_plugin::keyed(state_version = 1, on_timer = fell_silent)]
fn velocity(
    event: Event,
    state: &mut Option<Activity>,
    timers: &mut Timers,
    config: &Config,
    _out: &mut Output<Summary<'_>>,
) -> Result<(), Reject> {
    // Refused before anything is changed: what a rule did to its state before it refuses a record stays.
    let silent_at = event.at.checked_add(config.silence_ms).ok_or_else(|| Reject::new("the time is out of range"))?;
    let activity = state.get_or_insert(Activity { first: event.at, last: event.at, count: 0 });
    activity.first = activity.first.min(event.at);
    activity.count += 1;
    if event.at >= activity.last {
        // Records may come out of order; an older one does not make the key fall silent earlier.
        activity.last = event.at;
        timers.set(SILENCE, silent_at); // Replaces the one before.
    }
    Ok(())
}

/// Sums up, and forgets the key: a state of none is deleted, so what is kept does not grow with every key ever seen.
fn fell_silent(
    timer: Timer<'_>,
    state: &mut Option<Activity>,
    _timers: &mut Timers,
    _config: &Config,
    out: &mut Output<Summary<'_>>,
) -> Result<(), Reject> {
    let Some(Activity { first, last, count }) = state.take() else { return Ok(()) };
    out.emit(Summary { key: timer.key_text()?, first, last, count });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;
    use wasmill_plugin::testing::{KeyedTest, Row};

    fn event(key: &str, at: i64) -> Row {
        Row::new(json!({})).key(key).time(at)
    }

    #[test]
    fn a_key_is_summed_up_when_it_falls_silent_and_forgotten() {
        let mut test = KeyedTest::<velocity>::new(json!({"silence_ms": 100}));
        test.run([event("ann", 10), event("bob", 20), event("ann", 50)]);
        test.run([event("ann", 90)]);
        assert_eq!(test.state("ann"), Some(Activity { first: 10, last: 90, count: 3 }));
        assert_eq!(test.timers(), [("ann".into(), SILENCE, 190), ("bob".into(), SILENCE, 120)]);

        assert_eq!(test.advance(119).to_string(), "");
        expect![[r#"
            out: {"key":"bob","first":20,"last":20,"count":1}
            out: {"key":"ann","first":10,"last":90,"count":3}"#]]
        .assert_eq(&test.advance(200).to_string());
        assert_eq!((test.keys(), test.timers()), (0, vec![]));
    }

    #[test]
    fn a_record_out_of_order_counts_but_does_not_bring_silence_forward() {
        let mut test = KeyedTest::<velocity>::new(json!({"silence_ms": 100}));
        test.run([event("ann", 50), event("ann", 10)]);
        assert_eq!(test.state("ann"), Some(Activity { first: 10, last: 50, count: 2 }));
        assert_eq!(test.timers(), [("ann".into(), SILENCE, 150)]);
    }

    #[test]
    fn a_key_that_comes_back_begins_again() {
        let mut test = KeyedTest::<velocity>::new(json!({"silence_ms": 100}));
        test.run([event("ann", 10)]);
        test.advance(110);
        test.run([event("ann", 500)]);
        assert_eq!(test.state("ann"), Some(Activity { first: 500, last: 500, count: 1 }));
    }

    #[test]
    fn a_time_out_of_range_is_refused_and_changes_nothing() {
        let mut test = KeyedTest::<velocity>::new(json!({}));
        assert_eq!(test.run([event("ann", i64::MAX)]).to_string(), "reject 0: the time is out of range");
        assert_eq!((test.keys(), test.timers()), (0, vec![]));
    }
}
