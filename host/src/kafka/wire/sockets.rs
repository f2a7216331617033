//! The connections of a client, so that a thread that waits for an answer can be ended: by closing what it waits for.

use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that are in use, until it is time to stop.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    open: Vec<(u64, TcpStream)>,
    made: u64,
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection, so that [`Sockets::stop`] can close it. None when it is too late.
    pub(super) fn opened(&self, socket: TcpStream) -> Option<u64> {
        let mut state = self.lock();
        if state.stop {
            return None;
        }
        state.made += 1;
        let id = state.made;
        state.open.push((id, socket));
        Some(id)
    }

    /// Forgets the connection that [`Sockets::opened`] has answered `id` for.
    pub(super) fn closed(&self, id: u64) {
        self.lock().open.retain(|it| it.0 != id);
    }

    /// Closes every connection, now and from now on.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stop = true;
        for (_, socket) in state.open.drain(..) {
            let _ = socket.shutdown(Shutdown::Both); // Closed already is as good.
        }
        self.stopped.notify_all();
    }

    /// True when it is time to stop.
    pub(super) fn stopping(&self) -> bool {
        self.lock().stop
    }

    /// Waits for `wait`; true when it is time to stop.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let waited = self.stopped.wait_timeout_while(self.lock(), wait, |it| !it.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }
}
