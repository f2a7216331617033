//! `/api/v1/pipelines/{name}/upgrade`, `rollback` and `history`, and `/api/v1/operations`.

use super::answer::{blocking, body, flag, json, query};
use super::auth::Caller;
use super::events::{SILENCE_MAX, events};
use crate::daemon::Daemon;
use crate::daemon::api::{History, Operation, RollbackRequest, UpgradePreview, UpgradeRequest};
use crate::daemon::pipelines::Begun;
use crate::daemon::problem::Problem;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use std::sync::Arc;

/// Puts another version of its plugin, or another configuration, into a step while records flow. The answer is an operation: the new version takes
/// over at the next checkpoint and is on probation for an epoch; a failure in it brings the version before back by itself. With
/// `dry_run=true` nothing changes, and the answer says what would.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/upgrade",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name"), ("dry_run" = Option<bool>, Query, description = "Only say what would happen")),
    request_body(content = UpgradeRequest),
    responses(
        (status = 202, description = "Begun; `location` says where to follow it", body = Operation),
        (status = 200, description = "What would happen", body = UpgradePreview),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`upgrade_under_way`, `not_running`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`upgrade_refused`: the version does not fit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn upgrade(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    content: Body,
) -> Result<Response, Problem> {
    let dry_run = flag(&query(&uri, &["dry_run"])?, "dry_run")?;
    let request: UpgradeRequest = body(content).await?;
    let of_request = Arc::clone(&daemon);
    if dry_run {
        let preview = blocking(move || of_request.pipelines.preview(&name, &request)).await?;
        return Ok(json(StatusCode::OK, &preview));
    }
    let (operation, begun) = blocking(move || of_request.pipelines.upgrade(&name, &request, &caller.name)).await?;
    Ok(accepted(daemon, &operation, begun))
}

/// Brings back what a step ran before it was changed last, as an upgrade does. Without a `step` it is the one that was changed last.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/rollback",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    request_body(content = Option<RollbackRequest>),
    responses(
        (status = 202, description = "Begun; `location` says where to follow it", body = Operation),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`nothing_to_roll_back`, `upgrade_under_way`, `not_running`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`upgrade_refused`: the version does not fit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rollback(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    content: Body,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let request: RollbackRequest = body(content).await?;
    let of_request = Arc::clone(&daemon);
    let (operation, begun) = blocking(move || of_request.pipelines.roll_back(&name, &request, &caller.name)).await?;
    Ok(accepted(daemon, &operation, begun))
}

/// Answers that an operation has begun, and follows it whether or not the client does.
pub(super) fn accepted(daemon: Arc<Daemon>, operation: &Operation, begun: Begun) -> Response {
    tokio::task::spawn_blocking(move || daemon.pipelines.follow(begun));
    let mut answer = json(StatusCode::ACCEPTED, operation);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/operations/{}", operation.id)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// What was done to a pipeline, the latest first: who, when, why, and what came of it.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/history",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses((status = 200, body = History), (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn history(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    Ok(json(StatusCode::OK, &History { history: daemon.pipelines.history(&name)? }))
}

/// How far an operation is. The last ones are remembered until the daemon ends.
#[utoipa::path(
    get,
    path = "/api/v1/operations/{id}",
    tag = "upgrades",
    params(("id" = String, Path, description = "As the answer that began it says")),
    responses((status = 200, body = Operation), (status = 404, description = "`no_such_operation`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn operation(
    State(daemon): State<Arc<Daemon>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let operation = daemon.pipelines.operation(&id)?.borrow().clone();
    Ok(json(StatusCode::OK, &operation))
}

/// Follows an operation: an event `operation` now and with each change, until it is done.
#[utoipa::path(
    get,
    path = "/api/v1/operations/{id}/events",
    tag = "upgrades",
    params(("id" = String, Path, description = "As the answer that began it says")),
    responses((status = 200, description = "Events `operation`", body = Operation, content_type = "text/event-stream"), (status = 404, description = "`no_such_operation`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn follow(
    State(daemon): State<Arc<Daemon>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let mut operation = daemon.pipelines.operation(&id)?;
    let (events, answer) = events();
    tokio::spawn(async move {
        loop {
            let now = operation.borrow_and_update().clone();
            if !events.send("operation", &now).await || now.done {
                return;
            }
            loop {
                match tokio::time::timeout(SILENCE_MAX, operation.changed()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return, // It is forgotten.
                    Err(_) if events.still_here().await => {}
                    Err(_) => return,
                }
            }
        }
    });
    Ok(answer)
}
