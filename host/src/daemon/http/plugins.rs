//! `/api/v1/plugins`.

use super::answer::{blocking, json, query};
use super::auth::Caller;
use crate::daemon::Daemon;
use crate::daemon::api::{PluginList, PluginVersion};
use crate::daemon::catalog::{Push, check_name, parse_version};
use crate::daemon::problem::Problem;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Stores a version of a plugin. The body is the component; it is streamed to disk, checked, compiled and opened once.
#[utoipa::path(
    put,
    path = "/api/v1/plugins/{name}/versions/{version}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name"), ("version" = String, Path, description = "After semver.org")),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A component, at most 128 MiB"),
    responses(
        (status = 201, description = "Stored", body = PluginVersion),
        (status = 200, description = "It was stored already, with the same content", body = PluginVersion),
        (status = 409, description = "`version_exists`: it is stored with other content", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The component is refused: `empty_upload`, `not_wasm`, `truncated`, `precompiled`, `no_interface`, `invalid_wasm`, `wrong_world`, `missing_export`, `forbidden_import`, `type_mismatch`, `unsupported_version`, `compile_limit`, `open_failed`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(daemon): State<Arc<Daemon>>,
    Extension(caller): Extension<Caller>,
    Path((name, version)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    check_name(&name)?;
    let version = parse_version(&version)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    let push = Push { name, version, body, announced, by: caller.name };
    let pushed = daemon.catalog.push(push, &daemon.settings().limits).await;
    daemon.count_upload(match &pushed {
        Ok((_, true)) => "stored",
        Ok((_, false)) => "unchanged",
        Err(problem) => &problem.code,
    });
    let (stored, new) = pushed?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &shown(&daemon, &stored)))
}

fn shown(daemon: &Daemon, stored: &PluginVersion) -> PluginVersion {
    PluginVersion { used_by: daemon.pipelines.users(stored), ..stored.clone() }
}

/// Lists all versions of all plugins.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = 200, body = PluginList)))]
pub(super) async fn list(State(daemon): State<Arc<Daemon>>, uri: Uri) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let plugins = daemon.catalog.list().iter().map(|it| shown(&daemon, it)).collect();
    Ok(json(StatusCode::OK, &PluginList { plugins }))
}

/// Lists the versions of one plugin.
#[utoipa::path(
    get,
    path = "/api/v1/plugins/{name}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, body = PluginList), (status = 404, description = "`no_such_plugin`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn list_one(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let plugins = daemon.catalog.of_name(&name)?.iter().map(|it| shown(&daemon, it)).collect();
    Ok(json(StatusCode::OK, &PluginList { plugins }))
}

/// Shows a version: what it is, what it reads, who uses it.
#[utoipa::path(
    get,
    path = "/api/v1/plugins/{name}/versions/{version}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name"), ("version" = String, Path, description = "After semver.org")),
    responses((status = 200, body = PluginVersion), (status = 404, description = "`no_such_plugin`", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(daemon): State<Arc<Daemon>>,
    Path((name, version)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let stored = daemon.catalog.get(&name, &parse_version(&version)?)?;
    Ok(json(StatusCode::OK, &shown(&daemon, &stored)))
}

/// Removes a version that no pipeline uses.
#[utoipa::path(
    delete,
    path = "/api/v1/plugins/{name}/versions/{version}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name"), ("version" = String, Path, description = "After semver.org")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`no_such_plugin`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`plugin_in_use`, with its users", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(daemon): State<Arc<Daemon>>,
    Path((name, version)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    query(&uri, &[])?;
    let version = parse_version(&version)?;
    blocking(move || daemon.pipelines.delete_plugin(&name, &version)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
