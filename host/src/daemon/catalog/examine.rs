//! Looks at a component, which may be anything: in a child process of the same binary with a limit on its CPU time, its
//! memory and its wall time, so that a component that explodes in the compiler takes nothing else with it.
//!
//! The child compiles into the cache that pipelines load from, lets the plugin describe itself, opens it once, and prints
//! what it found. Here are both ends.

use crate::config::PluginLimits;
use crate::daemon::api::{Description, PluginField, PluginPort};
use crate::daemon::problem::{Code, Problem};
use crate::daemon::settings::Limits;
use crate::plugin::{Inspection, Instance, LoadError, Plugin, PluginEngine, PluginError};
use crate::schema::{Field, Slot, Spec};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// The hidden command that starts the child.
pub const COMMAND: &str = "examine-component";

/// What the child may print, in bytes: a component may describe itself at length.
const REPORT_BYTES_MAX: u64 = 4 << 20;
/// Address space that the guest's memories are reserved in when the plugin is opened. Reserved is not used.
const OPEN_BYTES: u64 = 256 << 30;

/// What was found in a component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Findings {
    pub(super) kind: String,
    pub(super) describes_itself: Description,
    pub(super) config_schema: Option<serde_json::Value>,
    pub(super) reads: Vec<PluginField>,
    pub(super) ports: Vec<PluginPort>,
    pub(super) state_version: Option<u32>,
    pub(super) migrates: Option<bool>,
    pub(super) imports: Vec<String>,
    pub(super) compile_ms: u64,
    pub(super) notes: Vec<String>,
}

/// What the child prints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Report {
    Accepted(Box<Findings>),
    Refused { code: String, detail: String },
}

/// What the child is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The file.
    pub file: PathBuf,
    /// What messages call it.
    pub label: String,
    /// Where compiled code goes.
    pub cache_dir: PathBuf,
    /// CPU time, s.
    pub cpu_s: u64,
    /// Address space for compiling, in bytes.
    pub bytes_max: u64,
}

impl Examination {
    fn arguments(&self) -> Vec<OsString> {
        let options: [(&str, OsString); 4] = [
            ("--label", self.label.clone().into()),
            ("--cache-dir", self.cache_dir.clone().into()),
            ("--cpu-s", self.cpu_s.to_string().into()),
            ("--bytes-max", self.bytes_max.to_string().into()),
        ];
        let options = options.into_iter().flat_map(|(name, value)| [name.into(), value]);
        [COMMAND.into(), self.file.clone().into()].into_iter().chain(options).collect()
    }
}

/// Has a component looked at by a child process.
///
/// # Errors
/// What is wrong with the component, or that it took more than it may.
pub(super) async fn examine(examination: &Examination, limits: &Limits) -> Result<Findings, Problem> {
    let failed = |error: std::io::Error| Problem::internal("cannot start the process that compiles", error);
    // The file of the running program, also where it was replaced since.
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command.args(examination.arguments()).env_clear().env("RAYON_NUM_THREADS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = async {
        let (mut report, mut said) = (Vec::new(), Vec::new());
        let take = |it: Option<_>| it.ok_or_else(|| std::io::Error::other("a pipe is missing"));
        let out = take(out.map(|it| it.take(REPORT_BYTES_MAX)))?.read_to_end(&mut report).await;
        let err = err.ok_or_else(|| std::io::Error::other("a pipe is missing"))?;
        let err = err.take(REPORT_BYTES_MAX).read_to_end(&mut said).await;
        out.and(err)?;
        Ok::<_, std::io::Error>((report, said, child.wait().await?))
    };
    let Ok(ended) = tokio::time::timeout(limits.compile_time_max, read).await else {
        return Err(over_limit(&format!("more than {} s of time", limits.compile_time_max.as_secs_f64())));
    };
    let (report, said, status) = ended.map_err(failed)?;
    match serde_json::from_slice(&report) {
        Ok(Report::Accepted(findings)) if status.success() => Ok(*findings),
        Ok(Report::Refused { code, detail }) => Err(Problem::new(Code::of(&code).unwrap_or(Code::InvalidWasm), detail)),
        _ => Err(died(status, &String::from_utf8_lossy(&said), examination)),
    }
}

fn over_limit(what: &str) -> Problem {
    let advice = "it is too large or made to take long; make it smaller, or raise limits.compile_* of the daemon";
    Problem::new(Code::CompileLimit, format!("compiling and opening the component took {what}; {advice}"))
}

/// A child that reported nothing.
fn died(status: ExitStatus, said: &str, examination: &Examination) -> Problem {
    // A panic's message follows its place.
    let panicked = said.lines().skip_while(|it| !it.contains("panicked at")).nth(1);
    let last = panicked.or_else(|| said.lines().next_back()).unwrap_or_default();
    let refused_memory = said.contains("memory") || said.contains("Resource temporarily unavailable");
    match status.signal() {
        _ if refused_memory => over_limit(&format!("more than {} bytes of memory", examination.bytes_max)),
        Some(libc::SIGXCPU | libc::SIGKILL) => over_limit(&format!("more than {} s of CPU time", examination.cpu_s)),
        _ => Problem::new(
            Code::InvalidWasm,
            format!(
                "the process that compiled the component died ({status}: {last}); build it again with current tools"
            ),
        ),
    }
}

/// The child's side: looks at the component within its limits and answers the report as a line of JSON.
pub fn examine_here(examination: &Examination) -> String {
    let engine = PluginEngine::new(Some(&examination.cache_dir)).map_err(|it| it.to_string());
    let limited = engine.and_then(|engine| limit(examination).map(|()| engine));
    let report = match limited.map_err(|it| (Code::CompileLimit, it)).and_then(|engine| look(&engine, examination)) {
        Ok(findings) => Report::Accepted(Box::new(findings)),
        Err((code, detail)) => Report::Refused { code: code.name().to_owned(), detail },
    };
    serde_json::to_string(&report).unwrap_or_default()
}

/// Gives up what compiling may not use, and the rest when the plugin is opened.
fn limit(examination: &Examination) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("cannot limit the {what} of compiling: {error}");
    set_limit(libc::RLIMIT_CORE, 0, 0).map_err(|it| failed("core dump", it))?;
    set_limit(libc::RLIMIT_CPU, examination.cpu_s, examination.cpu_s + 1).map_err(|it| failed("CPU time", it))?;
    // What the process has reserved so far, the allocator's share above all, does not count.
    let reserved = reserved_bytes().map_err(|it| failed("memory", it))?;
    let (soft, hard) = (reserved.saturating_add(examination.bytes_max), reserved.saturating_add(OPEN_BYTES));
    set_limit(libc::RLIMIT_AS, soft, hard.max(soft)).map_err(|it| failed("memory", it))?;
    // Pipelines come first. That the machine does not allow it is no reason to refuse a plugin.
    // SAFETY: no pointers.
    #[expect(unsafe_code, reason = "the standard library cannot lower a process's priority")]
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
    Ok(())
}

/// The address space of this process, in bytes.
fn reserved_bytes() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmSize:"));
    let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|it| it * 1024).ok_or_else(|| std::io::Error::other("/proc/self/status does not tell VmSize"))
}

fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> std::io::Result<()> {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `found` outlives the call, which writes nothing else.
    #[expect(unsafe_code, reason = "the standard library knows no resource limits")]
    if unsafe { libc::getrlimit(resource, &mut found) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // What somebody has limited already stays so.
    let wanted = libc::rlimit { rlim_cur: soft.min(found.rlim_max), rlim_max: hard.min(found.rlim_max) };
    // SAFETY: `wanted` outlives the call, which only reads it.
    #[expect(unsafe_code, reason = "the standard library knows no resource limits")]
    match unsafe { libc::setrlimit(resource, &wanted) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn look(engine: &PluginEngine, examination: &Examination) -> Result<Findings, (Code, String)> {
    let clock = crate::pipeline::Clock::start();
    let Inspection { plugin, imports, .. } = Inspection::named(engine, &examination.file, &examination.label);
    let plugin = plugin.map_err(|mut reasons| refused(reasons.swap_remove(0)))?;
    let compile_ms = clock.now_ms();
    // Opening needs more of it, for memories that are reserved and hardly used; the plugin's own limit holds there.
    set_limit(libc::RLIMIT_AS, u64::MAX, u64::MAX).map_err(|it| (Code::OpenFailed, it.to_string()))?;
    Ok(Findings { imports, ..open(&plugin, compile_ms)? })
}

/// Lets the plugin describe itself, and opens it once with an empty config. A plugin may refuse that: it is what the
/// config of a pipeline is for.
fn open(plugin: &Plugin, compile_ms: u64) -> Result<Findings, (Code, String)> {
    let limits = PluginLimits::default();
    let (info, spec, migrates, mut notes) = match Instance::start(plugin, "{}", &limits) {
        Ok((instance, opened)) => {
            let migrates = instance.migrates(&opened.spec);
            (opened.info, Some(opened.spec), Some(migrates), Vec::new())
        }
        Err(PluginError::Config { reason, .. }) => {
            let info = Instance::describe(plugin, &limits).map_err(failed)?;
            (info, None, None, vec![format!("it wants a config: with an empty one it says: {reason}")])
        }
        Err(error) => return Err(failed(error)),
    };
    let config_schema = match serde_json::from_str(&info.config_schema) {
        Ok(schema) => Some(schema),
        Err(_) if info.config_schema.trim().is_empty() => None,
        Err(error) => {
            notes.push(format!("its config schema is not JSON ({error}) and is left out"));
            None
        }
    };
    let (reads, ports, state_version) = spec.map(written).unwrap_or_default();
    Ok(Findings {
        kind: plugin.kind().name().to_owned(),
        describes_itself: Description { name: info.name, version: info.version, description: info.description },
        config_schema,
        reads,
        ports,
        state_version,
        migrates,
        imports: Vec::new(),
        compile_ms,
        notes,
    })
}

fn written(spec: Spec) -> (Vec<PluginField>, Vec<PluginPort>, Option<u32>) {
    let ports = spec.ports.iter().map(|it| PluginPort { name: it.name.clone(), fields: fields(&it.fields) });
    (fields(&spec.reads), ports.collect(), Some(spec.state_version))
}

fn fields(fields: &[Field]) -> Vec<PluginField> {
    let field =
        |it: &Field| PluginField { slot: slot(&it.slot), kind: it.kind.name().to_owned(), required: it.required };
    fields.iter().map(field).collect()
}

fn slot(slot: &Slot) -> String {
    match slot {
        Slot::Field(name) => name.to_string(),
        Slot::Header(name) => format!("header {name}"),
        Slot::Value => "(value)".to_owned(),
        Slot::Key => "(key)".to_owned(),
        Slot::Time => "(event time)".to_owned(),
        Slot::Topic => "(topic)".to_owned(),
        Slot::Partition => "(partition)".to_owned(),
        Slot::Offset => "(offset)".to_owned(),
        Slot::WindowStart => "(window start)".to_owned(),
        Slot::WindowEnd => "(window end)".to_owned(),
    }
}

fn refused(error: LoadError) -> (Code, String) {
    let code = match &error {
        LoadError::Read { .. } => Code::OpenFailed,
        LoadError::TooLarge { .. } => Code::TooLarge,
        LoadError::Empty { .. } => Code::EmptyUpload,
        LoadError::NotWasm { .. } => Code::NotWasm,
        LoadError::Truncated { .. } => Code::Truncated,
        LoadError::Precompiled { .. } => Code::Precompiled,
        LoadError::NoInterface { .. } => Code::NoInterface,
        LoadError::Invalid { detail, .. } if detail.contains("annot allocate memory") => Code::CompileLimit,
        LoadError::Invalid { .. } => Code::InvalidWasm,
        LoadError::AnotherWorld { .. } => Code::WrongWorld,
        LoadError::Version { .. } => Code::UnsupportedVersion,
        LoadError::NoLifecycle { .. } | LoadError::Kinds { .. } => Code::MissingExport,
        LoadError::Imports { .. } => Code::ForbiddenImport,
        LoadError::TypeMismatch { .. } => Code::TypeMismatch,
    };
    (code, error.to_string())
}

fn failed(error: PluginError) -> (Code, String) {
    match error {
        PluginError::Load(error) => refused(error),
        error => (Code::OpenFailed, error.to_string()),
    }
}

/// Seconds, rounded up: what the operating system counts in.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What a child is told about the file at `path`.
pub(super) fn of(path: &Path, label: String, cache_dir: PathBuf, limits: &Limits) -> Examination {
    Examination {
        file: path.to_owned(),
        label,
        cache_dir,
        cpu_s: whole_seconds(limits.compile_cpu_max),
        bytes_max: limits.compile_bytes_max,
    }
}
