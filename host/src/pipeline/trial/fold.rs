//! Records of one window folded by an aggregate plugin: as a whole, and in two parts that are merged, which must come to the
//! same.

use super::super::group::group;
use super::super::plan::PluginPlan;
use super::super::step::{Results, gather_keys, read_columns, take_produced, without_required};
use super::super::window_step::{window_columns, windows_batch};
use super::made::Writer;
use super::plan::Planned;
use super::{Made, TrialError, TrialOptions};
use crate::batch::{Batch, Keys, RawBatch, RowTimes};
use crate::column::{Column, Kind, Strings, Values};
use crate::decode::Decoder;
use crate::pipeline::step::Refused;
use crate::pipeline::{Failure, PipelineError};
use crate::plugin::{AggregateRunner, Call, Plugin, PluginError, Rejected};
use crate::watermark::WATERMARK_NONE;
use std::collections::BTreeMap;
use std::ops::Range;

/// With so many records or fewer they are cut in two at each place, with more only in the middle.
const CUT_EVERYWHERE_MAX: usize = 16;

/// What a plugin made of a window.
#[derive(Debug)]
pub struct Folded {
    /// What the records gave, folded one after the other.
    pub made: Made,
    /// Where merging two parts gave something else.
    pub disagreement: Option<Disagreement>,
    /// What the plugin counted, by name, while the records were folded as a whole.
    pub counters: BTreeMap<String, u64>,
}

/// Two parts that were merged gave something else than the whole.
#[derive(Debug)]
pub struct Disagreement {
    /// The first record of the second part, counting those that were folded.
    pub cut: usize,
    /// What the merged parts gave.
    pub made: Made,
}

/// Folds the records of `raw` into one window for each key, from `window.start` to `window.end` (exclusive), in ms since
/// the Unix epoch, and finishes them.
///
/// # Errors
/// The plugin is no aggregate plugin, does not start, or fails in a way that no record can be blamed for.
pub fn fold(plugin: &Plugin, options: &TrialOptions, raw: RawBatch, window: Range<i64>) -> Result<Folded, TrialError> {
    let (planned, _) = Planned::new(plugin, options)?;
    planned.check(options)?;
    let (runner, _) = AggregateRunner::start(plugin, &options.config, &options.limits)?;
    let Some(plugin) = planned.plugin() else {
        return Err(PipelineError::stop(Failure::Internal, "the step has no plugin").into());
    };
    let mut whole = Made::default();
    let (batch, refused) = planned.decode(&mut Decoder::new(planned.projection.clone()), raw);
    whole.refuse(refused);
    let timed = options.time.is_some();
    let batch = within(&planned, batch, &window, timed, &mut whole);
    let never = RowTimes { before: WATERMARK_NONE, stragglers: Vec::new(), after: WATERMARK_NONE };
    let (batch, keys, _) = planned.with_keys(batch, never, &mut whole);
    let mut keys = keys.unwrap_or_default();
    let mut records = batch;
    if let Some((kept, refused)) = without_required(&planned.step, plugin, &records) {
        whole.refuse(Some(refused));
        records = records.gather(&kept);
        keys = gather_keys(&keys, &kept);
    }
    let rows = records.rows;
    let mut folder = Folder { planned: &planned, plugin, runner, window, topic: &options.topic };
    let (accumulators, rejects) = folder.add(&records, &keys, 0..rows)?;
    whole.refuse(refused_rows(&planned, plugin, &records, rejects));
    folder.finish(&accumulators, &mut whole)?;
    let counters = folder.runner.counters().clone();
    let disagreement = folder.check_merge(&records, &keys, &whole)?;
    Ok(Folded { made: whole, disagreement, counters })
}

/// Refuses the records whose time is outside of the window.
fn within(planned: &Planned, batch: Batch, window: &Range<i64>, timed: bool, made: &mut Made) -> Batch {
    let (inside, outside): (Vec<u32>, Vec<u32>) =
        (0..batch.rows as u32).partition(|&row| !timed || window.contains(&batch.times[row as usize]));
    if outside.is_empty() {
        return batch;
    }
    let outside = batch.gather(&outside);
    let reason =
        |it: &i64| format!("its time, {it} ms, is outside of the window from {} to {}", window.start, window.end);
    let (reasons, step) = (outside.times.iter().map(reason).collect(), planned.step.name.clone());
    made.refuse(Some(Refused { batch: outside, reasons, step, plugin: None, fault: false }));
    batch.gather(&inside)
}

fn refused_rows(planned: &Planned, plugin: &PluginPlan, batch: &Batch, rejects: Vec<Rejected>) -> Option<Refused> {
    let rows: Vec<u32> = rejects.iter().map(|it| it.row).collect();
    (!rows.is_empty()).then(|| Refused {
        batch: batch.gather(&rows),
        fault: rejects.iter().any(|it| it.fault),
        reasons: rejects.into_iter().map(|it| it.reason).collect(),
        step: planned.step.name.clone(),
        plugin: Some(plugin.plugin.digest().to_owned()),
    })
}

/// Accumulators by canonical key, in the order of the keys' first records.
type Accumulators = Vec<(Vec<u8>, Vec<u8>)>;

struct Folder<'a> {
    planned: &'a Planned,
    plugin: &'a PluginPlan,
    runner: AggregateRunner,
    window: Range<i64>,
    topic: &'a str,
}

impl Folder<'_> {
    /// New accumulators with the records `rows`, and the rows that the plugin failed on.
    fn add(
        &mut self,
        batch: &Batch,
        keys: &Keys,
        rows: Range<usize>,
    ) -> Result<(Accumulators, Vec<Rejected>), PluginError> {
        let rows: Vec<u32> = (rows.start as u32..rows.end as u32).collect();
        if rows.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let grouped = group(&gather_keys(keys, &rows));
        let order: Vec<u32> = match &grouped.order {
            Some(order) => order.iter().map(|&it| rows[it as usize]).collect(),
            None => rows,
        };
        let (batch, keys) = (batch.gather(&order), gather_keys(keys, &order));
        let columns = read_columns(self.plugin, &batch, Some(&keys), self.topic);
        let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
        let call = Call { rows: batch.rows, columns: &columns, watermark: WATERMARK_NONE };
        let groups = grouped.bounds.len() - 1;
        let mut added = self.runner.add(&call, &grouped.bounds, &Column::null(Kind::Bytes, groups))?;
        let mut accumulators = Vec::new();
        if let Values::Bytes(strings) = &added.accumulators.values {
            for (at, &first) in grouped.bounds.iter().take(groups).enumerate() {
                if !added.accumulators.is_null(at) {
                    accumulators.push((keys.texts.get(first as usize).to_vec(), strings.get(at).to_vec()));
                }
            }
        }
        added.rejects.iter_mut().for_each(|it| it.row = order[it.row as usize]);
        Ok((accumulators, added.rejects))
    }

    /// The accumulators of two parts as one.
    fn merge(&mut self, left: Accumulators, right: Accumulators) -> Result<Accumulators, PluginError> {
        let mut merged = left;
        let (mut places, mut ours, mut theirs) = (Vec::new(), Strings::default(), Strings::default());
        for (key, accumulator) in right {
            match merged.iter().position(|it| it.0 == key) {
                None => merged.push((key, accumulator)),
                Some(at) => {
                    places.push(at);
                    ours.push(&merged[at].1);
                    theirs.push(&accumulator);
                }
            }
        }
        let both = self.runner.merge(&ours, &theirs)?;
        for (row, at) in places.into_iter().enumerate() {
            merged[at].1 = both.get(row).to_vec();
        }
        Ok(merged)
    }

    /// Finishes the windows of `accumulators`.
    fn finish(&mut self, accumulators: &Accumulators, made: &mut Made) -> Result<(), PipelineError> {
        if accumulators.is_empty() {
            return Ok(());
        }
        let (mut keys, mut values) = (Strings::default(), Strings::default());
        for (key, value) in accumulators {
            keys.push(key);
            values.push(value);
        }
        let (starts, ends) = (vec![self.window.start; keys.len()], vec![self.window.end; keys.len()]);
        let step = &self.planned.step;
        let (batch, clock) = windows_batch(step, &keys, &ends, WATERMARK_NONE);
        let columns = window_columns(self.plugin, &batch, &starts, &ends);
        let columns: Vec<&Column> = columns.iter().collect();
        let call = Call { rows: batch.rows, columns: &columns, watermark: self.window.end };
        let produced = self.runner.finish(&call, &values);
        let produced = produced.map_err(|error| super::super::step::plugin_failed(step, &error))?;
        let mut results = Results::default();
        take_produced(step, self.plugin, (&batch, None), &clock, produced, &mut results)?;
        Writer::new(step)?.write(results, made)
    }

    /// Folds in two parts and merges, and compares with the whole.
    fn check_merge(&mut self, batch: &Batch, keys: &Keys, whole: &Made) -> Result<Option<Disagreement>, TrialError> {
        let rows = batch.rows;
        let cuts = if rows <= CUT_EVERYWHERE_MAX { 1..rows } else { rows / 2..rows / 2 + 1 };
        for cut in cuts {
            let (left, _) = self.add(batch, keys, 0..cut)?;
            let (right, _) = self.add(batch, keys, cut..rows)?;
            let merged = self.merge(left, right)?;
            let mut made = Made::default();
            self.finish(&merged, &mut made)?;
            if !made.rows().eq(whole.rows()) {
                return Ok(Some(Disagreement { cut, made }));
            }
        }
        Ok(None)
    }
}
