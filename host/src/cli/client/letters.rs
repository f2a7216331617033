//! `wasmill dead-letters`: records that could not be processed.

use super::pipeline::address;
use super::server::Carries;
use super::table::table;
use super::upgrade::follow;
use super::{Client, Failure, finish};
use crate::cli::exit::Exit;
use clap::{Args, Subcommand};
use ureq::http::Method;
use wasmill::daemon::api::{DeadLetter, DeadLetterList};

/// A cell of a table, in characters.
const CELL_MAX: usize = 80;

/// `wasmill dead-letters`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill dead-letters list fraud --last 20
  wasmill dead-letters replay fraud      each one once, with what the pipeline runs now")]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the last records that could not be processed, with why
    List(List),
    /// Give those that had none yet another try, with what the pipeline runs now
    Replay(Replay),
}

#[derive(Args, Debug)]
struct List {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// How many
    #[arg(long, default_value_t = 50)]
    last: u64,

    #[command(flatten)]
    client: Client,
}

#[derive(Args, Debug)]
struct Replay {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// Do not wait for its end
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    client: Client,
}

/// Does what was asked for.
pub(crate) fn dead_letters(options: &DeadLetters) -> Exit {
    finish(match &options.command {
        Command::List(options) => list(options),
        Command::Replay(options) => replay(options),
    })
}

fn list(options: &List) -> Result<String, Failure> {
    let path = format!("{}/dead-letters?last={}", address(&options.name), options.last);
    let found: DeadLetterList = options.client.ask(Method::GET, &path, Carries::Nothing)?;
    options.client.say(&found, |it| {
        let cell = |text: &str| text.chars().take(CELL_MAX).collect::<String>().escape_debug().to_string();
        let row = |it: &DeadLetter| {
            let from = it
                .topic
                .as_ref()
                .map(|topic| format!("{topic} {}/{}", it.partition.unwrap_or_default(), it.offset.unwrap_or_default()));
            let (key, value) = (it.key.as_deref().unwrap_or("-"), it.value.as_deref().unwrap_or("-"));
            [it.at.clone(), from.unwrap_or_default(), it.step.clone(), cell(&it.reason), cell(key), cell(value)]
        };
        table(["AT", "FROM", "STEP", "REASON", "KEY", "VALUE"], it.dead_letters.iter().map(row))
    })
}

fn replay(options: &Replay) -> Result<String, Failure> {
    let path = format!("{}/dead-letters/replay", address(&options.name));
    let operation = options.client.ask(Method::POST, &path, Carries::Nothing)?;
    follow(&options.client, operation, options.detach)
}
