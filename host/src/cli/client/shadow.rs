//! `wasmill pipeline shadow`: another version beside the one that runs.

use super::pipeline::address;
use super::server::Carries;
use super::table::list;
use super::upgrade::{config, encoded, follow};
use super::{Client, Failure};
use clap::{Args, Subcommand};
use std::fmt::Write;
use ureq::http::Method;
use wasmill::daemon::api::{Comparison, RollbackRequest, ShadowStatus, Spent, UpgradeRequest};

/// `wasmill pipeline shadow`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill pipeline shadow start fraud --step rules --plugin fraud-rules@1.1.0
  wasmill pipeline shadow show fraud
  wasmill pipeline shadow promote fraud --reason \"the same but for what it should find\"")]
pub(super) struct Shadow {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a version beside the one that runs, over a part of the same records and without effects
    Start(Start),
    /// Show what it made otherwise, how long it took and what failed
    Show(Named),
    /// Upgrade to it, and end it
    Promote(Promote),
    /// End it
    Drop(Named),
}

#[derive(Args, Debug)]
struct Start {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// The step
    #[arg(long)]
    step: String,

    /// The version: NAME@VERSION, NAME@latest or sha256:DIGEST
    #[arg(long)]
    plugin: String,

    /// Its configuration, JSON, or @FILE that holds it [default: the step's]
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    #[command(flatten)]
    client: Client,
}

#[derive(Args, Debug)]
struct Promote {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Do not wait for its end
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    client: Client,
}

#[derive(Args, Debug)]
struct Named {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    client: Client,
}

pub(super) fn shadow(options: &Shadow) -> Result<String, Failure> {
    match &options.command {
        Command::Start(options) => start(options),
        Command::Show(named) => ask(named, Method::GET),
        Command::Drop(named) => ask(named, Method::DELETE),
        Command::Promote(options) => {
            let request = RollbackRequest { step: None, reason: options.reason.clone() };
            let path = format!("{}/shadow/promote", address(&options.name));
            let carries = encoded(&request)?;
            let operation = options.client.ask(Method::POST, &path, Carries::Text(&carries, "application/json"))?;
            follow(&options.client, operation, options.detach)
        }
    }
}

fn start(options: &Start) -> Result<String, Failure> {
    let request = UpgradeRequest {
        step: options.step.clone(),
        plugin: options.plugin.clone(),
        config: options.config.as_deref().map(config).transpose()?,
        reason: None,
    };
    let path = format!("{}/shadow", address(&options.name));
    let carries = encoded(&request)?;
    let status: ShadowStatus = options.client.ask(Method::POST, &path, Carries::Text(&carries, "application/json"))?;
    options.client.say(&status, |it| format!("{}: {} runs beside {}\n", it.step, it.to.plugin, it.from.plugin))
}

fn ask(named: &Named, method: Method) -> Result<String, Failure> {
    let path = format!("{}/shadow", address(&named.name));
    let status: ShadowStatus = named.client.ask(method, &path, Carries::Nothing)?;
    named.client.say(&status, |it| {
        let head = list(&[
            ("step", it.step.clone()),
            ("runs", format!("{} {}", it.from.plugin, it.from.config)),
            ("beside it", format!("{} {}", it.to.plugin, it.to.config)),
            ("since", format!("{} by {}", it.started_at, it.by)),
        ]);
        head + &compared(&it.found)
    })
}

/// What a comparison has found, for people.
pub(super) fn compared(found: &Comparison) -> String {
    let spent = |it: &Option<Spent>| {
        it.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{} ns, {} ns at p99", it.median_ns, it.p99_ns))
    };
    let faults: Vec<_> = found.faults.iter().map(|it| format!("{} records: {}", it.records, it.fault)).collect();
    let mut text = list(&[
        ("records", format!("{} compared, {} the same, {} different", found.records, found.same, found.different)),
        ("a record", format!("{} -> {}", spent(&found.before), spent(&found.after))),
        ("faults", faults.join("\n")),
        ("ended", found.ended.clone().unwrap_or_default()),
    ]);
    for it in &found.differences {
        let _ = writeln!(text, "@ {}", it.offset);
        for (sign, lines) in [("-", &it.before), ("+", &it.after)] {
            for line in lines {
                let _ = writeln!(text, "{sign} {line}");
            }
        }
    }
    text
}
