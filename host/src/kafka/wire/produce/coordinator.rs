//! Questions to a coordinator, of transactions or of a group: found when it is needed, asked until it answers for good.

use super::super::connection::{Connection, Lost};
use super::super::messages::{Api, Coordinated, FIND_COORDINATOR, read_coordinator, write_find_coordinator};
use super::super::sockets::Sockets;
use super::super::{Broken, Cursor, cluster::Kept};
use super::Trouble;
use super::codes::{self, Class};
use super::queue::Queues;
use crate::kafka::Deadline;
use std::sync::Arc;
use std::time::Duration;

/// Between two tries. The first is short: a transaction that was just ended takes a broker about a millisecond more.
const BACKOFF_MIN: Duration = Duration::from_millis(1);
const BACKOFF_MAX: Duration = Duration::from_millis(50);

/// What a coordinator is given for an answer at least. A process that was stopped may go on when its time is up: then it still hears
/// what became of its transaction, and whether another has taken its place.
const ANSWER_MIN: Duration = Duration::from_secs(1);

/// What takes longer is told, ms: nobody else can while it lasts.
const TELL_AFTER_MS: u64 = 1_000;

/// The way to a coordinator.
#[derive(Debug)]
pub(super) struct Coordinator {
    sockets: Arc<Sockets>,
    bootstrap: Vec<String>,
    /// What it coordinates; none where any broker may answer.
    of: Option<(Coordinated, String)>,
    connection: Option<Connection>,
}

/// What became of a question, beside its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// How often it was asked.
    pub(super) times: u32,
    /// A copy of it may still be under way: a connection was lost before the answer.
    pub(super) twice: bool,
}

/// A question: how it is asked, and how its answer is read, with the error code before it.
pub(super) struct Question<W, R> {
    pub(super) api: Api,
    pub(super) write: W,
    pub(super) read: R,
}

impl Coordinator {
    pub(super) fn new(sockets: &Arc<Sockets>, bootstrap: &[String], of: Option<(Coordinated, &str)>) -> Coordinator {
        let of = of.map(|(kind, key)| (kind, key.to_owned()));
        Coordinator { sockets: Arc::clone(sockets), bootstrap: bootstrap.to_vec(), of, connection: None }
    }

    /// True where it is the coordinator of `key`.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.of.as_ref().is_some_and(|it| it.1 == key)
    }

    /// Asks until the answer is final, or the time is up.
    pub(super) fn ask<T, W, R>(
        &mut self,
        question: Question<W, R>,
        deadline: &Deadline,
        asked: &mut Asked,
    ) -> Result<T, Trouble>
    where
        W: Fn(&mut Vec<u8>),
        R: Fn(Cursor<'_>) -> Result<(i16, T), Broken>,
    {
        let name = question.api.name;
        let (mut backoff, mut told) = (BACKOFF_MIN, false);
        loop {
            let reason = match self.try_ask(&question, deadline, asked) {
                Ok((code, answer)) => match codes::class(code) {
                    Class::Done => return Ok(answer),
                    Class::Fenced => return Err(Trouble::Fenced),
                    Class::Refused | Class::Disordered => {
                        return Err(Trouble::Refused(format!("{name}: {}", codes::name(code))));
                    }
                    class @ (Class::Again | Class::Elsewhere) => {
                        if class == Class::Elsewhere {
                            self.connection = None;
                        }
                        format!("{name}: {}", codes::name(code))
                    }
                },
                Err(Lost::Unsupported(reason)) => return Err(Trouble::Unsupported(reason)),
                Err(lost) => {
                    self.connection = None;
                    lost.to_string()
                }
            };
            if deadline.passed() {
                return Err(Trouble::Silence(reason));
            }
            if !told && deadline.waited_ms() >= TELL_AFTER_MS {
                tracing::warn!("waiting for Kafka: {reason}");
                told = true;
            }
            if self.sockets.pause(backoff.min(Duration::from_millis(deadline.left_ms(u64::MAX) as u64))) {
                return Err(Trouble::Silence(Lost::Stopped.to_string()));
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn try_ask<T, W, R>(
        &mut self,
        question: &Question<W, R>,
        deadline: &Deadline,
        asked: &mut Asked,
    ) -> Result<(i16, T), Lost>
    where
        W: Fn(&mut Vec<u8>),
        R: Fn(Cursor<'_>) -> Result<(i16, T), Broken>,
    {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.find(deadline)?,
        };
        asked.times += 1;
        let mut answered = || {
            connection.be_patient(left(deadline).max(ANSWER_MIN))?;
            let answer = connection.ask(question.api, &question.write, Vec::with_capacity)?;
            connection.read(question.api, &answer, &question.read)
        };
        let answer = answered().inspect_err(|_| asked.twice = true)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Asks the brokers that are known at the start who it is, and connects.
    fn find(&self, deadline: &Deadline) -> Result<Connection, Lost> {
        let mut last = Lost::Stopped;
        for address in &self.bootstrap {
            match self.find_at(address, deadline) {
                Err(lost @ (Lost::Io { .. } | Lost::Broken { .. })) => last = lost,
                found => return found,
            }
        }
        Err(last)
    }

    fn find_at(&self, address: &str, deadline: &Deadline) -> Result<Connection, Lost> {
        let mut any = Connection::open_within(&self.sockets, address, Queues::NEEDS, left(deadline))?;
        let Some((kind, key)) = &self.of else { return Ok(any) };
        any.be_patient(left(deadline))?;
        let answer = any.ask(FIND_COORDINATOR, |out| write_find_coordinator(out, *kind, key), Vec::with_capacity)?;
        match any.read(FIND_COORDINATOR, &answer, read_coordinator)? {
            (0, broker) => Connection::open_within(&self.sockets, &broker.address(), Queues::NEEDS, left(deadline)),
            (code, _) => {
                let reason = format!("the coordinator of `{key}` is not known: {}", codes::name(code));
                Err(Lost::Io { address: address.to_owned(), cause: std::io::Error::other(reason) })
            }
        }
    }
}

fn left(deadline: &Deadline) -> Duration {
    Duration::from_millis(deadline.left_ms(u64::MAX) as u64)
}
