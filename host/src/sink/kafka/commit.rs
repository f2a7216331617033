//! Ending a transaction: which failure leaves what behind.

use super::{KafkaError, KafkaSink, Mode, OffsetCommit, Outcome, Phase, retry};
use crate::failpoint::failpoint;
use crate::kafka::Deadline;
use crate::kafka::ffi::{Fault, code};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// After the time for a commit is up, so long for the client to say so itself, ms.
const ANSWER_MS_MAX: u64 = 1_000;

impl KafkaSink {
    /// Makes everything appended since the last commit, and the positions `offsets` of `group`, hold: together in
    /// [`Mode::Transactional`], one after the other in [`Mode::Idempotent`]. Waits for the answer, at most
    /// `timeouts.transaction_ms`.
    ///
    /// | failure                                   | transactional        | idempotent                |
    /// |-------------------------------------------|----------------------|---------------------------|
    /// | a record was not delivered                | `MustAbort`          | `MustAbort`               |
    /// | positions refused                         | `MustAbort`          | `Unknown`: may have taken |
    /// | no answer to the positions in time        | `Unknown`            | `Unknown`                 |
    /// | commit refused at the first try           | `MustAbort`          | -                         |
    /// | no answer to the commit in time, or later | `Unknown`            | -                         |
    /// | a newer producer with this id exists      | `Fenced`             | -                         |
    pub fn commit(&mut self, offsets: &[OffsetCommit], group: &str) -> Outcome {
        let deadline = Deadline::after(self.timeouts.transaction_ms);
        let outcome = match self.mode {
            Mode::Transactional { .. } => self.commit_transaction(offsets, group, &deadline),
            Mode::Idempotent => self.commit_positions(offsets, group, &deadline),
        };
        self.phase = match outcome {
            Outcome::Committed => Phase::Idle,
            Outcome::MustAbort(_) => Phase::Open,
            Outcome::Unknown(_) | Outcome::Fenced => Phase::Lost,
        };
        outcome
    }

    /// The order of these lines is the delivery guarantee. The positions come last, so that the broker is done with the
    /// markers of the transaction before: asked too early, it makes the client wait.
    fn commit_transaction(&mut self, offsets: &[OffsetCommit], group: &str, deadline: &Deadline) -> Outcome {
        if self.phase == Phase::Idle && offsets.is_empty() {
            return Outcome::Committed;
        }
        failpoint("commit.before-flush");
        let ready = self.know_group(group, offsets).and_then(|()| self.begin()).and_then(|()| self.drain(deadline));
        if let Err(error) = ready {
            return not_committed(error);
        }
        failpoint("commit.before-offsets");
        if !offsets.is_empty() {
            match self.send_positions(offsets, group, deadline) {
                Some(Ok(())) => {}
                Some(Err(fault)) => return not_committed(self.error("add positions to the transaction", fault)),
                None => return Outcome::Unknown(format!("the coordinator of group `{group}` did not answer")),
            }
        }
        failpoint("commit.before-commit");
        let mut tries = 0;
        let committed = retry(deadline, |ms| {
            tries += 1;
            self.client.commit_transaction(ms)
        });
        match committed {
            Ok(()) => Outcome::Committed,
            Err(fault) => self.not_known_committed(fault, tries),
        }
    }

    /// Adds positions to the open transaction; none when the client did not come back.
    ///
    /// The call is made by a thread of its own, because librdkafka 2.12 can be lost in it: where a broker answers
    /// `COORDINATOR_NOT_AVAILABLE` three times (an election of the offsets topic's leader is enough) it asks no more and
    /// waits without a limit. The thread then keeps the client; what it may do later is fenced by the next producer.
    fn send_positions(&self, offsets: &[OffsetCommit], group: &str, deadline: &Deadline) -> Option<Result<(), Fault>> {
        let list = match super::positions::list(offsets) {
            Ok(list) => list,
            Err(fault) => return Some(Err(fault)),
        };
        let (client, group, until) = (Arc::clone(&self.client), group.to_owned(), *deadline);
        let send = move || retry(&until, |_| client.send_offsets(&list, &group, until.left_ms(u64::MAX).max(1)));
        bounded(deadline.left_ms(u64::MAX) as u64 + ANSWER_MS_MAX, send)
    }

    /// A commit that was asked for and failed. Only a refusal of the first request says that nothing holds: a later one
    /// may answer to a request whose first copy has taken effect.
    fn not_known_committed(&self, fault: Fault, tries: u32) -> Outcome {
        if code::FENCED.contains(&fault.code) {
            return Outcome::Fenced;
        }
        let reason = format!("could not commit: {}", fault.text);
        if fault.requires_abort && tries == 1 { Outcome::MustAbort(reason) } else { Outcome::Unknown(reason) }
    }

    fn commit_positions(&mut self, offsets: &[OffsetCommit], group: &str, deadline: &Deadline) -> Outcome {
        if let Err(error) = self.drain(deadline) {
            return not_committed(error);
        }
        if offsets.is_empty() {
            return Outcome::Committed;
        }
        match self.store_positions(offsets, group, deadline) {
            Ok(()) => Outcome::Committed,
            Err(error) => Outcome::Unknown(error.to_string()),
        }
    }

    /// Drops everything appended since the last commit: in [`Mode::Transactional`] nobody will see it, in
    /// [`Mode::Idempotent`] what was already sent stays. The sink can be used again afterwards.
    pub fn abort(&mut self) -> Result<(), KafkaError> {
        match (self.phase, &self.mode) {
            (Phase::Idle, _) => return Ok(()),
            (Phase::Lost, _) => return self.begin(),
            (Phase::Open, Mode::Transactional { .. }) => {
                let deadline = Deadline::after(self.timeouts.transaction_ms);
                if let Err(fault) = retry(&deadline, |ms| self.client.abort_transaction(ms)) {
                    self.phase = Phase::Lost;
                    return Err(self.error("abort the transaction", fault));
                }
            }
            (Phase::Open, Mode::Idempotent) => {
                self.client.purge();
                self.client.flush(super::SLICE_MS_MAX as i32);
            }
        }
        self.client.poll();
        self.client.events().forget_undelivered();
        self.phase = Phase::Idle;
        Ok(())
    }
}

/// The answer of `work`, or none when it takes longer than `limit_ms`; then it goes on without anybody waiting for it.
fn bounded<T: Send + 'static>(limit_ms: u64, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = sync_channel(1);
    let worker = std::thread::Builder::new().name("kafka-positions".to_owned());
    let started = worker.spawn(move || {
        let _ = sender.send(work()); // Nobody waits any more: nothing to tell.
    });
    started.ok()?;
    receiver.recv_timeout(Duration::from_millis(limit_ms)).ok()
}

/// A failure before the commit was asked for: nothing holds.
fn not_committed(error: KafkaError) -> Outcome {
    match error {
        KafkaError::Fenced { .. } => Outcome::Fenced,
        KafkaError::MustAbort { reason } => Outcome::MustAbort(reason),
        other => Outcome::MustAbort(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::bounded;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn work_that_never_ends_is_left_alone_when_its_time_is_up() {
        let (keep, never) = sync_channel::<()>(0);
        assert_eq!(bounded(20, move || never.recv().is_ok()), None);
        drop(keep);
        assert_eq!(bounded(60_000, || 7), Some(7));
    }
}
