//! `wasmill pipeline`: the pipelines of a daemon.

use super::ask::Yes;
use super::server::{Carries, part};
use super::shadow::{Shadow, shadow};
use super::table::{list, table};
use super::upgrade::{Rollback, Upgrade, history, rollback, upgrade};
use super::watch::{Logs, Tap, logs, tap};
use super::{Client, Failure, finish};
use crate::cli::exit::Exit;
use crate::cli::report::{grouped, lasting, watermark};
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::Method;
use wasmill::daemon::api::{
    CheckpointList, Deployment, Figures, PartitionFigures, PipelineList, PipelineStatus, Plan, SourceFigures,
    StepFigures, WorkerFigures,
};

/// `wasmill pipeline`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill pipeline apply fraud.toml --dry-run    what would change, and all that is wrong
  wasmill pipeline apply fraud.toml
  wasmill pipeline list
  wasmill pipeline show fraud -o json
  wasmill pipeline upgrade fraud --step rules --plugin fraud-rules@1.1.0
  wasmill pipeline rollback fraud
  wasmill pipeline delete fraud --state keep")]
pub(crate) struct Pipeline {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy a pipeline file: create the pipeline, or change the one that is there
    Apply(Apply),
    /// List the pipelines
    List(Client),
    /// Show a pipeline: how it is, why, since when and what to do
    Show(Named),
    /// Read nothing from now on, and hold the place
    Pause(Named),
    /// Go on with a pipeline that is paused or stopped
    Resume(Named),
    /// Take a last checkpoint and end
    Stop(Named),
    /// Take a last checkpoint, end and start again
    Restart(Named),
    /// End a pipeline and forget it
    Delete(Delete),
    /// List the checkpoints that are on disk
    Checkpoints(Named),
    /// Show the graph
    Plan(Graph),
    /// Give a step another version of its plugin while records flow
    ///
    /// It takes over at the next checkpoint and is on probation until the one after it: what fails brings the version before back.
    Upgrade(Upgrade),
    /// Give a step back the version that it ran before it was changed last
    Rollback(Rollback),
    /// Run a version beside the one that runs, and compare them
    Shadow(Shadow),
    /// Show records as they come out of a source or a step: a sample, which does not slow the pipeline
    Tap(Tap),
    /// Show the lines that a pipeline and its plugins log
    Logs(Logs),
    /// Show what was done to a pipeline: who, when, why, and what came of it
    History(Named),
}

#[derive(Args, Debug)]
struct Apply {
    /// The pipeline file; its plugins are NAME@VERSION or NAME@latest
    #[arg(value_name = "PIPELINE.toml")]
    file: PathBuf,

    /// Only say what would change, and all that is wrong
    #[arg(long)]
    dry_run: bool,

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

#[derive(Args, Debug)]
struct Delete {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// What becomes of its state: `keep` for the next pipeline of this name to go on from, or `discard` for it to begin anew
    #[arg(long, value_enum, value_name = "FATE")]
    state: Fate,

    #[command(flatten)]
    yes: Yes,

    #[command(flatten)]
    client: Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Fate {
    Keep,
    Discard,
}

#[derive(Args, Debug)]
struct Graph {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// In Mermaid's words, for drawing
    #[arg(long)]
    mermaid: bool,

    #[command(flatten)]
    client: Client,
}

/// Does what was asked for.
pub(crate) fn pipeline(options: &Pipeline) -> Exit {
    finish(match &options.command {
        Command::Apply(options) => apply(options),
        Command::List(client) => list_pipelines(client),
        Command::Show(named) => show(named),
        Command::Pause(named) => act(named, "pause"),
        Command::Resume(named) => act(named, "resume"),
        Command::Stop(named) => act(named, "stop"),
        Command::Restart(named) => act(named, "restart"),
        Command::Delete(options) => delete(options),
        Command::Checkpoints(named) => checkpoints(named),
        Command::Plan(options) => plan(options),
        Command::Upgrade(options) => upgrade(options),
        Command::Rollback(options) => rollback(options),
        Command::Shadow(options) => shadow(options),
        Command::Tap(options) => tap(options),
        Command::Logs(options) => logs(options),
        Command::History(named) => history(&named.client, &named.name),
    })
}

/// Where a pipeline is.
pub(super) fn address(name: &str) -> String {
    format!("/api/v1/pipelines/{}", part(name))
}

fn apply(options: &Apply) -> Result<String, Failure> {
    let file = options.file.display();
    let text = std::fs::read_to_string(&options.file).map_err(|error| Failure::Input(format!("{file}: {error}")))?;
    let document: toml::Table = toml::from_str(&text).map_err(|error| Failure::Input(format!("{file}: {error}")))?;
    let name = document.get("name").and_then(toml::Value::as_str);
    let name = name.ok_or_else(|| Failure::Input(format!("{file}: `name` is missing: the name of the pipeline")))?;
    let path = format!("{}{}", address(name), if options.dry_run { "?dry_run=true" } else { "" });
    let carries = Carries::Text(&text, "application/toml");
    let deployment: Deployment = options.client.ask(Method::PUT, &path, carries)?;
    options.client.say(&deployment, |it| deployed(name, it))
}

fn deployed(name: &str, deployment: &Deployment) -> String {
    let mut text = String::new();
    for warning in &deployment.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for change in deployment.changes.iter().filter(|_| deployment.outcome == "changed") {
        let value = |it: &Option<serde_json::Value>| it.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let _ = writeln!(text, "  {}: {} -> {}", change.key, value(&change.from), value(&change.to));
    }
    let _ = match &deployment.pipeline {
        None => writeln!(text, "{name} would be {}; nothing was done", deployment.outcome),
        Some(status) => {
            writeln!(text, "{name} is {}: revision {}, {}", deployment.outcome, status.revision, how(status))
        }
    };
    text
}

/// The state, with the reason.
fn how(status: &PipelineStatus) -> String {
    match &status.reason {
        Some(reason) => format!("{} ({reason})", status.state.name()),
        None => status.state.name().to_owned(),
    }
}

fn list_pipelines(client: &Client) -> Result<String, Failure> {
    let pipelines: PipelineList = client.ask(Method::GET, "/api/v1/pipelines", Carries::Nothing)?;
    client.say(&pipelines, |it| {
        let row = |it: &PipelineStatus| {
            let lag = it.figures.lag.map(grouped).unwrap_or_default();
            let reason = it.reason.as_deref().and_then(|it| it.lines().next()).unwrap_or_default().to_owned();
            let (read, made) = (grouped(it.figures.records_in), grouped(it.figures.records_out));
            [it.name.clone(), it.state.name().to_owned(), it.since.to_string(), read, made, lag, reason]
        };
        table(["NAME", "STATE", "SINCE", "IN", "OUT", "LAG", "REASON"], it.pipelines.iter().map(row))
    })
}

fn show(named: &Named) -> Result<String, Failure> {
    let status: PipelineStatus = named.client.ask(Method::GET, &address(&named.name), Carries::Nothing)?;
    named.client.say(&status, shown)
}

fn shown(status: &PipelineStatus) -> String {
    let figures = &status.figures;
    let plugins: Vec<_> = status
        .plugins
        .iter()
        .map(|it| format!("{} = {}@{} sha256:{}", it.reference, it.name, it.version, it.digest))
        .collect();
    let checkpoint = figures.checkpoint_ms.map(|ms| {
        let age = Duration::from_millis(figures.checkpoint_age_ms.unwrap_or_default());
        format!("{} took {ms} ms, {} ago", grouped(figures.epoch), lasting(age))
    });
    let upgrading = status.upgrading.as_ref().map(|it| {
        let to = it.to.as_ref().map_or("", |it| it.plugin.as_str());
        format!("{} to {to}, since {} by {}", it.step.as_deref().unwrap_or_default(), it.at, it.by)
    });
    let mut text = list(&[
        ("name", status.name.clone()),
        ("state", status.state.name().to_owned()),
        ("since", status.since.to_string()),
        ("reason", status.reason.clone().unwrap_or_default()),
        ("advice", status.advice.clone().unwrap_or_default()),
        ("next start", status.next_start_at.map(|it| it.to_string()).unwrap_or_default()),
        ("revision", format!("{}, {} by {}", status.revision, status.deployed_at, status.deployed_by)),
        ("plugins", plugins.join("\n")),
        ("upgrading", upgrading.unwrap_or_default()),
        ("records", format!("{} in, {} out", grouped(figures.records_in), grouped(figures.records_out))),
        (
            "not processed",
            format!("{} late, {} dead letters, {} dropped", figures.late, figures.dead_letters, figures.dropped),
        ),
        ("lag", figures.lag.map(grouped).unwrap_or_default()),
        ("watermark", watermark(figures.watermark_ms)),
        ("checkpoint", checkpoint.unwrap_or_default()),
        ("state", format!("{} keys, {} bytes on disk", grouped(figures.state_keys), grouped(figures.state_bytes))),
        ("spilled", spilled(figures)),
        ("workers", figures.workers.iter().map(work).collect::<Vec<_>>().join("\n")),
    ]);
    if figures.sources.iter().any(|it| !it.partitions.is_empty()) {
        text.push('\n');
        let rows = figures.sources.iter().flat_map(|source| source.partitions.iter().map(|it| partition(source, it)));
        text.push_str(&table(["SOURCE", "PARTITION", "IN", "RATE", "LAG", "WATERMARK", ""], rows));
    }
    if !figures.steps.is_empty() {
        text.push('\n');
        let names = ["STEP", "IN", "OUT", "REFUSED", "RATE", "BUSY", "WAITS", "KEYS", "WATERMARK"];
        text.push_str(&table(names, figures.steps.iter().map(step)));
    }
    if !figures.sinks.is_empty() {
        text.push('\n');
        let row = |it: &wasmill::daemon::api::SinkFigures| [it.sink.clone(), grouped(it.records_out)];
        text.push_str(&table(["SINK", "OUT"], figures.sinks.iter().map(row)));
    }
    text
}

/// What does not fit into memory; empty where all does.
fn spilled(figures: &Figures) -> String {
    match figures.steps.iter().map(|it| it.spilled_keys).sum() {
        0 => String::new(),
        keys => format!("{} keys, {} bytes of scratch space", grouped(keys), grouped(figures.spilled_bytes)),
    }
}

fn work(worker: &WorkerFigures) -> String {
    format!("{} busy, {} backpressured", percent(worker.busy), percent(worker.backpressured))
}

fn partition(source: &SourceFigures, it: &PartitionFigures) -> [String; 7] {
    let says = match it {
        PartitionFigures { ended: true, .. } => "ended",
        PartitionFigures { idle: true, .. } => "idle",
        _ if source.partitions.len() > 1
            && (source.held_back_by, &source.held_back_by_topic) == (Some(it.partition), &it.topic) =>
        {
            "holds the watermark back"
        }
        _ => "",
    };
    [
        source.source.clone(),
        it.name(),
        grouped(it.records_in),
        format!("{}/s", grouped(it.rate as u64)),
        it.lag.map(grouped).unwrap_or_default(),
        watermark(it.watermark_ms),
        says.to_owned(),
    ]
}

fn step(it: &StepFigures) -> [String; 9] {
    [
        it.step.clone(),
        grouped(it.records_in),
        grouped(it.records_out),
        grouped(it.refused),
        format!("{}/s", grouped(it.rate as u64)),
        percent(it.busy),
        percent(it.backpressured),
        grouped(it.state_keys),
        watermark(it.watermark_ms),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn act(named: &Named, action: &str) -> Result<String, Failure> {
    let path = format!("{}/{action}", address(&named.name));
    let status: PipelineStatus = named.client.ask(Method::POST, &path, Carries::Nothing)?;
    named.client.say(&status, |it| format!("{} is {}\n", it.name, how(it)))
}

fn delete(options: &Delete) -> Result<String, Failure> {
    let (state, becomes) = match options.state {
        Fate::Keep => ("keep", "keep its state"),
        Fate::Discard => ("discard", "throw its state away"),
    };
    options
        .yes
        .confirm(&format!("Delete the pipeline {} from {} and {becomes}?", options.name, options.client.server))?;
    let path = format!("{}?state={state}", address(&options.name));
    options.client.ask_text(Method::DELETE, &path, Carries::Nothing)?;
    Ok(format!("{} is deleted\n", options.name))
}

fn checkpoints(named: &Named) -> Result<String, Failure> {
    let path = format!("{}/checkpoints", address(&named.name));
    let found: CheckpointList = named.client.ask(Method::GET, &path, Carries::Nothing)?;
    named.client.say(&found, |it| {
        let row = |it: &wasmill::daemon::api::Checkpoint| {
            let written = it.written_at.map(|it| it.to_string()).unwrap_or_default();
            let committed = if it.committed { "yes" } else { "not known" }.to_owned();
            [it.epoch.to_string(), committed, it.files.to_string(), grouped(it.bytes), grouped(it.entries), written]
        };
        table(["EPOCH", "COMMITTED", "FILES", "BYTES", "ENTRIES", "WRITTEN"], it.checkpoints.iter().map(row))
    })
}

fn plan(options: &Graph) -> Result<String, Failure> {
    let path = format!("{}/plan", address(&options.name));
    if options.mermaid {
        return options.client.ask_text(Method::GET, &format!("{path}?format=mermaid"), Carries::Nothing);
    }
    let plan: Plan = options.client.ask(Method::GET, &path, Carries::Nothing)?;
    options.client.say(&plan, |plan| {
        let row = |it: &wasmill::daemon::api::Node| {
            let reads = plan.edges.iter().filter(|edge| edge.to == it.name && edge.role == it.role);
            let from = reads.map(|edge| match &edge.port {
                Some(port) => format!("{}.{port}", edge.from),
                None => edge.from.clone(),
            });
            [it.name.clone(), it.role.clone(), from.collect::<Vec<_>>().join(", "), it.key.join(", "), it.does.clone()]
        };
        table(["NAME", "ROLE", "FROM", "KEY", "DOES"], plan.nodes.iter().map(row))
    })
}
