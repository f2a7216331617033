//! Ending a transaction: which failure leaves what behind.

use super::{KafkaError, KafkaSink, Mode, OffsetCommit, Outcome, Phase, retry};
use crate::failpoint::failpoint;
use crate::kafka::Deadline;
use crate::kafka::ffi::{Fault, code};

impl KafkaSink {
    /// Makes everything appended since the last commit, and the positions `offsets` of `group`, hold: together in
    /// [`Mode::Transactional`], one after the other in [`Mode::Idempotent`]. Waits for the answer, at most
    /// `timeouts.transaction_ms`.
    ///
    /// | failure                                   | transactional        | idempotent                |
    /// |-------------------------------------------|----------------------|---------------------------|
    /// | a record was not delivered                | `MustAbort`          | `MustAbort`               |
    /// | positions refused, or no answer in time   | `MustAbort`          | `Unknown`: may have taken |
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
        let ready = self.begin().and_then(|()| self.drain(deadline));
        if let Err(error) = ready {
            return not_committed(error);
        }
        failpoint("commit.before-offsets");
        if !offsets.is_empty() {
            let sent = super::positions::list(offsets)
                .and_then(|list| retry(deadline, |ms| self.client.send_offsets(&list, group, ms)));
            if let Err(fault) = sent {
                return not_committed(self.error("add positions to the transaction", fault));
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

/// A failure before the commit was asked for: nothing holds.
fn not_committed(error: KafkaError) -> Outcome {
    match error {
        KafkaError::Fenced { .. } => Outcome::Fenced,
        KafkaError::MustAbort { reason } => Outcome::MustAbort(reason),
        other => Outcome::MustAbort(other.to_string()),
    }
}
