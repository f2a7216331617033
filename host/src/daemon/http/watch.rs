//! `/api/v1/pipelines/{name}/tap` and `logs`: what passes, as it passes.

use super::answer::{blocking, query};
use super::events::{Events, SILENCE_MAX, events};
use super::predicate::Predicate;
use crate::batch::TopicPartition;
use crate::daemon::Daemon;
use crate::daemon::api::{LogLine, TapEnd, TappedRecord};
use crate::daemon::problem::{Code, Problem};
use crate::pipeline::{Seen, Tap};
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often records are fetched.
const TURN: Duration = Duration::from_millis(100);
/// Turns in a second.
const TURNS: u32 = 10;
/// Records a second that a tap may have.
const RATE_MAX: u32 = 1_000;
/// Records a second where it was not said.
const RATE: u32 = 10;
/// Records a second that a `where` looks at.
const SCANNED: u32 = 10_000;
/// Turns without a record before the tap says that it is still there.
const SILENT_TURNS: u32 = SILENCE_MAX.as_secs() as u32 * TURNS;

fn number(query: &BTreeMap<String, String>, name: &str, most: u64) -> Result<Option<u64>, Problem> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let value = text.parse().ok().filter(|it| (1..=most).contains(it));
    let wrong = || Problem::new(Code::BadQuery, format!("found {name}={text:?}, expected a number from 1 to {most}"));
    value.map(Some).ok_or_else(wrong)
}

/// Shows records as they come out of a source, a step or (`STEP.PORT`) one of its outputs: events `record`, and at the end one `end`. It is a sample, and
/// the pipeline is not slowed by it.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/tap",
    tag = "watching",
    params(
        ("name" = String, Path, description = "The pipeline's name"),
        ("step" = String, Query, description = "A source, a step or STEP.PORT"),
        ("rate" = Option<u32>, Query, description = "Records a second at most, 10 where it is not said, up to 1,000"),
        ("limit" = Option<u64>, Query, description = "Ends after so many"),
        ("where" = Option<String>, Query, description = "Only these: FIELD OP VALUE with = != < <= > >= or ~ (contains), several joined by ` and `"),
    ),
    responses(
        (status = 200, description = "Events `record`", body = TappedRecord, content_type = "text/event-stream"),
        (status = 400, description = "`bad_query`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_running`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tap(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = query(&uri, &["step", "rate", "limit", "where"])?;
    let place = query.get("step").cloned().ok_or_else(|| {
        Problem::new(Code::BadQuery, "found no `step`, expected the name of a source or a step: step=NAME")
    })?;
    let rate = number(&query, "rate", u64::from(RATE_MAX))?.map_or(RATE, |it| it as u32);
    let limit = number(&query, "limit", u64::MAX)?;
    let predicate = query.get("where").map(|it| Predicate::parse(it)).transpose();
    let predicate = predicate.map_err(|why| Problem::new(Code::BadQuery, format!("where: {why}")))?;
    let tap = blocking(move || daemon.pipelines.tap(&name, &place)).await?;
    let (events, answer) = events();
    tokio::spawn(show(tap, events, Wish { rate, left: limit.unwrap_or(u64::MAX), predicate }));
    Ok(answer)
}

/// What a tap is to show.
struct Wish {
    rate: u32,
    left: u64,
    predicate: Option<Predicate>,
}

async fn show(mut tap: Tap, events: Events, mut wish: Wish) {
    let (mut seen, mut sent, mut silent, mut turn) = (0, 0, 0, 0);
    let mut turns = tokio::time::interval(TURN);
    let ended = loop {
        // Small rates have a record every few turns.
        turn = (turn + 1) % TURNS;
        let mut due = u64::from(wish.rate * (turn + 1) / TURNS - wish.rate * turn / TURNS);
        tap.want(if wish.predicate.is_some() { SCANNED / TURNS } else { due as u32 });
        tokio::select! {
            _ = turns.tick() => {}
            () = events.gone() => return,
        }
        let records = match tap.take() {
            Ok(records) => records,
            Err(why) => break Some(why),
        };
        silent = if records.is_empty() { silent + 1 } else { 0 };
        for record in records {
            seen += 1;
            let record = shown(record);
            if due == 0 || wish.predicate.as_ref().is_some_and(|it| !it.holds(&record.value)) {
                continue;
            }
            if !events.send("record", &record).await {
                return;
            }
            (due, sent, wish.left) = (due - 1, sent + 1, wish.left - 1);
            if wish.left == 0 {
                break;
            }
        }
        if wish.left == 0 {
            break None;
        }
        if silent == SILENT_TURNS {
            silent = 0;
            if !events.still_here().await {
                return;
            }
        }
        if tap.is_over() {
            break Some("the pipeline has ended".to_owned());
        }
    };
    events.send("end", &TapEnd { seen, sent, reason: ended }).await;
}

fn shown(record: Seen) -> TappedRecord {
    let text = |it: Vec<u8>| String::from_utf8_lossy(&it).into_owned();
    TappedRecord {
        topic: record.topic.map(|it| it.to_string()),
        partition: record.origin.map(|it| TopicPartition::of(it.partition).number),
        offset: record.offset,
        time_ms: record.time_ms,
        key: record.key.map(text),
        value: record.value.map_or(serde_json::Value::Null, |bytes| {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| serde_json::Value::from(text(bytes)))
        }),
    }
}

/// Shows the lines that a pipeline and its plugins log: events `line`, the last ones first and then each as it comes. What a guest says is on one line,
/// and what comes too fast is counted and dropped.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/logs",
    tag = "watching",
    params(
        ("name" = String, Path, description = "The pipeline's name"),
        ("last" = Option<u64>, Query, description = "How many of the last ones, 100 where it is not said, up to 1,000"),
        ("follow" = Option<bool>, Query, description = "Whether to go on with those that come"),
    ),
    responses(
        (status = 200, description = "Events `line`", body = LogLine, content_type = "text/event-stream"),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn logs(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = query(&uri, &["last", "follow"])?;
    let last = number(&query, "last", 1_000)?.unwrap_or(100);
    let follow = super::answer::flag(&query, "follow")?;
    daemon.pipelines.show(&name)?;
    let (lines, mut next) = daemon.logs.listen(&name);
    let (events, answer) = events();
    tokio::spawn(async move {
        let skipped = lines.len().saturating_sub(last as usize);
        for line in lines.iter().skip(skipped) {
            if !events.send("line", &**line).await {
                return;
            }
        }
        if !follow {
            return;
        }
        loop {
            tokio::select! {
                () = events.gone() => return,
                line = tokio::time::timeout(SILENCE_MAX, next.recv()) => match line {
                    Ok(Ok(line)) if !events.send("line", &*line).await => return,
                    Ok(Ok(_)) => {}
                    // It was too slow for some of them; they are still among the last ones.
                    Ok(Err(tokio::sync::broadcast::error::RecvError::Lagged(_))) => {}
                    Ok(Err(tokio::sync::broadcast::error::RecvError::Closed)) => return,
                    Err(_) if events.still_here().await => {}
                    Err(_) => return,
                },
            }
        }
    });
    Ok(answer)
}
