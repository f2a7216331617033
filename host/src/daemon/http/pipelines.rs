//! `/api/v1/pipelines`.

use super::answer::{blocking, flag, json, query};
use super::auth::Caller;
use crate::daemon::Daemon;
use crate::daemon::api::{CheckpointList, Deployment, Desired, PipelineList, PipelineStatus, Plan};
use crate::daemon::pipelines::{Fate, mermaid, toml_of};
use crate::daemon::problem::{Code, Problem};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A definition, in bytes.
const DEFINITION_BYTES_MAX: usize = 1 << 20;

/// Deploys a pipeline: creates it, or changes the one that is there, which takes a last checkpoint first. The same again is no
/// change. With `dry_run=true` nothing changes, and the answer says what would.
#[utoipa::path(
    put,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name, as in the definition"), ("dry_run" = Option<bool>, Query, description = "Only say what would change")),
    request_body(content((String = "application/toml"), (Object = "application/json")), description = "The pipeline file, or the same as JSON; plugins are NAME@VERSION, NAME@latest or sha256:DIGEST"),
    responses(
        (status = 201, description = "Created", body = Deployment),
        (status = 200, description = "Changed, unchanged, or what would change", body = Deployment),
        (status = 409, description = "`still_stopping`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`bad_content_type`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`bad_pipeline`, with every error", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let dry_run = flag(&query(&uri, &["dry_run"])?, "dry_run")?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let body = axum::body::to_bytes(body, DEFINITION_BYTES_MAX).await.map_err(|error| {
        let detail = format!("{error}, expected a pipeline of at most {DEFINITION_BYTES_MAX} bytes that comes whole");
        Problem::new(Code::BadPipeline, detail)
    })?;
    let definition = toml_of(content_type, &body)?;
    let deployment = blocking(move || daemon.pipelines.apply(&name, definition, &caller.name, dry_run)).await?;
    let created = !deployment.dry_run && deployment.outcome == "created";
    Ok(json(if created { StatusCode::CREATED } else { StatusCode::OK }, &deployment))
}

/// Lists all pipelines.
#[utoipa::path(get, path = "/api/v1/pipelines", tag = "pipelines", responses((status = 200, body = PipelineList)))]
pub(super) async fn list(State(daemon): State<Arc<Daemon>>, uri: Uri) -> Result<Response, Problem> {
    query(&uri, &[])?;
    Ok(json(StatusCode::OK, &PipelineList { pipelines: daemon.pipelines.list() }))
}

/// Shows a pipeline: how it is, why, since when and what to do, its figures and its definition.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses((status = 200, body = PipelineStatus), (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    Ok(json(StatusCode::OK, &daemon.pipelines.show(&name)?))
}

/// Changes what is wanted of a pipeline: `pause` (it reads nothing and holds its place), `resume`, `stop` (it takes a last
/// checkpoint and ends) or `restart`.
#[utoipa::path(
    post,
    path = "/api/v1/pipelines/{name}/{action}",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name"), ("action" = String, Path, description = "`pause`, `resume`, `stop` or `restart`")),
    responses(
        (status = 200, body = PipelineStatus),
        (status = 404, description = "`no_such_pipeline`, `no_such_path`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_running`, `still_stopping`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn act(
    State(daemon): State<Arc<Daemon>>,
    Path((name, action)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let status = blocking(move || match action.as_str() {
        "pause" => daemon.pipelines.want(&name, Desired::Paused),
        "resume" => daemon.pipelines.want(&name, Desired::Running),
        "stop" => daemon.pipelines.want(&name, Desired::Stopped),
        "restart" => daemon.pipelines.restart(&name),
        other => {
            let detail = format!("found the action {other:?}, expected pause, resume, stop or restart");
            Err(Problem::new(Code::NoSuchPath, detail))
        }
    });
    Ok(json(StatusCode::OK, &status.await?))
}

/// Ends a pipeline and forgets it. What becomes of its state has to be said.
#[utoipa::path(
    delete,
    path = "/api/v1/pipelines/{name}",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name"), ("state" = String, Query, description = "`keep`: the next pipeline with this name goes on from it; `discard`: it begins anew")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "`state_unsaid`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`still_stopping`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = query(&uri, &["state"])?;
    let fate = match query.get("state").map(String::as_str) {
        Some("keep") => Fate::Keep,
        Some("discard") => Fate::Discard,
        found => {
            let found = found.map_or_else(|| "found nothing".to_owned(), |it| format!("found {it:?}"));
            let detail = format!(
                "{found}, expected `state=keep`, with which the next pipeline of this name goes on where this one ended, or \
                 `state=discard`, with which it begins anew"
            );
            return Err(Problem::new(Code::StateUnsaid, detail));
        }
    };
    blocking(move || daemon.pipelines.delete(&name, fate).map(|()| daemon.logs.forget(&name))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The graph of a pipeline, as JSON or (`format=mermaid`) for drawing.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/plan",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name"), ("format" = Option<String>, Query, description = "`json` or `mermaid`")),
    responses((status = 200, content((Plan = "application/json"), (String = "text/plain"))), (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn plan(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = query(&uri, &["format"])?;
    let plan = daemon.pipelines.plan(&name)?;
    match query.get("format").map(String::as_str) {
        None | Some("json") => Ok(json(StatusCode::OK, &plan)),
        Some("mermaid") => {
            let format = HeaderValue::from_static("text/plain; charset=utf-8");
            Ok(([(header::CONTENT_TYPE, format)], mermaid(&plan)).into_response())
        }
        Some(other) => Err(Problem::new(Code::BadQuery, format!("found format={other:?}, expected json or mermaid"))),
    }
}

/// The checkpoints of a pipeline that are on disk, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/pipelines/{name}/checkpoints",
    tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses((status = 200, body = CheckpointList), (status = 404, description = "`no_such_pipeline`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn checkpoints(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let checkpoints = blocking(move || daemon.pipelines.checkpoints(&name)).await?;
    Ok(json(StatusCode::OK, &CheckpointList { checkpoints }))
}
