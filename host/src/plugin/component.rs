//! From a file to a component that was found to fit the boundary, or to a refusal that says why it does not.

use super::bindings::{aggregate, keyed, lifecycle, logging, metrics, migration, transform};
use super::componentize::componentize;
use super::engine::PluginEngine;
use super::error::LoadError;
use super::guest_host::GuestHost;
use super::wasm::{self, Form};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

/// The boundary's package and the version that this host speaks; any other patch of it is taken as well.
const PACKAGE: &str = "wasmill:plugin";
const VERSION: &str = "0.1.0";
const VERSION_PREFIX: &str = "0.1.";

/// Interfaces that a plugin may import: two with functions, two with nothing but types.
const IMPORTS: [&str; 4] = ["logging", "metrics", "columns", "output"];

/// Size of a file, in bytes; the largest known (JavaScript, Python) have 20 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What a plugin does, found by what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// Maps, filters, splits or routes records, with no state.
    Transform,
    /// Processes records key by key, over state.
    Keyed,
    /// Folds records into the accumulators of windows.
    Aggregate,
}

impl PluginKind {
    /// The name of the interface.
    pub fn name(self) -> &'static str {
        match self {
            PluginKind::Transform => "transform",
            PluginKind::Keyed => "keyed",
            PluginKind::Aggregate => "aggregate",
        }
    }

    /// Where a plugin of this kind goes in a pipeline file.
    pub(super) fn hint(self) -> &'static str {
        match self {
            PluginKind::Transform => "a step without `key` and `window` runs a transform plugin",
            PluginKind::Keyed => "a step with `key` and without `window` runs a keyed plugin",
            PluginKind::Aggregate => "a step with `window` runs an aggregate plugin",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A compiled component that exports what a plugin must and imports nothing that it may not. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    label: String,
    digest: String,
    kind: PluginKind,
    engine: PluginEngine,
    pre: InstancePre<GuestHost>,
    exports: Exports,
}

/// Where the exports are in a component.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) kind: KindExports,
    pub(super) migration: Option<migration::GuestIndices>,
}

/// Where the functions of a kind are in a component.
#[derive(Clone)]
pub(super) enum KindExports {
    Transform(transform::GuestIndices),
    Keyed(keyed::GuestIndices),
    Aggregate(aggregate::GuestIndices),
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({}, {}, {})", self.label(), self.kind(), self.digest())
    }
}

impl Plugin {
    /// Reads, checks and compiles the file at `path`; a core module that carries its WIT is made a component.
    ///
    /// # Errors
    /// One for each way in which a file can fail to be a plugin; see [`LoadError`].
    pub fn load(engine: &PluginEngine, path: &Path) -> Result<Plugin, LoadError> {
        Self::from_bytes(engine, &path.display().to_string(), &read(path)?)
    }

    /// As [`Plugin::load`], from memory. Messages call it `label`.
    ///
    /// # Errors
    /// See [`Plugin::load`].
    pub fn from_bytes(engine: &PluginEngine, label: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let component = compile(engine, label, bytes)?;
        let found = Names::of(&component, engine);
        let kind = found.check(label)?;
        Self::link(engine, label, bytes, &component, kind, &found)
    }

    /// Resolves the imports of a component that `found` says is a plugin of `kind`, made of `bytes`.
    pub(super) fn link(
        engine: &PluginEngine,
        label: &str,
        bytes: &[u8],
        component: &Component,
        kind: PluginKind,
        found: &Names,
    ) -> Result<Plugin, LoadError> {
        let (pre, exports) = link(label, engine, component, kind, found.has_export("migration"))?;
        let (label, digest) = (label.to_owned(), digest(bytes));
        Ok(Plugin(Arc::new(Inner { label, digest, kind, engine: engine.clone(), pre, exports })))
    }

    /// What messages call it: the path that it was loaded from.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// The sha256 of the file, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What it does.
    pub fn kind(&self) -> PluginKind {
        self.0.kind
    }

    /// True when it can bring stored state of an older version to its own.
    pub fn has_migration(&self) -> bool {
        self.0.exports.migration.is_some()
    }

    pub(super) fn engine(&self) -> &PluginEngine {
        &self.0.engine
    }

    pub(super) fn pre(&self) -> &InstancePre<GuestHost> {
        &self.0.pre
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.0.exports
    }
}

/// The bytes of a file that is not too large to be a plugin.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let plugin = path.display().to_string();
    let read = || -> std::io::Result<(u64, Vec<u8>)> {
        let file = std::fs::File::open(path)?;
        let bytes_max = file.metadata()?.len();
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes_max.max(bytes.len() as u64), bytes))
    };
    match read() {
        Err(source) => Err(LoadError::Read { plugin, source }),
        Ok((bytes, _)) if bytes > FILE_BYTES_MAX => {
            Err(LoadError::TooLarge { plugin, bytes, bytes_max: FILE_BYTES_MAX })
        }
        Ok((_, content)) => Ok(content),
    }
}

/// The sha256 of `bytes`, in lower-case hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

/// Compiles `bytes`, which are a component or a core module that one can be made of.
pub(super) fn compile(engine: &PluginEngine, label: &str, bytes: &[u8]) -> Result<Component, LoadError> {
    let encoded;
    let bytes = match wasm::form(label, bytes)? {
        Form::Component => bytes,
        Form::Module => {
            encoded = componentize(label, bytes, None)?;
            &encoded
        }
    };
    Component::new(engine.wasmtime(), bytes).map_err(|error| invalid(label, &error))
}

fn invalid(label: &str, error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid { plugin: label.to_owned(), detail: format!("{error:#}") }
}

/// The names that a component exports and imports.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<String>,
}

impl Names {
    pub(super) fn of(component: &Component, engine: &PluginEngine) -> Names {
        let ty = component.component_type();
        let exports = ty.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        let imports = ty.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        Names { exports, imports }
    }

    /// Whether the interface `name` of this host's version is exported.
    fn has_export(&self, name: &str) -> bool {
        self.exports.iter().any(|it| ours(it) == Some((name, true)))
    }

    /// What the component is, or the first reason why it is no plugin.
    fn check(&self, label: &str) -> Result<PluginKind, LoadError> {
        self.check_all(label).map_err(|mut reasons| reasons.swap_remove(0))
    }

    /// What the component is, or all the reasons why it is no plugin: at least one.
    pub(super) fn check_all(&self, label: &str) -> Result<PluginKind, Vec<LoadError>> {
        let versions = self.check_versions(label);
        let found = if versions.is_empty() { self.check_exports(label) } else { Err(versions) };
        match (found, self.check_imports(label.to_owned())) {
            (found, Ok(())) => found,
            (Ok(_), Err(imports)) => Err(vec![imports]),
            // Its imports are in that message already.
            (Err(reasons), Err(_)) if matches!(reasons[..], [LoadError::AnotherWorld { .. }]) => Err(reasons),
            (Err(mut reasons), Err(imports)) => {
                reasons.push(imports);
                Err(reasons)
            }
        }
    }

    /// Interfaces of the boundary's package in another version than this host's.
    fn check_versions(&self, label: &str) -> Vec<LoadError> {
        if !self.exports.iter().any(|it| ours(it).is_some()) {
            return Vec::new(); // Not a plugin at all.
        }
        let other = self.exports.iter().chain(&self.imports).filter(|it| matches!(ours(it), Some((_, false))));
        other.map(|it| LoadError::Version { plugin: label.to_owned(), found: it.clone(), expected: VERSION }).collect()
    }

    /// What the exports make of the component, versions apart.
    fn check_exports(&self, label: &str) -> Result<PluginKind, Vec<LoadError>> {
        let plugin = label.to_owned();
        let exports = list(&self.exports);
        if !self.exports.iter().any(|it| ours(it).is_some()) {
            let missing = "a plugin exports wasmill:plugin/lifecycle and one of wasmill:plugin/transform, keyed and \
                           aggregate; build it for one of the worlds of wasmill.wit";
            let imports = list(&self.imports);
            return Err(vec![LoadError::AnotherWorld { plugin, exports, imports, missing }]);
        }
        let mut reasons = Vec::new();
        if !self.has_export("lifecycle") {
            reasons.push(LoadError::NoLifecycle { plugin: plugin.clone(), exports: exports.clone() });
        }
        let kinds = [PluginKind::Transform, PluginKind::Keyed, PluginKind::Aggregate];
        let kinds: Vec<_> = kinds.into_iter().filter(|it| self.has_export(it.name())).collect();
        let [kind] = kinds[..] else {
            let found: Vec<_> = kinds.iter().map(|it| it.name()).collect();
            let (found, hint) = match &found[..] {
                [] => ("none".to_owned(), "export the interface of what it does"),
                some => (some.join(" and "), "split it into one plugin for each"),
            };
            reasons.push(LoadError::Kinds { plugin, found, exports, hint });
            return Err(reasons);
        };
        if reasons.is_empty() { Ok(kind) } else { Err(reasons) }
    }

    fn check_imports(&self, plugin: String) -> Result<(), LoadError> {
        let allowed = |name: &str| match ours(name) {
            Some((interface, true)) => IMPORTS.contains(&interface),
            // Of another version: said for itself.
            Some((_, false)) => true,
            None => false,
        };
        let extra: Vec<String> = self.imports.iter().filter(|it| !allowed(it)).cloned().collect();
        if extra.is_empty() {
            return Ok(());
        }
        let mut capabilities: Vec<_> = extra.iter().filter_map(|it| capability(it)).collect();
        capabilities.sort_unstable();
        capabilities.dedup();
        let hint = if capabilities.is_empty() {
            "remove what needs it"
        } else {
            "remove what needs it, or build without WASI (in Rust with `--target wasm32-unknown-unknown`)"
        };
        let capabilities = match &capabilities[..] {
            [] => String::new(),
            some => format!(" (no {})", some.join(", no ")),
        };
        Err(LoadError::Imports { plugin, imports: list(&extra), capabilities, hint })
    }
}

/// The interface's name where `name` is one of the boundary's package, and whether its version is this host's.
fn ours(name: &str) -> Option<(&str, bool)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((interface, version.starts_with(VERSION_PREFIX)))
}

/// What a WASI interface would give a plugin, in a word.
fn capability(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix("wasi:")?;
    let package = rest.split(['/', '@']).next().unwrap_or(rest);
    Some(match package {
        "filesystem" => "files",
        "clocks" => "clock",
        "random" => "random numbers",
        "sockets" | "http" => "network",
        "cli" => "environment or standard streams",
        "io" => "streams",
        _ => "WASI",
    })
}

fn list(names: &[String]) -> String {
    const SHOWN_MAX: usize = 12;
    match names {
        [] => "nothing".to_owned(),
        _ if names.len() <= SHOWN_MAX => names.join(", "),
        _ => format!("{} and {} more", names[..SHOWN_MAX].join(", "), names.len() - SHOWN_MAX),
    }
}

/// Resolves imports, and finds the functions of the exports.
fn link(
    label: &str,
    engine: &PluginEngine,
    component: &Component,
    kind: PluginKind,
    migrates: bool,
) -> Result<(InstancePre<GuestHost>, Exports), LoadError> {
    let mismatch = |interface: &'static str| {
        let plugin = label.to_owned();
        move |error: wasmtime::Error| LoadError::TypeMismatch { plugin, interface, detail: format!("{error:#}") }
    };
    let mut linker = Linker::<GuestHost>::new(engine.wasmtime());
    logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).map_err(mismatch("logging"))?;
    metrics::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).map_err(mismatch("metrics"))?;
    let pre = linker.instantiate_pre(component).map_err(mismatch("logging or metrics"))?;
    let kind = match kind {
        PluginKind::Transform => transform::GuestIndices::new(&pre).map(KindExports::Transform),
        PluginKind::Keyed => keyed::GuestIndices::new(&pre).map(KindExports::Keyed),
        PluginKind::Aggregate => aggregate::GuestIndices::new(&pre).map(KindExports::Aggregate),
    }
    .map_err(mismatch(kind.name()))?;
    let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(mismatch("lifecycle"))?;
    let migration =
        if migrates { Some(migration::GuestIndices::new(&pre).map_err(mismatch("migration"))?) } else { None };
    Ok((pre, Exports { lifecycle, kind, migration }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing;
    use expect_test::{Expect, expect};

    fn names(exports: &[&str], imports: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        Names { exports: owned(exports), imports: owned(imports) }
    }

    fn check(exports: &[&str], imports: &[&str], expected: Expect) {
        expected.assert_eq(&match names(exports, imports).check("p.wasm") {
            Ok(kind) => kind.to_string(),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn all_reasons_are_found_and_each_is_said_once() {
        let all = |exports: &[&str], imports: &[&str]| names(exports, imports).check_all("p").unwrap_err();
        let wrong = all(&[TRANSFORM, KEYED], &["wasi:io/streams@0.2.6"]);
        let [LoadError::NoLifecycle { .. }, LoadError::Kinds { .. }, LoadError::Imports { .. }] = &wrong[..] else {
            panic!("{wrong:?}")
        };
        let wrong = all(&["wasmill:plugin/keyed@1.0.0"], &["wasmill:plugin/logging@1.0.0", "wasi:io/streams@0.2.6"]);
        let [LoadError::Version { .. }, LoadError::Version { .. }, LoadError::Imports { imports, .. }] = &wrong[..]
        else {
            panic!("{wrong:?}")
        };
        assert_eq!(imports, "wasi:io/streams@0.2.6");
        assert!(matches!(all(&["a"], &["wasi:io/streams@0.2.6"])[..], [LoadError::AnotherWorld { .. }]));
    }

    const LIFECYCLE: &str = "wasmill:plugin/lifecycle@0.1.0";
    const TRANSFORM: &str = "wasmill:plugin/transform@0.1.0";
    const KEYED: &str = "wasmill:plugin/keyed@0.1.0";

    #[test]
    fn exports_of_its_own_and_type_only_imports_do_not_matter() {
        let imports = ["wasmill:plugin/columns@0.1.0", "wasmill:plugin/output@0.1.0", "wasmill:plugin/logging@0.1.0"];
        check(&[LIFECYCLE, TRANSFORM, "exports"], &imports, expect!["transform"]);
        check(&[LIFECYCLE, "wasmill:plugin/keyed@0.1.7"], &[], expect!["keyed"]);
    }

    #[test]
    fn a_component_that_does_not_fit_is_told_what_is_missing() {
        check(
            &["wasi:cli/run@0.2.6"],
            &["wasi:io/streams@0.2.6"],
            expect![
                "plugin p.wasm: a component of another world: it exports wasi:cli/run@0.2.6 and imports wasi:io/streams@0.2.6; a plugin exports wasmill:plugin/lifecycle and one of wasmill:plugin/transform, keyed and aggregate; build it for one of the worlds of wasmill.wit"
            ],
        );
        check(
            &[TRANSFORM],
            &[],
            expect![
                "plugin p.wasm: exports wasmill:plugin/transform@0.1.0, but not wasmill:plugin/lifecycle, with which every plugin is described and opened; export it"
            ],
        );
        check(
            &[LIFECYCLE],
            &[],
            expect![
                "plugin p.wasm: exports none of transform, keyed and aggregate (its exports are wasmill:plugin/lifecycle@0.1.0), expected one; export the interface of what it does"
            ],
        );
        check(
            &[LIFECYCLE, TRANSFORM, KEYED],
            &[],
            expect![
                "plugin p.wasm: exports transform and keyed of transform, keyed and aggregate (its exports are wasmill:plugin/lifecycle@0.1.0, wasmill:plugin/transform@0.1.0, wasmill:plugin/keyed@0.1.0), expected one; split it into one plugin for each"
            ],
        );
        check(
            &[LIFECYCLE, "wasmill:plugin/transform@0.2.0"],
            &[],
            expect![
                "plugin p.wasm: made for `wasmill:plugin/transform@0.2.0`, this host speaks wasmill:plugin@0.1.0; build it with that version's WIT or SDK"
            ],
        );
    }

    #[test]
    fn what_a_plugin_does_not_get_is_named_as_a_capability() {
        check(
            &[LIFECYCLE, TRANSFORM],
            &[
                "wasi:filesystem/types@0.2.6",
                "wasi:filesystem/preopens@0.2.6",
                "wasi:clocks/wall-clock@0.2.6",
                "wasi:sockets/tcp@0.2.6",
            ],
            expect![
                "plugin p.wasm: imports wasi:filesystem/types@0.2.6, wasi:filesystem/preopens@0.2.6, wasi:clocks/wall-clock@0.2.6, wasi:sockets/tcp@0.2.6, but a plugin gets logging and metrics and nothing else (no clock, no files, no network); remove what needs it, or build without WASI (in Rust with `--target wasm32-unknown-unknown`)"
            ],
        );
        check(
            &[LIFECYCLE, TRANSFORM],
            &["wasmill:plugin/secrets@0.1.0"],
            expect![
                "plugin p.wasm: imports wasmill:plugin/secrets@0.1.0, but a plugin gets logging and metrics and nothing else; remove what needs it"
            ],
        );
    }

    #[test]
    fn a_core_module_with_its_wit_becomes_a_component() {
        let engine = PluginEngine::new(None).unwrap();
        let plugin = Plugin::load(&engine, &testing::guest("misbehaving")).unwrap();
        assert_eq!((plugin.kind(), plugin.has_migration(), plugin.digest().len()), (PluginKind::Transform, false, 64));
        let keyed = Plugin::load(&engine, &testing::guest("misbehaving-keyed")).unwrap();
        assert_eq!((keyed.kind(), keyed.has_migration()), (PluginKind::Keyed, true));
    }

    #[test]
    fn every_truncation_of_a_plugin_is_refused() {
        let engine = PluginEngine::new(None).unwrap();
        let bytes = std::fs::read(testing::guest("misbehaving")).unwrap();
        for len in [0, 3, 7, 20, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let error = Plugin::from_bytes(&engine, "p.wasm", &bytes[..len]).unwrap_err();
            assert!(matches!(error, LoadError::Empty { .. } | LoadError::Truncated { .. }), "{len} bytes: {error}");
        }
    }

    #[test]
    fn code_that_is_not_valid_and_an_empty_component_are_refused() {
        let engine = PluginEngine::new(None).unwrap();
        let refusal = |bytes: &[u8]| Plugin::from_bytes(&engine, "p.wasm", bytes).unwrap_err();
        assert!(matches!(refusal(b"\0asm\x0d\0\x01\0"), LoadError::AnotherWorld { .. }));
        assert!(matches!(refusal(b"\0asm\x0d\0\x01\0\x01\x02ab"), LoadError::Invalid { .. }));
        assert!(matches!(Plugin::load(&engine, Path::new("/nowhere/p.wasm")), Err(LoadError::Read { .. })));
    }

    #[test]
    fn compiled_code_is_refused_and_the_cache_finds_what_was_compiled_before() {
        let dir = tempfile::tempdir().unwrap();
        let engine = PluginEngine::new(Some(dir.path())).unwrap();
        let bytes = std::fs::read(testing::guest("misbehaving")).unwrap();
        Plugin::from_bytes(&engine, "p.wasm", &bytes).unwrap();
        let native = engine.wasmtime().precompile_component(&componentize("p.wasm", &bytes, None).unwrap()).unwrap();
        assert!(matches!(Plugin::from_bytes(&engine, "p.cwasm", &native), Err(LoadError::Precompiled { .. })));
        drop(engine);
        let again = PluginEngine::new(Some(dir.path())).unwrap();
        Plugin::from_bytes(&again, "p.wasm", &bytes).unwrap();
        assert_eq!(again.cache_hits(), 1);
    }
}
