//! One running copy of a plugin: a store with its limits, and the one way into the guest.

use super::answer;
use super::bindings::columns::StringsParam;
use super::bindings::{aggregate, keyed, lifecycle, migration, transform};
use super::component::{KindExports, Plugin};
use super::engine::TICK_MS;
use super::error::{Fault, FaultKind, LoadError, PluginError};
use super::guest_host::{Counters, GuestHost, escape};
use super::produced::REASON_BYTES_MAX;
use super::spec;
use crate::config::PluginLimits;
use crate::schema::Spec;
use std::time::{Duration, Instant};
use wasmtime::component::Instance as WasmInstance;
use wasmtime::{Store, Trap};

/// Time to start in at least, ms, and bytes that a description may have at least, whatever the limits of a call.
const START_MS_MIN: u64 = 10_000;
const START_BYTES_MIN: usize = 1 << 20;

/// Length of a name, a version and a description, in bytes; more is cut off.
const INFO_BYTES_MAX: usize = 1_024;

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// What it does, in a sentence.
    pub description: String,
    /// JSON Schema of its `config`, or an empty string.
    pub config_schema: String,
}

/// What a started plugin answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Who it is.
    pub info: Info,
    /// What it reads and writes; checked.
    pub spec: Spec,
}

/// One long-lived instance of one worker. After a failed call it must not be called again.
pub struct Instance {
    label: String,
    limits: PluginLimits,
    store: Store<GuestHost>,
    guest: KindGuest,
    migration: Option<migration::Guest>,
    started: Started,
}

/// How long an instance took to start, wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// To make it of the compiled component.
    pub instantiate: Duration,
    /// To let it describe itself and open.
    pub open: Duration,
}

/// The functions of a kind in an instance.
pub(super) enum KindGuest {
    Transform(transform::Guest),
    Keyed(keyed::Guest),
    Aggregate(aggregate::Guest),
}

impl Instance {
    /// Instantiates `plugin`, and lets it describe itself and open with `config` (a JSON object). Both must be done in
    /// the time of one call, or in ten seconds where that is longer.
    ///
    /// # Errors
    /// The plugin refuses its config, declares what cannot be, is of another type than the boundary's, or fails.
    pub fn start(plugin: &Plugin, config: &str, limits: &PluginLimits) -> Result<(Instance, Opened), PluginError> {
        Self::start_counting(plugin, config, limits, Counters::default())
    }

    /// As [`Instance::start`], going on from what an earlier instance counted.
    pub(super) fn start_counting(
        plugin: &Plugin,
        config: &str,
        limits: &PluginLimits,
        counters: Counters,
    ) -> Result<(Instance, Opened), PluginError> {
        let label = plugin.label().to_owned();
        let mut store = Store::new(plugin.engine().wasmtime(), GuestHost::new(&label, limits, counters));
        store.limiter(|it| it);
        let ms_max = limits.call_ms_max.max(START_MS_MIN);
        store.set_epoch_deadline(ticks(ms_max));
        store.set_hostcall_fuel(limits.output_bytes_max.max(START_BYTES_MIN));
        let start = |fault| PluginError::Start { plugin: label.clone(), fault };
        let began = now();
        let instance =
            plugin.pre().instantiate(&mut store).map_err(|error| start(fault(&mut store, limits, ms_max, &error)))?;
        let (lifecycle, guest, migration) = find(plugin, &mut store, &instance)?;
        let instantiate = began.elapsed();
        let info =
            lifecycle.call_describe(&mut store).map_err(|error| start(fault(&mut store, limits, ms_max, &error)))?;
        let opened = lifecycle.call_open(&mut store, config);
        let opened = opened.map_err(|error| start(fault(&mut store, limits, ms_max, &error)))?;
        let raw = opened.map_err(|reason| PluginError::Config {
            plugin: label.clone(),
            reason: escape(&reason, REASON_BYTES_MAX),
        })?;
        let spec =
            spec::check(plugin.kind(), raw).map_err(|source| PluginError::Spec { plugin: label.clone(), source })?;
        store.data_mut().end_call(true);
        let started = Started { instantiate, open: began.elapsed().saturating_sub(instantiate) };
        store.set_hostcall_fuel(limits.output_bytes_max);
        let lifecycle::Info { name, version, description, config_schema } = info;
        let line = |text: String| escape(&text, INFO_BYTES_MAX);
        let info = Info { name: line(name), version: line(version), description: line(description), config_schema };
        Ok((Instance { label, limits: limits.clone(), store, guest, migration, started }, Opened { info, spec }))
    }

    /// How long it took to start.
    pub fn started(&self) -> Started {
        self.started
    }

    /// Linear memory in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.store.data().counters
    }

    /// Takes what was counted, for the instance that replaces this one.
    pub(super) fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.store.data_mut().counters)
    }

    /// Calls a function of the kind: `invoke` makes the call, `check` the answer of it. The call counts only when both
    /// are good.
    pub(super) fn call<A, T>(
        &mut self,
        ms_max: u64,
        invoke: impl FnOnce(&mut Store<GuestHost>, &KindGuest) -> wasmtime::Result<Result<A, String>>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let started = self.begin(ms_max);
        let answer = invoke(&mut self.store, &self.guest);
        let answer = self.end(ms_max, answer, check);
        self.store.data_mut().counters.called(started.elapsed(), &answer);
        answer
    }

    /// Calls `migrate`, where it is exported.
    pub(super) fn call_migration<A, T>(
        &mut self,
        invoke: impl FnOnce(&mut Store<GuestHost>, &migration::Guest) -> wasmtime::Result<Result<A, String>>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Option<Result<T, Fault>> {
        let guest = self.migration.clone()?;
        let ms_max = self.limits.call_ms_max;
        let started = self.begin(ms_max);
        let answer = invoke(&mut self.store, &guest);
        let answer = self.end(ms_max, answer, check);
        self.store.data_mut().counters.called(started.elapsed(), &answer);
        Some(answer)
    }

    /// Whether the plugin, opened with `spec`, brings state of the version before its own along. An SDK may export `migration` whether or not
    /// the author wrote one, so the plugin is asked; the instance must not be called again.
    pub fn migrates(mut self, spec: &Spec) -> bool {
        spec.state_version.checked_sub(1).is_some_and(|before| self.can_migrate(before).is_ok())
    }

    /// Whether the plugin can bring state of `from_version` to its own: it is asked, without a state.
    ///
    /// # Errors
    /// Why it cannot, as what the plugin does: `exports no migration`. Then the instance must not be called again.
    pub(crate) fn can_migrate(&mut self, from_version: u32) -> Result<(), String> {
        let none = StringsParam { offsets: &[0], data: &[] };
        let asked = self.call_migration(
            |store, guest| guest.call_migrate(store, from_version, none),
            |raw| answer::accumulators(raw, 0),
        );
        match asked {
            None => Err("exports no migration".to_owned()),
            Some(Ok(_)) => Ok(()),
            Some(Err(Fault { kind: FaultKind::Refused(reason), .. })) => Err(format!("says: {reason}")),
            Some(Err(fault)) => Err(format!("was asked for a migration and {fault}")),
        }
    }

    /// Answers when the call began.
    fn begin(&mut self, ms_max: u64) -> Instant {
        self.store.set_epoch_deadline(ticks(ms_max));
        self.store.data_mut().begin_call();
        now()
    }

    fn end<A, T>(
        &mut self,
        ms_max: u64,
        answer: wasmtime::Result<Result<A, String>>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let kind = match answer {
            Ok(Ok(answer)) => match check(answer) {
                Ok(checked) => {
                    self.store.data_mut().end_call(true);
                    return Ok(checked);
                }
                Err(wrong) => FaultKind::Answer(wrong),
            },
            Ok(Err(reason)) => FaultKind::Refused(escape(&reason, REASON_BYTES_MAX)),
            Err(error) => return Err(fault(&mut self.store, &self.limits, ms_max, &error)),
        };
        Err(Fault { kind, logged: self.store.data_mut().end_call(false) })
    }
}

impl Instance {
    /// Lets `plugin` describe itself, without opening it.
    ///
    /// # Errors
    /// It is of another type than the boundary's, or fails.
    pub fn describe(plugin: &Plugin, limits: &PluginLimits) -> Result<Info, PluginError> {
        let label = plugin.label().to_owned();
        let mut store = Store::new(plugin.engine().wasmtime(), GuestHost::new(&label, limits, Counters::default()));
        store.limiter(|it| it);
        let ms_max = limits.call_ms_max.max(START_MS_MIN);
        store.set_epoch_deadline(ticks(ms_max));
        store.set_hostcall_fuel(limits.output_bytes_max.max(START_BYTES_MIN));
        let start = |fault| PluginError::Start { plugin: label.clone(), fault };
        let instance =
            plugin.pre().instantiate(&mut store).map_err(|error| start(fault(&mut store, limits, ms_max, &error)))?;
        let (lifecycle, _, _) = find(plugin, &mut store, &instance)?;
        let info =
            lifecycle.call_describe(&mut store).map_err(|error| start(fault(&mut store, limits, ms_max, &error)))?;
        let line = |text: String| escape(&text, INFO_BYTES_MAX);
        let lifecycle::Info { name, version, description, config_schema } = info;
        Ok(Info { name: line(name), version: line(version), description: line(description), config_schema })
    }
}

/// The time, to tell how long something took; nothing depends on it. Read once a call at most.
#[expect(clippy::disallowed_methods, reason = "it is only told, and deadlines are counted in ticks")]
fn now() -> Instant {
    Instant::now()
}

/// Deadline in ticks: one more than fits, since the next tick may be due right now.
fn ticks(ms_max: u64) -> u64 {
    ms_max.div_ceil(TICK_MS) + 1
}

/// What an error of the engine says about the guest.
fn fault(store: &mut Store<GuestHost>, limits: &PluginLimits, ms_max: u64, error: &wasmtime::Error) -> Fault {
    let root = error.root_cause().to_string();
    let text = escape(root.strip_prefix("wasm trap: ").unwrap_or(&root), REASON_BYTES_MAX);
    let host = store.data_mut();
    let kind = if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        FaultKind::Deadline { ms_max }
    } else if host.memory_refused() {
        FaultKind::Memory { bytes_max: limits.memory_bytes_max, trap: text }
    } else if text.contains("fuel allocated for hostcalls") {
        FaultKind::Output { bytes_max: limits.output_bytes_max }
    } else {
        FaultKind::Trap(text)
    };
    Fault { kind, logged: host.end_call(false) }
}

type Functions = (lifecycle::Guest, KindGuest, Option<migration::Guest>);

/// Finds the functions of an instance, which checks their types.
fn find(plugin: &Plugin, store: &mut Store<GuestHost>, instance: &WasmInstance) -> Result<Functions, LoadError> {
    let mismatch = |interface: &'static str| {
        let plugin = plugin.label().to_owned();
        move |error: wasmtime::Error| LoadError::TypeMismatch { plugin, interface, detail: format!("{error:#}") }
    };
    let exports = plugin.exports();
    let guest = match &exports.kind {
        KindExports::Transform(it) => it.load(&mut *store, instance).map(KindGuest::Transform),
        KindExports::Keyed(it) => it.load(&mut *store, instance).map(KindGuest::Keyed),
        KindExports::Aggregate(it) => it.load(&mut *store, instance).map(KindGuest::Aggregate),
    };
    let guest = guest.map_err(mismatch(plugin.kind().name()))?;
    let lifecycle = exports.lifecycle.load(&mut *store, instance).map_err(mismatch("lifecycle"))?;
    let migration = exports.migration.as_ref().map(|it| it.load(&mut *store, instance)).transpose();
    Ok((lifecycle, guest, migration.map_err(mismatch("migration"))?))
}
