//! One alert for each excursion: the smallest state that changes what a rule says.
//!
//! The step needs `key = "device"`.

use serde::{Deserialize, Serialize};
use wasmill_plugin::prelude::*;

/// A measurement.
#[derive(Record)]
struct Reading<'a> {
    device: &'a str,
    /// In degrees Celsius.
    temperature: f64,
    /// Event time in milliseconds since the Unix epoch.
    #[slot(time)]
    at: i64,
}

/// Written when a device becomes too hot.
#[derive(Emit)]
struct Alert<'a> {
    device: &'a str,
    temperature: f64,
    at: i64,
}

/// That a device is too hot. There is no state for one that is not, which is nearly all of them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Excursion {
    /// When it began, in milliseconds since the Unix epoch.
    since: i64,
}

/// The step's `config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Above this it is too hot, in degrees Celsius.
    max_temperature: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_temperature: 85.0 }
    }
}

/// Alerts once when a device becomes too hot, and again only after it has cooled down.
#[wasmill_plugin::keyed(state_version = 1)]
fn overheat(reading: Reading<'_>, state: &mut Option<Excursion>, config: &Config, out: &mut Output<Alert<'_>>) {
    let Reading { device, temperature, at } = reading;
    if temperature <= config.max_temperature {
        *state = None;
    } else if state.is_none() {
        *state = Some(Excursion { since: at });
        out.emit(Alert { device, temperature, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;
    use wasmill_plugin::testing::{KeyedTest, Row};

    fn reading(device: &str, temperature: f64, at: i64) -> Row {
        Row::new(json!({"device": device, "temperature": temperature})).time(at)
    }

    #[test]
    fn an_excursion_is_one_alert_even_across_batches() {
        let mut test = KeyedTest::<overheat>::new(json!({})).key("device");
        let run =
            test.run([reading("a", 85.0, 1), reading("a", 85.1, 2), reading("b", 20.0, 2), reading("a", 99.0, 3)]);
        assert_eq!(run.to_string(), r#"out: {"device":"a","temperature":85.1,"at":2}"#);
        assert_eq!(test.state("a"), Some(Excursion { since: 2 }));
        assert_eq!(test.keys(), 1, "a device that is not too hot has no state");

        assert_eq!(test.run([reading("a", 90.0, 4)]).to_string(), "");
    }

    #[test]
    fn after_it_has_cooled_down_a_device_alerts_again() {
        let mut test = KeyedTest::<overheat>::new(json!({"max_temperature": 50})).key("device");
        let run = test.run([51.0, 50.0, 52.0, 10.0].map(|it| reading("a", it, it as i64)));
        expect![[r#"
            out: {"device":"a","temperature":51.0,"at":51}
            out: {"device":"a","temperature":52.0,"at":52}"#]]
        .assert_eq(&run.to_string());
        assert_eq!(test.keys(), 0);
    }

    #[test]
    fn devices_do_not_share_an_excursion() {
        let mut test = KeyedTest::<overheat>::new(json!({})).key("device");
        let run = test.run([reading("a", 90.0, 1), reading("b", 91.0, 1), reading("a", 92.0, 2)]);
        expect![[r#"
            out: {"device":"a","temperature":90.0,"at":1}
            out: {"device":"b","temperature":91.0,"at":1}"#]]
        .assert_eq(&run.to_string());
    }
}
