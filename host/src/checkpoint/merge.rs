//! Several snapshot files made one: sorted by table, group and key, the newest value of each key.
//!
//! Merged files are sorted, so they are streamed; only deltas, which are in the order of the stream, are held in memory to
//! be sorted. The caller bounds their bytes (`CompactionLimits::merge_bytes_max`).

use super::format::{BLOCK_BYTES, Reader, Writer};
use super::manifest::{FileKind, SnapshotFile};
use super::{CheckpointError, Epoch};
use crate::failpoint::failpoint;
use crate::state::{Delta, Entries, Entry};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Merges `inputs`, oldest first, into the new file `name`. None when `cancelled` was set meanwhile.
///
/// `kind` is [`FileKind::Base`] where nothing is older than the inputs: deletes have then nothing left to delete, and go.
pub(super) fn merge(
    dir: &Path,
    inputs: &[SnapshotFile],
    name: &str,
    epoch: Epoch,
    kind: FileKind,
    cancelled: &AtomicBool,
) -> Result<Option<SnapshotFile>, CheckpointError> {
    let mut merged = Merged::open(dir, inputs)?;
    failpoint("merge.before-write");
    let mut writer = Writer::create(dir.join(name), epoch)?;
    let mut block = Delta::default();
    while let Some(entry) = merged.peek().map_err(|found| CheckpointError::damaged(&dir.join(name), found))? {
        if entry.value.is_some() || kind != FileKind::Base {
            block.push(entry);
        }
        merged.advance()?;
        if block.bytes().len() >= BLOCK_BYTES {
            if cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            writer.append(block.bytes(), block.len())?;
            block = Delta::default();
        }
    }
    writer.append(block.bytes(), block.len())?;
    let file = writer.finish(kind)?;
    failpoint("merge.after-write");
    Ok(Some(file))
}

/// Several snapshot files read as one: by table, group and key, of each key the newest entry, deletes among them.
pub(super) struct Merged {
    runs: Vec<Run>,
    /// The run that stands at the next entry; none at the end.
    newest: Option<usize>,
    last: Place,
}

impl Merged {
    /// Opens `files`, oldest first.
    pub(super) fn open(dir: &Path, files: &[SnapshotFile]) -> Result<Merged, CheckpointError> {
        let sorted = files.iter().take_while(|it| it.kind != FileKind::Delta).count();
        let mut runs = Vec::with_capacity(sorted + 1);
        for file in &files[..sorted] {
            runs.push(Run::Streamed(Reader::open(dir, file)?));
        }
        runs.push(Run::Loaded(Loaded::load(dir, &files[sorted..])?));
        Ok(Merged { newest: smallest(&runs), runs, last: Place::default() })
    }

    /// The entry that it stands at; none at the end. Errors: what is wrong with the files, which say that they are sorted.
    pub(super) fn peek(&self) -> Result<Option<Entry<'_>>, &'static str> {
        let Some(entry) = self.newest.and_then(|it| self.runs[it].peek()) else { return Ok(None) };
        if self.last.set && self.last.cmp(&entry) != std::cmp::Ordering::Less {
            return Err("the files that it is merged from are not sorted");
        }
        Ok(Some(entry))
    }

    /// Goes on to the next key.
    pub(super) fn advance(&mut self) -> Result<(), CheckpointError> {
        let Merged { runs, newest, last } = self;
        let Some(entry) = newest.and_then(|it| runs[it].peek()) else { return Ok(()) };
        last.hold(&entry);
        for run in &mut *runs {
            if run.peek().is_some_and(|it| last.cmp(&it) == std::cmp::Ordering::Equal) {
                run.advance()?;
            }
        }
        *newest = smallest(runs);
        Ok(())
    }
}

fn place<'a>(entry: &Entry<'a>) -> (u16, u16, &'a [u8]) {
    (entry.table.0, entry.group, entry.key)
}

/// The run that stands at the smallest key; of several, the newest.
fn smallest(runs: &[Run]) -> Option<usize> {
    let mut found: Option<(usize, Entry<'_>)> = None;
    for (at, run) in runs.iter().enumerate() {
        let Some(entry) = run.peek() else { continue };
        if found.as_ref().is_none_or(|(_, best)| place(&entry) <= place(best)) {
            found = Some((at, entry));
        }
    }
    found.map(|(at, _)| at)
}

/// The key written last, held while the runs that stand at it go on.
#[derive(Default)]
struct Place {
    set: bool,
    table: u16,
    group: u16,
    key: Vec<u8>,
}

impl Place {
    fn hold(&mut self, entry: &Entry<'_>) {
        (self.set, self.table, self.group) = (true, entry.table.0, entry.group);
        self.key.clear();
        self.key.extend_from_slice(entry.key);
    }

    fn cmp(&self, entry: &Entry<'_>) -> std::cmp::Ordering {
        (self.table, self.group, &self.key[..]).cmp(&place(entry))
    }
}

/// Entries sorted by key, each key once.
enum Run {
    Streamed(Reader),
    Loaded(Loaded),
}

impl Run {
    fn peek(&self) -> Option<Entry<'_>> {
        match self {
            Run::Streamed(it) => it.peek(),
            Run::Loaded(it) => it.peek(),
        }
    }

    fn advance(&mut self) -> Result<(), CheckpointError> {
        match self {
            Run::Streamed(it) => it.advance(),
            Run::Loaded(it) => {
                it.at += 1;
                Ok(())
            }
        }
    }
}

/// Deltas in memory, and the order of their keys.
struct Loaded {
    payloads: Vec<u8>,
    /// Where the newest entry of each key begins, in the order of the keys.
    order: Vec<usize>,
    at: usize,
}

impl Loaded {
    fn load(dir: &Path, deltas: &[SnapshotFile]) -> Result<Loaded, CheckpointError> {
        let sum = |of: fn(&SnapshotFile) -> u64| deltas.iter().map(of).sum::<u64>() as usize;
        let mut payloads = Vec::with_capacity(sum(|it| it.bytes));
        for file in deltas {
            Reader::payload(dir, file, &mut payloads)?;
        }
        let mut order = Vec::with_capacity(sum(|it| it.entries));
        let mut entries = Entries(&payloads);
        loop {
            let start = payloads.len() - entries.0.len();
            if entries.next().is_none() {
                break;
            }
            order.push(start);
        }
        let at = |start: usize| Entries(&payloads[start..]).next();
        let key = |start: usize| at(start).map(|it| place(&it));
        order.sort_by(|&a, &b| key(a).cmp(&key(b))); // Stable: of one key, the newest is last.
        let newest =
            order.iter().enumerate().filter(|&(i, &it)| order.get(i + 1).is_none_or(|&next| key(next) != key(it)));
        let order = newest.map(|(_, &it)| it).collect();
        Ok(Loaded { payloads, order, at: 0 })
    }

    fn peek(&self) -> Option<Entry<'_>> {
        Entries(&self.payloads[*self.order.get(self.at)?..]).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TableId;
    use expect_test::{Expect, expect};

    /// One word an entry, `key=value` or `key-`; one line a file, oldest first, with its kind before it.
    fn check(files: &str, kind: FileKind, expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        for (i, line) in files.lines().enumerate() {
            let mut words = line.split_whitespace();
            let input = if words.next() == Some("run") { FileKind::Run } else { FileKind::Delta };
            let mut delta = Delta::default();
            for word in words {
                match word.split_once('=') {
                    Some((key, value)) => delta.put(TableId(0), 0, key.as_bytes(), value.as_bytes()),
                    None => delta.delete(TableId(0), 0, word.trim_end_matches('-').as_bytes()),
                }
            }
            let mut writer = Writer::create(dir.path().join(format!("{i}.snap")), Epoch(1)).unwrap();
            writer.append(delta.bytes(), delta.len()).unwrap();
            inputs.push(writer.finish(input).unwrap());
        }
        let merged = merge(dir.path(), &inputs, "out.snap", Epoch(9), kind, &AtomicBool::new(false));
        let text = match merged {
            Err(error) => error.to_string().split(": ").nth(1).unwrap().to_owned(),
            Ok(file) => {
                let mut reader = Reader::open(dir.path(), &file.unwrap()).unwrap();
                let mut out = String::new();
                while let Some(entry) = reader.peek() {
                    let value = entry.value.map(|it| format!("={}", String::from_utf8_lossy(it)));
                    out += &format!("{}{} ", String::from_utf8_lossy(entry.key), value.unwrap_or("-".to_owned()));
                    reader.advance().unwrap();
                }
                out
            }
        };
        expected.assert_eq(text.trim_end());
    }

    #[test]
    fn the_newest_value_of_a_key_wins_and_a_base_drops_deletes() {
        let files = "run a=1 b=1 d=1\nrun b=2 c=2\ndelta d- c=3 c=4\ndelta a- a=5 e-";
        check(files, FileKind::Base, expect!["a=5 b=2 c=4"]);
        check(files, FileKind::Run, expect!["a=5 b=2 c=4 d- e-"]);
    }

    #[test]
    fn a_file_that_claims_to_be_sorted_and_is_not_is_refused() {
        check(
            "run b=1 a=1",
            FileKind::Base,
            expect![
                "the files that it is merged from are not sorted; bring the file back from a copy of the data directory, or start without its state"
            ],
        );
    }

    #[test]
    fn nothing_merges_to_an_empty_file() {
        check("delta a-\ndelta b-", FileKind::Base, expect![""]);
    }
}
