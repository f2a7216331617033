//! `/api/v1/pipelines/{name}/shadow`.

use super::answer::{blocking, body, json, query};
use super::auth::Caller;
use super::upgrades::accepted;
use crate::daemon::Daemon;
use crate::daemon::api::{Operation, RollbackRequest, ShadowStatus, UpgradeRequest};
use crate::daemon::problem::Problem;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use std::sync::Arc;

/// Runs another version of a step's plugin beside the one that runs, over a part of the same records and without effects, and compares what they
/// make, how long they take and what fails. One for a pipeline; another one takes its place. It lives until the daemon ends.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/shadow",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    request_body(content = UpgradeRequest),
    responses(
        (status = 201, description = "Begun", body = ShadowStatus),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_running`, `upgrade_under_way`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`upgrade_refused`: it cannot be compared with what runs", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    content: Body,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let request: UpgradeRequest = body(content).await?;
    let status = blocking(move || daemon.pipelines.shadow(&name, &request, &caller.name)).await?;
    Ok(json(StatusCode::CREATED, &status))
}

/// What a shadow has found so far.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/shadow",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses(
        (status = 200, body = ShadowStatus),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_shadow`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    Ok(json(StatusCode::OK, &daemon.pipelines.shadow_status(&name)?))
}

/// Ends a shadow, and answers what it has found.
#[utoipa::path(
    delete,
    path = "/api/v1/pipelines/{name}/shadow",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses(
        (status = 200, body = ShadowStatus),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_shadow`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drop_it(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    Ok(json(StatusCode::OK, &daemon.pipelines.drop_shadow(&name)?))
}

/// Begins an upgrade to the shadow's version, and ends the shadow.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/shadow/promote",
    tag = "upgrades",
    params(("name" = String, Path, description = "The pipeline's name")),
    request_body(content = Option<RollbackRequest>, description = "`reason`, for the history"),
    responses(
        (status = 202, description = "Begun; `location` says where to follow it", body = Operation),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_shadow`, `upgrade_under_way`, `not_running`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn promote(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    content: Body,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let request: RollbackRequest = body(content).await?;
    let of_request = Arc::clone(&daemon);
    let (operation, begun) =
        blocking(move || of_request.pipelines.promote(&name, request.reason, &caller.name)).await?;
    Ok(accepted(daemon, &operation, begun))
}
