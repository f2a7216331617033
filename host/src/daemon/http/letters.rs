//! `/api/v1/pipelines/{name}/dead-letters`.

use super::answer::{blocking, json, query};
use super::auth::Caller;
use crate::daemon::Daemon;
use crate::daemon::api::{DeadLetterList, Operation};
use crate::daemon::problem::{Code, Problem};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use std::sync::Arc;

/// Letters that are listed, at most.
const LISTED_MAX: usize = 1_000;
/// Letters that are listed where it was not said.
const LISTED: usize = 50;

/// Lists the last dead letters of a pipeline, with why they are such.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/dead-letters",
    tag = "dead letters",
    params(("name" = String, Path, description = "The pipeline's name"), ("last" = Option<u64>, Query, description = "How many, 50 where it is not said, up to 1,000")),
    responses(
        (status = 200, body = DeadLetterList),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`bad_replay`: the pipeline has none that can be read", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = query(&uri, &["last"])?;
    let last = query.get("last").map_or(Some(LISTED), |it| it.parse().ok().filter(|it| (1..=LISTED_MAX).contains(it)));
    let wrong = || Problem::new(Code::BadQuery, format!("last: expected a number from 1 to {LISTED_MAX}"));
    let last = last.ok_or_else(wrong)?;
    let dead_letters = blocking(move || daemon.pipelines.dead_letters(&name, last)).await?;
    Ok(json(StatusCode::OK, &DeadLetterList { dead_letters }))
}

/// Gives the dead letters another try with what the pipeline runs now, each once: those that were replayed before are not replayed again. The
/// answer is an operation.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/dead-letters/replay",
    tag = "dead letters",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses(
        (status = 202, description = "Begun; `location` says where to follow it", body = Operation),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`bad_replay`: they cannot be replayed; `upgrade_under_way`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replay(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let of_request = Arc::clone(&daemon);
    let (operation, replay) = blocking(move || of_request.pipelines.begin_replay(&name, &caller.name)).await?;
    tokio::task::spawn_blocking(move || daemon.pipelines.replay(replay));
    let mut answer = json(StatusCode::ACCEPTED, &operation);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/operations/{}", operation.id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}
