//! Dead letters: the last ones, read back, and the pipeline that gives each of them another try.
//!
//! A replay is a pipeline of its own, derived from the one that wrote the letters: its source is the letters, its name is its own, and so are the positions
//! that it commits with its output. Each letter is replayed once, however often a replay is asked for or dies.

use super::clock::Clock;
use super::error::{Failure, PipelineError};
use super::sinks::kafka_failed;
use crate::batch::headers;
use crate::config::{KafkaOptions, KafkaStart, Pipeline, Sink, SinkConnector, SourceConnector};
use crate::source::kafka::{self, KafkaSource};
use crate::source::{Polled, Start};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long reading letters from a topic may take.
const READ_WAIT_MAX: Duration = Duration::from_secs(10);
/// Offsets of transactions without a letter that may be among the last ones.
const OFFSETS_SPARE: i64 = 64;
/// How long to sleep while nothing comes.
const IDLE_WAIT: Duration = Duration::from_millis(2);
/// Rows and bytes of a batch that is read.
const BATCH_MAX: (usize, usize) = (1_024, 1 << 20);
/// The folder of a file sink that a replay writes to: its parts would have the names of the pipeline's own.
const REPLAYED: &str = "replayed";

/// A record that could not be processed, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it is: `PARTITION/OFFSET` of the topic, or `FILE:LINE`.
    pub at: String,
    /// Why it is one.
    pub reason: String,
    /// The step, or the source that could not read it.
    pub step: String,
    /// The digest of the step's plugin.
    pub plugin: Option<String>,
    /// The topic or file that it came from, the partition and the offset.
    pub origin: Option<(String, i64, i64)>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// The last `count` dead letters, the oldest first: by their timestamps in a topic, by their places in files.
///
/// # Errors
/// The pipeline has none, or they cannot be read.
pub fn dead_letters(pipeline: &Pipeline, count: usize) -> Result<Vec<DeadLetter>, PipelineError> {
    match &sink(pipeline)?.connector {
        SinkConnector::Kafka(options) => of_topic(options, count),
        SinkConnector::File { path } => of_files(path, count),
        SinkConnector::Stdout => Err(refuse("dead letters on standard output cannot be read back")),
    }
}

fn sink(pipeline: &Pipeline) -> Result<&Sink, PipelineError> {
    let none = || refuse("the pipeline has no [dead_letters], so there are none to read");
    pipeline.dead_letters.as_ref().ok_or_else(none)
}

fn refuse(why: &str) -> PipelineError {
    PipelineError::stop(Failure::Config, why)
}

fn of_topic(options: &KafkaOptions, count: usize) -> Result<Vec<DeadLetter>, PipelineError> {
    let failed = |error| kafka_failed("dead_letters", error);
    let start = |it: kafka::Partition| Start {
        partition: it.id,
        // A transaction's end has an offset too: at worst there is one for each letter.
        offset: it.low.max(it.high - 2 * count as i64 - OFFSETS_SPARE),
        end: Some(it.high),
    };
    let starts: Vec<Start> = kafka::partitions(options).map_err(failed)?.into_iter().map(start).collect();
    let mut open = starts.len();
    let mut source = KafkaSource::open(options, 0, starts).map_err(failed)?;
    let (clock, mut letters) = (Clock::start(), Vec::new());
    while open > 0 && clock.elapsed() < READ_WAIT_MAX {
        match source.poll(BATCH_MAX.0, BATCH_MAX.1).map_err(failed)? {
            Polled::Batch(batch) => {
                for (row, offset) in batch.offsets.iter().enumerate() {
                    let mut letter = DeadLetter {
                        at: format!("{}/{offset}", batch.origin.partition),
                        key: batch.rows.key(row).map(<[u8]>::to_vec),
                        value: batch.rows.value(row).map(<[u8]>::to_vec),
                        ..DeadLetter::default()
                    };
                    told(&mut letter, batch.rows.headers(row));
                    letters.push((batch.timestamps.get(row).copied().unwrap_or_default(), letter));
                }
            }
            Polled::Ended(_) => open -= 1,
            Polled::Empty => std::thread::park_timeout(IDLE_WAIT),
        }
    }
    letters.sort_by_key(|it| it.0);
    let skipped = letters.len().saturating_sub(count);
    Ok(letters.into_iter().skip(skipped).map(|it| it.1).collect())
}

/// What the headers say; of one that is there twice the last one, which is of the last try.
fn told(letter: &mut DeadLetter, encoded: &[u8]) {
    let (mut topic, mut partition, mut offset) = (None, None, None);
    for (name, value) in headers::iter(encoded) {
        let text = || String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        match name {
            b"wasmill-reason" => letter.reason = text(),
            b"wasmill-step" => letter.step = text(),
            b"wasmill-plugin" => letter.plugin = Some(text()),
            b"wasmill-topic" => topic = Some(text()),
            b"wasmill-partition" => partition = text().parse().ok(),
            b"wasmill-offset" => offset = text().parse().ok(),
            _ => {}
        }
    }
    letter.origin = topic.zip(partition).zip(offset).map(|((topic, partition), offset)| (topic, partition, offset));
}

/// The parts of a folder of dead letters, those of replays last.
fn parts(folder: &Path) -> Result<Vec<PathBuf>, PipelineError> {
    let mut parts = Vec::new();
    for folder in [folder.to_owned(), folder.join(REPLAYED)] {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&folder, &error)),
        };
        let is_part = |it: &PathBuf| {
            let name = it.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("part-") && name.ends_with(".jsonl")
        };
        let mut found: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).filter(is_part).collect();
        found.sort();
        parts.extend(found);
    }
    Ok(parts)
}

fn unreadable(path: &Path, error: &std::io::Error) -> PipelineError {
    PipelineError::stop(Failure::Internal, format!("dead letters: {}: {error}", path.display()))
}

fn of_files(folder: &Path, count: usize) -> Result<Vec<DeadLetter>, PipelineError> {
    let mut letters = std::collections::VecDeque::new();
    for part in parts(folder)? {
        let text = std::fs::read_to_string(&part).map_err(|error| unreadable(&part, &error))?;
        let name = part.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            letters.push_back(of_line(line, format!("{name}:{}", number + 1)));
            if letters.len() > count {
                letters.pop_front();
            }
        }
    }
    Ok(letters.into())
}

fn of_line(line: &str, at: String) -> DeadLetter {
    let object: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let text = |name: &str| object.get(name).and_then(|it| it.as_str()).map(str::to_owned);
    let number = |name: &str| object.get(name).and_then(serde_json::Value::as_i64);
    let bytes = |name: &str| match text(name) {
        Some(text) => Some(text.into_bytes()),
        None => unhex(&text(&format!("{name}_hex"))?),
    };
    DeadLetter {
        at,
        reason: text("reason").unwrap_or_default(),
        step: text("step").unwrap_or_default(),
        plugin: text("plugin"),
        origin: text("topic").zip(number("partition")).zip(number("offset")).map(|((a, b), c)| (a, b, c)),
        key: bytes("key"),
        value: bytes("value"),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|it| it.to_digit(16)).collect::<Option<_>>()?;
    Some(digits.chunks_exact(2).map(|it| it.iter().fold(0, |byte, digit| (byte << 4) | *digit as u8)).collect())
}

/// The pipeline that gives dead letters another try. Letters in files are first written into `folder` as the records that they were.
///
/// # Errors
/// What the pipeline would have to know of the records besides is not in a letter: the state of its steps, which of several sources it came from.
pub fn replay_of(pipeline: &Pipeline, folder: &Path) -> Result<Pipeline, PipelineError> {
    let letters = sink(pipeline)?.clone();
    let [source] = &pipeline.sources[..] else {
        return Err(refuse(
            "a replay needs a pipeline with one source, since a letter does not say which one it is of",
        ));
    };
    if let Some(step) = pipeline.steps.iter().find(|it| it.keeps_state()) {
        return Err(refuse(&format!(
            "step `{}` keeps state, which belongs to the pipeline that runs and has moved on since the letter: a replay is for pipelines without",
            step.name
        )));
    }
    let connector = match &letters.connector {
        SinkConnector::Kafka(options) => {
            SourceConnector::Kafka(KafkaOptions { start: KafkaStart::Earliest, ..options.clone() })
        }
        SinkConnector::File { path } => {
            write_records(path, folder)?;
            SourceConnector::File { path: folder.display().to_string() }
        }
        SinkConnector::Stdout => return Err(refuse("dead letters on standard output cannot be read back")),
    };
    let mut replay = pipeline.clone();
    replay.name = replay_name(&pipeline.name);
    replay.sources = vec![crate::config::Source { connector, ..source.clone() }];
    for sink in replay.sinks.iter_mut().chain(&mut replay.dead_letters) {
        if let SinkConnector::File { path } = &mut sink.connector {
            path.push(REPLAYED);
        }
    }
    Ok(replay)
}

/// The name of a pipeline's replay. No pipeline that is deployed has it.
pub fn replay_name(pipeline: &str) -> String {
    format!("{pipeline}.replay")
}

/// Writes the records of all parts that are not there yet, each part into a file of its own: a part never changes, so positions in the files hold.
fn write_records(letters: &Path, folder: &Path) -> Result<(), PipelineError> {
    std::fs::create_dir_all(folder).map_err(|error| unreadable(folder, &error))?;
    for part in parts(letters)? {
        let name = part.strip_prefix(letters).unwrap_or(&part).to_string_lossy().replace('/', "-");
        let file = folder.join(name);
        if file.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&part).map_err(|error| unreadable(&part, &error))?;
        let mut records = Vec::new();
        for line in text.lines() {
            // JSON means the same with spaces in the place of its line ends; a record that is no JSON is refused again either way.
            let mut value = of_line(line, String::new()).value.unwrap_or_default();
            value.iter_mut().filter(|it| matches!(it, b'\n' | b'\r')).for_each(|it| *it = b' ');
            records.extend(value);
            records.push(b'\n');
        }
        let aside = file.with_extension("tmp");
        let write = || std::fs::write(&aside, &records).and_then(|()| std::fs::rename(&aside, &file));
        write().map_err(|error| unreadable(&file, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_in_a_file_says_what_it_was() {
        let line = r#"{"reason":"no","step":"rules","plugin":"00","topic":"in","partition":1,"offset":7,"key":"k","value_hex":"00ff"}"#;
        let letter = of_line(line, "part-1.jsonl:1".into());
        assert_eq!((letter.reason.as_str(), letter.step.as_str()), ("no", "rules"));
        assert_eq!(letter.origin, Some(("in".into(), 1, 7)));
        assert_eq!((letter.key, letter.value), (Some(b"k".to_vec()), Some(vec![0, 255])));
    }

    #[test]
    fn records_are_written_once_for_each_part_and_on_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let (letters, folder) = (dir.path().join("letters"), dir.path().join("records"));
        std::fs::create_dir_all(letters.join(REPLAYED)).unwrap();
        std::fs::write(letters.join("part-1.jsonl"), "{\"value\":\"{\\n1\"}\n{\"value\":null}\n").unwrap();
        std::fs::write(letters.join(REPLAYED).join("part-1.jsonl"), "{\"value\":\"2\"}\n").unwrap();
        write_records(&letters, &folder).unwrap();
        std::fs::write(letters.join("part-1.jsonl"), "").unwrap();
        write_records(&letters, &folder).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("part-1.jsonl")).unwrap(), "{ 1\n\n");
        assert_eq!(std::fs::read_to_string(folder.join("replayed-part-1.jsonl")).unwrap(), "2\n");
        assert_eq!(of_files(&letters, 5).unwrap().len(), 1);
    }
}
