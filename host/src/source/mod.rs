//! Sources: batches of raw records with their positions.
//!
//! A source knows bytes, partitions and offsets, and nothing of what is in a record. Each worker opens the partitions
//! that it owns and polls; a batch is of one partition, and partitions take turns.

pub mod file;
pub mod generator;
pub mod kafka;

use crate::batch::RawBatch;
use crate::kafka::KafkaError;
use file::FileSource;
use generator::GeneratorSource;
use kafka::KafkaSource;
use std::path::PathBuf;

/// What a poll found.
#[derive(Debug)]
pub enum Polled {
    /// Records of one partition.
    Batch(RawBatch),
    /// This partition has come to its end; said once, after its last batch.
    Ended(i32),
    /// Nothing now.
    Empty,
}

/// A partition that a source has, and the offsets in it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The partition.
    pub id: i32,
    /// Under which name its position is kept: the number may be another's tomorrow where partitions are files.
    pub name: String,
    /// Under which name its position was kept where the source has come to read several topics since, or one of them alone.
    pub former_name: Option<String>,
    /// The first offset.
    pub low: i64,
    /// The offset after the last record; none where records are made without end.
    pub high: Option<i64>,
}

/// Where to read a partition from, and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: i32,
    /// The offset of the first record to read.
    pub offset: i64,
    /// Read up to this offset, exclusive, and then say [`Polled::Ended`]; none to go on as records come.
    pub end: Option<i64>,
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused.
    #[error("{path}: cannot {action}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// No file is there to read.
    #[error(
        "{path}: no file found; expected a file, a folder with *.jsonl or *.json files in it, or a glob that \
         matches some"
    )]
    NoFiles {
        /// The path as given.
        path: String,
    },
    /// The glob is not one.
    #[error("{path}: not a glob: {reason}")]
    BadGlob {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Records that were read before are gone.
    #[error(
        "{path}: the file is {len} bytes long, shorter than the position {position} that was read before; it was \
         truncated or replaced: put it back, give the new file another name, or start again with another data directory"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length, bytes.
        len: u64,
        /// The position to read from or up to, bytes.
        position: i64,
    },
    /// A line is longer than a record may be.
    #[error("{path}: the line at byte {offset} is longer than {max} bytes; expected one JSON value a line")]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Where the line starts, bytes.
        offset: i64,
        /// The limit, bytes.
        max: usize,
    },
    /// The Kafka client's failure.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A partition that the source does not have.
    #[error("partition {partition} does not exist: the source has {count}")]
    NoSuchPartition {
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        count: usize,
    },
}

/// The partitions that one worker reads of one source.
#[derive(Debug)]
pub enum Source {
    /// Kafka topics.
    Kafka(KafkaSource),
    /// Files.
    File(FileSource),
    /// Made records.
    Generator(GeneratorSource),
}

impl Source {
    /// The next batch, if there is one: at most `rows_max` records, and about `bytes_max` bytes. Does not wait. Partitions that are
    /// `held` are passed over.
    pub fn poll(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        now_ms: u64,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, SourceError> {
        match self {
            Source::Kafka(source) => Ok(source.poll_unless(rows_max, bytes_max, held)?),
            Source::File(source) => source.poll_unless(rows_max, bytes_max, held),
            Source::Generator(source) => source.poll_unless(rows_max, bytes_max, now_ms, held),
        }
    }

    /// Records left to read, by partition, where the source knows.
    pub fn lags(&self) -> Vec<(i32, i64)> {
        match self {
            Source::Kafka(source) => source.lags(),
            Source::File(_) | Source::Generator(_) => Vec::new(),
        }
    }

    /// What is being waited out, said once.
    pub fn trouble(&mut self) -> Option<String> {
        match self {
            Source::Kafka(source) => source.trouble(),
            Source::File(_) | Source::Generator(_) => None,
        }
    }
}
