//! The catalog: components by digest, under names and versions. A version that is stored never changes.
//!
//! On disk a component is `components/DIGEST.wasm`, and a version is `versions/NAME/VERSION.json`, which is renamed into
//! place last: a version is there with its component, or not at all. A component without a version is what an interrupted
//! upload left, and is removed at the next start.

mod examine;
mod reference;
mod upload;

pub use examine::{COMMAND as EXAMINE_COMMAND, Examination, examine_here};
pub(super) use reference::{Reference, check_name, parse_version};

use super::api::{Pin, PluginVersion};
use super::clock;
use super::disk::{self, Layout};
use super::problem::{Code, Problem};
use super::settings::Limits;
use crate::failpoint::failpoint;
use axum::body::Body;
use semver::Version;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

type Versions = BTreeMap<String, BTreeMap<Version, Arc<PluginVersion>>>;

/// The stored plugins.
pub(super) struct Catalog {
    layout: Layout,
    versions: Mutex<Versions>,
    /// Held while files of the catalog change.
    changes: tokio::sync::Mutex<()>,
    /// One component is compiled at a time: pipelines come first.
    compiler: Semaphore,
    uploads: Semaphore,
    next_upload: AtomicU64,
}

/// What somebody uploads.
pub(super) struct Push {
    /// Under which name.
    pub(super) name: String,
    /// As which version.
    pub(super) version: Version,
    /// The component.
    pub(super) body: Body,
    /// Its size, where the client said so.
    pub(super) announced: Option<u64>,
    /// Who.
    pub(super) by: String,
}

impl Catalog {
    /// Reads what is stored. `pinned` are digests that pipelines use.
    ///
    /// # Errors
    /// A file cannot be read, or says what cannot be; it is named.
    pub(super) fn open(layout: &Layout, limits: &Limits, pinned: &HashSet<String>) -> io::Result<Self> {
        let mut versions = Versions::new();
        let mut used = pinned.clone();
        for entry in std::fs::read_dir(layout.versions())? {
            for file in disk::files(&entry?.path(), "json")? {
                let (stored, version) = read(&file)?;
                let component = layout.component(&stored.digest);
                let found = component.metadata().map_err(|error| disk::named(&component, error))?.len();
                if found != stored.bytes {
                    let text = format!("has {found} bytes, expected {} as {} says", stored.bytes, file.display());
                    return Err(disk::named(&component, io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                used.insert(stored.digest.clone());
                versions.entry(stored.name.clone()).or_default().insert(version, Arc::new(stored));
            }
        }
        for file in disk::files(&layout.components(), "wasm")? {
            let digest = file.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if !used.contains(&digest) {
                tracing::info!(digest, "removing the component of an upload that was not finished");
                disk::remove(&file)?;
            }
        }
        Ok(Catalog {
            layout: layout.clone(),
            versions: Mutex::new(versions),
            changes: tokio::sync::Mutex::new(()),
            compiler: Semaphore::new(1),
            uploads: Semaphore::new(limits.uploads_max),
            next_upload: AtomicU64::new(0),
        })
    }

    fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All versions, by name, the highest version first.
    pub(super) fn list(&self) -> Vec<Arc<PluginVersion>> {
        self.versions().values().flat_map(|it| it.values().rev().cloned()).collect()
    }

    /// How many versions are stored.
    pub(super) fn len(&self) -> usize {
        self.versions().values().map(BTreeMap::len).sum()
    }

    /// The versions of one plugin, the highest first.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn of_name(&self, name: &str) -> Result<Vec<Arc<PluginVersion>>, Problem> {
        let versions = self.versions();
        let found = versions.get(name).map(|it| it.values().rev().cloned().collect());
        found.ok_or_else(|| Problem::new(Code::NoSuchPlugin, unknown_name(name, &versions)))
    }

    /// One version.
    ///
    /// # Errors
    /// It is not stored; what is, is said.
    pub(super) fn get(&self, name: &str, version: &Version) -> Result<Arc<PluginVersion>, Problem> {
        find(&self.versions(), name, version).map_err(|it| Problem::new(Code::NoSuchPlugin, it))
    }

    /// What a reference stands for now.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(super) fn resolve(&self, text: &str) -> Result<Pin, String> {
        let reference = Reference::parse(text)?;
        let versions = self.versions();
        let found = match &reference {
            Reference::Exact(name, version) => find(&versions, name, version)?,
            Reference::Latest(name) => latest(&versions, name).ok_or_else(|| unknown_name(name, &versions))?,
            Reference::Digest(digest) => {
                let mut all = versions.values().flat_map(BTreeMap::values);
                all.find(|it| it.digest == *digest).cloned().ok_or_else(|| {
                    format!("found {text:?}, but no version in the catalog has that digest; push it first")
                })?
            }
        };
        let (name, version, digest) = (found.name.clone(), found.version.clone(), found.digest.clone());
        Ok(Pin { reference: text.to_owned(), name, version, digest })
    }

    /// The file of a pinned plugin.
    pub(super) fn file(&self, pin: &Pin) -> PathBuf {
        self.layout.component(&pin.digest)
    }

    /// Takes an upload: to disk, looked at, compiled, stored. The same component again is no change. True where it is new.
    ///
    /// # Errors
    /// The component is refused, the version is stored with other content, or the disk refuses; nothing has changed then.
    pub(super) async fn push(&self, push: Push, limits: &Limits) -> Result<(Arc<PluginVersion>, bool), Problem> {
        let closed = |error| Problem::internal("cannot take uploads any more", error);
        let _turn = self.uploads.acquire().await.map_err(closed)?;
        let number = self.next_upload.fetch_add(1, Relaxed);
        let path = self.layout.uploads().join(format!("{number}.wasm"));
        let upload = upload::receive(push.body, push.announced, path, limits.upload_bytes_max).await?;
        if let Some(same) = self.stored(&push.name, &push.version, &upload.digest)? {
            return Ok((same, false));
        }
        failpoint("catalog.before-compile");
        let label = format!("{}@{}", push.name, push.version);
        let examination = examine::of(&upload.path, label, self.layout.cache(), limits);
        let turn = self.compiler.acquire().await.map_err(closed)?;
        let found = examine::examine(&examination, limits).await?;
        drop(turn);
        let _changing = self.changes.lock().await;
        if let Some(same) = self.stored(&push.name, &push.version, &upload.digest)? {
            return Ok((same, false)); // Somebody else was quicker.
        }
        let stored = Arc::new(version(push.name, &push.version, push.by, &upload, found));
        self.store(&upload.path, &stored)?;
        self.versions().entry(stored.name.clone()).or_default().insert(push.version, Arc::clone(&stored));
        Ok((stored, true))
    }

    /// The version where it is stored with this digest.
    fn stored(&self, name: &str, version: &Version, digest: &str) -> Result<Option<Arc<PluginVersion>>, Problem> {
        let found = find(&self.versions(), name, version).ok();
        match found {
            Some(found) if found.digest != digest => Err(Problem::new(
                Code::VersionExists,
                format!(
                    "{name}@{version} is stored with sha256 {}, found {digest}: a stored version never changes; push this one \
                     under another version",
                    found.digest
                ),
            )),
            found => Ok(found),
        }
    }

    /// Component first, version last: what is named is there.
    fn store(&self, file: &Path, stored: &PluginVersion) -> Result<(), Problem> {
        let write = || -> io::Result<()> {
            failpoint("catalog.before-component");
            disk::publish(file, &self.layout.component(&stored.digest))?;
            failpoint("catalog.after-component");
            let dir = self.layout.versions().join(&stored.name);
            std::fs::create_dir_all(&dir)?;
            disk::sync(&self.layout.versions())?;
            let json = serde_json::to_vec_pretty(stored)?;
            disk::write_atomically(&dir.join(format!("{}.json", stored.version)), &json)?;
            failpoint("catalog.after-version");
            Ok(())
        };
        write().map_err(|error| Problem::internal("cannot store the plugin", error))
    }

    /// Removes a version, and its component where nobody else has it.
    ///
    /// # Errors
    /// It is not stored, `users` use it, or the disk refuses.
    pub(super) async fn delete(
        &self,
        name: &str,
        version: &Version,
        users: impl FnOnce(&PluginVersion) -> Vec<String>,
    ) -> Result<(), Problem> {
        let _changing = self.changes.lock().await;
        let stored = self.get(name, version)?;
        let users = users(&stored);
        if !users.is_empty() {
            let detail = format!(
                "{name}@{version} is used by {}; deploy them with another version, or delete them, and try again",
                users.join(", ")
            );
            return Err(Problem::new(Code::PluginInUse, detail).with_users(users));
        }
        let file = self.layout.versions().join(name).join(format!("{version}.json"));
        let failed = |error| Problem::internal("cannot remove the version", error);
        disk::remove(&file).map_err(failed)?;
        let shared = {
            let mut versions = self.versions();
            if let Some(of_name) = versions.get_mut(name) {
                of_name.remove(version);
            }
            versions.retain(|_, it| !it.is_empty());
            versions.values().flat_map(BTreeMap::values).any(|it| it.digest == stored.digest)
        };
        if !shared {
            disk::remove(&self.layout.component(&stored.digest)).map_err(failed)?;
        }
        Ok(())
    }
}

fn version(
    name: String,
    version: &Version,
    by: String,
    upload: &upload::Upload,
    found: examine::Findings,
) -> PluginVersion {
    let mut notes = found.notes;
    let own = &found.describes_itself;
    if own.name != name || own.version != version.to_string() {
        notes.push(format!("it calls itself {} {}, and is stored as {name}@{version}", own.name, own.version));
    }
    PluginVersion {
        name,
        version: version.to_string(),
        digest: upload.digest.clone(),
        bytes: upload.bytes,
        kind: found.kind,
        describes_itself: found.describes_itself,
        reads: found.reads,
        ports: found.ports,
        state_version: found.state_version,
        migrates: found.migrates,
        config_schema: found.config_schema,
        imports: found.imports,
        compile_ms: found.compile_ms,
        pushed_at: clock::now(),
        pushed_by: by,
        notes,
        used_by: Vec::new(),
    }
}

fn read(file: &Path) -> io::Result<(PluginVersion, Version)> {
    let wrong = |why: String| disk::named(file, io::Error::new(io::ErrorKind::InvalidData, why));
    let bytes = std::fs::read(file).map_err(|error| disk::named(file, error))?;
    let stored: PluginVersion = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let version = stored.version.parse().map_err(|error| wrong(format!("version: {error}")))?;
    Ok((stored, version))
}

fn find(versions: &Versions, name: &str, version: &Version) -> Result<Arc<PluginVersion>, String> {
    let of_name = versions.get(name).ok_or_else(|| unknown_name(name, versions))?;
    of_name.get(version).cloned().ok_or_else(|| {
        let known: Vec<_> = of_name.keys().rev().map(ToString::to_string).collect();
        format!(
            "found {name}@{version}, but the catalog has only {} of it; push it, or use one of these",
            known.join(", ")
        )
    })
}

fn latest(versions: &Versions, name: &str) -> Option<Arc<PluginVersion>> {
    let of_name = versions.get(name)?;
    let released = of_name.iter().rev().find(|it| it.0.pre.is_empty());
    released.or_else(|| of_name.iter().next_back()).map(|it| Arc::clone(it.1))
}

fn unknown_name(name: &str, versions: &Versions) -> String {
    let known: Vec<_> = versions.keys().map(|it| format!("`{it}`")).collect();
    let known = if known.is_empty() { "is empty".to_owned() } else { format!("has {}", known.join(", ")) };
    format!("found the plugin `{name}`, but the catalog {known}; push it with `wasmill plugin push`")
}
