//! An instance that is replaced when it fails or has grown, and what all runners do with it.

use super::answer::{self, Check};
use super::bindings::columns::Batch;
use super::bisect::{Part, Replace, Streak};
use super::component::{Plugin, PluginKind};
use super::error::PluginError;
use super::instance::{Instance, Opened};
use super::lower;
use super::produced::{Call, Produced, Rejected};
use crate::column::Strings;
use crate::config::PluginLimits;
use crate::metrics::FAULTS;
use crate::schema::Spec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Output rows that a call may always have, however few rows it is given.
const OUTPUT_ROWS_FREE: usize = 1_024;

/// How a runner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Instances thrown away after a fault.
    pub replaced: u64,
    /// Instances thrown away because their memory had grown.
    pub recycled: u64,
    /// Linear memory of the instance now, in bytes.
    pub memory_bytes: usize,
    /// The most that an instance had, in bytes: this one or one that it replaced.
    pub memory_bytes_max: usize,
    /// Log lines that were over the limit of their call.
    pub log_lines_dropped: u64,
    /// Wall time spent in calls of the plugin, with the check of its answers; starting instances is not in it.
    pub busy: Duration,
    /// Calls of the plugin, those that failed included.
    pub calls: u64,
    /// Calls that failed, in the order of [`FAULTS`].
    pub faults: [u64; FAULTS.len()],
}

/// What every runner owns.
pub(super) struct Supervised {
    plugin: Plugin,
    config: String,
    pub(super) spec: Arc<Spec>,
    pub(super) instance: Instance,
    /// An instance with more memory than this is replaced between two calls.
    recycle_above_bytes: usize,
    streak: Streak,
    replaced: u64,
    recycled: u64,
    /// Of the instances that were replaced. Linear memory never shrinks, so each had its most at its end.
    memory_bytes_max: usize,
}

impl Supervised {
    /// Starts the first instance of a plugin, which must be of `kind`.
    pub(super) fn start(
        plugin: &Plugin,
        kind: PluginKind,
        config: &str,
        limits: &PluginLimits,
    ) -> Result<(Self, Opened), PluginError> {
        if plugin.kind() != kind {
            let (plugin, found) = (plugin.label().to_owned(), plugin.kind());
            return Err(PluginError::WrongKind { plugin, found, expected: kind });
        }
        let (instance, opened) = Instance::start(plugin, config, limits)?;
        // Half-way between what it needs to start and what it may have: one that starts large is not replaced in vain.
        let recycle_above_bytes = instance.memory_bytes().midpoint(limits.memory_bytes_max);
        let supervised = Supervised {
            plugin: plugin.clone(),
            config: config.to_owned(),
            spec: Arc::new(opened.spec.clone()),
            instance,
            recycle_above_bytes,
            streak: Streak::default(),
            replaced: 0,
            recycled: 0,
            memory_bytes_max: 0,
        };
        Ok((supervised, opened))
    }

    /// Call between two calls of the pipeline: replaces an instance that has grown.
    pub(super) fn recycle(&mut self) -> Result<(), PluginError> {
        let memory_bytes = self.instance.memory_bytes();
        if memory_bytes > self.recycle_above_bytes {
            tracing::debug!(plugin = self.plugin.label(), memory_bytes, "recycling a plugin instance that has grown");
            self.restart()?;
            self.recycled += 1;
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), PluginError> {
        self.memory_bytes_max = self.memory_bytes_max.max(self.instance.memory_bytes());
        let counters = self.instance.take_counters();
        let limits = self.instance.limits().clone();
        let label = || self.plugin.label().to_owned();
        let (instance, opened) = Instance::start_counting(&self.plugin, &self.config, &limits, counters)
            .map_err(|cause| PluginError::Restart { plugin: label(), cause: Box::new(cause) })?;
        if opened.spec != *self.spec {
            return Err(PluginError::Changed { plugin: label() });
        }
        self.instance = instance;
        Ok(())
    }

    pub(super) fn vitals(&self) -> Vitals {
        Vitals {
            replaced: self.replaced,
            recycled: self.recycled,
            memory_bytes: self.instance.memory_bytes(),
            memory_bytes_max: self.memory_bytes_max.max(self.instance.memory_bytes()),
            log_lines_dropped: self.instance.counters().lines_dropped,
            busy: self.instance.counters().busy,
            calls: self.instance.counters().calls,
            faults: self.instance.counters().faults,
        }
    }

    pub(super) fn counters(&self) -> &BTreeMap<String, u64> {
        self.instance.counters().totals()
    }

    /// What the answer to `part` is held against.
    pub(super) fn check<'a>(&self, spec: &'a Spec, part: &Part, has_records: bool) -> Check<'a> {
        let rows = part.rows.len();
        Check { spec, first_row: part.rows.start, rows, rows_out_max: self.rows_out_max(rows), has_records }
    }

    /// Output rows (or timers) of a call with `rows` rows, at most.
    pub(super) fn rows_out_max(&self, rows: usize) -> usize {
        rows.saturating_mul(self.instance.limits().output_rows_per_row_max).saturating_add(OUTPUT_ROWS_FREE)
    }

    /// The deadline of `part`, ms.
    pub(super) fn ms_max(&self, part: &Part) -> u64 {
        part.ms_max(self.instance.limits().call_ms_max)
    }

    /// Brings stored states to the plugin's version.
    pub(super) fn migrate(&mut self, from_version: u32, states: &Strings) -> Result<Strings, PluginError> {
        let plugin = || self.plugin.label().to_owned();
        let (rows, to) = (states.len(), self.spec.state_version);
        if rows == 0 {
            return Ok(Strings::default());
        }
        let migrated = self.instance.call_migration(
            |store, guest| guest.call_migrate(store, from_version, lower::strings(states, &(0..rows), &[])),
            |raw| answer::accumulators(raw, rows),
        );
        match migrated {
            None => Err(PluginError::NoMigration { plugin: plugin(), from: from_version, to }),
            Some(Ok(states)) => Ok(states),
            Some(Err(fault)) => Err(PluginError::Call { plugin: plugin(), call: "migrate", fault }),
        }
    }
}

impl Replace for Supervised {
    fn replace(&mut self) -> Result<(), PluginError> {
        self.replaced += 1;
        self.restart()
    }

    fn label(&self) -> &str {
        self.instance.label()
    }

    fn streak(&mut self) -> &mut Streak {
        &mut self.streak
    }
}

/// Panics when a call does not fit the spec: the host made it.
pub(super) fn assert_fits(spec: &Spec, call: &Call<'_>) {
    assert!(
        call.columns.len() == spec.reads.len(),
        "{} columns, the plugin reads {}",
        call.columns.len(),
        spec.reads.len()
    );
    assert!(u32::try_from(call.rows).is_ok(), "{} rows in one call", call.rows);
    for (column, field) in call.columns.iter().zip(&spec.reads) {
        let found = (column.kind(), column.len());
        assert!(found == (field.kind, call.rows), "{field:?} of {} rows was given {found:?}", call.rows);
    }
}

/// Hands `part` of a call to `with` as the boundary's batch.
pub(super) fn with_batch<R>(call: &Call<'_>, part: &Part, with: impl FnOnce(Batch<'_>) -> R) -> R {
    let rebased = lower::rebase(call.columns, &part.rows);
    let columns = lower::columns(call.columns, &part.rows, &rebased);
    with(Batch { rows: part.rows.len() as u32, columns: &columns, watermark: call.watermark })
}

impl Produced {
    /// Adds what a later part produced.
    pub(super) fn append(&mut self, later: Produced) {
        if self.tables.is_empty() && self.rejects.is_empty() {
            *self = later; // All there is, most of the time.
            return;
        }
        self.tables.extend(later.tables);
        self.rejects.extend(later.rejects);
    }

    /// Adds the rows that failed, and puts all rejects in order of rows.
    pub(super) fn with_faults(mut self, faults: Vec<Rejected>) -> Produced {
        if !faults.is_empty() {
            self.rejects.extend(faults);
            self.rejects.sort_by_key(|it| it.row);
        }
        self
    }
}
