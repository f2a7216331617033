//! Looking at records while they pass, from outside and without slowing them.
//!
//! A worker looks at one flag a batch. Where somebody listens it hands over a few rows, no more than were asked for, and never waits: what nobody has room
//! for is not seen. Whoever listens pays for everything else (the way to JSON, the comparison) on a thread of their own.

use super::control::Control;
use super::error::{Failure, PipelineError};
use super::plan::Plan;
use super::step::gather_keys;
use super::upgrade::Running;
use crate::batch::{Batch, EventTime, Keys, Origin, RowTimes};
use crate::column::Column;
use crate::config::{Format, Pipeline};
use crate::exchange::gather_times;
use crate::schema::Shape;
use crate::sink::encode::Encoder;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows of a batch that one listener gets, at most.
const ROWS_MAX: usize = 256;
/// Rows of a batch that are handed over as a step is given them, at most.
const INPUT_ROWS_MAX: usize = 1_024;
/// Samples that wait for a listener, at most.
const SAMPLES_MAX: usize = 16;
/// Listeners to one place, at most.
const LISTENERS_MAX: usize = 32;

/// The places of a pipeline that can be looked at.
#[derive(Debug)]
pub(super) struct Probes {
    /// What a source reads, by source.
    pub sources: Vec<Place>,
    /// What a step makes, and what it is given, by step.
    pub steps: Vec<Place>,
}

/// One place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Whether anybody listens to what comes out.
    open: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
    /// Batches that somebody wants to have as the step is given them.
    inputs_wanted: AtomicU32,
    inputs: Mutex<Option<SyncSender<Input>>>,
}

#[derive(Debug)]
struct Listener {
    port: usize,
    /// Rows that it still takes.
    wanted: Arc<AtomicU32>,
    samples: SyncSender<Sample>,
}

/// Rows of a stream.
#[derive(Debug)]
struct Sample {
    shape: Shape,
    batch: Batch,
}

/// What a step was given.
#[derive(Debug)]
pub(super) struct Input {
    /// The records.
    pub batch: Batch,
    /// Their keys, where the step is keyed.
    pub keys: Option<Keys>,
    /// The state of each key before them, where the step keeps any.
    pub states: Option<Column>,
    /// Event time around them.
    pub clock: RowTimes,
    /// The step's watermark before them.
    pub watermark: EventTime,
    /// What slot `topic` says.
    pub topic: String,
}

impl Input {
    /// What a step is about to be given, or the first rows of it.
    pub(super) fn of(batch: &Batch, keys: Option<&Keys>, clock: &RowTimes, watermark: EventTime, topic: &str) -> Input {
        let rows: Vec<u32> = (0..batch.rows.min(INPUT_ROWS_MAX) as u32).collect();
        Input {
            batch: batch.gather(&rows),
            keys: keys.map(|it| gather_keys(it, &rows)),
            states: None,
            clock: gather_times(clock, &rows),
            watermark,
            topic: topic.to_owned(),
        }
    }
}

impl Probes {
    /// Nobody listens yet.
    pub(super) fn new(plan: &Plan) -> Arc<Self> {
        let places = |count: usize| (0..count).map(|_| Place::default()).collect();
        Arc::new(Probes { sources: places(plan.sources.len()), steps: places(plan.steps.len()) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// Shows what comes out here, to whoever wants it.
    #[inline]
    pub(super) fn offer(&self, port: usize, shape: &Shape, batch: &Batch) {
        if self.open.load(Relaxed) {
            self.offer_rows(port, shape, batch);
        }
    }

    #[cold]
    fn offer_rows(&self, port: usize, shape: &Shape, batch: &Batch) {
        let Ok(mut listeners) = self.listeners.try_lock() else { return };
        for listener in listeners.iter().filter(|it| it.port == port) {
            let rows = (listener.wanted.load(Relaxed) as usize).min(batch.rows).min(ROWS_MAX);
            if rows == 0 {
                continue;
            }
            let picked: Vec<u32> = (0..rows).map(|it| (it * batch.rows / rows) as u32).collect();
            let sample = Sample { shape: shape.clone(), batch: batch.gather(&picked) };
            if listener.samples.try_send(sample).is_ok() {
                let taken = |it: u32| Some(it.saturating_sub(rows as u32));
                let _ = listener.wanted.fetch_update(Relaxed, Relaxed, taken); // It always has a next value.
            }
        }
        // One whose other end is gone is not heard of again: it is found here or when the next one comes.
        listeners.retain(|it| Arc::strong_count(&it.wanted) > 1);
        self.open.store(!listeners.is_empty(), Relaxed);
    }

    /// Whether a batch is wanted as the step is given it.
    #[inline]
    pub(super) fn wants_input(&self) -> bool {
        self.inputs_wanted.load(Relaxed) > 0
    }

    /// Hands over what the step is about to be given.
    #[cold]
    pub(super) fn offer_input(&self, input: Input) {
        let Ok(inputs) = self.inputs.try_lock() else { return };
        let sent = inputs.as_ref().is_some_and(|it| it.try_send(input).is_ok());
        if sent {
            let taken = |it: u32| Some(it.saturating_sub(1));
            let _ = self.inputs_wanted.fetch_update(Relaxed, Relaxed, taken); // As above.
        }
    }

    /// Asks for the next batch that the step is given; one at a time waits.
    pub(super) fn want_input(&self) {
        self.inputs_wanted.store(1, Relaxed);
    }

    /// Begins to hand over inputs. None where somebody has them already.
    pub(super) fn take_inputs(&self) -> Option<Receiver<Input>> {
        let mut inputs = lock(&self.inputs);
        if inputs.is_some() {
            return None;
        }
        let (sender, receiver) = sync_channel(1);
        *inputs = Some(sender);
        Some(receiver)
    }

    /// Hands over no more inputs.
    pub(super) fn leave_inputs(&self) {
        self.inputs_wanted.store(0, Relaxed);
        *lock(&self.inputs) = None;
    }
}

/// A place that is being looked at, until this is dropped.
pub struct Tap {
    wanted: Arc<AtomicU32>,
    samples: Receiver<Sample>,
    /// The encoder of the last shape.
    encoder: Option<(Shape, Encoder)>,
    pipeline: Arc<Pipeline>,
    /// The pipeline's end, once nothing comes any more.
    control: Arc<Control>,
}

/// A record that was seen, as a sink would write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The source's number and the partition that it came from, where it is of one.
    pub origin: Option<Origin>,
    /// The partition's topic, where the source reads several.
    pub topic: Option<Arc<str>>,
    /// Its offset there.
    pub offset: Option<i64>,
    /// Its event time, ms since the Unix epoch.
    pub time_ms: EventTime,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Tap {
    /// Begins to look at a source, a step or (`STEP.PORT`) an output of a step.
    pub(super) fn open(
        control: Arc<Control>,
        probes: &Probes,
        running: &Running,
        name: &str,
    ) -> Result<Tap, PipelineError> {
        let sources = running.pipeline.sources.iter().map(|it| it.name.as_str()).collect();
        let (place, port) = Names { sources, plan: &running.plan }.find(probes, name)?;
        let wanted = Arc::new(AtomicU32::new(0));
        let (sender, samples) = sync_channel(SAMPLES_MAX);
        let mut listeners = lock(&place.listeners);
        listeners.retain(|it| Arc::strong_count(&it.wanted) > 1);
        if listeners.len() >= LISTENERS_MAX {
            let why = format!("{LISTENERS_MAX} already look at `{name}`, as many as may");
            return Err(PipelineError::stop(Failure::Config, why));
        }
        listeners.push(Listener { port, wanted: Arc::clone(&wanted), samples: sender });
        place.open.store(true, Relaxed);
        Ok(Tap { wanted, samples, encoder: None, pipeline: Arc::clone(&running.pipeline), control })
    }

    /// True once the pipeline has ended.
    pub fn is_over(&self) -> bool {
        self.control.running().is_none()
    }

    /// Asks for so many records from now on, whatever was asked for before.
    pub fn want(&self, records: u32) {
        self.wanted.store(records, Relaxed);
    }

    /// The records that have been seen since the last call.
    ///
    /// # Errors
    /// They cannot be written; with why.
    pub fn take(&mut self) -> Result<Vec<Seen>, String> {
        let mut seen = Vec::new();
        while let Ok(Sample { shape, batch }) = self.samples.try_recv() {
            if self.encoder.as_ref().is_none_or(|it| it.0 != shape) {
                let encoder = Encoder::new(&shape, None, Format::Json).map_err(|error| error.to_string())?;
                self.encoder = Some((shape, encoder));
            }
            let Some((_, encoder)) = &self.encoder else { continue };
            let encoded = encoder.encode(&batch).map_err(|error| error.to_string())?;
            let source =
                batch.origin.and_then(|it| Some((self.pipeline.sources.get(it.source as usize)?, it.partition)));
            let topic: Option<Arc<str>> = source.and_then(|(source, it)| source.topic(it)).map(Arc::from);
            let rejected = |row: u32| encoded.rejects.iter().any(|it| it.row == row);
            let rows = (0..batch.rows as u32).filter(|it| !rejected(*it));
            for (record, row) in rows.enumerate() {
                seen.push(Seen {
                    origin: batch.origin,
                    topic: topic.clone(),
                    offset: batch.offsets.get(row as usize).copied(),
                    time_ms: batch.times[row as usize],
                    key: encoded.rows.key(record).map(<[u8]>::to_vec),
                    value: encoded.rows.value(record).map(<[u8]>::to_vec),
                });
            }
        }
        Ok(seen)
    }
}

/// The names of the places.
pub(super) struct Names<'a> {
    /// Of the sources.
    pub sources: Vec<&'a str>,
    /// The plan that runs.
    pub plan: &'a Plan,
}

impl Names<'_> {
    fn find<'a>(&self, probes: &'a Probes, name: &str) -> Result<(&'a Place, usize), PipelineError> {
        let source = self.sources.iter().position(|it| *it == name).and_then(|it| probes.sources.get(it));
        if let Some(place) = source {
            return Ok((place, 0));
        }
        let (step, port) = name.split_once('.').map_or((name, None), |(step, port)| (step, Some(port)));
        let found = self.plan.steps.iter().position(|it| it.name == step);
        let place = found.and_then(|it| probes.steps.get(it).zip(self.plan.steps.get(it)));
        let place = place.and_then(|(place, plan)| match port {
            None => Some((place, 0)),
            Some(port) => plan.ports.iter().position(|it| it.name == port).map(|it| (place, it)),
        });
        place.ok_or_else(|| {
            let mut known: Vec<String> = self.sources.iter().map(|it| format!("`{it}`")).collect();
            for step in &self.plan.steps {
                known.push(format!("`{}`", step.name));
                known.extend(step.ports.iter().skip(1).map(|it| format!("`{}.{}`", step.name, it.name)));
            }
            let why = format!("found `{name}`, but what can be looked at is {}", known.join(", "));
            PipelineError::stop(Failure::Config, why)
        })
    }
}
