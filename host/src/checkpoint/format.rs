//! A snapshot file: a header, entries as [`crate::state::Delta`] encodes them, and their checksum. Format 1 is frozen.
//!
//! | bytes | field                                      |
//! |-------|--------------------------------------------|
//! | 4     | magic `WSNP`                               |
//! | 4     | format version, 1                          |
//! | 8     | epoch                                      |
//! | 8     | bytes of the payload                       |
//! | 8     | entries in the payload                     |
//! | 4     | CRC-32C of the bytes before                |
//! | n     | payload: entries end to end                |
//! | 4     | CRC-32C of the payload                     |
//!
//! Numbers are little-endian. The header is written last, so a file that was cut short never begins with the magic. Files
//! are written, checked and read in blocks: no more of a file is in memory than a block and its largest entry.

use super::manifest::{FileKind, SnapshotFile};
use super::{CheckpointError, Epoch};
use crate::failpoint::failpoint;
use crate::state::{Entries, Entry};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"WSNP";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 36;
const TRAILER_BYTES: usize = 4;

/// What is read or written at once, bytes.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    epoch: Epoch,
    payload_bytes: u64,
    entries: u64,
}

impl Header {
    fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.entries.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<Header, CheckpointError> {
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..4] != MAGIC {
            return Err(CheckpointError::damaged(path, "it does not begin with `WSNP`"));
        }
        // Before the checksum: another version may have another header.
        let version = u32_at(4);
        if version != FORMAT {
            return Err(CheckpointError::Version { path: path.to_owned(), found: version, expected: FORMAT });
        }
        if u32_at(32) != crc32c::crc32c(&bytes[..32]) {
            return Err(CheckpointError::damaged(path, "the checksum of its header does not fit"));
        }
        Ok(Header { epoch: Epoch(u64_at(8)), payload_bytes: u64_at(16), entries: u64_at(24) })
    }
}

/// Writes one snapshot file. A writer that is dropped before [`Writer::sync`] removes its file.
pub(super) struct Writer {
    file: File,
    path: PathBuf,
    header: Header,
    crc: u32,
    finished: bool,
}

impl Writer {
    /// Begins a file that must not be there yet.
    pub(super) fn create(path: PathBuf, epoch: Epoch) -> Result<Writer, CheckpointError> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        Writer::over(file.map_err(|it| CheckpointError::io("create", &path, it))?, path, epoch)
    }

    fn over(file: File, path: PathBuf, epoch: Epoch) -> Result<Writer, CheckpointError> {
        let header = Header { epoch, payload_bytes: 0, entries: 0 };
        let mut writer = Writer { file, path, header, crc: 0, finished: false };
        writer.write(&[0; HEADER_BYTES])?;
        Ok(writer)
    }

    /// Adds `entries` entries in their encoded form.
    pub(super) fn append(&mut self, encoded: &[u8], entries: u64) -> Result<(), CheckpointError> {
        for block in encoded.chunks(BLOCK_BYTES) {
            self.crc = crc32c::crc32c_append(self.crc, block);
            self.write(block)?;
            failpoint("persist.in-file");
        }
        self.header.payload_bytes += encoded.len() as u64;
        self.header.entries += entries;
        Ok(())
    }

    /// [`Writer::complete`] and [`Writer::sync`].
    pub(super) fn finish(mut self, kind: FileKind) -> Result<SnapshotFile, CheckpointError> {
        let file = self.complete(kind)?;
        self.sync()?;
        Ok(file)
    }

    /// Completes the file: nothing is appended to it any more.
    pub(super) fn complete(&mut self, kind: FileKind) -> Result<SnapshotFile, CheckpointError> {
        self.write(&self.crc.to_le_bytes())?;
        let header = self.header.encode();
        self.file.seek(SeekFrom::Start(0)).map_err(|it| CheckpointError::io("write", &self.path, it))?;
        self.write(&header)?;
        Ok(SnapshotFile {
            name: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            kind,
            bytes: file_bytes(self.header.payload_bytes),
            entries: self.header.entries,
            crc32c: self.crc,
        })
    }

    /// Makes the bytes of a complete file durable; its name is durable once the folder is synced.
    pub(super) fn sync(mut self) -> Result<(), CheckpointError> {
        self.file.sync_all().map_err(|it| CheckpointError::io("sync", &self.path, it))?;
        self.finished = true;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.file.write_all(bytes).map_err(|it| CheckpointError::io("write", &self.path, it))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path); // Nothing names it; `Store::forget_before` removes what is left.
        }
    }
}

fn file_bytes(payload_bytes: u64) -> u64 {
    payload_bytes.saturating_add((HEADER_BYTES + TRAILER_BYTES) as u64)
}

/// Reads one snapshot file, entry by entry: [`Reader::peek`] is the entry that it stands at, [`Reader::advance`] goes on.
///
/// The payload's checksum is compared when the last entry is passed: who acts on entries before that calls [`check`] first.
pub(super) struct Reader {
    file: File,
    path: PathBuf,
    /// Entries that are not passed yet.
    entries_left: u64,
    /// Payload bytes that are not in `buffer` yet.
    unread: u64,
    crc: u32,
    crc_expected: u32,
    buffer: Vec<u8>,
    /// Where the entry that it stands at begins in `buffer`, and how long it is; a length of 0 is the end.
    start: usize,
    len: usize,
}

impl Reader {
    /// Opens the file that `expected` describes and stands at its first entry.
    pub(super) fn open(dir: &Path, expected: &SnapshotFile) -> Result<Reader, CheckpointError> {
        let mut reader = Reader::open_unprimed(dir, expected)?;
        reader.prime()?;
        Ok(reader)
    }

    fn open_unprimed(dir: &Path, expected: &SnapshotFile) -> Result<Reader, CheckpointError> {
        let path = dir.join(&expected.name);
        let failed = |it| CheckpointError::io("read", &path, it);
        let mut file = File::open(&path).map_err(|it| match it.kind() {
            std::io::ErrorKind::NotFound => {
                CheckpointError::Missing { path: path.clone(), named_by: "a manifest".to_owned() }
            }
            _ => failed(it),
        })?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut header = [0; HEADER_BYTES];
        if bytes < file_bytes(0) {
            return Err(CheckpointError::damaged(&path, format!("it has {bytes} of {} bytes", expected.bytes)));
        }
        file.read_exact(&mut header).map_err(failed)?;
        let header = Header::decode(&header, &path)?;
        if bytes != expected.bytes || bytes != file_bytes(header.payload_bytes) {
            return Err(CheckpointError::damaged(&path, format!("it has {bytes} of {} bytes", expected.bytes)));
        }
        if header.entries != expected.entries {
            let found = format!("it has {} entries, the manifest says {}", header.entries, expected.entries);
            return Err(CheckpointError::damaged(&path, found));
        }
        Ok(Reader {
            file,
            path,
            entries_left: header.entries,
            unread: header.payload_bytes,
            crc: 0,
            crc_expected: expected.crc32c,
            buffer: Vec::new(),
            start: 0,
            len: 0,
        })
    }

    /// The entry that it stands at; none at the end.
    pub(super) fn peek(&self) -> Option<Entry<'_>> {
        Entries(&self.buffer[self.start..self.start + self.len]).next()
    }

    /// Goes on to the next entry.
    pub(super) fn advance(&mut self) -> Result<(), CheckpointError> {
        self.start += self.len;
        self.prime()
    }

    /// Adds the whole payload, checked, to the end of `out`.
    pub(super) fn payload(dir: &Path, expected: &SnapshotFile, out: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let mut reader = Reader::open_unprimed(dir, expected)?;
        while reader.unread > 0 {
            reader.buffer.clear();
            reader.fill(BLOCK_BYTES)?;
            out.extend_from_slice(&reader.buffer);
        }
        reader.check_crc()
    }

    fn prime(&mut self) -> Result<(), CheckpointError> {
        loop {
            let rest = &self.buffer[self.start..];
            let mut entries = Entries(rest);
            if entries.next().is_some() {
                self.len = rest.len() - entries.0.len();
                let left = self.entries_left.checked_sub(1);
                self.entries_left = left
                    .ok_or_else(|| CheckpointError::damaged(&self.path, "it has more entries than its header says"))?;
                return Ok(());
            }
            self.len = 0;
            if self.unread == 0 {
                return self.check_end();
            }
            // An entry across two blocks: keep its beginning, and read more at a time the longer it turns out to be.
            self.buffer.drain(..self.start);
            self.start = 0;
            let more = self.buffer.len().max(BLOCK_BYTES);
            self.fill(more)?;
        }
    }

    fn check_end(&self) -> Result<(), CheckpointError> {
        self.check_crc()?;
        if self.start != self.buffer.len() || self.entries_left != 0 {
            return Err(CheckpointError::damaged(&self.path, "its entries do not end where its payload ends"));
        }
        Ok(())
    }

    fn check_crc(&self) -> Result<(), CheckpointError> {
        if self.crc != self.crc_expected {
            return Err(CheckpointError::damaged(&self.path, "the checksum of its payload does not fit"));
        }
        let mut trailer = [0; TRAILER_BYTES];
        let mut file = &self.file;
        file.read_exact(&mut trailer).map_err(|it| CheckpointError::io("read", &self.path, it))?;
        if u32::from_le_bytes(trailer) != self.crc {
            return Err(CheckpointError::damaged(&self.path, "the checksum at its end does not fit"));
        }
        Ok(())
    }

    fn fill(&mut self, bytes_max: usize) -> Result<(), CheckpointError> {
        let take = usize::try_from(self.unread).unwrap_or(usize::MAX).min(bytes_max);
        let start = self.buffer.len();
        self.buffer.resize(start + take, 0);
        self.file.read_exact(&mut self.buffer[start..]).map_err(|it| CheckpointError::io("read", &self.path, it))?;
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer[start..]);
        self.unread -= take as u64;
        Ok(())
    }
}

/// Reads the whole file and compares its length and checksums with `expected`.
pub(super) fn check(dir: &Path, expected: &SnapshotFile) -> Result<(), CheckpointError> {
    let mut reader = Reader::open_unprimed(dir, expected)?;
    while reader.unread > 0 {
        reader.buffer.clear();
        reader.fill(BLOCK_BYTES)?;
    }
    reader.check_crc()
}

#[cfg(test)]
mod tests {
    use super::super::pointer::hex;
    use super::*;
    use crate::state::{Delta, TableId};

    fn write(dir: &Path, delta: &Delta) -> SnapshotFile {
        let mut writer = Writer::create(dir.join("a.snap"), Epoch(7)).unwrap();
        writer.append(delta.bytes(), delta.len()).unwrap();
        writer.finish(FileKind::Delta).unwrap()
    }

    fn read(dir: &Path, file: &SnapshotFile) -> Result<Delta, CheckpointError> {
        let mut reader = Reader::open(dir, file)?;
        let mut delta = Delta::default();
        while let Some(entry) = reader.peek() {
            delta.push(entry);
            reader.advance()?;
        }
        Ok(delta)
    }

    fn small() -> Delta {
        let mut delta = Delta::default();
        delta.put(TableId(1), 2, b"ann", b"5");
        delta.delete(TableId(1), 2, b"bob");
        delta
    }

    #[test]
    fn format_1_is_frozen() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &small());
        let bytes = fs::read(dir.path().join("a.snap")).unwrap();
        let parts = [&bytes[..4], &bytes[4..8], &bytes[8..16], &bytes[16..24], &bytes[24..32], &bytes[32..36]];
        assert_eq!(
            parts.map(hex).join(" "),
            "57534e50 01000000 0700000000000000 1f00000000000000 0200000000000000 03587f73"
        );
        assert_eq!(hex(&bytes[36..52]), "01000200030000000100000061 6e6e35".replace(' ', ""));
        assert_eq!(hex(&bytes[52..67]), "0100020003000000ffffffff626f62");
        assert_eq!(hex(&bytes[67..]), "0f792e4a");
    }

    #[test]
    fn entries_larger_than_a_block_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut delta = Delta::default();
        for i in 0..5_u8 {
            delta.put(TableId(0), 0, &[i; 100], &vec![i; usize::from(i) * (BLOCK_BYTES / 2 + 11)]);
        }
        let file = write(dir.path(), &delta);
        check(dir.path(), &file).unwrap();
        assert!(read(dir.path(), &file).unwrap().bytes() == delta.bytes());
        let mut payload = Vec::new();
        Reader::payload(dir.path(), &file, &mut payload).unwrap();
        assert!(payload == delta.bytes());
    }

    #[test]
    fn a_flip_of_any_bit_and_a_cut_at_any_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &small());
        let path = dir.path().join("a.snap");
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            assert!(check(dir.path(), &file).is_err(), "bit {bit}, by check");
            assert!(read(dir.path(), &file).is_err(), "bit {bit}, by reading");
        }
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            let error = check(dir.path(), &file).unwrap_err();
            assert!(matches!(error, CheckpointError::Damaged { .. }), "cut at {len}: {error}");
        }
        fs::write(&path, &good).unwrap();
        check(dir.path(), &file).unwrap();
    }

    #[test]
    fn another_version_is_named_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(dir.path(), &small());
        let path = dir.path().join("a.snap");
        let mut bytes = fs::read(&path).unwrap();
        bytes[4] = 2;
        fs::write(&path, bytes).unwrap();
        let error = check(dir.path(), &file).unwrap_err();
        assert!(matches!(error, CheckpointError::Version { found: 2, expected: 1, .. }), "{error}");
        assert!(error.to_string().contains("a.snap is of format 2, this wasmill reads format 1"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        let dir = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = Writer::over(full, dir.path().join("none"), Epoch(1)).err().unwrap();
        assert!(matches!(error, CheckpointError::Full { .. }), "{error}");
    }

    #[test]
    fn a_writer_that_is_given_up_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(dir.path().join("a.snap"), Epoch(1)).unwrap();
        writer.append(small().bytes(), 2).unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
