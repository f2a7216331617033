//! One plugin over records without a pipeline around it: what a person tries it on, a case of a test, a benchmark.
//!
//! It is the pipeline's own step: records are decoded, grouped by key, timed, handed over and written as a pipeline does it,
//! within the same sandbox and limits. Only what surrounds a step is left out: sources, sinks, other workers, checkpoints.
//! State is kept in memory and ends with the [`Trial`].

mod drill;
mod fold;
mod made;
mod plan;

pub use drill::{Called, Drill};
pub use fold::{Disagreement, Folded, fold};
pub use made::{Made, MadeRow, Place};

use super::error::PipelineError;
use super::step::{Refused, Step, gather_keys, keys_column};
use crate::batch::{self, Batch, EventTime, Keys, RawBatch, RowTimes};
use crate::column::Column;
use crate::config::{PluginLimits, TimeFormat, Window};
use crate::decode::{Decoder, canonical_keys, key_text, text};
use crate::exchange::gather_times;
use crate::join::Side;
use crate::plugin::{Opened, Plugin, PluginError, Vitals};
use crate::state::TableId;
use crate::watermark::{Partitions, WATERMARK_NONE};
use made::Writer;
use plan::Planned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a step of a pipeline file would say.
#[derive(Clone, Debug, Default)]
pub struct TrialOptions {
    /// The plugin's `config`, a JSON object.
    pub config: String,
    /// What one call and one instance may use.
    pub limits: PluginLimits,
    /// The fields that make a record's key; none for no key.
    pub key: Vec<Arc<str>>,
    /// The field that holds event time, and how it is written; none for records without a time.
    pub time: Option<(Arc<str>, TimeFormat)>,
    /// How the watermark follows the records, by how far they may be out of order, in ms; none for a watermark that only
    /// [`Trial::advance`] moves.
    pub delay_ms: Option<i64>,
    /// The windows of an aggregate plugin.
    pub window: Option<Window>,
    /// What slot `topic` says.
    pub topic: String,
}

/// What a plugin cannot be tried without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A keyed plugin: a key.
    Key,
    /// A plugin that reads the event time, or windows: the field that holds it.
    Time,
    /// An aggregate plugin: a window.
    Window,
}

/// Why a plugin cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The options lack something.
    #[error("{}", match .0 {
        Need::Key => "a keyed plugin keeps its state by key, and no key is named",
        Need::Time => "the event time is needed, and no field is named that holds it",
        Need::Window => "an aggregate plugin folds windows, and no window is given",
    })]
    Needs(Need),
    /// The plugin does not start.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The plugin fails, or does what no step may.
    #[error(transparent)]
    Step(#[from] PipelineError),
}

/// A plugin that has been started, with what it remembers.
pub struct Trial {
    opened: Opened,
    planned: Planned,
    decoder: Decoder,
    step: Step,
    writer: Writer,
    clock: Option<Partitions>,
    watermark: EventTime,
    topic: String,
    /// State that was set before it was known how its key is written, by the key's text.
    pending: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Trial {
    /// Starts an instance.
    ///
    /// # Errors
    /// The plugin refuses its config or does not start, or the options lack what a plugin of its kind needs.
    pub fn start(plugin: &Plugin, options: &TrialOptions) -> Result<Trial, TrialError> {
        let (planned, opened) = Planned::new(plugin, options)?;
        planned.check(options)?;
        if options.window.is_none() && plugin.kind() == crate::plugin::PluginKind::Aggregate {
            return Err(TrialError::Needs(Need::Window));
        }
        let step = Step::start(&planned.step, TableId(0))?;
        let writer = Writer::new(&planned.step)?;
        let decoder = Decoder::new(planned.projection.clone());
        let clock = options.delay_ms.filter(|_| options.time.is_some()).map(|delay_ms| Partitions::new(delay_ms, None));
        Ok(Trial {
            opened,
            planned,
            decoder,
            step,
            writer,
            clock,
            watermark: WATERMARK_NONE,
            topic: options.topic.clone(),
            pending: BTreeMap::new(),
        })
    }

    /// What the plugin answered to `describe` and `open`.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Hands over records as one batch. Where the watermark follows them, timers and windows that it passes fire.
    ///
    /// # Errors
    /// The plugin failed in a way that no record can be blamed for, or does what no step may.
    pub fn process(&mut self, raw: RawBatch) -> Result<Made, PipelineError> {
        let mut made = Made::default();
        let (batch, refused) = self.planned.decode(&mut self.decoder, raw);
        made.refuse(refused);
        let clock = match &mut self.clock {
            Some(clock) => clock.observe(0, &batch.times, 0),
            None => RowTimes { before: self.watermark, stragglers: Vec::new(), after: self.watermark },
        };
        let after = clock.after;
        let (batch, keys, clock) = self.planned.with_keys(batch, clock, &mut made);
        if batch.rows > 0 {
            self.set_pending(keys.as_ref());
            let results = self.step.process(
                &self.planned.step,
                (Side::Left, batch),
                keys,
                &clock,
                self.watermark,
                &self.topic,
            )?;
            self.writer.write(results, &mut made)?;
        }
        if after > self.watermark {
            made.append(self.advance(after)?);
        }
        Ok(made)
    }

    /// Moves the watermark, in ms since the Unix epoch: timers and windows that it passes fire. One that is not later than
    /// the last one changes nothing; [`crate::watermark::WATERMARK_END`] is the end of the input.
    ///
    /// # Errors
    /// See [`Trial::process`].
    pub fn advance(&mut self, watermark: EventTime) -> Result<Made, PipelineError> {
        self.set_pending(None);
        let mut made = Made::default();
        let before = self.watermark;
        if watermark > before {
            self.watermark = watermark;
            let mut more = true;
            while more {
                let results = self.step.advance(&self.planned.step, before, watermark)?;
                more = results.more;
                self.writer.write(results, &mut made)?;
            }
        }
        Ok(made)
    }

    /// Sets the state of a key, named by its text: `ann` for the key `"ann"`, `7` for 7.
    pub fn set_state(&mut self, key: &str, state: Vec<u8>) {
        self.pending.insert(key.as_bytes().to_vec(), state);
    }

    /// Lets the plugin bring the states that were set from `version` to its own.
    ///
    /// # Errors
    /// It exports no migration, or fails in it.
    pub fn migrate(&mut self, version: u32) -> Result<(), TrialError> {
        if version == self.opened.spec.state_version {
            return Ok(());
        }
        let Some((runner, _)) = self.step.keyed() else { return Ok(()) };
        let mut old = crate::column::Strings::default();
        self.pending.values().for_each(|it| old.push(it));
        let new = runner.migrate(version, &old)?;
        for (row, state) in self.pending.values_mut().enumerate() {
            *state = new.get(row).to_vec();
        }
        Ok(())
    }

    /// The state of each key, by the key's text.
    pub fn states(&mut self) -> BTreeMap<String, Vec<u8>> {
        self.set_pending(None);
        let Some((_, state)) = self.step.keyed() else { return BTreeMap::new() };
        state.states().map(|(_, key, state)| (shown_key(key), state.to_vec())).collect()
    }

    /// The timers that are set: the key's text, the timer's id and its time in ms, in that order.
    pub fn timers(&mut self) -> Vec<(String, u32, EventTime)> {
        let Some((_, state)) = self.step.keyed() else { return Vec::new() };
        let mut timers: Vec<_> = state.set_timers().map(|(key, id, at)| (shown_key(key), id, at)).collect();
        timers.sort();
        timers
    }

    /// How many keys are held in state.
    pub fn keys(&self) -> u64 {
        self.step.keys()
    }

    /// How the instance is.
    pub fn vitals(&mut self) -> Vitals {
        self.step.health().map(|it| it.0).unwrap_or_default()
    }

    /// What the plugin counted so far, by name.
    pub fn counters(&mut self) -> BTreeMap<String, u64> {
        self.step.health().map(|it| it.1.clone()).unwrap_or_default()
    }

    /// Gives the state that waits for its key to the keys of `keys` that read like it; all others are texts.
    fn set_pending(&mut self, keys: Option<&Keys>) {
        if self.pending.is_empty() {
            return;
        }
        let Some((_, state)) = self.step.keyed() else { return };
        for (row, &hash) in keys.iter().flat_map(|it| it.hashes.iter().enumerate()) {
            let Some(keys) = keys else { break };
            let key = keys.texts.get(row);
            if let Some(waiting) = self.pending.remove(&*key_text(key)) {
                state.set(hash, key, Some(&waiting));
            }
        }
        for (key, waiting) in std::mem::take(&mut self.pending) {
            let mut canonical = Vec::new();
            text::write_string(&mut canonical, &key);
            state.set(batch::hash(&canonical), &canonical, Some(&waiting));
        }
    }
}

/// How event time is written in `record`, a JSON object: text under `field` is RFC 3339, anything else milliseconds.
pub fn time_format(record: &[u8], field: &str) -> TimeFormat {
    let record: serde_json::Value = serde_json::from_slice(record).unwrap_or_default();
    let value = field.split('.').try_fold(&record, |value, name| value.get(name));
    if value.is_some_and(serde_json::Value::is_string) { TimeFormat::Rfc3339 } else { TimeFormat::EpochMs }
}

/// A canonical key as a person writes it.
fn shown_key(canonical: &[u8]) -> String {
    String::from_utf8_lossy(&key_text(canonical)).into_owned()
}

impl Planned {
    /// Reads records; those that cannot be read are refused.
    fn decode(&self, decoder: &mut Decoder, raw: RawBatch) -> (Batch, Option<Refused>) {
        let decoded = decoder.decode(raw);
        let refused = decoded.rejected.map(|batch| Refused {
            batch,
            reasons: decoded.rejects.into_iter().map(|it| it.reason).collect(),
            step: self.step.name.clone(),
            plugin: None,
            fault: false,
        });
        (decoded.batch, refused)
    }

    /// Adds the keys that are named. A keyed step refuses a record without one; for another it is a record without a key.
    fn with_keys(&self, mut batch: Batch, clock: RowTimes, made: &mut Made) -> (Batch, Option<Keys>, RowTimes) {
        if self.step.key.is_none() && self.key.is_empty() {
            return (batch, None, clock);
        }
        let columns: Vec<_> = self.key.iter().map(|it| it.of(&batch)).collect();
        let columns: Vec<&Column> = columns.iter().map(|it| &**it).collect();
        let (keys, keyless) = canonical_keys(&batch, &columns);
        if self.step.key.is_none() {
            let mut key = keys_column(&keys);
            if !keyless.is_empty() {
                key.nulls = vec![0; batch.rows];
                keyless.iter().for_each(|&row| key.nulls[row as usize] = 1);
            }
            batch.key = Some(key);
            return (batch, None, clock);
        }
        if keyless.is_empty() {
            return (batch, Some(keys), clock);
        }
        let reason = format!("the key ({}) is missing or null", self.step.key_names.join(", "));
        made.refuse(Some(Refused {
            batch: batch.gather(&keyless),
            reasons: vec![reason; keyless.len()],
            step: self.step.name.clone(),
            plugin: None,
            fault: false,
        }));
        let kept: Vec<u32> = (0..batch.rows as u32).filter(|row| keyless.binary_search(row).is_err()).collect();
        (batch.gather(&kept), Some(gather_keys(&keys, &kept)), gather_times(&clock, &kept))
    }
}
