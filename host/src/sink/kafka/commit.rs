//! Ending a transaction: which failure leaves what behind.

use super::{KafkaError, KafkaSink, Mode, OffsetCommit, Outcome, Phase, Plane, Unsent};
use crate::failpoint::failpoint;
use crate::kafka::Deadline;

impl KafkaSink {
    /// Begins what a commit of the same `group` needs: what waits to become more is sent, and the transaction is told that
    /// positions will come where there is a group. Does not wait for what is written; nothing is to be appended until the commit.
    pub fn begin_commit(&mut self, group: Option<&str>) -> Result<(), KafkaError> {
        if group.is_some() {
            self.begin()?;
        }
        match &mut self.plane {
            Plane::Native(it) => it.begin_commit(group),
            Plane::Librdkafka(_) => Ok(()), // Sends when it is waited for.
        }
    }

    /// Adds the positions `offsets` of `group` to the open transaction, which is to be committed with the same ones: then its commit
    /// need not. With librdkafka they wait for the commit.
    pub fn add_positions(&mut self, offsets: &[OffsetCommit], group: &str) -> Result<(), KafkaError> {
        if self.mode == Mode::Idempotent || offsets.is_empty() || matches!(self.plane, Plane::Librdkafka(_)) {
            return Ok(());
        }
        self.know_group(group, offsets)?;
        self.begin()?;
        let deadline = Deadline::after(self.timeouts.transaction_ms);
        self.send_positions(offsets, group, &deadline).map_err(|unsent| match unsent {
            Unsent::Refused(error) => error,
            Unsent::Silence(reason) => KafkaError::MustAbort { reason },
        })
    }

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
        self.has_positions = false;
        self.phase = match outcome {
            Outcome::Committed => Phase::Idle,
            Outcome::MustAbort(_) => Phase::Open,
            Outcome::Unknown(_) | Outcome::Fenced => Phase::Lost,
        };
        outcome
    }

    /// The order of these lines is the delivery guarantee: all is written and the positions are taken before the transaction
    /// ends. With a producer of our own the positions go while the broker still writes, or went before. With librdkafka they come last, so that the
    /// broker is done with the markers of the transaction before: asked too early, it makes the client wait.
    fn commit_transaction(&mut self, offsets: &[OffsetCommit], group: &str, deadline: &Deadline) -> Outcome {
        if self.phase == Phase::Idle && offsets.is_empty() {
            return Outcome::Committed;
        }
        failpoint("commit.before-flush");
        if let Err(error) = self.know_group(group, offsets).and_then(|()| self.begin()) {
            return not_committed(error);
        }
        let ready = match self.plane {
            Plane::Native(_) => self
                .send_positions(offsets, group, deadline)
                .and_then(|()| self.drain(deadline).map_err(Unsent::Refused)),
            Plane::Librdkafka(_) => self
                .drain(deadline)
                .map_err(Unsent::Refused)
                .and_then(|()| self.send_positions(offsets, group, deadline)),
        };
        if let Err(unsent) = ready {
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
        if self.has_positions {
            return Ok(());
        }
        failpoint("commit.before-offsets");
        if offsets.is_empty() {
            return Ok(());
        }
        self.has_positions = true;
        match &mut self.plane {
            Plane::Native(it) => it.send_positions(offsets, group, deadline).map_err(Unsent::Refused),
            Plane::Librdkafka(it) => {
                let list = super::positions::list(offsets);
                let list = list.map_err(|it| Unsent::Refused(super::other("list positions".to_owned(), it)))?;
                it.send_positions(list, group, deadline)
            }
        }
    }

    /// Commits positions of `group` without a transaction and without waiting: nobody hears whether they were taken.
    pub fn tell_positions(&mut self, offsets: &[OffsetCommit], group: &str) -> Result<(), KafkaError> {
        let (client, list) = self.positions_for(offsets, group)?;
        client.commit_unheard(&list).map_err(|it| super::other(format!("commit the positions of group `{group}`"), it))
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
        self.has_positions = false;
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
