//! Whether the daemon lives, whether all is as was asked, and what the interface is.

use super::answer::json;
use super::auth::Caller;
use crate::daemon::api::{NotReady, Readiness};
use crate::daemon::{Daemon, status_ready};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It lives", body = String, content_type = "text/plain")))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Whether every pipeline is as was asked, and if not, which ones are not and why.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses((status = 200, description = "All is as was asked", body = Readiness), (status = 503, description = "Something is not", body = Readiness))
)]
pub(super) async fn ready(State(daemon): State<Arc<Daemon>>, Extension(caller): Extension<Caller>) -> Response {
    let known = caller.scope.is_some(); // A reason may name brokers and paths.
    let not_ready: Vec<NotReady> = daemon
        .pipelines
        .list()
        .into_iter()
        .filter(|it| !status_ready(it))
        .map(|it| NotReady { pipeline: it.name, state: it.state, reason: it.reason.filter(|_| known) })
        .collect();
    let ready = not_ready.is_empty() && daemon.is_started() && !daemon.is_stopping();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ready, not_ready })
}

/// The OpenAPI document.
pub(super) async fn description() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], super::openapi()).into_response()
}
