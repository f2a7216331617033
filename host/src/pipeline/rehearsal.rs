//! A pipeline without its sources, its sinks and its clock: what a test of its meaning runs.
//!
//! Everything between is the pipeline's own: the planner, the workers with their exchanges, the steps, the encoders, and the
//! checkpoint store. Records, watermarks, idleness and processing time are handed in one after the other, and each is
//! worked off before the next one, so that a run is the same every time. Workers take turns on the calling thread.

use super::RunOptions;
use super::commit::store_failed;
use super::error::PipelineError;
use super::plan::{Plan, plan};
use super::probe::Probes;
use super::recover::{Found, Recovered};
use super::start::{self, Scene, WorkerEnds};
use super::worker::{Command, DEAD_LETTERS, Report, Sealed, Turn, Worker};
use super::{Until, engine, run_token};
use crate::batch::{EventTime, Origin, RawBatch, RawRecord, RawRows, Span};
use crate::checkpoint::{CompactionLimits, Epoch, Store};
use crate::config::Pipeline;
use crate::metrics::{Counters, Progress};
use crate::source::PartitionInfo;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A record to hand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its own timestamp, ms.
    pub timestamp: i64,
}

/// A record that a sink was to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The sink's name; none for a dead letter.
    pub sink: Option<String>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its timestamp, ms.
    pub time: EventTime,
}

/// How far event time is at a step, in one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// The watermark; none before the first.
    pub watermark: Option<EventTime>,
    /// True while nothing can move it.
    pub idle: bool,
}

/// A pipeline being rehearsed.
pub struct Rehearsal {
    pipeline: Pipeline,
    plan: Arc<Plan>,
    options: RunOptions,
    counters: Arc<Counters>,
    store: Store,
    found: Vec<Found>,
    workers: Vec<Worker>,
    ends: Vec<WorkerEnds>,
    epoch: u64,
    now_ms: u64,
    /// Offsets after the last record, by source and partition.
    offsets: BTreeMap<(usize, i32), i64>,
    written: Vec<Written>,
    sealed: Vec<Option<Box<Sealed>>>,
}

impl Rehearsal {
    /// `pipeline` with so many partitions in each source, run by `workers`. Snapshots are written below the folder `dir`.
    pub fn new(pipeline: Pipeline, partitions: i32, workers: usize, dir: &Path) -> Result<Self, PipelineError> {
        let plan = Arc::new(plan(&pipeline, &engine(None)?)?);
        let store = Store::open(dir, &pipeline.name, &run_token(), CompactionLimits::default());
        let info = |id: i32| PartitionInfo { id, name: id.to_string(), former_name: None, low: 0, high: None };
        let found = || Found { partitions: (0..partitions).map(info).collect(), files: None };
        let mut rehearsal = Rehearsal {
            counters: Arc::new(Counters::new(plan.steps.len(), pipeline.sinks.len(), workers)),
            found: pipeline.sources.iter().map(|_| found()).collect(),
            options: RunOptions {
                until: Until::Forever,
                data_dir: dir.to_owned(),
                cache_dir: dir.join("cache"),
                workers,
                allow_missing_state: false,
                discard_state: false,
                anew_without_state: false,
                undecided: None,
            },
            pipeline,
            plan,
            store: store.map_err(|error| store_failed(&error))?,
            workers: Vec::new(),
            ends: Vec::new(),
            epoch: 0,
            now_ms: 0,
            offsets: BTreeMap::new(),
            written: Vec::new(),
            sealed: Vec::new(),
        };
        rehearsal.start(&Recovered::default())?;
        Ok(rehearsal)
    }

    fn start(&mut self, recovered: &Recovered) -> Result<(), PipelineError> {
        let tables = start::tables(&self.plan, recovered)?;
        let probes = Probes::new(&self.plan);
        let scene = Scene {
            pipeline: &self.pipeline,
            plan: &self.plan,
            options: &self.options,
            counters: &self.counters,
            probes: &probes,
            found: &self.found,
            recovered,
            tables: &tables,
            now_ms: self.now_ms,
            clock_unix_ms: 0,
            probation: None,
            reads: false,
        };
        let mut built = start::build(&scene)?;
        start::restore(&self.plan, &mut built.made, &tables, recovered)?;
        built.made.iter_mut().for_each(|it| it.outbox.unbound());
        (self.workers, self.ends) = (built.made, built.ends);
        Ok(())
    }

    /// Records of one partition, in one batch.
    pub fn records(&mut self, source: usize, partition: i32, given: &[Given]) -> Result<(), PipelineError> {
        let next = self.offsets.entry((source, partition)).or_default();
        let first = *next;
        *next += given.len() as i64;
        let mut arena = Vec::new();
        let mut span = |bytes: &Option<Vec<u8>>| match bytes {
            None => Span::NULL,
            Some(bytes) => {
                let start = arena.len() as u32;
                arena.extend_from_slice(bytes);
                Span { start, len: bytes.len() as u32 }
            }
        };
        let records: Vec<RawRecord> = given
            .iter()
            .map(|it| RawRecord { key: span(&it.key), value: span(&it.value), headers: Span::NULL })
            .collect();
        let raw = RawBatch {
            origin: Origin { source: source as u32, partition },
            rows: RawRows { arena: Arc::new(arena), records },
            offsets: (first..*next).collect(),
            timestamps: given.iter().map(|it| it.timestamp).collect(),
            next_offset: *next,
        };
        let (plan, now_ms) = (Arc::clone(&self.plan), self.now_ms);
        self.reader(partition).take(&plan, source, raw, now_ms)?;
        self.settle()
    }

    /// The worker that reads `partition`.
    fn reader(&mut self, partition: i32) -> &mut Worker {
        let workers = self.workers.len();
        &mut self.workers[partition as usize % workers]
    }

    /// The source says that no record of the partition is on time at or below `watermark`.
    pub fn watermark(&mut self, source: usize, partition: i32, watermark: EventTime) -> Result<(), PipelineError> {
        let now_ms = self.now_ms;
        self.reader(partition).sources[source].time.state(partition, watermark, now_ms);
        self.settle()
    }

    /// The partition has nothing to read for now, or goes on.
    pub fn idle(&mut self, source: usize, partition: i32, idle: bool) -> Result<(), PipelineError> {
        let now_ms = self.now_ms;
        self.reader(partition).sources[source].time.rest(partition, idle, now_ms);
        self.settle()
    }

    /// The source has the partition from now on, or no longer.
    pub fn assign(&mut self, source: usize, partition: i32, there: bool) -> Result<(), PipelineError> {
        let now_ms = self.now_ms;
        let time = &mut self.reader(partition).sources[source].time;
        if there {
            time.add(partition, now_ms);
        } else {
            time.remove(partition);
        }
        self.settle()
    }

    /// Processing time is `now_ms` from now on.
    pub fn now(&mut self, now_ms: u64) -> Result<(), PipelineError> {
        self.now_ms = now_ms;
        self.settle()
    }

    /// Lets the workers take turns until there is nothing left to do.
    fn settle(&mut self) -> Result<(), PipelineError> {
        let plan = Arc::clone(&self.plan);
        let mut quiet = 0;
        // Twice: what the last one of a quiet round told another one is heard in the next.
        while quiet < 2 {
            quiet += 1;
            for index in 0..self.workers.len() {
                if self.workers[index].turn(&plan, self.now_ms)? == Turn::Busy {
                    quiet = 0;
                }
                self.hear(index)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, worker: usize) -> Result<(), PipelineError> {
        while let Ok(report) = self.ends[worker].1.hear() {
            match report {
                Report::Output(output) => {
                    let sink = self.pipeline.sinks.get(output.sink).map(|it| it.name.clone());
                    debug_assert_eq!(sink.is_none(), output.sink == DEAD_LETTERS);
                    for (row, &time) in output.times.iter().enumerate() {
                        let (key, value) = (output.rows.key(row), output.rows.value(row));
                        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
                        self.written.push(Written { sink: sink.clone(), key, value, time });
                    }
                }
                Report::Sealed(sealed) => self.sealed[worker] = Some(sealed),
                Report::Ended => {}
                Report::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A checkpoint, and a new start from it with `workers`: nothing else is remembered.
    pub fn restart(&mut self, workers: usize) -> Result<(), PipelineError> {
        self.epoch += 1;
        self.sealed = self.workers.iter().map(|_| None).collect();
        for (commands, _) in &self.ends {
            // The queue is empty: every step is worked off.
            let _ = commands.try_send(Command::Barrier { epoch: self.epoch, last: false, swap: None });
        }
        self.settle()?;
        let sealed: Vec<Sealed> = self.sealed.drain(..).flatten().map(|it| *it).collect();
        let recovered = Recovered::default();
        let mut tables = start::tables(&self.plan, &recovered)?;
        tables.ids.clear();
        let meta = start::identity(&self.pipeline, &self.plan, &self.found, tables).meta(&sealed);
        let deltas: Vec<_> = sealed.into_iter().map(|it| it.delta).collect();
        let restored = self.store.persist(Epoch(self.epoch), &deltas, meta).and_then(|pointer| {
            self.store.mark_committed(&pointer)?;
            self.store.restore(&pointer)
        });
        let restored = Some(restored.map_err(|error| store_failed(&error))?);
        self.options.workers = workers;
        self.start(&Recovered { restored, epoch: self.epoch, ..recovered })
    }

    /// What was written since the last call.
    pub fn take_written(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.written)
    }

    /// How far event time is at step `step`, by worker.
    pub fn step_time(&self, step: usize) -> Vec<StepTime> {
        let time = |worker: &Worker| {
            let step = &worker.steps[step];
            let watermark = Some(step.watermark).filter(|it| *it != EventTime::MIN);
            StepTime { watermark, idle: step.said.is_some_and(|it| it.idle) }
        };
        self.workers.iter().map(time).collect()
    }

    /// What was counted.
    pub fn progress(&self) -> Progress {
        self.counters.progress(self.now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_worker_whose_attempt_has_ended_writes_no_more_of_a_window() {
        let text = "name = \"burst\"\n[sources.in]\nconnector = \"kafka\"\nbrokers = \"-\"\ntopic = \"in\"\n[steps.w]\nfrom = \"in\"\n\
                    key = \"key\"\nwindow = { tumbling = \"1m\" }\naggregate = { n = \"count()\" }\n\
                    [sinks.out]\nfrom = \"w\"\nconnector = \"stdout\"\n";
        for ended in [false, true] {
            let pipeline = crate::config::parse(text, "w.toml", Path::new(""), &[]).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let mut rehearsal = Rehearsal::new(pipeline, 1, 1, dir.path()).unwrap();
            let value = |key: i64| Some(format!("{{\"key\":{key}}}").into_bytes());
            let given: Vec<Given> = (0..20_000).map(|it| Given { key: None, value: value(it), timestamp: 1 }).collect();
            rehearsal.records(0, 0, &given).unwrap();
            rehearsal.workers[0].cancelled.store(ended, Relaxed);
            assert_eq!(rehearsal.watermark(0, 0, i64::MAX).is_err(), ended);
            assert_eq!(rehearsal.take_written().len(), if ended { 0 } else { given.len() });
        }
    }
}
