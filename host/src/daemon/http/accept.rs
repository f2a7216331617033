//! Takes connections, so many at a time, and lets each speak HTTP/1.1.

use super::auth::Peer;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// How long a client may take for the head of a request, and be silent between two.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// Wait after a connection could not be taken: too many files are open, most likely.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Takes connections until it is dropped. One more than `connections_max` waits until another ends.
pub(in crate::daemon) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    connections_max: usize,
) {
    let turns = Arc::new(Semaphore::new(connections_max));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, tls) = (router.clone(), tls.clone());
                tokio::spawn(async move {
                    greet(stream, peer, tls, router).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!("cannot take a connection: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Agrees on TLS, where there is any.
async fn greet(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, router: Router) {
    let _ = stream.set_nodelay(true); // Slower without, and no worse.
    let Some(tls) = tls else { return serve(stream, peer, router).await };
    match tokio::time::timeout(HEAD_WAIT_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, peer, router).await,
        Ok(Err(error)) => tracing::debug!(%peer, "no agreement on TLS: {error}"),
        Err(_) => tracing::debug!(%peer, "no agreement on TLS in time"),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, router: Router) {
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%peer, "a connection ended badly: {error}");
    }
}
