//! Ending a transaction: which failure leaves what behind.

use super::{KafkaError, KafkaSink, Mode, OffsetCommit, Outcome, Phase, Plane, Unsent};
use crate::failpoint::failpoint;
use crate::kafka::Deadline;

impl KafkaSink {
    /// Makes everything appended since the last commit, and the positions `offsets` of `group`, hold: together in
    /// [`Mode::Transactional`], one after the other in [`Mode::Idempotent`]. Waits for the answer, at most
    /// `timeouts.transaction_ms`.
    ///
    /// | failure                                   | transactional        | idempotent                |
    /// |-------------------------------------------|----------------------|---------------------------|
    /// | a record was not delivered                | `MustAbort`          | `MustAbort`               |
    /// | positions refused                         | `MustAbort`          | `Unknown`: may have taken |
    /// | no answer to the positions in time        | either               | `Unknown`                 |
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
        if !offsets.is_empty()
            && let Err(unsent) = self.send_positions(offsets, group, deadline)
        {
            return outcome(unsent);
        }
        failpoint("commit.before-commit");
        let committed = match &mut self.plane {
            Plane::Native(it) => it.commit(deadline),
            Plane::Librdkafka(it) => it.commit(deadline),
        };
        committed.map_or_else(outcome, |()| Outcome::Committed)
    }

    fn send_positions(&mut self, offsets: &[OffsetCommit], group: &str, deadline: &Deadline) -> Result<(), Unsent> {
        match &mut self.plane {
            Plane::Native(it) => it.send_positions(offsets, group, deadline),
            Plane::Librdkafka(it) => {
                let list = super::positions::list(offsets);
                let list = list.map_err(|it| Unsent::Refused(super::other("list positions".to_owned(), it)))?;
                it.send_positions(list, group, deadline)
            }
        }
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
        match self.phase {
            Phase::Idle => return Ok(()),
            Phase::Lost => return self.begin(),
            Phase::Open => {}
        }
        let deadline = Deadline::after(self.timeouts.transaction_ms);
        let aborted = match &mut self.plane {
            Plane::Native(it) => it.abort(&deadline),
            Plane::Librdkafka(it) => it.abort(&deadline),
        };
        self.phase = if aborted.is_ok() { Phase::Idle } else { Phase::Lost };
        aborted
    }
}

fn outcome(unsent: Unsent) -> Outcome {
    match unsent {
        Unsent::Refused(error) => not_committed(error),
        Unsent::Silence(reason) => Outcome::Unknown(reason),
    }
}

/// A failure before the commit was asked for: nothing holds.
fn not_committed(error: KafkaError) -> Outcome {
    match error {
        KafkaError::Fenced { .. } => Outcome::Fenced,
        KafkaError::MustAbort { reason } => Outcome::MustAbort(reason),
        other => Outcome::MustAbort(other.to_string()),
    }
}
