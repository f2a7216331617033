//! Answers that go on: server-sent events, each a name and JSON, until the sender is done or the client is gone.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Events that wait for a slow client, at most.
const WAITING_MAX: usize = 64;
/// How long an answer is silent before it says that it is still there.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The sending end of an answer.
pub(super) struct Events(Sender<Bytes>);

impl Events {
    /// Sends an event, when the client takes it. False once the client is gone.
    pub(super) async fn send<T: Serialize>(&self, name: &str, value: &T) -> bool {
        let Ok(json) = serde_json::to_string(value) else { return false };
        self.0.send(Bytes::from(format!("event: {name}\ndata: {json}\n\n"))).await.is_ok()
    }

    /// Says nothing, so that nobody between here and the client takes the silence for an end. False once the client is gone.
    pub(super) async fn still_here(&self) -> bool {
        self.0.send(Bytes::from_static(b":\n\n")).await.is_ok()
    }

    /// Waits until the client is gone.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// An answer, and its sending end.
pub(super) fn events() -> (Events, Response) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (Events(sender), ([kind, fresh], Body::new(Chunks(receiver))).into_response())
}

struct Chunks(Receiver<Bytes>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|it| Ok(Frame::data(it))))
    }
}
