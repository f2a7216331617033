//! `wasmill pipeline upgrade`, `rollback` and `history`: another version of a plugin while records flow.

use super::pipeline::address;
use super::server::{Carries, part};
use super::shadow::compared;
use super::table::table;
use super::{Client, Failure, Output};
use clap::Args;
use std::fmt::Write as _;
use std::io::Write as _;
use ureq::http::Method;
use wasmill::daemon::api::{
    Action, History, HistoryEntry, Operation, OperationState, Outcome, RollbackRequest, StepPlugin, UpgradePreview,
    UpgradeRequest,
};

/// `wasmill pipeline upgrade`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill pipeline upgrade fraud --step rules --plugin fraud-rules@1.1.0 --dry-run
  wasmill pipeline upgrade fraud --step rules --plugin fraud-rules@1.1.0 --reason \"fewer false alarms\"
  wasmill pipeline upgrade fraud --step rules --plugin fraud-rules@latest --config '{\"max_amount\": 5000}'")]
pub(super) struct Upgrade {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// The step
    #[arg(long)]
    step: String,

    /// The version: NAME@VERSION, NAME@latest or sha256:DIGEST
    #[arg(long)]
    plugin: String,

    /// Its configuration, JSON, or @FILE that holds it [default: the step's stays]
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,

    /// Do not wait for its end
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    client: Client,
}

/// `wasmill pipeline rollback`.
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// The step [default: the one that was changed last]
    #[arg(long)]
    step: Option<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Do not wait for its end
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    client: Client,
}

pub(super) fn upgrade(options: &Upgrade) -> Result<String, Failure> {
    let client = &options.client;
    let request = UpgradeRequest {
        step: options.step.clone(),
        plugin: options.plugin.clone(),
        config: options.config.as_deref().map(config).transpose()?,
        reason: options.reason.clone(),
    };
    let path = format!("{}/upgrade", address(&options.name));
    let text = encoded(&request)?;
    if options.dry_run {
        let preview: UpgradePreview =
            client.ask(Method::POST, &format!("{path}?dry_run=true"), Carries::Text(&text, "application/json"))?;
        return client.say(&preview, previewed);
    }
    let operation = client.ask(Method::POST, &path, Carries::Text(&text, "application/json"))?;
    follow(client, operation, options.detach)
}

pub(super) fn rollback(options: &Rollback) -> Result<String, Failure> {
    let request = RollbackRequest { step: options.step.clone(), reason: options.reason.clone() };
    let path = format!("{}/rollback", address(&options.name));
    let operation = options.client.ask(Method::POST, &path, Carries::Text(&encoded(&request)?, "application/json"))?;
    follow(&options.client, operation, options.detach)
}

/// A request's body.
pub(super) fn encoded<T: serde::Serialize>(request: &T) -> Result<String, Failure> {
    serde_json::to_string(request).map_err(|error| Failure::Input(error.to_string()))
}

/// A configuration as it was given: JSON, or the file that holds it.
pub(super) fn config(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| Failure::Input(format!("{file}: {error}")))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| Failure::Input(format!("--config: {error}; expected a JSON object")))
}

fn shown(plugin: Option<&StepPlugin>) -> String {
    plugin.map_or_else(|| "-".to_owned(), |it| format!("{} {}", it.plugin, it.config))
}

fn previewed(preview: &UpgradePreview) -> String {
    let mut text = format!("{}: {} -> {}\n", preview.step, shown(Some(&preview.from)), shown(Some(&preview.to)));
    let how = if preview.in_place { "at a checkpoint, in place" } else { "at a checkpoint, planned anew around it" };
    let _ = writeln!(text, "  switched to {how}\n  state: {}", preview.state);
    for change in &preview.changes {
        let value = |it: &Option<serde_json::Value>| it.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let _ = writeln!(text, "  {}: {} -> {}", change.key, value(&change.from), value(&change.to));
    }
    match (&preview.sample, &preview.no_sample) {
        (Some(sample), _) => text.push_str(&compared(sample)),
        (None, why) => {
            let _ = writeln!(text, "no sample: {}", why.as_deref().unwrap_or("no reason is known"));
        }
    }
    text + "nothing was done\n"
}

/// Shows how an operation goes on, until it is done.
pub(super) fn follow(client: &Client, operation: Operation, detach: bool) -> Result<String, Failure> {
    let live = client.output == Output::Table;
    if detach {
        return client.say(&operation, |it| format!("operation {}: {}\n", it.id, told(it)));
    }
    let mut last = operation.clone();
    let mut state = None;
    let path = format!("/api/v1/operations/{}/events", part(&operation.id));
    client.listen(&path, |event, data| {
        if event != "operation" {
            return Ok(true);
        }
        last = serde_json::from_str(data).map_err(|error| Failure::Answer(error.to_string()))?;
        if live && !last.done && state != Some(last.state) {
            state = Some(last.state);
            let mut out = std::io::stdout();
            // Whoever does not read it does not want it.
            let _ = writeln!(out, "{}", told(&last)).and_then(|()| out.flush());
        }
        Ok(!last.done)
    })?;
    match last.state {
        OperationState::Accepted | OperationState::Done => client.say(&last, |it| format!("{}\n", told(it))),
        _ if live => Err(Failure::NotDone(told(&last))),
        _ => {
            print!("{}", client.say(&last, |_| String::new())?);
            Err(Failure::NotDone(told(&last)))
        }
    }
}

/// How far it is, in a line.
fn told(operation: &Operation) -> String {
    let step = operation.step.as_deref().unwrap_or_default();
    let to = operation.to.as_ref().map_or("", |it| it.plugin.as_str());
    let from = operation.from.as_ref().map_or("", |it| it.plugin.as_str());
    let detail = operation.detail.as_deref().unwrap_or("no reason is known");
    match operation.state {
        OperationState::Waiting => format!("{step}: {to} waits for the next checkpoint"),
        OperationState::Probation => format!(
            "{step}: {to} has the records since epoch {}, after {} ms; it is on probation until the next checkpoint",
            operation.epoch.unwrap_or_default() + 1,
            operation.switch_ms.unwrap_or_default()
        ),
        OperationState::Accepted => format!("{step}: {to} is accepted"),
        OperationState::RolledBack => format!("{step}: {to} was rolled back, {from} goes on: {detail}"),
        OperationState::Undecided => format!("{step}: {to} is undecided: {detail}"),
        OperationState::Running => "replaying".to_owned(),
        OperationState::Done | OperationState::Failed => detail.to_owned(),
    }
}

/// `wasmill pipeline history`.
pub(super) fn history(client: &Client, name: &str) -> Result<String, Failure> {
    let found: History = client.ask(Method::GET, &format!("{}/history", address(name)), Carries::Nothing)?;
    client.say(&found, |it| {
        let row = |it: &HistoryEntry| {
            let action = match it.action {
                Action::Deploy => "deploy",
                Action::Upgrade => "upgrade",
                Action::Rollback => "rollback",
                Action::Replay => "replay",
            };
            let outcome = match it.outcome {
                Outcome::UnderWay => "under way",
                Outcome::Accepted => "accepted",
                Outcome::RolledBack => "rolled back",
                Outcome::Superseded => "superseded",
            };
            let what = it.step.as_ref().map(|step| format!("{step}: {}", shown(it.to.as_ref())));
            let notes = [it.reason.clone(), it.detail.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
            let what = what.unwrap_or_else(|| format!("revision {}", it.revision));
            [it.number.to_string(), it.at.to_string(), it.by.clone(), action.into(), outcome.into(), what, notes]
        };
        table(["N", "AT", "BY", "ACTION", "OUTCOME", "WHAT", "WHY"], it.history.iter().map(row))
    })
}
