//! The runner of an `aggregate` plugin.

use super::answer;
use super::bisect::{self, GroupPart, Replace};
use super::component::{Plugin, PluginKind};
use super::error::{Fault, PluginError};
use super::instance::{KindGuest, Opened};
use super::keyed::assert_groups;
use super::lower;
use super::produced::{Call, Produced, Rejected};
use super::supervised::{Supervised, Vitals, assert_fits, with_batch};
use crate::column::{Column, Strings, Values};
use crate::config::PluginLimits;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The checked answers of `add`.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// Kind `bytes`, one row a group: the accumulators with the rows in them. Null only where it was null before and every
    /// row of the group failed.
    pub accumulators: Column,
    /// Rows on which the plugin failed, by row. Their groups' accumulators hold the other rows.
    pub rejects: Vec<Rejected>,
}

/// One worker's instance of an `aggregate` plugin.
pub struct AggregateRunner(Supervised);

impl AggregateRunner {
    /// Starts an instance with the step's `config` (a JSON object).
    ///
    /// # Errors
    /// The plugin is of another kind, or does not start; see [`super::Instance::start`].
    pub fn start(plugin: &Plugin, config: &str, limits: &PluginLimits) -> Result<(Self, Opened), PluginError> {
        let (supervised, opened) = Supervised::start(plugin, PluginKind::Aggregate, config, limits)?;
        Ok((AggregateRunner(supervised), opened))
    }

    /// Adds the rows `bounds[i]..bounds[i + 1]` to accumulator `i` (kind `bytes`; null is a new one).
    ///
    /// # Errors
    /// The plugin failed on [100 rows](super::PluginError::EveryRow) one after the other, or does not start again.
    ///
    /// # Panics
    /// The columns are not those that the plugin reads, or the groups do not cover the rows.
    pub fn add(&mut self, call: &Call<'_>, bounds: &[u32], accumulators: &Column) -> Result<Added, PluginError> {
        let spec = Arc::clone(&self.0.spec);
        assert_fits(&spec, call);
        assert_groups(call, bounds, accumulators);
        self.0.recycle()?;
        let add = |guest: &mut Supervised, part: &GroupPart<'_>| add_part(guest, call, part);
        let (accumulators, rejects) = bisect::by_groups(&mut self.0, bounds, accumulators, add)?;
        Ok(Added { accumulators, rejects })
    }

    /// Merges accumulator `i` of `right` into that of `left`.
    ///
    /// # Errors
    /// The plugin fails: there is no row to blame, and half a window is no result.
    ///
    /// # Panics
    /// There are not as many on the left as on the right.
    pub fn merge(&mut self, left: &Strings, right: &Strings) -> Result<Strings, PluginError> {
        let pairs = left.len();
        assert!(pairs == right.len(), "{pairs} accumulators to merge with {}", right.len());
        if pairs == 0 {
            return Ok(Strings::default());
        }
        self.0.recycle()?;
        let (all, ms_max) = (0..pairs, self.0.instance.limits().call_ms_max);
        let merged = self.0.instance.call(
            ms_max,
            |store, guest| {
                let KindGuest::Aggregate(guest) = guest else { unreachable!("checked at the start") };
                guest.call_merge(store, lower::strings(left, &all, &[]), lower::strings(right, &all, &[]))
            },
            |raw| answer::accumulators(raw, pairs),
        );
        merged.map_err(|fault| PluginError::Call { plugin: self.0.label().to_owned(), call: "merge", fault })
    }

    /// Turns finished accumulators into output. Row `i` of `windows` describes the window of accumulator `i`; origins and
    /// rejects of the answer are such rows. Windows on which the plugin fails alone are rejected with `fault` set.
    ///
    /// # Errors
    /// See [`AggregateRunner::add`].
    ///
    /// # Panics
    /// The columns are not those that the plugin reads, or there are not as many accumulators as windows.
    pub fn finish(&mut self, windows: &Call<'_>, accumulators: &Strings) -> Result<Produced, PluginError> {
        let spec = Arc::clone(&self.0.spec);
        assert_fits(&spec, windows);
        assert!(accumulators.len() == windows.rows, "{} accumulators of {} windows", accumulators.len(), windows.rows);
        self.0.recycle()?;
        let mut produced = Produced::default();
        let faults = bisect::by_rows(&mut self.0, windows.rows, |guest, part| {
            let check = guest.check(&spec, part, false);
            let ms_max = guest.ms_max(part);
            let rebased = lower::rebase_strings(accumulators, &part.rows);
            let answer = with_batch(windows, part, |batch| {
                guest.instance.call(
                    ms_max,
                    |store, guest| {
                        let KindGuest::Aggregate(guest) = guest else { unreachable!("checked at the start") };
                        guest.call_finish(store, batch, lower::strings(accumulators, &part.rows, &rebased))
                    },
                    |raw| check.produced(raw),
                )
            });
            produced.append(answer?);
            Ok(())
        })?;
        Ok(produced.with_faults(faults))
    }

    /// Brings stored accumulators of `from_version` to the plugin's own version.
    ///
    /// # Errors
    /// The plugin does not export `migration`, or fails in it.
    pub fn migrate(&mut self, from_version: u32, accumulators: &Strings) -> Result<Strings, PluginError> {
        self.0.migrate(from_version, accumulators)
    }

    /// How the runner is.
    pub fn vitals(&self) -> Vitals {
        self.0.vitals()
    }

    /// What the plugin counted since the runner started, by name.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        self.0.counters()
    }
}

fn add_part(guest: &mut Supervised, call: &Call<'_>, part: &GroupPart<'_>) -> Result<Column, Fault> {
    let groups = part.states.len();
    let ms_max = guest.ms_max(part.part);
    with_batch(call, part.part, |batch| {
        guest.instance.call(
            ms_max,
            |store, guest| {
                let KindGuest::Aggregate(guest) = guest else { unreachable!("checked at the start") };
                guest.call_add(store, batch, part.bounds, lower::column(part.states, &(0..groups), &[]))
            },
            |raw| answer::accumulators(raw, groups).map(|it| Column::from(Values::Bytes(it))),
        )
    })
}
