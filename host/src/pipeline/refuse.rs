//! Records that do not go on: dropped, written to the dead letters, or what stops the pipeline.

use super::error::{Failure, PipelineError};
use super::plan::Plan;
use super::step::Refused;
use super::worker::{DEAD_LETTERS, Output, Report, Worker};
use crate::batch::{Batch, TopicPartition};
use crate::config::BadRecords;
use crate::schema::Shape;
use crate::sink::encode::{DeadLetters, Refusal};
use std::sync::atomic::Ordering::Relaxed;

/// Where in the pipeline records were refused.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// What their columns are.
    pub shape: &'a Shape,
    /// The source that they come from, or may come from.
    pub source: usize,
    /// The epoch that their dead letters belong to.
    pub epoch: u64,
}

impl Worker {
    /// What `bad_records` says.
    pub(super) fn refuse(&mut self, refused: Refused, place: Place<'_>) -> Result<(), PipelineError> {
        let rows = refused.batch.rows as u64;
        match self.settings.bad_records {
            BadRecords::Drop => {
                self.counters.dropped.fetch_add(rows, Relaxed);
                Ok(())
            }
            BadRecords::Stop => Err(self.stop_at(&refused, place.source)),
            BadRecords::DeadLetter => {
                self.dead_letter(&refused, place);
                Ok(())
            }
        }
    }

    fn stop_at(&self, refused: &Refused, source: usize) -> PipelineError {
        let batch = &refused.batch;
        let place = match (batch.origin, batch.offsets.first()) {
            (Some(origin), Some(offset)) => {
                let source = &self.sources[source];
                match source.files.get(origin.partition as usize) {
                    Some(file) => format!(" at `{file}`, byte {offset}"),
                    None => {
                        let (topic, partition) =
                            (source.topic(Some(origin)), TopicPartition::of(origin.partition).number);
                        format!(" at `{topic}` partition {partition}, offset {offset}")
                    }
                }
            }
            _ => String::new(),
        };
        let reason = refused.reasons.first().map_or("", String::as_str);
        PipelineError::stop(
            Failure::BadData,
            format!(
                "`{}` cannot process a record{place}: {reason}; add [dead_letters] to keep such records apart, or bad_records = \"drop\" to drop them",
                refused.step
            ),
        )
    }

    /// Writes records to the dead letters, with why.
    pub(super) fn dead_letter(&mut self, refused: &Refused, place: Place<'_>) {
        let batch = &refused.batch;
        let none = Shape::default();
        let shape = if batch.columns.len() == place.shape.columns.len() { place.shape } else { &none };
        let mut letters = DeadLetters::new(self.settings.letter_form);
        for (row, reason) in refused.reasons.iter().enumerate() {
            let offset = batch.offsets.get(row);
            let origin = batch.origin.zip(offset).map(|(origin, offset)| {
                let source = &self.sources[origin.source as usize];
                let file = source.files.get(origin.partition as usize);
                let topic = file.map_or_else(|| source.topic(Some(origin)), String::as_str);
                (topic, TopicPartition::of(origin.partition).number, *offset)
            });
            let refusal = Refusal { reason, step: &refused.step, plugin: refused.plugin.as_deref(), origin };
            letters.push_row(batch, shape, row, &refusal);
        }
        let rows = letters.take();
        self.counters.dead_letters.fetch_add(rows.records.len() as u64, Relaxed);
        let output = Output { epoch: place.epoch, sink: DEAD_LETTERS, rows, times: batch.times.clone() };
        self.report(Report::Output(output));
    }

    /// The rows of a batch that have no key of a keyed step.
    pub(super) fn refuse_keyless(
        &mut self,
        plan: &Plan,
        step: usize,
        batch: &Batch,
        rows: &[u32],
        epoch: u64,
    ) -> Result<(), PipelineError> {
        self.counters.per_step_refused[step].fetch_add(rows.len() as u64, Relaxed);
        let name = &plan.steps[step].name;
        let key = plan.steps[step].key_names.join(", ");
        let reason = format!("the key of step `{name}` ({key}) is missing or null");
        let refused = Refused {
            batch: batch.gather(rows),
            reasons: vec![reason; rows.len()],
            step: name.clone(),
            plugin: None,
            fault: false,
        };
        self.refuse(
            refused,
            Place { shape: &plan.steps[step].input, source: plan.steps[step].source.unwrap_or(0), epoch },
        )
    }
}
