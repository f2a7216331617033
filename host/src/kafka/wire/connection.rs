//! One connection to one broker: a question, its answer, the next question.

use super::messages::{self, API_VERSIONS, Api};
use super::sockets::Sockets;
use super::{Broken, Cursor};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long a broker may take to accept, and to answer beyond what it was told to wait.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// No wait is shorter: none at all would be one without an end.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// Bytes of one answer at most: as librdkafka's `receive.message.max.bytes`, and a third more.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The connection, or the name of the host.
    #[error("{address}: {cause}")]
    Io { address: String, cause: std::io::Error },
    /// The broker speaks, but not as it should.
    #[error("{address}: an answer to {question} cannot be read: {cause}")]
    Broken { address: String, question: &'static str, cause: Broken },
    /// The broker is too old.
    #[error("{0}")]
    Unsupported(String),
    /// It is time to stop.
    #[error("stopped")]
    Stopped,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    sockets: Arc<Sockets>,
    /// Under which `sockets` knows the socket.
    id: u64,
    socket: TcpStream,
    address: String,
    correlation: i32,
    request: Vec<u8>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.sockets.closed(self.id);
    }
}

impl Connection {
    /// Connects to `address` (`host:port`), and checks that it speaks what is needed.
    pub(super) fn open(sockets: &Arc<Sockets>, address: &str, needs: &[Api]) -> Result<Connection, Lost> {
        Self::open_within(sockets, address, needs, ANSWER_WAIT)
    }

    /// As [`Connection::open`], waiting at most so long for the broker to accept, and as long again for its answer.
    pub(super) fn open_within(
        sockets: &Arc<Sockets>,
        address: &str,
        needs: &[Api],
        wait: Duration,
    ) -> Result<Connection, Lost> {
        let failed = |cause| Lost::Io { address: address.to_owned(), cause };
        let socket = connect(address, wait.clamp(WAIT_MIN, CONNECT_WAIT)).map_err(failed)?;
        let id = sockets.opened(socket.try_clone().map_err(failed)?).ok_or(Lost::Stopped)?;
        let mut connection = Connection {
            sockets: Arc::clone(sockets),
            id,
            socket,
            address: address.to_owned(),
            correlation: 0,
            request: Vec::new(),
        };
        connection.socket.set_nodelay(true).map_err(failed)?;
        connection.be_patient(wait)?;
        connection.socket.set_write_timeout(Some(ANSWER_WAIT)).map_err(failed)?;
        let answer = connection.ask(API_VERSIONS, |_| {}, Vec::with_capacity)?;
        match connection.read(API_VERSIONS, &answer, |it| messages::read_api_versions(it, needs))? {
            Some(reason) => Err(Lost::Unsupported(reason)),
            None => connection.be_patient(ANSWER_WAIT).map(|()| connection),
        }
    }

    /// Waits so long for an answer, at most as long as for any.
    pub(super) fn be_patient(&self, wait: Duration) -> Result<(), Lost> {
        let wait = wait.clamp(WAIT_MIN, ANSWER_WAIT);
        self.socket.set_read_timeout(Some(wait)).map_err(|cause| self.lost(cause))
    }

    /// Sends what `write` adds to a request, and receives the answer into the memory that `arena` gives for its length.
    pub(super) fn ask(
        &mut self,
        api: Api,
        write: impl FnOnce(&mut Vec<u8>),
        arena: impl FnOnce(usize) -> Vec<u8>,
    ) -> Result<Vec<u8>, Lost> {
        let mut request = std::mem::take(&mut self.request);
        self.begin(api, &mut request);
        write(&mut request);
        messages::finish(&mut request);
        let sent = self.socket.write_all(&request);
        self.request = request;
        sent.map_err(|cause| self.lost(cause))?;
        self.receive(arena)
    }

    /// Begins the next request in `out`.
    pub(super) fn begin(&mut self, api: Api, out: &mut Vec<u8>) {
        self.correlation = self.correlation.wrapping_add(1);
        messages::begin(out, api, self.correlation);
    }

    /// Sends a request that lies in pieces.
    pub(super) fn send(&mut self, mut pieces: &mut [IoSlice<'_>]) -> Result<(), Lost> {
        while !pieces.is_empty() {
            match self.socket.write_vectored(pieces) {
                Ok(0) => return Err(self.lost(ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut pieces, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.lost(cause)),
            }
        }
        Ok(())
    }

    /// Receives the next answer.
    pub(super) fn receive(&mut self, arena: impl FnOnce(usize) -> Vec<u8>) -> Result<Vec<u8>, Lost> {
        self.try_receive(arena).map_err(|cause| self.lost(cause))
    }

    fn try_receive(&mut self, arena: impl FnOnce(usize) -> Vec<u8>) -> std::io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.socket.read_exact(&mut head)?;
        let len = u32::from_be_bytes(head) as usize;
        if len > ANSWER_BYTES_MAX {
            let reason = format!("an answer of {len} bytes, more than the {ANSWER_BYTES_MAX} that are taken");
            return Err(std::io::Error::new(ErrorKind::InvalidData, reason));
        }
        let mut answer = arena(len);
        // Into memory that is not set to zero first, which a buffer of that length would be.
        (&self.socket).take(len as u64).read_to_end(&mut answer)?;
        if answer.len() < len { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }

    /// Reads the answer to the last question.
    pub(super) fn read<T>(
        &self,
        api: Api,
        answer: &[u8],
        read: impl FnOnce(Cursor<'_>) -> Result<T, Broken>,
    ) -> Result<T, Lost> {
        self.read_earlier(api, answer, 0, read)
    }

    /// Reads the answer to the question before the last `later` ones.
    pub(super) fn read_earlier<T>(
        &self,
        api: Api,
        answer: &[u8],
        later: usize,
        read: impl FnOnce(Cursor<'_>) -> Result<T, Broken>,
    ) -> Result<T, Lost> {
        let broken = |cause| Lost::Broken { address: self.address.clone(), question: api.name, cause };
        let correlation = self.correlation.wrapping_sub(later as i32);
        messages::body(answer, api, correlation).and_then(read).map_err(broken)
    }

    fn lost(&self, cause: std::io::Error) -> Lost {
        Lost::Io { address: self.address.clone(), cause }
    }

    /// Where it leads to.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn connect(address: &str, wait: Duration) -> std::io::Result<TcpStream> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, wait) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::new(ErrorKind::NotFound, "the name has no address")))
}
