//! Committed positions of a group: read after a start, written by commits without a transaction.

use super::librdkafka::retry;
use super::{KafkaError, KafkaSink, other};
use crate::kafka::ffi::{Client, Fault, Offsets, Role, code};
use crate::kafka::{Deadline, metadata};
use std::sync::Arc;

/// Between two tries to read positions that a transaction is just changing, ms.
const UNSTABLE_PAUSE_MS: u64 = 10;

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The topic that was read.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// Kept beside it, at most 4,096 bytes (the broker's default).
    pub metadata: String,
}

/// A position as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read; none where nothing was ever committed.
    pub offset: Option<i64>,
    /// As it was committed; empty for none.
    pub metadata: String,
}

pub(super) fn list(offsets: &[OffsetCommit]) -> Result<Offsets, Fault> {
    let mut list = Offsets::new(offsets.len())?;
    for it in offsets {
        list.add(&it.topic, it.partition, it.offset, it.metadata.as_bytes())?;
    }
    Ok(list)
}

impl KafkaSink {
    /// What `group` has committed for `partitions` (topic, partition), in that order. Call it after
    /// [`KafkaSink::init`]: then no older instance can change it. Waits while a transaction that names them is being
    /// ended, at most `timeouts.wait_ms`.
    pub fn committed(&mut self, group: &str, partitions: &[(String, i32)]) -> Result<Vec<Committed>, KafkaError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let doing = || format!("read the positions of group `{group}`");
        let deadline = Deadline::after(self.timeouts.wait_ms);
        let client = self.group_client(group)?;
        let mut entries = Vec::new();
        let asked = retry(&deadline, |ms| {
            let mut offsets = Offsets::new(partitions.len())?;
            for (topic, partition) in partitions {
                offsets.add(topic, *partition, -1, b"")?;
            }
            client.committed(&mut offsets, ms).or_else(unstable)?;
            entries = offsets.entries();
            match entries.iter().find(|it| it.error != code::NONE) {
                Some(it) => unstable(Fault::of(it.error)),
                None => Ok(()),
            }
        });
        match asked {
            Ok(()) => self.group = Some(group.to_owned()),
            Err(fault) if fault.retriable => {
                return Err(metadata::unreachable(&client, fault, &self.brokers, &deadline));
            }
            Err(fault) => return Err(other(doing(), fault)),
        }
        let committed = |it: crate::kafka::ffi::OffsetEntry| {
            let metadata = String::from_utf8(it.metadata).map_err(|_| KafkaError::Other {
                doing: doing(),
                reason: format!("the metadata of `{}` [{}] is not text: another program's?", it.topic, it.partition),
            })?;
            Ok(Committed {
                topic: it.topic,
                partition: it.partition,
                offset: (it.offset >= 0).then_some(it.offset),
                metadata,
            })
        };
        entries.into_iter().map(committed).collect()
    }

    /// Waits until the coordinator of `group` has answered once.
    pub(super) fn know_group(&mut self, group: &str, offsets: &[OffsetCommit]) -> Result<(), KafkaError> {
        match (&self.group, offsets.first()) {
            (Some(known), _) if known == group => Ok(()),
            (_, Some(any)) => self.committed(group, &[(any.topic.clone(), any.partition)]).map(|_| ()),
            (_, None) => Ok(()),
        }
    }

    /// Commits positions outside a transaction.
    pub(super) fn store_positions(
        &mut self,
        offsets: &[OffsetCommit],
        group: &str,
        deadline: &Deadline,
    ) -> Result<(), KafkaError> {
        let (client, list) = self.positions_for(offsets, group)?;
        let stored = retry(deadline, |ms| client.commit(&list, ms));
        stored.map_err(|it| other(format!("commit the positions of group `{group}`"), it))
    }

    /// Who commits positions outside a transaction, and what.
    pub(super) fn positions_for(
        &mut self,
        offsets: &[OffsetCommit],
        group: &str,
    ) -> Result<(Arc<Client>, Offsets), KafkaError> {
        let client = match &self.committer {
            Some((of, client)) if of == group => Arc::clone(client),
            _ => self.group_client(group)?,
        };
        self.committer = Some((group.to_owned(), Arc::clone(&client)));
        let list = list(offsets).map_err(|it| other(format!("list the positions of group `{group}`"), it))?;
        Ok((client, list))
    }

    /// A client that speaks for `group` without being a member of it.
    fn group_client(&self, group: &str) -> Result<Arc<Client>, KafkaError> {
        let settings = [
            ("bootstrap.servers", self.brokers.clone()),
            ("client.id", "wasmill".to_owned()),
            ("group.id", group.to_owned()),
            ("isolation.level", "read_committed".to_owned()), // Positions that a transaction may still change are not read.
            ("enable.auto.commit", "false".to_owned()),
            ("enable.metrics.push", "false".to_owned()),
        ];
        let settings = self.properties.after(settings);
        Client::new(Role::Consumer, &settings).map_err(|it| other(format!("set up group `{group}`"), it))
    }
}

/// Turns "a transaction is being ended" into a reason to ask again, after a pause.
fn unstable(fault: Fault) -> Result<(), Fault> {
    if fault.code != code::UNSTABLE_OFFSETS {
        return Err(fault);
    }
    std::thread::sleep(std::time::Duration::from_millis(UNSTABLE_PAUSE_MS));
    Err(Fault { retriable: true, ..fault })
}
