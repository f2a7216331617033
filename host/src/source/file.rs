//! Lines of files as records: one partition a file, the offset of a record is the byte at which its line starts.
//!
//! A line ends with `\n` or `\r\n`; empty lines are no records. A file that is only appended to can be read on from any
//! position that was committed. Which files there are is decided once, by [`Files::discover`].

use super::{PartitionInfo, Polled, SourceError, Start};
use crate::batch::{Origin, RawBatch, RawRecord, RawRows, Span};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer line is an error: it is no record, but a file without line ends.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// How much is read of a file at once: what a batch does not take of it is kept for the next.
const READ_BYTES: usize = 64 << 10;
/// A source with more files than this opens each for the length of a poll only.
const OPEN_FILES_MAX: usize = 256;

/// The files that a path, folder or glob named when it was looked at, in the order of their names.
#[derive(Clone, Debug)]
pub struct Files {
    files: Vec<FoundFile>,
}

#[derive(Clone, Debug)]
struct FoundFile {
    path: PathBuf,
    name: String,
    len: u64,
}

impl Files {
    /// Looks for files: `path` itself, every `*.jsonl` and `*.json` in the folder `path`, or what the glob `path`
    /// matches. Hidden files (a sink's staged ones) are left out. A file's name is its path under the folder, or under
    /// the part of the glob that has no wildcard.
    ///
    /// # Errors
    /// Where there is none, or it cannot be looked at.
    pub fn discover(path: &str) -> Result<Files, SourceError> {
        let (base, paths) = match Path::new(path) {
            folder if folder.is_dir() => (folder.to_owned(), in_folder(folder)?),
            file if file.exists() => (file.parent().unwrap_or(file).to_owned(), vec![file.to_owned()]),
            _ => (glob_base(path), matching(path)?),
        };
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let metadata = std::fs::metadata(&path).map_err(failed(&path, "look at it"))?;
            if metadata.is_file() {
                let name = path.strip_prefix(&base).unwrap_or(&path).to_string_lossy().into_owned();
                files.push(FoundFile { path, name, len: metadata.len() });
            }
        }
        if files.is_empty() {
            return Err(SourceError::NoFiles { path: path.to_owned() });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Files { files })
    }

    /// One partition a file, numbered from 0; `high` is the file's length when it was found.
    pub fn partitions(&self) -> Vec<PartitionInfo> {
        let info = |(id, it): (usize, &FoundFile)| PartitionInfo {
            id: id as i32,
            name: it.name.clone(),
            former_name: None,
            low: 0,
            high: Some(it.len as i64),
        };
        self.files.iter().enumerate().map(info).collect()
    }
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder, "list it"))? {
        let path = entry.map_err(failed(folder, "list it"))?.path();
        let hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        let lines = path.extension().is_some_and(|it| it == "jsonl" || it == "json");
        if lines && !hidden {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let found = glob::glob_with(pattern, options)
        .map_err(|it| SourceError::BadGlob { path: pattern.to_owned(), reason: it.to_string() })?;
    found
        .map(|it| it.map_err(|it| SourceError::Io { path: it.path().to_owned(), action: "list it", cause: it.into() }))
        .collect()
}

/// The folders of a glob before its first wildcard.
fn glob_base(pattern: &str) -> PathBuf {
    let plain = |it: &std::path::Component<'_>| !it.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let base: PathBuf = Path::new(pattern).components().take_while(plain).collect();
    if base == Path::new(pattern) { base.parent().map(Path::to_owned).unwrap_or_default() } else { base }
}

fn failed(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> SourceError {
    move |cause| SourceError::Io { path: path.to_owned(), action, cause }
}

/// Reads some of the files, in turns.
#[derive(Debug)]
pub struct FileSource {
    source: u32,
    readers: Vec<LineReader>,
    /// Whose turn it is.
    next: usize,
}

impl FileSource {
    /// A source of the partitions of `files` that `starts` names. `source` is its index in the pipeline file.
    ///
    /// # Errors
    /// Where a partition is not there, or its file is shorter than its start.
    pub fn open(files: &Files, source: u32, starts: &[Start]) -> Result<Self, SourceError> {
        let keep_open = starts.len() <= OPEN_FILES_MAX;
        let readers =
            starts.iter().map(|start| LineReader::open(files, *start, keep_open)).collect::<Result<_, _>>()?;
        Ok(FileSource { source, readers, next: 0 })
    }

    /// The next batch: at most `rows_max` records, and no more lines once it has `bytes_max` bytes. `_now_ms` is not
    /// needed: files are read as fast as they are taken.
    ///
    /// # Errors
    /// Where a file cannot be read, has become shorter, or has too long a line. Polling again finds the same.
    pub fn poll(&mut self, rows_max: usize, bytes_max: usize, _now_ms: u64) -> Result<Polled, SourceError> {
        self.poll_unless(rows_max, bytes_max, &|_| false)
    }

    /// As [`FileSource::poll`], passing over the partitions that are `held`.
    ///
    /// # Errors
    /// The same.
    pub fn poll_unless(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        held: &dyn Fn(i32) -> bool,
    ) -> Result<Polled, SourceError> {
        for _ in 0..self.readers.len() {
            let at = self.next % self.readers.len();
            self.next = at + 1;
            let reader = &mut self.readers[at];
            if reader.said_end || held(reader.partition) {
                continue;
            }
            if let Some(batch) = reader.read(self.source, rows_max.max(1), bytes_max)? {
                return Ok(Polled::Batch(batch));
            }
            if reader.at_end() {
                reader.said_end = true;
                reader.file = None;
                return Ok(Polled::Ended(reader.partition));
            }
        }
        Ok(Polled::Empty)
    }
}

/// Reads one file from one line start to the next.
#[derive(Debug)]
struct LineReader {
    partition: i32,
    path: PathBuf,
    file: Option<File>,
    keep_open: bool,
    /// Where the next line starts, and `unread` with it.
    offset: i64,
    end: Option<i64>,
    /// Bytes that were read after the last batch's lines.
    unread: Vec<u8>,
    said_end: bool,
}

impl LineReader {
    fn open(files: &Files, start: Start, keep_open: bool) -> Result<Self, SourceError> {
        let found = usize::try_from(start.partition).ok().and_then(|it| files.files.get(it));
        let found =
            found.ok_or(SourceError::NoSuchPartition { partition: start.partition, count: files.files.len() })?;
        let reader = LineReader {
            partition: start.partition,
            path: found.path.clone(),
            file: None,
            keep_open,
            offset: start.offset,
            end: start.end,
            unread: Vec::new(),
            said_end: false,
        };
        let len = std::fs::metadata(&reader.path).map_err(failed(&reader.path, "look at it"))?.len();
        let needed = start.offset.max(start.end.unwrap_or(0));
        if len < needed.unsigned_abs() { Err(reader.truncated(len, needed)) } else { Ok(reader) }
    }

    fn truncated(&self, len: u64, position: i64) -> SourceError {
        SourceError::Truncated { path: self.path.clone(), len, position }
    }

    fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }

    /// The next lines, or none where there is no whole line yet, or no more.
    fn read(&mut self, source: u32, rows_max: usize, bytes_max: usize) -> Result<Option<RawBatch>, SourceError> {
        let mut lines = Lines { arena: std::mem::take(&mut self.unread), ..Lines::default() };
        loop {
            lines.split(rows_max, bytes_max);
            if lines.spans.len() == rows_max || (!lines.spans.is_empty() && lines.taken >= bytes_max) {
                break;
            }
            if lines.arena.len() - lines.taken > LINE_BYTES_MAX {
                let offset = self.offset + lines.taken as i64;
                return Err(SourceError::LineTooLong { path: self.path.clone(), offset, max: LINE_BYTES_MAX });
            }
            if self.fill(&mut lines.arena)? == 0 {
                if self.end.is_some() {
                    lines.take_rest(); // The last line of a bounded file needs no line end.
                }
                break;
            }
        }
        if !self.keep_open {
            self.file = None;
        }
        let start = self.offset;
        self.offset += lines.taken as i64;
        self.unread = lines.arena.split_off(lines.taken);
        Ok((!lines.spans.is_empty()).then(|| lines.into_batch(Origin { source, partition: self.partition }, start)))
    }

    /// Reads the next piece of the file to the end of `arena`, which starts at `offset`; answers its length, 0 where
    /// there is nothing more to read (now).
    fn fill(&mut self, arena: &mut Vec<u8>) -> Result<usize, SourceError> {
        let position = self.offset as u64 + arena.len() as u64;
        let left = self.end.map_or(u64::MAX, |end| (end as u64).saturating_sub(position));
        let want = left.min(READ_BYTES as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path).map_err(failed(&self.path, "open it"))?,
        };
        let before = arena.len();
        arena.resize(before + want, 0);
        let read = loop {
            match file.read_at(&mut arena[before..], position) {
                Ok(read) => break read,
                Err(fault) if fault.kind() == std::io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(failed(&self.path, "read it")(fault)),
            }
        };
        arena.truncate(before + read);
        let len = if read == 0 { file.metadata().map_err(failed(&self.path, "look at it"))?.len() } else { u64::MAX };
        self.file = Some(file);
        match self.end {
            Some(end) if read == 0 => Err(self.truncated(len, end)),
            None if len < position => Err(self.truncated(len, position as i64)),
            _ => Ok(read),
        }
    }
}

/// Bytes of a file from one line start on, and the lines found in them.
#[derive(Default)]
struct Lines {
    arena: Vec<u8>,
    spans: Vec<Span>,
    /// The bytes of the lines taken, with their ends.
    taken: usize,
    /// Bytes after `taken` that are known to hold no line end.
    searched: usize,
}

impl Lines {
    /// Takes whole lines until there are `rows_max`, or they have `bytes_max` bytes.
    fn split(&mut self, rows_max: usize, bytes_max: usize) {
        while self.spans.len() < rows_max && (self.spans.is_empty() || self.taken < bytes_max) {
            let Some(found) = memchr::memchr(b'\n', &self.arena[self.taken + self.searched..]) else {
                self.searched = self.arena.len() - self.taken;
                return;
            };
            let len = self.searched + found;
            self.push(len);
            self.taken += len + 1;
            self.searched = 0;
        }
    }

    fn take_rest(&mut self) {
        self.push(self.arena.len() - self.taken);
        self.taken = self.arena.len();
    }

    /// Adds the line of `len` bytes after those taken, unless it is empty.
    fn push(&mut self, len: usize) {
        let line = &self.arena[self.taken..self.taken + len];
        let len = line.strip_suffix(b"\r").unwrap_or(line).len();
        if len > 0 {
            self.spans.push(Span { start: self.taken as u32, len: len as u32 });
        }
    }

    fn into_batch(self, origin: Origin, start: i64) -> RawBatch {
        let record = |value: &Span| RawRecord { key: Span::NULL, value: *value, headers: Span::NULL };
        RawBatch {
            origin,
            offsets: self.spans.iter().map(|it| start + i64::from(it.start)).collect(),
            timestamps: vec![-1; self.spans.len()],
            next_offset: start + self.taken as i64,
            rows: RawRows { records: self.spans.iter().map(record).collect(), arena: Arc::new(self.arena) },
        }
    }
}

#[cfg(test)]
mod tests;
