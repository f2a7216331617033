//! The interface over HTTP: what each address answers.

mod accept;
mod answer;
mod auth;
mod events;
mod health;
mod letters;
mod metrics;
mod origin;
mod pipelines;
mod plugins;
mod predicate;
mod shadows;
mod tls;
mod upgrades;
mod watch;

pub(super) use accept::accept;
pub(super) use auth::Tokens;
pub(super) use tls::acceptor;

use super::Daemon;
use super::api;
use super::problem::{Code, FieldError, Problem};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use std::sync::Arc;
use utoipa::OpenApi;

/// The description of the interface, made of the handlers and of what they answer.
#[derive(OpenApi)]
#[openapi(
    info(title = "wasmill", description = "Plugins and pipelines of a wasmill daemon."),
    paths(
        plugins::put,
        plugins::list,
        plugins::list_one,
        plugins::show,
        plugins::delete,
        pipelines::put,
        pipelines::list,
        pipelines::show,
        pipelines::act,
        pipelines::delete,
        pipelines::plan,
        pipelines::checkpoints,
        upgrades::upgrade,
        upgrades::rollback,
        upgrades::history,
        upgrades::operation,
        upgrades::follow,
        letters::list,
        letters::replay,
        shadows::begin,
        shadows::show,
        shadows::promote,
        shadows::drop_it,
        watch::tap,
        watch::logs,
        health::live,
        health::ready,
    ),
    components(schemas(
        Problem,
        FieldError,
        api::PluginVersion,
        api::Description,
        api::PluginField,
        api::PluginPort,
        api::PluginList,
        api::PipelineStatus,
        api::PipelineList,
        api::Desired,
        api::State,
        api::Part,
        api::Figures,
        api::LateRecords,
        api::CommitTimes,
        api::WorkerFigures,
        api::SourceFigures,
        api::PartitionFigures,
        api::StepFigures,
        api::PluginFigures,
        api::SinkFigures,
        api::Pin,
        api::Deployment,
        api::Change,
        api::Plan,
        api::Node,
        api::Edge,
        api::CheckpointList,
        api::Checkpoint,
        api::Position,
        api::UpgradeRequest,
        api::RollbackRequest,
        api::UpgradePreview,
        api::StepPlugin,
        api::Action,
        api::Outcome,
        api::HistoryEntry,
        api::History,
        api::OperationState,
        api::Operation,
        api::DeadLetter,
        api::DeadLetterList,
        api::Comparison,
        api::Differing,
        api::Faulty,
        api::Spent,
        api::ShadowStatus,
        api::TappedRecord,
        api::TapEnd,
        api::LogLine,
        api::Readiness,
        api::NotReady,
    ))
)]
struct Description;

/// The OpenAPI document, JSON.
pub fn openapi() -> String {
    let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// All addresses.
pub(super) fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .route("/api/v1/openapi.json", get(health::description))
        .route("/api/v1/plugins", get(plugins::list))
        .route("/api/v1/plugins/{name}", get(plugins::list_one))
        .route(
            "/api/v1/plugins/{name}/versions/{version}",
            put(plugins::put).get(plugins::show).delete(plugins::delete),
        )
        .route("/api/v1/pipelines", get(pipelines::list))
        .route("/api/v1/pipelines/{name}", put(pipelines::put).get(pipelines::show).delete(pipelines::delete))
        .route("/api/v1/pipelines/{name}/plan", get(pipelines::plan))
        .route("/api/v1/pipelines/{name}/checkpoints", get(pipelines::checkpoints))
        .route("/api/v1/pipelines/{name}/upgrade", post(upgrades::upgrade))
        .route("/api/v1/pipelines/{name}/rollback", post(upgrades::rollback))
        .route("/api/v1/pipelines/{name}/history", get(upgrades::history))
        .route("/api/v1/pipelines/{name}/shadow", post(shadows::begin).get(shadows::show).delete(shadows::drop_it))
        .route("/api/v1/pipelines/{name}/shadow/promote", post(shadows::promote))
        .route("/api/v1/pipelines/{name}/dead-letters", get(letters::list))
        .route("/api/v1/pipelines/{name}/dead-letters/replay", post(letters::replay))
        .route("/api/v1/pipelines/{name}/tap", get(watch::tap))
        .route("/api/v1/pipelines/{name}/logs", get(watch::logs))
        .route("/api/v1/operations/{id}", get(upgrades::operation))
        .route("/api/v1/operations/{id}/events", get(upgrades::follow))
        .route("/api/v1/pipelines/{name}/{action}", post(pipelines::act))
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&daemon), auth::guard))
        .layer(DefaultBodyLimit::disable()) // Each address that takes a body has a limit of its own.
        .with_state(daemon)
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("found {}, expected an address that /api/v1/openapi.json describes", uri.path());
    Problem::new(Code::NoSuchPath, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("found {method} {}, expected a method that /api/v1/openapi.json describes", uri.path());
    Problem::new(Code::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_description_of_the_interface_is_as_it_was() {
        expect_test::expect_file!["../../../../tests/golden/openapi.json"].assert_eq(&super::openapi());
    }
}
