//! The runner of a `keyed` plugin.

use super::answer;
use super::bindings::keyed as wit;
use super::bisect::{self, GroupPart};
use super::component::{Plugin, PluginKind};
use super::error::{Fault, PluginError};
use super::instance::{KindGuest, Opened};
use super::lower;
use super::produced::{Call, Produced};
use super::supervised::{Supervised, Vitals, assert_fits, with_batch};
use crate::column::{Column, Kind, Strings};
use crate::config::PluginLimits;
use crate::schema::Spec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one key after the other, with each key's state.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// Group `i` is the rows `bounds[i]..bounds[i + 1]`; one entry more than groups, the first 0, the last the call's
    /// rows.
    pub bounds: &'a [u32],
    /// Kind `bytes`, one row a group; null for a key without state.
    pub states: &'a Column,
}

/// A timer to set or to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The group whose key it belongs to.
    pub group: u32,
    /// Which of the key's timers.
    pub id: u32,
    /// Event time to fire at, ms since the Unix epoch; none cancels.
    pub at: Option<i64>,
}

/// The checked answers of a keyed call.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedProduced {
    /// Output and rejects. Origins are rows of the call; in `on_timers`, row and group are the same.
    pub produced: Produced,
    /// Kind `bytes`, one row a group: the new state; null deletes it.
    pub states: Column,
    /// To be applied in this order: a later one replaces an earlier one of the same key and id.
    pub timers: Vec<Timer>,
}

/// One worker's instance of a `keyed` plugin.
pub struct KeyedRunner(Supervised);

impl KeyedRunner {
    /// Starts an instance with the step's `config` (a JSON object).
    ///
    /// # Errors
    /// The plugin is of another kind, or does not start; see [`super::Instance::start`].
    pub fn start(plugin: &Plugin, config: &str, limits: &PluginLimits) -> Result<(Self, Opened), PluginError> {
        let (supervised, opened) = Supervised::start(plugin, PluginKind::Keyed, config, limits)?;
        Ok((KeyedRunner(supervised), opened))
    }

    /// Hands over records with their keys' states. Rows on which the plugin fails alone are rejected with `fault` set;
    /// their keys keep the state that the other rows leave.
    ///
    /// # Errors
    /// The plugin failed on [100 rows](super::PluginError::EveryRow) one after the other, or does not start again.
    ///
    /// # Panics
    /// The columns are not those that the plugin reads, or the groups do not cover the rows.
    pub fn process(&mut self, call: &Call<'_>, groups: Groups<'_>) -> Result<KeyedProduced, PluginError> {
        self.run(call, None, groups)
    }

    /// Hands over timers that are due: row `i` belongs to group `i`, `ids[i]` says which timer. Timers on which the
    /// plugin fails alone are rejected by row.
    ///
    /// # Errors
    /// See [`KeyedRunner::process`].
    ///
    /// # Panics
    /// See [`KeyedRunner::process`]; also when a group has not exactly one row.
    pub fn on_timers(&mut self, due: &Call<'_>, ids: &[u32], groups: Groups<'_>) -> Result<KeyedProduced, PluginError> {
        let one_each = groups.bounds.iter().enumerate().all(|(at, &it)| it as usize == at);
        assert!(ids.len() == due.rows && one_each, "{} timers of {} rows", ids.len(), due.rows);
        self.run(due, Some(ids), groups)
    }

    /// As [`Instance::can_migrate`](super::Instance::can_migrate), of the instance that runs.
    ///
    /// # Errors
    /// Why not, as what the plugin does. Then the runner must not be called again.
    pub(crate) fn can_migrate(&mut self, from_version: u32) -> Result<(), String> {
        self.0.instance.can_migrate(from_version)
    }

    /// Brings stored states of `from_version` to the plugin's own version.
    ///
    /// # Errors
    /// The plugin does not export `migration`, or fails in it.
    pub fn migrate(&mut self, from_version: u32, states: &Strings) -> Result<Strings, PluginError> {
        self.0.migrate(from_version, states)
    }

    /// How the runner is.
    pub fn vitals(&self) -> Vitals {
        self.0.vitals()
    }

    /// What the plugin counted since the runner started, by name.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        self.0.counters()
    }

    fn run(&mut self, call: &Call<'_>, ids: Option<&[u32]>, groups: Groups<'_>) -> Result<KeyedProduced, PluginError> {
        let spec = Arc::clone(&self.0.spec);
        assert_fits(&spec, call);
        assert_groups(call, groups.bounds, groups.states);
        self.0.recycle()?;
        let (mut produced, mut timers) = (Produced::default(), Vec::new());
        let (states, faults) = bisect::by_groups(&mut self.0, groups.bounds, groups.states, |guest, part| {
            let answer = call_part(guest, &spec, call, ids, part)?;
            produced.append(answer.produced);
            let shift = |it: Timer| Timer { group: it.group + part.first_group as u32, ..it };
            timers.extend(answer.timers.into_iter().map(shift));
            Ok(answer.states)
        })?;
        Ok(KeyedProduced { produced: produced.with_faults(faults), states, timers })
    }
}

/// Calls `process`, or `on_timers` where there are `ids`, with a part. Groups of timers are those of the part.
fn call_part(
    guest: &mut Supervised,
    spec: &Spec,
    call: &Call<'_>,
    ids: Option<&[u32]>,
    part: &GroupPart<'_>,
) -> Result<KeyedProduced, Fault> {
    let groups = part.states.len();
    let check = guest.check(spec, part.part, ids.is_none());
    let timers_max = guest.rows_out_max(part.part.rows.len());
    let ms_max = guest.ms_max(part.part);
    with_batch(call, part.part, |batch| {
        let states = lower::column(part.states, &(0..groups), &[]);
        let lowered = wit::Groups { bounds: part.bounds, states };
        guest.instance.call(
            ms_max,
            |store, guest| {
                let KindGuest::Keyed(guest) = guest else { unreachable!("checked at the start") };
                match ids {
                    None => guest.call_process(store, batch, lowered),
                    Some(ids) => guest.call_on_timers(store, batch, &ids[part.part.rows.clone()], lowered),
                }
            },
            |raw| {
                let states = answer::states(raw.states, groups)?;
                let timers = timers(raw.timers, groups, timers_max)?;
                Ok(KeyedProduced { produced: check.produced(raw.output)?, states, timers })
            },
        )
    })
}

fn timers(raw: Vec<wit::Timer>, groups: usize, timers_max: usize) -> Result<Vec<Timer>, String> {
    if raw.len() > timers_max {
        return Err(format!("{} timers in one call, at most {timers_max} are possible", raw.len()));
    }
    if let Some(timer) = raw.iter().find(|it| it.group as usize >= groups) {
        return Err(format!("a timer for group {} of {groups}", timer.group));
    }
    Ok(raw.into_iter().map(|it| Timer { group: it.group, id: it.id, at: it.at }).collect())
}

/// Panics when groups do not cover the rows: the host made them.
pub(super) fn assert_groups(call: &Call<'_>, bounds: &[u32], states: &Column) {
    let covers = bounds.first() == Some(&0) && bounds.last() == Some(&(call.rows as u32)) && bounds.is_sorted();
    assert!(covers, "bounds from {:?} to {:?} for {} rows", bounds.first(), bounds.last(), call.rows);
    assert!(
        states.kind() == Kind::Bytes && states.len() + 1 == bounds.len(),
        "{} states of {:?}",
        states.len(),
        states.kind()
    );
}

#[cfg(test)]
mod tests;
