//! The list of a checkpoint: which files hold the state, and where everything that is not state stood.
//!
//! JSON, so that a person can read it. Maps are sorted and nothing in it depends on the time of writing: the same checkpoint
//! gives the same bytes.

use super::pointer::{Pointer, hex};
use super::{CheckpointError, Epoch};
use crate::state::TableId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the manifest's form. A reader refuses any other.
const FORMAT: u32 = 1;

/// A manifest is refused above this, before it is parsed.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The pipeline that wrote it.
    pub pipeline: String,
    /// The epoch at whose end it holds.
    pub epoch: Epoch,
    /// The checkpoint that it builds on; none for the first. Committed if this one is.
    pub parent: Option<Parent>,
    /// The files that hold the state, oldest first: later entries win.
    pub files: Vec<SnapshotFile>,
    /// What is not state.
    #[serde(flatten)]
    pub meta: Meta,
}

/// Names the checkpoint before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its manifest's file name.
    pub manifest: String,
}

/// One snapshot file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// File name, without a folder.
    pub name: String,
    /// How it came to be.
    pub kind: FileKind,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
    /// CRC-32C of its payload.
    pub crc32c: u32,
}

/// How a snapshot file came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Merged from everything before it: sorted, each key once, without deletes.
    Base,
    /// Merged from several deltas: sorted, each key once, deletes kept.
    Run,
    /// One epoch's changes in the order in which the workers made them.
    Delta,
}

/// What a checkpoint says beside the state: handed in at a barrier, handed back at a restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The operators' table names; the index is the [`TableId`] of the entries. See [`extend_tables`].
    pub tables: Vec<String>,
    /// Where reading goes on, by source name and partition name.
    #[serde(default)]
    pub positions: BTreeMap<String, BTreeMap<String, Position>>,
    /// Event time at steps and valves, by a name that the pipeline gives, ms.
    #[serde(default)]
    pub watermarks: BTreeMap<String, i64>,
    /// Output files that are written but not yet visible, by sink name: published after the commit, again after a restore.
    #[serde(default)]
    pub staged: BTreeMap<String, Vec<StagedFile>>,
    /// The plugin that each step of the epoch ran, by step name. Whoever recovers goes on with it, or migrates its state.
    #[serde(default)]
    pub plugins: BTreeMap<String, PluginState>,
    /// Processing time at the barrier, ms since the Unix epoch; none where nothing depends on it.
    #[serde(default)]
    pub processing_time_ms: Option<i64>,
}

/// How far one partition of a source was read, and its event time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The offset to read next.
    pub next_offset: i64,
    /// The largest event time seen, ms; none before the first record.
    pub max_ts: Option<i64>,
    /// The partition's watermark, ms; none before the first record.
    pub watermark: Option<i64>,
}

/// An output file under the name that hides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// The path that it is written under.
    pub staged: String,
    /// The path that it is renamed to once its epoch is committed.
    #[serde(rename = "final")]
    pub visible: String,
    /// Its length, bytes.
    pub bytes: u64,
    /// CRC-32C of its bytes.
    pub crc32c: u32,
}

/// Which plugin a step ran, and what its state is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginState {
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// The state version that it declared.
    pub state_version: u32,
    /// SHA-256 of its configuration, hexadecimal. None in manifests of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

impl Manifest {
    /// A manifest in the current format.
    pub(super) fn new(
        pipeline: &str,
        epoch: Epoch,
        parent: Option<Parent>,
        files: Vec<SnapshotFile>,
        meta: Meta,
    ) -> Manifest {
        Manifest { format: FORMAT, pipeline: pipeline.to_owned(), epoch, parent, files, meta }
    }

    /// Its bytes, and the pointer to them once they are in `dir` under `name`, which must be new.
    pub(super) fn encode(&self, dir: &Path, name: &str) -> Result<(Vec<u8>, Pointer), CheckpointError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|it| CheckpointError::io("encode", &dir.join(name), std::io::Error::other(it)))?;
        bytes.push(b'\n');
        let sha256 = Sha256::digest(&bytes).into();
        Ok((bytes, Pointer { epoch: self.epoch, manifest: name.to_owned(), sha256 }))
    }

    /// Reads the manifest that `pointer` names, and nothing but that: its bytes must have the pointer's hash.
    pub fn load(dir: &Path, pointer: &Pointer) -> Result<Manifest, CheckpointError> {
        let path = dir.join(&pointer.manifest);
        let bytes = read(&path, &format!("`{pointer}`"))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != hex(&pointer.sha256) {
            let expected = hex(&pointer.sha256);
            return Err(CheckpointError::damaged(&path, format!("its sha256 is {found}, committed was {expected}")));
        }
        let manifest = parse(&path, &bytes)?;
        if manifest.epoch != pointer.epoch {
            let found = format!("it is of epoch {}, committed was {}", manifest.epoch, pointer.epoch);
            return Err(CheckpointError::damaged(&path, found));
        }
        Ok(manifest)
    }

    /// Reads a manifest by its name alone: to see which files it names, never to restore it.
    pub(super) fn peek(dir: &Path, name: &str) -> Result<Manifest, CheckpointError> {
        let path = dir.join(name);
        parse(&path, &read(&path, "the folder")?)
    }

    /// Bytes of all its files: what a restore reads.
    pub fn state_bytes(&self) -> u64 {
        self.files.iter().map(|it| it.bytes).sum()
    }
}

fn read(path: &Path, named_by: &str) -> Result<Vec<u8>, CheckpointError> {
    let failed = |it: std::io::Error| match it.kind() {
        std::io::ErrorKind::NotFound => {
            CheckpointError::Missing { path: path.to_owned(), named_by: named_by.to_owned() }
        }
        _ => CheckpointError::io("read", path, it),
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MANIFEST_BYTES_MAX {
        return Err(CheckpointError::damaged(path, format!("{bytes} bytes are more than {MANIFEST_BYTES_MAX}")));
    }
    std::fs::read(path).map_err(failed)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest, CheckpointError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged = |it: serde_json::Error| CheckpointError::damaged(path, it.to_string());
    // First, and alone: another version may have other fields.
    let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(CheckpointError::Version { path: path.to_owned(), found: format, expected: FORMAT });
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(damaged)?;
    // Names end up behind the data directory's: none may lead out of it.
    match manifest.files.iter().find(|it| it.name.contains(['/', '\\']) || !it.name.ends_with(".snap")) {
        Some(file) => {
            Err(CheckpointError::damaged(path, format!("`{}` is not the name of a snapshot file", file.name)))
        }
        None => Ok(manifest),
    }
}

/// Numbers the tables `wanted` for state that was written under the names `old`: a name keeps its number, new ones come
/// after. Returns the list for [`Meta::tables`] and the number of each wanted name.
///
/// A name that is no longer wanted stays in the list, as its entries stay in the snapshots.
pub fn extend_tables(old: &[String], wanted: &[&str]) -> (Vec<String>, Vec<TableId>) {
    let mut tables = old.to_vec();
    let mut ids = Vec::with_capacity(wanted.len());
    for &name in wanted {
        let at = tables.iter().position(|it| it == name).unwrap_or_else(|| {
            tables.push(name.to_owned());
            tables.len() - 1
        });
        ids.push(TableId(at as u16));
    }
    (tables, ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn sample() -> Manifest {
        let parent = Some(Parent { epoch: Epoch(6), manifest: "manifest-000000000006-r1-2.json".to_owned() });
        let file = SnapshotFile {
            name: "delta-000000000007-r1-3.snap".to_owned(),
            kind: FileKind::Delta,
            bytes: 71,
            entries: 2,
            crc32c: 7,
        };
        let position = Position { next_offset: 5, max_ts: Some(9), watermark: None };
        let staged = StagedFile { staged: "out/.a".to_owned(), visible: "out/a".to_owned(), bytes: 3, crc32c: 4 };
        let meta = Meta {
            tables: vec!["velocity".to_owned()],
            positions: BTreeMap::from([("in".to_owned(), BTreeMap::from([("0".to_owned(), position)]))]),
            watermarks: BTreeMap::from([("velocity".to_owned(), -1)]),
            staged: BTreeMap::from([("out".to_owned(), vec![staged])]),
            plugins: BTreeMap::from([(
                "rules".to_owned(),
                PluginState { digest: "ab".to_owned(), state_version: 1, config: None },
            )]),
            processing_time_ms: None,
        };
        Manifest::new("fraud", Epoch(7), parent, vec![file], meta)
    }

    const NAME: &str = "manifest-000000000007-r1-3.json";

    fn write(dir: &Path) -> Pointer {
        let (bytes, pointer) = sample().encode(dir, NAME).unwrap();
        std::fs::write(dir.join(NAME), bytes).unwrap();
        pointer
    }

    #[test]
    fn manifest_format_1_is_frozen() {
        let dir = tempfile::tempdir().unwrap();
        let pointer = write(dir.path());
        expect![[r#"
            {
              "format": 1,
              "pipeline": "fraud",
              "epoch": 7,
              "parent": {
                "epoch": 6,
                "manifest": "manifest-000000000006-r1-2.json"
              },
              "files": [
                {
                  "name": "delta-000000000007-r1-3.snap",
                  "kind": "delta",
                  "bytes": 71,
                  "entries": 2,
                  "crc32c": 7
                }
              ],
              "tables": [
                "velocity"
              ],
              "positions": {
                "in": {
                  "0": {
                    "next_offset": 5,
                    "max_ts": 9,
                    "watermark": null
                  }
                }
              },
              "watermarks": {
                "velocity": -1
              },
              "staged": {
                "out": [
                  {
                    "staged": "out/.a",
                    "final": "out/a",
                    "bytes": 3,
                    "crc32c": 4
                  }
                ]
              },
              "plugins": {
                "rules": {
                  "digest": "ab",
                  "state_version": 1
                }
              },
              "processing_time_ms": null
            }
        "#]]
        .assert_eq(&std::fs::read_to_string(dir.path().join(NAME)).unwrap());
        assert_eq!(Manifest::load(dir.path(), &pointer).unwrap(), sample());
    }

    #[test]
    fn a_manifest_that_is_not_the_committed_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pointer = write(dir.path());
        let path = dir.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"next_offset\": 5", "\"next_offset\": 6")).unwrap();
        let error = Manifest::load(dir.path(), &pointer).unwrap_err();
        assert!(error.to_string().contains("is damaged: its sha256 is"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = Manifest::load(dir.path(), &pointer).unwrap_err();
        assert!(error.to_string().contains("is missing, but `wasmill/1 epoch=7"), "{error}");
    }

    #[test]
    fn another_version_and_a_name_that_leads_out_of_the_folder_are_refused() {
        let path = Path::new("m.json");
        let error = parse(path, br#"{"format": 2, "novelty": []}"#).unwrap_err();
        assert!(matches!(error, CheckpointError::Version { found: 2, expected: 1, .. }), "{error}");
        let text = serde_json::to_string(&sample()).unwrap();
        parse(path, text.as_bytes()).unwrap();
        let error = parse(path, text.replace("delta-0", "../delta-0").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("is not the name of a snapshot file"), "{error}");
    }

    #[test]
    fn a_table_keeps_its_number_when_others_come_and_go() {
        let (first, ids) = extend_tables(&[], &["a", "b"]);
        assert_eq!(ids, [TableId(0), TableId(1)]);
        let (second, ids) = extend_tables(&first, &["c", "b"]);
        assert_eq!(ids, [TableId(2), TableId(1)]);
        assert_eq!(second, ["a", "b", "c"]);
    }
}
