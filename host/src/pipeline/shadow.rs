//! Another version of a plugin beside the one that runs: given the same records, without effects, and compared.
//!
//! Both versions run here, in instances of their own on a thread of their own, over a part of the batches that the step is given: as many as the thread
//! can take. Each batch begins from the state that the pipeline had before it, brought to the version's own format where that is another,
//! so a difference is told where it arises and does not add up. Timers are not fired.

use super::clock::Clock;
use super::control::Control;
use super::error::{Failure, PipelineError};
use super::plan::{Plan, PluginPlan, StepPlan};
use super::probe::{Input, Probes};
use super::step::Step;
use super::upgrade::{Running, Upgrade, fits, next_of, plugin_plan};
use crate::column::Values;
use crate::config::Format;
use crate::sink::encode::Encoder;
use crate::state::{KeyedState, TableId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Differences that are shown, the first ones.
const SHOWN_MAX: usize = 20;
/// Kinds of faults that are told apart.
const FAULTS_MAX: usize = 20;
/// Batches whose times are remembered, the last ones.
const TIMES_MAX: usize = 1_024;

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Batches compared.
    pub batches: u64,
    /// Records compared.
    pub records: u64,
    /// Records of which the versions made the same.
    pub same: u64,
    /// Records of which they did not.
    pub different: u64,
    /// The first ones of these.
    pub shown: Vec<Difference>,
    /// What the other version failed with, and on how many records.
    pub faults: BTreeMap<String, u64>,
    /// How long the running version took for each batch, ns a record, the last ones.
    pub before_ns: Vec<u64>,
    /// How long the other version took.
    pub after_ns: Vec<u64>,
    /// Why there is no more to come; none while there may be.
    pub ended: Option<String>,
}

/// A record of which two versions made different things, a line for each thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The record's offset, or its number in its batch where it is of no source.
    pub offset: i64,
    /// What the running version made of it.
    pub before: Vec<String>,
    /// What the other one made.
    pub after: Vec<String>,
}

/// A comparison under way. It ends when this is dropped.
pub struct Shadow {
    stopped: Arc<AtomicBool>,
    found: Arc<Mutex<Comparison>>,
    thread: Option<JoinHandle<()>>,
}

impl Shadow {
    /// What was found so far.
    pub fn found(&self) -> Comparison {
        lock(&self.found).clone()
    }

    /// Begins to compare `upgrade` with what runs.
    pub(super) fn start(
        control: Arc<Control>,
        running: &Running,
        probes: Arc<Probes>,
        upgrade: &Upgrade,
    ) -> Result<Shadow, PipelineError> {
        let refuse = |why: &str| PipelineError::config(vec![format!("step `{}`: {why}", upgrade.step)]);
        let (next, step) = next_of(running, upgrade)?;
        let (before, after) = (running.plan.steps[step].clone(), next.plan.steps[step].clone());
        if !fits(&before, &after).map_err(|it| refuse(&it))? {
            return Err(refuse(
                "it reads or writes other fields than the running version, so they cannot be given the same records",
            ));
        }
        let (before, after) = (Side::start(before)?, Side::start(after)?);
        if !before.is_comparable() {
            return Err(refuse("a plugin that folds windows cannot be compared batch by batch"));
        }
        let inputs = probes.steps[step].take_inputs();
        let inputs = inputs.ok_or_else(|| refuse("another version is being compared with the running one already"))?;
        let (stopped, found) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (own_stopped, own_found) = (Arc::clone(&stopped), Arc::clone(&found));
        let place = Leave { probes, step };
        let plan = Arc::clone(&running.plan);
        let clock = control.clock();
        let work = Work { control, plan, before, after, clock, found, stopped };
        let thread = std::thread::Builder::new().name("shadow".to_owned());
        let spawned = thread.spawn(move || work.run(&place, &inputs));
        let thread =
            spawned.map_err(|error| PipelineError::from_error(Failure::Internal, "cannot start a thread", &error))?;
        Ok(Shadow { stopped: own_stopped, found: own_found, thread: Some(thread) })
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        // Only then can another version be compared. It looks up after each batch.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic of its was printed.
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The step's inputs, handed over until this is dropped.
struct Leave {
    probes: Arc<Probes>,
    step: usize,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.probes.steps[self.step].leave_inputs();
    }
}

/// A version with instances of its own.
struct Side {
    plan: StepPlan,
    step: Step,
    encoders: Vec<Encoder>,
}

struct Work {
    control: Arc<Control>,
    plan: Arc<Plan>,
    before: Side,
    after: Side,
    clock: Clock,
    found: Arc<Mutex<Comparison>>,
    stopped: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self, place: &Leave, inputs: &Receiver<Input>) {
        let ended = loop {
            if self.stopped.load(Relaxed) {
                break "it was dropped";
            }
            if !self.control.running().is_some_and(|it| Arc::ptr_eq(&it.plan, &self.plan)) {
                break "what runs has changed, or the pipeline has ended";
            }
            place.probes.steps[place.step].want_input();
            match inputs.recv_timeout(LOOK_EVERY) {
                Ok(input) => self.compare(&input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break "the pipeline has ended",
            }
        };
        lock(&self.found).ended = Some(ended.to_owned());
    }

    fn compare(&mut self, input: &Input) {
        let version = plugin_plan(&self.before.plan.operation).map(PluginPlan::state_version);
        let started = self.clock.elapsed();
        let before = self.before.run(input, version);
        let between = self.clock.elapsed();
        let after = self.after.run(input, version);
        let per_record = |time: Duration| time.as_nanos() as u64 / input.batch.rows.max(1) as u64;
        let (before_ns, after_ns) = (per_record(between - started), per_record(self.clock.elapsed() - between));
        let mut found = lock(&self.found);
        found.batches += 1;
        found.records += input.batch.rows as u64;
        remember(&mut found.before_ns, before_ns);
        remember(&mut found.after_ns, after_ns);
        for (fault, rows) in after.faults {
            if found.faults.len() < FAULTS_MAX || found.faults.contains_key(&fault) {
                *found.faults.entry(fault).or_default() += rows;
            }
        }
        let offsets = (0..input.batch.rows).map(|row| input.batch.offsets.get(row).copied().unwrap_or(row as i64));
        for offset in offsets {
            let lines = |made: &BTreeMap<i64, Vec<String>>| made.get(&offset).cloned().unwrap_or_default();
            let (before, after) = (lines(&before.made), lines(&after.made));
            if before == after {
                found.same += 1;
                continue;
            }
            found.different += 1;
            if found.shown.len() < SHOWN_MAX {
                found.shown.push(Difference { offset, before, after });
            }
        }
    }
}

/// Keeps the last ones.
fn remember(times: &mut Vec<u64>, time: u64) {
    if times.len() == TIMES_MAX {
        times.remove(0);
    }
    times.push(time);
}

/// What a version made of a batch.
#[derive(Default)]
struct Made {
    /// By offset, a line for each output or refusal, in order.
    made: BTreeMap<i64, Vec<String>>,
    /// What it failed with, and on how many records.
    faults: BTreeMap<String, u64>,
}

impl Side {
    fn start(plan: StepPlan) -> Result<Side, PipelineError> {
        let encoder = |it: &super::plan::PortPlan| {
            let name = format!("step `{}`", plan.name);
            Encoder::new(&it.stream.shape, None, Format::Json)
                .map_err(|error| PipelineError::from_error(Failure::Config, &name, &error))
        };
        let encoders = plan.ports.iter().map(encoder).collect::<Result<_, _>>()?;
        Ok(Side { step: Step::start(&plan, TableId(0))?, encoders, plan })
    }

    fn is_comparable(&self) -> bool {
        use super::plan::OperationPlan;
        matches!(self.plan.operation, OperationPlan::Transform(_) | OperationPlan::Keyed(_))
    }

    /// Runs a batch from the state that was handed over, which is of `version`.
    fn run(&mut self, input: &Input, version: Option<u32>) -> Made {
        let mut made = Made::default();
        let rows = input.batch.rows as u64;
        match self.results(input, version) {
            Ok(results) => {
                for refused in results.refused {
                    for (row, reason) in refused.reasons.into_iter().enumerate() {
                        let offset = refused.batch.offsets.get(row).copied().unwrap_or(row as i64);
                        made.made.entry(offset).or_default().push(format!("refused: {reason}"));
                        if refused.fault {
                            *made.faults.entry(reason).or_default() += 1;
                        }
                    }
                }
                for (port, batch, _) in results.outputs {
                    self.write(port, &batch, &mut made);
                }
            }
            Err(error) => {
                made.faults.insert(error.to_string(), rows);
                for row in 0..input.batch.rows {
                    let offset = input.batch.offsets.get(row).copied().unwrap_or(row as i64);
                    made.made.insert(offset, vec![format!("failed: {error}")]);
                }
            }
        }
        made
    }

    fn results(&mut self, input: &Input, version: Option<u32>) -> Result<super::step::Results, PipelineError> {
        if let (Some((_, state)), Some(keys), Some(states)) = (self.step.keyed(), &input.keys, &input.states) {
            *state = KeyedState::new(TableId(0));
            for (row, &hash) in keys.hashes.iter().enumerate() {
                if let (Values::Bytes(bytes), false) = (&states.values, states.is_null(row)) {
                    state.set(hash, keys.texts.get(row), Some(bytes.get(row)));
                }
            }
            self.step.resume(&self.plan, input.watermark, version)?;
        }
        let (mut batch, keys) = (input.batch.clone(), input.keys.clone());
        if batch.offsets.is_empty() {
            batch.offsets = (0..batch.rows as i64).collect(); // So that what it makes tells of which row it is.
        }
        let batch = (crate::join::Side::Left, batch);
        self.step.process(&self.plan, batch, keys, &input.clock, input.watermark, &input.topic)
    }

    fn write(&self, port: usize, batch: &crate::batch::Batch, made: &mut Made) {
        let (Some(encoder), Some(plan)) = (self.encoders.get(port), self.plan.ports.get(port)) else { return };
        let encoded = match encoder.encode(batch) {
            Ok(encoded) => encoded,
            Err(error) => {
                made.faults.insert(error.to_string(), batch.rows as u64);
                return;
            }
        };
        let rejected = |row: usize| encoded.rejects.iter().any(|it| it.row as usize == row);
        for (record, row) in (0..batch.rows).filter(|it| !rejected(*it)).enumerate() {
            let offset = batch.offsets.get(row).copied().unwrap_or(row as i64);
            let value = encoded.rows.value(record).map(String::from_utf8_lossy);
            let line = format!("{}: {}", plan.name, value.as_deref().unwrap_or("null"));
            made.made.entry(offset).or_default().push(line);
        }
    }
}
