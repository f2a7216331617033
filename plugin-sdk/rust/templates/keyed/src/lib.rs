//! Counts the records of each key, and says so when a key falls silent.

use serde::{Deserialize, Serialize};
use wasmill_plugin::prelude::*;

/// What the rule reads: nothing of the value, only the event time.
#[derive(Record)]
struct Event {
    /// Milliseconds since the Unix epoch.
    #[slot(time)]
    at: i64,
}

/// What is remembered of a key. The host keeps it, checkpoints it and gives it back; whoever changes its form raises `state_version`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Activity {
    last: i64,
    count: i64,
}

/// Written once for each time that a key was active.
#[derive(Emit)]
struct Summary<'a> {
    key: &'a str,
    last: i64,
    count: i64,
}

/// The step's `config`. A wrong one is refused before anything starts.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// A key without a record for this long is silent, in milliseconds of event time.
    silence_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config { silence_ms: 300_000 }
    }
}

/// The only timer; a key holds at most one of each number.
const SILENCE: u32 = 0;

/// Counts the records of each key, and sums up when a key falls silent.
#[wasmill_plugin::keyed(state_version = 1, on_timer = fell_silent)]
fn example_rule(
    event: Event,
    state: &mut Option<Activity>,
    timers: &mut Timers,
    config: &Config,
    _out: &mut Output<Summary<'_>>,
) -> Result<(), Reject> {
    let silent_at = event.at.checked_add(config.silence_ms).ok_or_else(|| Reject::new("the time is out of range"))?;
    let activity = state.get_or_insert(Activity { last: event.at, count: 0 });
    activity.count += 1;
    if event.at >= activity.last {
        activity.last = event.at;
        timers.set(SILENCE, silent_at); // Replaces the one before.
    }
    Ok(())
}

/// Sums up and forgets the key.
fn fell_silent(
    timer: Timer<'_>,
    state: &mut Option<Activity>,
    _timers: &mut Timers,
    _config: &Config,
    out: &mut Output<Summary<'_>>,
) -> Result<(), Reject> {
    let Some(Activity { last, count }) = state.take() else { return Ok(()) };
    out.emit(Summary { key: timer.key_text()?, last, count });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasmill_plugin::testing::{KeyedTest, Row};

    #[test]
    fn a_key_is_summed_up_when_it_falls_silent() {
        let mut test = KeyedTest::<example_rule>::new(json!({"silence_ms": 100}));
        test.run([10, 50].map(|at| Row::new(json!({})).key("ann").time(at)));
        assert_eq!(test.state("ann"), Some(Activity { last: 50, count: 2 }));
        assert_eq!(test.advance(150).to_string(), r#"out: {"key":"ann","last":50,"count":2}"#);
        assert_eq!(test.keys(), 0);
    }
}
