//! `wasmill pipeline tap` and `logs`: what passes, as it passes.

use super::pipeline::address;
use super::server::part;
use super::{Client, Failure, Output};
use clap::Args;
use std::io::{self, Write};
use wasmill::daemon::api::{LogLine, TapEnd, TappedRecord};

/// `wasmill pipeline tap`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill pipeline tap fraud --step transactions --limit 5
  wasmill pipeline tap fraud --step rules --where 'amount>1000 and customer_id=c-0042'
  wasmill pipeline tap fraud --step rules.audit --rate 100 -o json")]
pub(super) struct Tap {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// A source, a step, or STEP.PORT for a side output
    #[arg(long)]
    step: String,

    /// Records a second, at most
    #[arg(long, default_value_t = 10)]
    rate: u32,

    /// End after so many
    #[arg(long)]
    limit: Option<u64>,

    /// Only these: FIELD OP VALUE with = != < <= > >= or ~ (contains), several joined by ` and `
    #[arg(long = "where", value_name = "TEXT")]
    predicate: Option<String>,

    #[command(flatten)]
    client: Client,
}

/// `wasmill pipeline logs`.
#[derive(Args, Debug)]
pub(super) struct Logs {
    /// The pipeline
    #[arg(value_name = "NAME")]
    name: String,

    /// How many of the last lines
    #[arg(long, default_value_t = 100)]
    last: u64,

    /// Go on with those that come
    #[arg(long, short)]
    follow: bool,

    #[command(flatten)]
    client: Client,
}

pub(super) fn tap(options: &Tap) -> Result<String, Failure> {
    let mut path = format!("{}/tap?step={}&rate={}", address(&options.name), part(&options.step), options.rate);
    if let Some(limit) = options.limit {
        path.push_str(&format!("&limit={limit}"));
    }
    if let Some(predicate) = &options.predicate {
        path.push_str(&format!("&where={}", part(predicate)));
    }
    let json = options.client.output == Output::Json;
    let mut end = String::new();
    options.client.listen(&path, |event, data| match event {
        "record" if json => Ok(line(data)),
        "record" => {
            let record: TappedRecord = read(data)?;
            let place = match (record.partition, record.offset) {
                (Some(partition), Some(offset)) => format!("{partition}/{offset}"),
                _ => "-".to_owned(),
            };
            let topic = record.topic.map_or_else(String::new, |it| format!("{it} "));
            Ok(line(&format!(
                "{topic}{place}  {}  {}",
                record.key.as_deref().unwrap_or("-").escape_debug(),
                record.value
            )))
        }
        "end" => {
            let told: TapEnd = read(data)?;
            end = told.reason.map(|it| format!("ended: {it}\n")).unwrap_or_default();
            Ok(false)
        }
        _ => Ok(true),
    })?;
    Ok(if json { String::new() } else { end })
}

pub(super) fn logs(options: &Logs) -> Result<String, Failure> {
    let path = format!("{}/logs?last={}&follow={}", address(&options.name), options.last, options.follow);
    let json = options.client.output == Output::Json;
    options.client.listen(&path, |event, data| match event {
        "line" if json => Ok(line(data)),
        "line" => {
            let it: LogLine = read(data)?;
            Ok(line(&format!("{}  {:5}  {:5}  {}", it.at, it.level, it.source, it.message)))
        }
        _ => Ok(true),
    })?;
    Ok(String::new())
}

fn read<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, Failure> {
    serde_json::from_str(data).map_err(|error| Failure::Answer(format!("{error}; is the daemon of another version?")))
}

/// Prints a line now. False where nobody reads any more.
fn line(text: &str) -> bool {
    let mut out = io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}
