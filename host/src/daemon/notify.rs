//! Telling systemd how the daemon is: `sd_notify(3)`, a line of text over a datagram socket.

use super::clock;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the supervisor; silent where there is none.
#[derive(Debug)]
pub(super) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` where it is meant for this process.
    pub(super) fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(|it| match it.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            _ => SocketAddr::from_pathname(it).ok(),
        });
        let socket = address.and_then(|it| Some((UnixDatagram::unbound().ok()?, it)));
        let number = |name| std::env::var_os(name).and_then(|it| it.to_str()?.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|it| it == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|it| ours && *it > 0).map(Duration::from_micros);
        Notify { socket, watchdog }
    }

    /// How often to say that all is well: twice in the time after which the supervisor would restart the daemon.
    pub(super) fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog.map(|it| it / 2)
    }

    /// Requests are answered and pipelines run.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// The configuration is read again; [`Self::ready`] ends it.
    pub(super) fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic_us()));
    }

    /// The last checkpoints are being taken.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=taking last checkpoints");
    }

    /// The daemon is alive.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.socket {
            // A supervisor that is gone is no reason to stop.
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_arrives_as_the_protocol_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        let socket = Some((UnixDatagram::unbound().unwrap(), SocketAddr::from_pathname(&path).unwrap()));
        let notify = Notify { socket, watchdog: Some(Duration::from_secs(10)) };
        let heard = || {
            let mut bytes = [0; 256];
            let length = supervisor.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        notify.ready("2 pipelines");
        assert_eq!(heard(), "READY=1\nSTATUS=2 pipelines");
        notify.reloading();
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(notify.watchdog_every(), Some(Duration::from_secs(5)));
    }
}
