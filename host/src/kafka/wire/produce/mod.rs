//! A producer of Kafka's own protocol: idempotent, and with transactions where it has an id for them.
//!
//! Its owner writes records into batches ([`Writing`]), hands them over, and asks what becomes of them; a keeper knows who leads what
//! (`super::cluster`), and a thread a broker sends (`sender`). They meet in `queue`. What concerns transactions is asked by the
//! owner's own thread (`coordinator`).
//!
//! At the first batch of a partition in a transaction, and at positions, a broker asks the transaction's coordinator whether they belong to it. It refuses
//! what it was about to ask for when more comes (KIP-890, `AddPartitionsToTxnManager`), and what was refused is sent again 50 ms later. Batches do not
//! meet so: a broker reads no request of a connection before it has answered the one before. Positions, which have a connection of their own, wait until first
//! batches are answered. The owner may send those early, so that its commit need not wait for all this ([`Producer::may_begin`]).
//!
//! There is no repair: whatever cannot be written in order, or whose fate is not known, is an error, and ends with a new
//! number or epoch ([`Producer::begin_anew`]). A question that may still be under way somewhere when its answer is known has the same
//! consequence before the next transaction, so that a late copy meets an epoch that is over.

mod batch;
mod codec;
mod codes;
mod coordinator;
mod queue;
mod sender;
#[cfg(test)]
mod tests;

use super::cluster::{Kept, keep};
use super::messages::{
    ADD_OFFSETS, ADD_PARTITIONS, COMMIT_OFFSETS, Coordinated, END_TRANSACTION, INIT_PRODUCER_ID, Identity, Position,
    read_error, read_init, read_partition_errors, write_add_offsets, write_add_partitions, write_commit_offsets,
    write_end, write_init,
};
use crate::kafka::Deadline;
pub(crate) use batch::Writing;
use batch::{Sender, sequence_after};
pub(crate) use codec::Codec;
use coordinator::{Asked, Coordinator, Question};
use queue::Queues;
use std::sync::Arc;
use std::thread::JoinHandle;

/// How long positions wait for partitions' first batches, ms: they are sent again where they collide.
const OPEN_MS_MAX: u64 = 1_000;
/// How long work that was given up may keep a broker busy before the next begins, ms.
const QUIET_MS_MAX: u64 = 5_000;

/// What to write, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Producing {
    /// `host:port`, each.
    pub(crate) brokers: Vec<String>,
    /// The topics, each with its partitions.
    pub(crate) topics: Vec<(String, Vec<i32>)>,
    /// Under which its transactions are known.
    pub(crate) transactional_id: Option<String>,
    /// How long a broker lets a transaction stay open, ms.
    pub(crate) transaction_ms: i32,
    /// How long a broker may take for one request, ms.
    pub(crate) request_ms: i32,
}

/// Why nothing more is written, until the producer begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A newer producer has the transactional id.
    Fenced,
    /// A batch will not be written.
    Failed(String),
}

/// Why a question about transactions has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A newer producer has the transactional id.
    Fenced,
    /// The answer is no.
    Refused(String),
    /// There was no answer in time: what was asked for may have come true.
    Silence(String),
    /// The broker is too old.
    Unsupported(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Trouble {
        match refusal {
            Refusal::Fenced => Trouble::Fenced,
            Refusal::Failed(reason) => Trouble::Refused(reason),
        }
    }
}

/// A producer with its threads, which end with it.
#[derive(Debug)]
pub(crate) struct Producer {
    queues: Arc<Queues>,
    keeper: Option<JoinHandle<()>>,
    bootstrap: Vec<String>,
    transaction_ms: i32,
    sender: Sender,
    /// The next number of each partition's records.
    sequences: Vec<i32>,
    /// What the open transaction has of each partition.
    shares: Vec<Share>,
    /// The open transaction has something.
    begun: bool,
    /// It has the positions of a group, or room for them.
    has_group: bool,
    /// A question of this epoch may still be under way.
    doubt: bool,
    transactions: Coordinator,
    group: Option<Coordinator>,
}

/// What transactions have of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// It belongs to the open one.
    enlisted: bool,
    /// The open one has a batch of it.
    written: bool,
    /// The last one before it that has any batch has one of it.
    written_before: bool,
}

impl Producer {
    /// Prepares to write; asks no broker for anything. Partitions are known by their index, topic by topic.
    pub(crate) fn start(producing: Producing) -> std::io::Result<Producer> {
        let Producing { brokers, topics, transactional_id, transaction_ms, request_ms } = producing;
        let numbered = topics.iter().enumerate();
        let partitions: Vec<_> = numbered.flat_map(|(topic, it)| it.1.iter().map(move |id| (topic, *id))).collect();
        let names = topics.into_iter().map(|it| it.0).collect();
        let queues = Arc::new(Queues::new(names, &partitions, transactional_id, request_ms));
        let of = queues.transactional_id.as_deref().map(|it| (Coordinated::Transaction, it));
        let transactions = Coordinator::new(queues.sockets(), &brokers, of);
        let sender = Sender { identity: Identity::NONE, transactional: queues.transactional_id.is_some() };
        let keeper = keep(&queues, brokers.clone())?;
        Ok(Producer {
            queues,
            keeper: Some(keeper),
            bootstrap: brokers,
            transaction_ms,
            sender,
            sequences: vec![0; partitions.len()],
            shares: vec![Share::default(); partitions.len()],
            begun: false,
            has_group: false,
            doubt: false,
            transactions,
            group: None,
        })
    }

    /// Gets a number. With a transactional id it fences whoever had it before, and ends what that one has left open.
    pub(crate) fn init(&mut self, deadline: &Deadline) -> Result<(), Trouble> {
        self.get_number(Identity::NONE, deadline)
    }

    /// `known` is the number to go on from: the answer is no where it is not the newest.
    fn get_number(&mut self, known: Identity, deadline: &Deadline) -> Result<(), Trouble> {
        let (queues, timeout_ms) = (&self.queues, self.transaction_ms);
        let question = Question {
            api: INIT_PRODUCER_ID,
            write: |out: &mut Vec<u8>| write_init(out, queues.transactional_id.as_deref(), timeout_ms, known),
            read: read_init,
        };
        self.sender.identity = self.transactions.ask(question, deadline, &mut Asked::default())?;
        self.sequences.fill(0);
        self.doubt = false;
        Ok(())
    }

    /// An empty batch with room for `bytes`.
    pub(crate) fn batch(&self, bytes: usize) -> Writing {
        Writing::within(self.queues.spare(), bytes)
    }

    /// True where a batch of the partition would be the first one that the transaction has of it, and no question needs to be asked before it but
    /// that which opens the transaction. Always true without transactions.
    pub(crate) fn may_begin(&self, partition: usize) -> bool {
        let begins = |it: &Share| !it.written && (it.enlisted || !self.begun);
        !self.sender.transactional || self.shares.get(partition).is_some_and(begins)
    }

    /// The open transaction has the partition.
    pub(crate) fn is_enlisted(&self, partition: usize) -> bool {
        self.shares.get(partition).is_some_and(|it| it.enlisted)
    }

    /// Adds partitions to the transaction, where there is one and it does not have them: before a batch of theirs is pushed. The first time with
    /// those that the last one wrote to, which it will need too more often than not; one that it does not costs a marker.
    pub(crate) fn enlist(
        &mut self,
        partitions: impl Iterator<Item = usize>,
        deadline: &Deadline,
    ) -> Result<(), Trouble> {
        let Some(id) = self.queues.transactional_id.clone() else { return Ok(()) };
        let mut new: Vec<_> = partitions.filter(|it| self.shares.get(*it).is_some_and(|it| !it.enlisted)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.begin(deadline)?;
        if !self.shares.iter().any(|it| it.enlisted) {
            new.extend(self.shares.iter().enumerate().filter(|it| it.1.written_before).map(|it| it.0));
        }
        new.sort_unstable();
        new.dedup();
        let named: Vec<_> = new.iter().map(|it| self.queues.named(*it)).collect();
        let identity = self.sender.identity;
        let question = Question {
            api: ADD_PARTITIONS,
            write: |out: &mut Vec<u8>| write_add_partitions(out, &id, identity, &named),
            read: read_partition_errors,
        };
        ask(&mut self.transactions, question, deadline, &mut self.doubt)?;
        self.queues.open(&new);
        for partition in new {
            if let Some(share) = self.shares.get_mut(partition) {
                share.enlisted = true;
            }
        }
        Ok(())
    }

    /// Nothing of an earlier transaction may come between.
    fn begin(&mut self, deadline: &Deadline) -> Result<(), Trouble> {
        if !self.begun && self.doubt {
            self.get_number(self.sender.identity, deadline)?;
        }
        self.begun = true;
        Ok(())
    }

    /// Queues batches, each for its partition.
    pub(crate) fn push(&mut self, batches: impl IntoIterator<Item = (usize, Writing, Codec)>) {
        let Producer { queues, sequences, sender, shares, .. } = self;
        queues.push(batches.into_iter().filter_map(|(partition, written, codec)| {
            let sequence = sequences.get_mut(partition)?;
            shares.get_mut(partition)?.written = true;
            let sealed = written.seal(partition, codec, *sender, *sequence);
            *sequence = sequence_after(*sequence, sealed.count());
            Some(sealed)
        }));
    }

    /// Bytes of batches that are not acknowledged; or why nothing more will be.
    pub(crate) fn bytes(&self) -> Result<usize, Refusal> {
        self.queues.bytes()
    }

    /// How long what has waited longest has waited, ms; 0 for nothing.
    pub(crate) fn oldest_ms(&self) -> u64 {
        self.queues.oldest_ms()
    }

    /// Those of `partitions` that have no batch waiting.
    pub(crate) fn idle(&self, partitions: impl Iterator<Item = usize>) -> Vec<usize> {
        self.queues.idle(partitions)
    }

    /// Waits until everything is acknowledged; false when the time is up first.
    pub(crate) fn drain(&self, deadline: &Deadline) -> Result<bool, Refusal> {
        self.queues.drain(deadline)
    }

    /// Tells the transaction that positions of `group` will be added, where it does not know: the same group each time.
    pub(crate) fn add_group(&mut self, group: &str, deadline: &Deadline) -> Result<(), Trouble> {
        let (Some(id), false) = (self.queues.transactional_id.clone(), self.has_group) else { return Ok(()) };
        self.begin(deadline)?;
        let identity = self.sender.identity;
        let question = Question {
            api: ADD_OFFSETS,
            write: |out: &mut Vec<u8>| write_add_offsets(out, &id, identity, group),
            read: read_error,
        };
        ask(&mut self.transactions, question, deadline, &mut self.doubt)?;
        self.has_group = true;
        Ok(())
    }

    /// Adds positions of `group`, sorted by topic, to the transaction.
    pub(crate) fn send_positions(
        &mut self,
        group: &str,
        positions: &[Position<'_>],
        deadline: &Deadline,
    ) -> Result<(), Trouble> {
        let Some(id) = self.queues.transactional_id.clone() else { return Ok(()) };
        self.add_group(group, deadline)?;
        self.queues.opened(&Deadline::after(OPEN_MS_MAX.min(deadline.left_ms(u64::MAX) as u64)));
        let identity = self.sender.identity;
        let coordinator = match self.group.take() {
            Some(it) if it.is_of(group) => it,
            _ => Coordinator::new(self.queues.sockets(), &self.bootstrap, Some((Coordinated::Group, group))),
        };
        let question = Question {
            api: COMMIT_OFFSETS,
            write: |out: &mut Vec<u8>| write_commit_offsets(out, &id, group, identity, positions),
            read: read_partition_errors,
        };
        ask(self.group.insert(coordinator), question, deadline, &mut self.doubt)
    }

    /// Commits the transaction. Only where [`Trouble::Refused`] is the answer to the first question is it certain that it is not.
    pub(crate) fn commit(&mut self, deadline: &Deadline) -> Result<(), (Trouble, bool)> {
        let mut asked = Asked::default();
        let ended = self.end(true, deadline, &mut asked);
        ended.map_err(|trouble| (trouble, asked.times == 1 && !asked.twice))
    }

    fn end(&mut self, commit: bool, deadline: &Deadline, asked: &mut Asked) -> Result<(), Trouble> {
        if let (Some(id), true) = (self.queues.transactional_id.clone(), self.begun) {
            let identity = self.sender.identity;
            let question = Question {
                api: END_TRANSACTION,
                write: |out: &mut Vec<u8>| write_end(out, &id, identity, commit),
                read: read_error,
            };
            let answer = self.transactions.ask(question, deadline, asked);
            self.doubt |= asked.twice;
            answer?;
        }
        self.hold_nothing();
        Ok(())
    }

    /// Gives up what is not acknowledged, aborts the transaction, and goes on in a new epoch or with a new number.
    pub(crate) fn begin_anew(&mut self, deadline: &Deadline) -> Result<(), Trouble> {
        self.queues.clear(&Deadline::after(QUIET_MS_MAX.min(deadline.left_ms(u64::MAX) as u64)));
        match self.end(false, deadline, &mut Asked::default()) {
            // It holds nothing: no partition was added, or it was aborted at the first try.
            Ok(()) | Err(Trouble::Refused(_)) => {}
            Err(trouble) => return Err(trouble),
        }
        self.hold_nothing();
        let known = if self.sender.transactional { self.sender.identity } else { Identity::NONE };
        self.get_number(known, deadline)
    }

    /// No transaction is open.
    fn hold_nothing(&mut self) {
        (self.begun, self.has_group) = (false, false);
        let wrote = self.shares.iter().any(|it| it.written);
        for share in &mut self.shares {
            let written_before = if wrote { share.written } else { share.written_before };
            *share = Share { written_before, ..Share::default() };
        }
    }

    /// Why nothing more will be written, where that is so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.queues.refusal()
    }

    /// The newest passing trouble since the last call.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.queues.take_trouble()
    }
}

fn ask<W, R>(
    coordinator: &mut Coordinator,
    question: Question<W, R>,
    deadline: &Deadline,
    doubt: &mut bool,
) -> Result<(), Trouble>
where
    W: Fn(&mut Vec<u8>),
    R: Fn(super::Cursor<'_>) -> Result<(i16, ()), super::Broken>,
{
    let mut asked = Asked::default();
    let answer = coordinator.ask(question, deadline, &mut asked);
    *doubt |= asked.twice;
    answer
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.queues.stop();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join(); // A panic of its was printed.
        }
    }
}
