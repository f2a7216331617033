//! What can go wrong with a plugin, and what a caller must do about it.

use super::component::PluginKind;
use super::spec::SpecErrors;
use std::fmt;

/// Why a file is no plugin. Each says what was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("plugin {plugin}: the file cannot be read: {source}")]
    Read {
        /// The file.
        plugin: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than any plugin.
    #[error("plugin {plugin}: the file has {bytes} bytes, a plugin may have {bytes_max}; strip its debug information")]
    TooLarge {
        /// The file.
        plugin: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The file has no bytes.
    #[error("plugin {plugin}: the file is empty; build the plugin again")]
    Empty {
        /// The file.
        plugin: String,
    },
    /// The file is something else.
    #[error(
        "plugin {plugin}: not WebAssembly: {found}, expected `00 61 73 6d`; give the path of a component (`.wasm`)"
    )]
    NotWasm {
        /// The file.
        plugin: String,
        /// What it looks like.
        found: String,
    },
    /// The file ends in the middle.
    #[error("plugin {plugin}: truncated: {found}; copy or build the file again")]
    Truncated {
        /// The file.
        plugin: String,
        /// Where it ends.
        found: String,
    },
    /// The file is native code.
    #[error(
        "plugin {plugin}: precompiled or native code ({found}), which is never run; give the `.wasm` that it was made \
         from"
    )]
    Precompiled {
        /// The file.
        plugin: String,
        /// What it looks like.
        found: &'static str,
    },
    /// A core module that does not say which interfaces it has.
    #[error(
        "plugin {plugin}: a core module without an interface (no `component-type` section), expected a component; \
         build it with the SDK or with bindings made from wasmill.wit, or embed the WIT with `wasm-tools component embed`"
    )]
    NoInterface {
        /// The file.
        plugin: String,
    },
    /// WebAssembly that is not valid, or that no component can be made of.
    #[error("plugin {plugin}: not valid WebAssembly: {detail}; build it again with current tools")]
    Invalid {
        /// The file.
        plugin: String,
        /// What the compiler says.
        detail: String,
    },
    /// A component that exports nothing of the boundary.
    #[error("plugin {plugin}: a component of another world: it exports {exports} and imports {imports}; {missing}")]
    AnotherWorld {
        /// The file.
        plugin: String,
        /// Its exports.
        exports: String,
        /// Its imports.
        imports: String,
        /// What a plugin exports.
        missing: &'static str,
    },
    /// A component of a version that this host does not speak.
    #[error(
        "plugin {plugin}: made for `{found}`, this host speaks wasmill:plugin@{expected}; build it with that version's \
         WIT or SDK"
    )]
    Version {
        /// The file.
        plugin: String,
        /// The first interface of another version.
        found: String,
        /// The host's version.
        expected: &'static str,
    },
    /// `lifecycle` is not exported.
    #[error(
        "plugin {plugin}: exports {exports}, but not wasmill:plugin/lifecycle, with which every plugin is described \
         and opened; export it"
    )]
    NoLifecycle {
        /// The file.
        plugin: String,
        /// Its exports.
        exports: String,
    },
    /// None or several of `transform`, `keyed` and `aggregate` are exported.
    #[error(
        "plugin {plugin}: exports {found} of transform, keyed and aggregate (its exports are {exports}), expected one; \
         {hint}"
    )]
    Kinds {
        /// The file.
        plugin: String,
        /// Those exported.
        found: String,
        /// Its exports.
        exports: String,
        /// What to do.
        hint: &'static str,
    },
    /// More is imported than a plugin gets.
    #[error(
        "plugin {plugin}: imports {imports}, but a plugin gets logging and metrics and nothing else{capabilities}; \
         {hint}"
    )]
    Imports {
        /// The file.
        plugin: String,
        /// What it should not import.
        imports: String,
        /// What that stands for: files, clock, network.
        capabilities: String,
        /// What to do.
        hint: &'static str,
    },
    /// An interface has the right name and another type.
    #[error(
        "plugin {plugin}: its `{interface}` is of another type than this host's: {detail}; build it with this \
         version's WIT or SDK"
    )]
    TypeMismatch {
        /// The file.
        plugin: String,
        /// The interface.
        interface: &'static str,
        /// The first difference.
        detail: String,
    },
}

/// A failed call: what happened, and what the guest had to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The last error lines that the guest logged during the call (a panic's message, most often); may be empty.
    pub logged: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.logged.is_empty() { Ok(()) } else { write!(f, "; it logged: {}", self.logged.join(" | ")) }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Fault { kind, logged: Vec::new() }
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// It did not return in time.
    #[error("ran longer than {ms_max} ms")]
    Deadline {
        /// What it was given.
        ms_max: u64,
    },
    /// It was refused memory, and failed then.
    #[error("needed more memory than {bytes_max} bytes ({trap})")]
    Memory {
        /// The limit.
        bytes_max: usize,
        /// How it failed.
        trap: String,
    },
    /// It handed over more than it may.
    #[error("handed over more than {bytes_max} bytes in one call")]
    Output {
        /// The limit.
        bytes_max: usize,
    },
    /// It trapped: a panic, an access out of bounds, an exhausted stack.
    #[error("trapped: {0}")]
    Trap(String),
    /// It answered `err`.
    #[error("answered with an error: {0}")]
    Refused(String),
    /// It answered something that cannot be.
    #[error("gave a wrong answer: {0}")]
    Answer(String),
}

impl FaultKind {
    /// The kind's place in [`FAULTS`](crate::metrics::FAULTS).
    pub fn number(&self) -> usize {
        match self {
            FaultKind::Deadline { .. } => 0,
            FaultKind::Memory { .. } => 1,
            FaultKind::Output { .. } => 2,
            FaultKind::Trap(_) => 3,
            FaultKind::Refused(_) => 4,
            FaultKind::Answer(_) => 5,
        }
    }
}

/// What the pipeline must do about an error. Callers branch on this, never on text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The file, its `config` or its place in the pipeline is wrong: refuse the deployment (exit code 78).
    Configuration,
    /// The plugin fails in a way that no dead letter helps: stop the pipeline at its last checkpoint.
    Plugin,
    /// The machine: disk, memory, threads.
    Host,
}

/// An error that no single row is to blame for. Rows that are get a `Rejected` instead.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The file is no plugin.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The plugin is of another kind than its place in the pipeline wants.
    #[error("plugin {plugin}: exports {found}, but {expected} is wanted here; {hint}", hint = expected.hint())]
    WrongKind {
        /// The plugin.
        plugin: String,
        /// What it is.
        found: PluginKind,
        /// What the step needs.
        expected: PluginKind,
    },
    /// `open` answered an error.
    #[error("plugin {plugin}: refuses its config: {reason}")]
    Config {
        /// The plugin.
        plugin: String,
        /// The plugin's words.
        reason: String,
    },
    /// What `open` answered cannot be.
    #[error("plugin {plugin}: {source}")]
    Spec {
        /// The plugin.
        plugin: String,
        /// What is wrong with it.
        source: SpecErrors,
    },
    /// The first instance does not start.
    #[error("plugin {plugin}: does not start: it {fault}")]
    Start {
        /// The plugin.
        plugin: String,
        /// Why.
        fault: Fault,
    },
    /// Stored state is of another version, and the plugin cannot bring it to its own.
    #[error(
        "plugin {plugin}: cannot read state of version {from}, its own is {to}: it does not export \
         wasmill:plugin/migration; export it, or start with an empty data directory"
    )]
    NoMigration {
        /// The plugin.
        plugin: String,
        /// The stored version.
        from: u32,
        /// The plugin's.
        to: u32,
    },
    /// An instance started before, and none starts now.
    #[error("plugin {plugin}: does not start again after a failure: {cause}")]
    Restart {
        /// The plugin.
        plugin: String,
        /// Why.
        cause: Box<PluginError>,
    },
    /// `open` answered something else than the first time.
    #[error(
        "plugin {plugin}: opened differently the second time with the same config; open may depend on its config only"
    )]
    Changed {
        /// The plugin.
        plugin: String,
    },
    /// Row after row failed.
    #[error("plugin {plugin}: failed on every one of the last {rows} rows: it {fault}")]
    EveryRow {
        /// The plugin.
        plugin: String,
        /// How many.
        rows: u32,
        /// The last failure.
        fault: Fault,
    },
    /// A call failed that no row can be blamed for.
    #[error("plugin {plugin}: `{call}` failed: it {fault}")]
    Call {
        /// The plugin.
        plugin: String,
        /// The function.
        call: &'static str,
        /// Why.
        fault: Fault,
    },
    /// The engine does not start.
    #[error("{0}")]
    Engine(String),
}

impl PluginError {
    /// What to do about it.
    pub fn blame(&self) -> Blame {
        match self {
            PluginError::Load(_) => Blame::Configuration,
            PluginError::WrongKind { .. } | PluginError::Config { .. } | PluginError::Spec { .. } => {
                Blame::Configuration
            }
            PluginError::Start { .. } | PluginError::NoMigration { .. } => Blame::Configuration,
            PluginError::Restart { .. } | PluginError::Changed { .. } => Blame::Plugin,
            PluginError::EveryRow { .. } | PluginError::Call { .. } => Blame::Plugin,
            PluginError::Engine(_) => Blame::Host,
        }
    }
}
