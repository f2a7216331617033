//! One connection to one broker: a question, its answer, the next question.

use super::messages::{self, API_VERSIONS, Api};
use super::shared::Shared;
use super::{Broken, Cursor};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long a broker may take to accept, and to answer beyond what it was told to wait.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
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
    shared: Arc<Shared>,
    /// Under which `shared` knows the socket.
    id: u64,
    socket: TcpStream,
    address: String,
    correlation: i32,
    request: Vec<u8>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.closed(self.id);
    }
}

impl Connection {
    /// Connects to `address` (`host:port`), and checks that it speaks what is needed.
    pub(super) fn open(shared: &Arc<Shared>, address: &str) -> Result<Connection, Lost> {
        let failed = |cause| Lost::Io { address: address.to_owned(), cause };
        let socket = connect(address).map_err(failed)?;
        let id = shared.opened(socket.try_clone().map_err(failed)?).ok_or(Lost::Stopped)?;
        let mut connection = Connection {
            shared: Arc::clone(shared),
            id,
            socket,
            address: address.to_owned(),
            correlation: 0,
            request: Vec::new(),
        };
        connection.socket.set_nodelay(true).map_err(failed)?;
        connection.socket.set_read_timeout(Some(ANSWER_WAIT)).map_err(failed)?;
        connection.socket.set_write_timeout(Some(ANSWER_WAIT)).map_err(failed)?;
        let answer = connection.ask(API_VERSIONS, |_| {}, Vec::with_capacity)?;
        match connection.read(API_VERSIONS, &answer, messages::read_api_versions)? {
            Some(reason) => Err(Lost::Unsupported(reason)),
            None => Ok(connection),
        }
    }

    /// Sends what `write` adds to a request, and receives the answer into the memory that `arena` gives for its length.
    pub(super) fn ask(
        &mut self,
        api: Api,
        write: impl FnOnce(&mut Vec<u8>),
        arena: impl FnOnce(usize) -> Vec<u8>,
    ) -> Result<Vec<u8>, Lost> {
        self.correlation = self.correlation.wrapping_add(1);
        messages::begin(&mut self.request, api, self.correlation);
        write(&mut self.request);
        messages::finish(&mut self.request);
        let received = self.socket.write_all(&self.request).and_then(|()| self.receive(arena));
        received.map_err(|cause| Lost::Io { address: self.address.clone(), cause })
    }

    fn receive(&mut self, arena: impl FnOnce(usize) -> Vec<u8>) -> std::io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.socket.read_exact(&mut head)?;
        let len = u32::from_be_bytes(head) as usize;
        if len > ANSWER_BYTES_MAX {
            let reason = format!("an answer of {len} bytes, more than the {ANSWER_BYTES_MAX} that are taken");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
        }
        let mut answer = arena(len);
        // Into memory that is not set to zero first, which a buffer of that length would be.
        (&self.socket).take(len as u64).read_to_end(&mut answer)?;
        if answer.len() < len { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }

    /// Reads the answer to the last question.
    pub(super) fn read<T>(
        &self,
        api: Api,
        answer: &[u8],
        read: impl FnOnce(Cursor<'_>) -> Result<T, Broken>,
    ) -> Result<T, Lost> {
        let broken = |cause| Lost::Broken { address: self.address.clone(), question: api.name, cause };
        messages::body(answer, api, self.correlation).and_then(read).map_err(broken)
    }

    /// Where it leads to.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address")))
}
