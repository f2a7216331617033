//! One case in the sandbox, and what happened as lines: the same ones that the SDKs' own test drivers print.
//!
//! | line                                 | what happened                                                      |
//! |--------------------------------------|--------------------------------------------------------------------|
//! | `PORT: VALUE`                        | a row came out; `key=`, `time=` and `header.NAME=` before the colon |
//! | `reject ROW: REASON`                 | a record was refused, by the plugin or before it, or failed        |
//! | `reject timer KEY: REASON`, `window` | a timer or a window was                                            |
//! | `count NAME: N`                      | the plugin counted                                                 |
//! | `state KEY: VALUE`                   | what a key has after the round, JSON or `bytes` in base64          |
//! | `timer KEY ID at MS`                 | what is set after the round                                        |
//! | `refused: REASON`                    | the plugin refuses the config                                      |

use super::case::{Case, Round};
use crate::cli::plugin::records;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill::batch::RawBatch;
use wasmill::config::PluginLimits;
use wasmill::pipeline::trial::{self, Made, MadeRow, Need, Place, Trial, TrialError, TrialOptions, time_format};
use wasmill::plugin::{Plugin, PluginError, PluginKind};

/// Why a case has no lines for all of its rounds.
#[derive(Debug)]
pub(super) enum Unplayed {
    /// The case lacks a key that a plugin of this kind needs: its file is wrong.
    Needs(String),
    /// The plugin refuses the config, with this reason.
    Refused(String),
    /// The plugin failed as no record can be blamed for: the lines so far, and the failure.
    Failed(Vec<String>, String),
}

/// Runs the case: the lines of each round.
pub(super) fn play(plugin: &Plugin, case: &Case, limits: &PluginLimits) -> Result<Vec<String>, Unplayed> {
    let options = options(case, limits);
    let played = match (plugin.kind(), case.window) {
        (PluginKind::Aggregate, Some(window)) => fold(plugin, case, &options, window),
        (PluginKind::Aggregate, None) => Err(needs("window = [0, 60000]", "an aggregate plugin folds one window")),
        (_, Some(_)) => {
            let what = format!("`window` is for aggregate plugins, and this is a {} plugin", plugin.kind());
            Err(Unplayed::Needs(what))
        }
        (kind, None) if kind != PluginKind::Keyed && !case.state.is_empty() => {
            Err(Unplayed::Needs(format!("`state` is for keyed plugins, and this is a {kind} plugin")))
        }
        (_, None) => rounds(plugin, case, &options),
    };
    match played {
        // What a plugin refuses to open with is a result like another.
        Err(Unplayed::Refused(reason)) => Ok(vec![format!("refused: {}", line(&reason)); case.rounds.len()]),
        played => played,
    }
}

fn needs(key: &str, why: &str) -> Unplayed {
    Unplayed::Needs(format!("{why}: add `{key}` to the case"))
}

fn unplayed(lines: Vec<String>, error: TrialError) -> Unplayed {
    match error {
        TrialError::Needs(Need::Key) => needs("key = \"FIELD\"", &error.to_string()),
        TrialError::Needs(Need::Time) => needs("time = \"FIELD\"", &error.to_string()),
        TrialError::Needs(Need::Window) => needs("window = [START, END]", &error.to_string()),
        TrialError::Plugin(PluginError::Config { reason, .. }) => Unplayed::Refused(reason),
        TrialError::Plugin(_) | TrialError::Step(_) => Unplayed::Failed(lines, error.to_string()),
    }
}

fn options(case: &Case, limits: &PluginLimits) -> TrialOptions {
    let first = case.rounds.iter().flat_map(|it| it.input.lines()).find(|it| !it.trim().is_empty());
    let format = |field: &str| time_format(first.unwrap_or_default().as_bytes(), field);
    TrialOptions {
        config: case.config.clone(),
        limits: limits.clone(),
        key: case.key.iter().map(|it| Arc::from(it.as_str())).collect(),
        time: case.time.as_ref().map(|it| (Arc::from(it.as_str()), format(it))),
        delay_ms: None,
        window: None,
        topic: case.topic.clone(),
    }
}

fn input(case: &Case, round: &Round) -> RawBatch {
    records::of_text(&round.input, case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn rounds(plugin: &Plugin, case: &Case, options: &TrialOptions) -> Result<Vec<String>, Unplayed> {
    let mut trial = Trial::start(plugin, options).map_err(|error| unplayed(Vec::new(), error))?;
    case.state.iter().for_each(|(key, state)| trial.set_state(key, state.clone()));
    if let Some(version) = case.state_version {
        trial.migrate(version).map_err(|error| unplayed(Vec::new(), error))?;
    }
    let mut played = Vec::new();
    let mut counted = BTreeMap::new();
    for round in &case.rounds {
        match play_round(&mut trial, input(case, round), round, &mut counted) {
            Ok(lines) => played.push(lines),
            Err(error) => return Err(unplayed(played, error)),
        }
    }
    Ok(played)
}

fn play_round(
    trial: &mut Trial,
    input: RawBatch,
    round: &Round,
    counted: &mut BTreeMap<String, u64>,
) -> Result<String, TrialError> {
    let mut lines = Vec::new();
    made(&mut lines, &trial.process(input)?, "timer");
    if let Some(watermark) = round.watermark {
        made(&mut lines, &trial.advance(watermark)?, "timer");
    }
    let counters = trial.counters();
    for (name, total) in &counters {
        let before = counted.get(name).copied().unwrap_or(0);
        if *total > before {
            lines.push(format!("count {name}: {}", total - before));
        }
    }
    *counted = counters;
    for (key, state) in trial.states() {
        lines.push(format!("state {}: {}", line(&key), shown_state(&state)));
    }
    lines.extend(trial.timers().iter().map(|(key, id, at)| format!("timer {} {id} at {at}", line(key))));
    Ok(lines.join("\n"))
}

fn fold(plugin: &Plugin, case: &Case, options: &TrialOptions, [start, end]: [i64; 2]) -> Result<Vec<String>, Unplayed> {
    let Some(round) = case.rounds.first() else { return Ok(Vec::new()) };
    let folded = trial::fold(plugin, options, input(case, round), start..end);
    let folded = folded.map_err(|error| unplayed(Vec::new(), error))?;
    let mut lines = Vec::new();
    made(&mut lines, &folded.made, "window");
    lines.extend(folded.counters.iter().map(|(name, count)| format!("count {name}: {count}")));
    let lines = lines.join("\n");
    let Some(disagreement) = folded.disagreement else { return Ok(vec![lines]) };
    let mut merged = Vec::new();
    made(&mut merged, &disagreement.made, "window");
    let error = format!(
        "merge does not agree with add: the records before record {} and those from it on, folded apart and merged, give\n{}",
        disagreement.cut,
        merged.join("\n")
    );
    Err(Unplayed::Failed(vec![lines], error))
}

/// Rows, then what was refused; `what` is what a key stands for where no record does.
fn made(lines: &mut Vec<String>, made: &Made, what: &str) {
    lines.extend(made.rows().map(|it| row(&it)));
    for (place, reason) in made.rejects() {
        lines.push(match place {
            Place::Record(row) => format!("reject {row}: {}", line(reason)),
            Place::Key(key) => format!("reject {what} {}: {}", line(&key), line(reason)),
        });
    }
}

fn row(row: &MadeRow<'_>) -> String {
    let text = |bytes: &[u8]| line(&String::from_utf8_lossy(bytes));
    let key = row.key.map(|it| format!(" key={}", text(it))).unwrap_or_default();
    let time = row.time.map(|it| format!(" time={it}")).unwrap_or_default();
    let header = |(name, value): &(&[u8], Option<&[u8]>)| {
        format!(" header.{}={}", text(name), value.map_or_else(|| "null".to_owned(), text))
    };
    let headers: String = row.headers.iter().map(header).collect();
    let value = row.value.map_or_else(|| "null".to_owned(), text);
    format!("{}{key}{time}{headers}: {value}", row.name)
}

/// State that is JSON as it is, anything else as base64.
fn shown_state(state: &[u8]) -> String {
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(state).is_ok();
    match std::str::from_utf8(state) {
        Ok(text) if json => line(text),
        _ => format!("bytes {}", BASE64_STANDARD.encode(state)),
    }
}

/// `text` on one line.
fn line(text: &str) -> String {
    if text.contains(['\n', '\r']) { text.replace('\n', "\\n").replace('\r', "\\r") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_sets_beside_its_value_stands_before_the_colon() {
        let mut made = MadeRow { port: 0, name: "out", value: Some(b"{}"), key: None, time: None, headers: Vec::new() };
        assert_eq!(row(&made), "out: {}");
        made.key = Some(b"a\nb");
        made.time = Some(5);
        made.headers = vec![(b"trace", Some(b"1"))];
        made.value = None;
        assert_eq!(row(&made), "out key=a\\nb time=5 header.trace=1: null");
    }

    #[test]
    fn state_is_shown_as_json_or_as_base64() {
        assert_eq!(shown_state(br#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(shown_state(&[1, 2, 3]), "bytes AQID");
        assert_eq!(shown_state(b""), "bytes ");
    }
}
