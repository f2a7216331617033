//! The same call again and again, over records that were decoded once: what a call costs, and nothing else.

use super::super::plan::PluginPlan;
use super::super::step::{read_columns, without_required};
use super::super::window_step::window_columns;
use super::plan::Planned;
use super::{TrialError, TrialOptions};
use crate::batch::{Keys, RawBatch, hash};
use crate::column::{Column, Kind, Strings, Values};
use crate::decode::Decoder;
use crate::pipeline::{Failure, PipelineError};
use crate::plugin::{
    AggregateRunner, Call, Groups, KeyedRunner, Opened, Plugin, PluginError, PluginKind, Produced, TransformRunner,
    Vitals,
};
use crate::watermark::WATERMARK_NONE;
use std::borrow::Cow;

/// Event time of the first record, ms since the Unix epoch; each later one is a millisecond later.
const FIRST_TIME_MS: i64 = 1_767_225_600_000;

/// A started plugin with a call to make.
pub struct Drill {
    planned: Planned,
    opened: Opened,
    runner: Runner,
    columns: Vec<Column>,
    rows: usize,
    bounds: Vec<u32>,
    /// States or accumulators as the last call left them.
    states: Column,
}

enum Runner {
    Transform(TransformRunner),
    Keyed(KeyedRunner),
    Aggregate(AggregateRunner),
}

/// What a call gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// Rows that came out.
    pub rows_out: usize,
    /// Rows that the plugin refused or failed on.
    pub rejects: usize,
}

impl Drill {
    /// Starts an instance. Key, time and window of the options are not looked at: each group has a key of its own, and
    /// records are a millisecond apart.
    ///
    /// # Errors
    /// The plugin does not start.
    pub fn start(plugin: &Plugin, options: &TrialOptions) -> Result<Drill, TrialError> {
        let options = TrialOptions { key: Vec::new(), time: None, window: None, ..options.clone() };
        let (planned, opened) = Planned::new(plugin, &options)?;
        let (config, limits) = (&options.config, &options.limits);
        let runner = match plugin.kind() {
            PluginKind::Transform => Runner::Transform(TransformRunner::start(plugin, config, limits)?.0),
            PluginKind::Keyed => Runner::Keyed(KeyedRunner::start(plugin, config, limits)?.0),
            PluginKind::Aggregate => Runner::Aggregate(AggregateRunner::start(plugin, config, limits)?.0),
        };
        let states = Column::null(Kind::Bytes, 0);
        Ok(Drill { planned, opened, runner, columns: Vec::new(), rows: 0, bounds: vec![0], states })
    }

    /// What the plugin answered to `describe` and `open`.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Makes the next calls calls with `rows` records, taken from `raw` (again from its start where those are more), in
    /// `groups` groups, or as many as there are records. State begins anew.
    ///
    /// # Errors
    /// No record of `raw` fits what the plugin reads.
    pub fn load(&mut self, raw: RawBatch, rows: usize, groups: usize) -> Result<(), PipelineError> {
        let nothing = |why: &str| PipelineError::stop(Failure::BadData, why.to_owned());
        let (batch, unread) = self.planned.decode(&mut Decoder::new(self.planned.projection.clone()), raw);
        let plugin = plugin(&self.planned)?;
        let (batch, refused) = match without_required(&self.planned.step, plugin, &batch) {
            None => (batch, None),
            Some((kept, refused)) => (batch.gather(&kept), Some(refused)),
        };
        if batch.rows == 0 {
            let why = unread.or(refused).and_then(|it| it.reasons.into_iter().next());
            let why = why.unwrap_or_else(|| "there are no records".to_owned());
            return Err(nothing(&format!("no record fits what the plugin reads: {why}")));
        }
        let groups = groups.clamp(1, rows);
        let picked: Vec<u32> = (0..rows).map(|row| (row % batch.rows) as u32).collect();
        let mut batch = batch.gather(&picked);
        batch.times = (0..rows as i64).map(|row| FIRST_TIME_MS + row).collect();
        let keys = keys((0..rows).map(|row| row * groups / rows));
        let columns = read_columns(plugin, &batch, Some(&keys), "bench");
        self.columns = columns.into_iter().map(Cow::into_owned).collect();
        self.bounds = (0..=groups).map(|group| (group * rows).div_ceil(groups) as u32).collect();
        self.states = Column::null(Kind::Bytes, groups);
        self.rows = rows;
        Ok(())
    }

    /// Makes the call; states and accumulators are those that the last one left.
    ///
    /// # Errors
    /// The plugin fails row after row, or does not start again.
    pub fn call(&mut self) -> Result<Called, PluginError> {
        let columns: Vec<&Column> = self.columns.iter().collect();
        let call = Call { rows: self.rows, columns: &columns, watermark: WATERMARK_NONE };
        let produced = match &mut self.runner {
            Runner::Transform(runner) => runner.process(&call)?,
            Runner::Keyed(runner) => {
                let answer = runner.process(&call, Groups { bounds: &self.bounds, states: &self.states })?;
                self.states = answer.states;
                answer.produced
            }
            Runner::Aggregate(runner) => {
                let added = runner.add(&call, &self.bounds, &self.states)?;
                self.states = added.accumulators;
                Produced { tables: Vec::new(), rejects: added.rejects }
            }
        };
        Ok(called(&produced))
    }

    /// Finishes a window for each group, of the accumulators as they are; they stay. Only for an aggregate plugin.
    ///
    /// # Errors
    /// See [`Drill::call`].
    pub fn finish(&mut self) -> Result<Option<Called>, TrialError> {
        let Runner::Aggregate(runner) = &mut self.runner else { return Ok(None) };
        let plugin = plugin(&self.planned)?;
        let Values::Bytes(accumulators) = &self.states.values else { return Ok(None) };
        let groups = accumulators.len();
        let keys = keys(0..groups);
        let (starts, ends) = (vec![FIRST_TIME_MS; groups], vec![FIRST_TIME_MS + 60_000; groups]);
        let windows = super::super::window_step::windows_batch(&self.planned.step, &keys.texts, &ends, WATERMARK_NONE);
        let columns = window_columns(plugin, &windows.0, &starts, &ends);
        let columns: Vec<&Column> = columns.iter().collect();
        let call = Call { rows: groups, columns: &columns, watermark: WATERMARK_NONE };
        Ok(Some(called(&runner.finish(&call, accumulators)?)))
    }

    /// How many groups a call has.
    pub fn groups(&self) -> usize {
        self.bounds.len() - 1
    }

    /// How the instance is.
    pub fn vitals(&self) -> Vitals {
        match &self.runner {
            Runner::Transform(runner) => runner.vitals(),
            Runner::Keyed(runner) => runner.vitals(),
            Runner::Aggregate(runner) => runner.vitals(),
        }
    }
}

fn plugin(planned: &Planned) -> Result<&PluginPlan, PipelineError> {
    planned.plugin().ok_or_else(|| PipelineError::stop(Failure::Internal, "the step has no plugin"))
}

/// The canonical keys of groups.
fn keys(groups: impl Iterator<Item = usize>) -> Keys {
    let (mut texts, mut hashes) = (Strings::default(), Vec::new());
    for group in groups {
        let key = format!("\"key-{group:04}\"");
        texts.push(key.as_bytes());
        hashes.push(hash(key.as_bytes()));
    }
    Keys { texts, hashes }
}

fn called(produced: &Produced) -> Called {
    let rows_out = produced.tables.iter().map(|it| it.origins.len()).sum();
    Called { rows_out, rejects: produced.rejects.len() }
}
