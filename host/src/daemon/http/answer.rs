//! What every request has in common: answers as JSON, queries that are checked, work that may wait.

use crate::daemon::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// `value` as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => Problem::internal("cannot write the answer", error).into_response(),
    }
}

/// The query of an address, where it has only keys that are known.
pub(super) fn query(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let expected = || if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Problem::new(Code::BadQuery, format!("{error}; the keys are: {}", expected())))?;
    let query: BTreeMap<_, _> = query.0.into_iter().collect();
    match query.keys().find(|it| !known.contains(&it.as_str())) {
        Some(unknown) => {
            Err(Problem::new(Code::BadQuery, format!("found the query key {unknown:?}, the keys are: {}", expected())))
        }
        None => Ok(query),
    }
}

/// The query key `name`: `true`, `false` or absent, which is `false`.
pub(super) fn flag(query: &BTreeMap<String, String>, name: &str) -> Result<bool, Problem> {
    match query.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(other) => Err(Problem::new(Code::BadQuery, format!("found {name}={other:?}, expected true or false"))),
    }
}

/// The body of a request, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The JSON that a request carries; an empty body is an empty object.
pub(super) async fn body<T: DeserializeOwned>(content: Body) -> Result<T, Problem> {
    let refuse = |why: String| Problem::new(Code::BadBody, why);
    let bytes = axum::body::to_bytes(content, BODY_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| {
        refuse(format!("{error}, expected JSON of at most {BODY_BYTES_MAX} bytes that comes whole"))
    })?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| refuse(format!("{error}; /api/v1/openapi.json says what is expected")))
}

/// Does on a thread of its own what may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Problem::internal("the request failed", error)))
}
