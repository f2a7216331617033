//! A worker: the loop of one thread that owns source partitions, key groups, their state and its plugin instances.
//!
//! It shares nothing. Batches run through the steps by plain calls; where a step is keyed they go through its exchange
//! first. Watermarks and barriers take the same way, in order. A worker never blocks: what a queue does not take waits,
//! and while something waits the worker only serves the steps after that queue.

use super::alignment::Alignment;
use super::arrival::Arrivals;
use super::error::{Failure, PipelineError};
use super::first::Firsts;
use super::gauge::Gauge;
use super::inbox::Inbox;
use super::lineage::Lineage;
use super::memory::Memory;
use super::outbox::{Gone, Outbox};
use super::plan::{Plan, PluginPlan, SourcePlan, StepPlan, Stream, Target};
use super::probe::{Input, Probes};
use super::refuse::Place;
use super::sinks::source_failed;
use super::step::{Refused, Results, Step, gather_keys};
use super::upgrade::{Candidate, plugin_plan};
use crate::batch::{Batch, EventTime, Keys, Origin, RawRows, RowTimes, TopicPartition};
use crate::checkpoint::Position;
use crate::config::{BadRecords, Late};
use crate::decode::{Decoder, canonical_keys};
use crate::exchange::{TimeStatus, Wakers, gather_times};
use crate::join::Side;
use crate::metrics::{Counters, PluginCounters, PluginWork};
use crate::schema::Shape;
use crate::sink::encode::{Encoder, LetterForm};
use crate::source::{Polled, Source};
use crate::state::{Delta, TableId};
use crate::watermark::{Partitions, WATERMARK_END, WATERMARK_NONE};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The sink of dead letters in an [`Output`].
pub(super) const DEAD_LETTERS: usize = usize::MAX;
/// How long a worker without work sleeps, at most.
const IDLE_WAIT_MAX: Duration = Duration::from_millis(2);

/// Records for a sink.
#[derive(Debug)]
pub(super) struct Output {
    /// The epoch that they belong to.
    pub epoch: u64,
    /// The sink's index, or [`DEAD_LETTERS`].
    pub sink: usize,
    /// The records as they are written.
    pub rows: RawRows,
    /// Their timestamps, ms.
    pub times: Vec<EventTime>,
}

/// What a worker has at a barrier.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Where reading goes on, and what is known of event time, for each partition that the worker owns.
    pub positions: Vec<(Origin, Position)>,
    /// What changed in the worker's state.
    pub delta: Delta,
    /// The watermark of each step.
    pub watermarks: Vec<EventTime>,
    /// Keys held, over all steps.
    pub keys: u64,
}

/// What a worker tells the coordinator.
#[derive(Debug)]
pub(super) enum Report {
    /// Records for a sink.
    Output(Output),
    /// The worker has passed a barrier.
    Sealed(Box<Sealed>),
    /// Every partition that the worker owns has been read to its end.
    Ended,
    /// The worker has stopped.
    Failed(PipelineError),
}

/// What the coordinator tells a worker.
pub(super) enum Command {
    /// End the epoch; after the last one, stop.
    Barrier {
        /// The epoch that ends.
        epoch: u64,
        /// True when no epoch comes after it.
        last: bool,
        /// Another version of a step's plugin, by the step's index: for the records after the barrier.
        swap: Option<Box<(usize, Candidate)>>,
    },
}

/// A source as one worker reads it.
pub(super) struct WorkerSource {
    /// Its partitions of this worker; none where it has no partition.
    pub reader: Option<Source>,
    /// What reads its records.
    pub decoder: Decoder,
    /// Event time of its partitions.
    pub time: Partitions,
    /// Where reading goes on, by partition.
    pub positions: Vec<(i32, i64)>,
    /// Its topics, and of files and made records its name: what slot `topic` says.
    pub topics: Vec<String>,
    /// The files, by partition, where it reads files.
    pub files: Vec<String>,
    /// Partitions not read to their end; meaningful only for bounded ones.
    pub open: usize,
    /// What was last said of the watermark.
    pub said: Option<TimeStatus>,
    /// What holds its partitions back that are ahead of others.
    pub alignment: Option<Alignment>,
    /// True where it is read before those for which this is false.
    pub first: bool,
}

/// Everything that a worker is made of.
pub(super) struct Worker {
    /// Its number.
    pub index: usize,
    /// How many there are.
    pub workers: usize,
    /// What it runs.
    pub plan: Arc<Plan>,
    /// Sources, by index.
    pub sources: Vec<WorkerSource>,
    /// Steps, by index.
    pub steps: Vec<WorkerStep>,
    /// Encoders of the sinks, by index.
    pub encoders: Vec<Encoder>,
    /// Where somebody may look at records.
    pub probes: Arc<Probes>,
    /// What the sinks' records say of their way, by index; none where they say nothing.
    pub lineages: Vec<Option<Lineage>>,
    /// Settings.
    pub settings: WorkerSettings,
    /// Counters.
    pub counters: Arc<Counters>,
    /// From the coordinator.
    pub commands: Receiver<Command>,
    /// To the coordinator.
    pub outbox: Outbox,
    /// To wake others.
    pub wakers: Arc<Wakers>,
    /// Set when the pipeline is to stop at once.
    pub cancelled: Arc<AtomicBool>,
    /// Set while sources are not to be read: too much waits for a barrier.
    pub paused: Arc<AtomicBool>,
    /// The epoch that sources are in.
    pub epoch: u64,
    /// State sealed so far in the epoch that is ending.
    pub sealing: Option<Sealing>,
    /// The table of each step's state.
    pub tables: Vec<TableId>,
    /// The queues that each step's output goes into, as steps and their inputs.
    pub feeds: Vec<Vec<(usize, Side)>>,
    /// True when it has told that every partition is read to its end.
    pub ended: bool,
    /// What it measures of itself.
    pub gauge: Gauge,
    /// What is to be read before all else; none once it is in place.
    pub firsts: Option<Firsts>,
    /// Processing time.
    pub arrivals: Arrivals,
    /// How much its state may take.
    pub memory: Memory,
}

/// What a turn of the loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something was done: there may be more.
    Busy,
    /// What it has made waits for room, or much waits for a commit.
    Blocked,
    /// There was nothing to do.
    Idle,
    /// The last barrier has passed.
    Done,
}

/// What a worker does not find in the plan.
#[derive(Clone, Debug)]
pub(super) struct WorkerSettings {
    /// Rows of a batch, at most.
    pub batch_rows_max: usize,
    /// Bytes of a batch, about.
    pub batch_bytes_max: usize,
    /// What becomes of records that cannot be processed.
    pub bad_records: BadRecords,
    /// Where dead letters say why they are.
    pub letter_form: LetterForm,
    /// True when a partition read to its end takes its watermark to the end of time.
    pub end_of_input_closes: bool,
    /// Names of the sources, for messages.
    pub source_names: Vec<String>,
}

/// A step as one worker runs it.
pub(super) struct WorkerStep {
    /// What it does.
    pub step: Step,
    /// What comes to it from all workers, where it is keyed.
    pub inbox: Option<Inbox>,
    /// Its watermark.
    pub watermark: EventTime,
    /// Its watermark before the end of time.
    pub reached: EventTime,
    /// What it last said to its readers.
    pub said: Option<TimeStatus>,
    /// The epoch that it is in.
    pub epoch: u64,
    /// What it does, as of its plugin's present version.
    pub plan: Arc<StepPlan>,
    /// True in the first epoch of a new version of its plugin, which must not fail.
    pub probation: bool,
    /// What was last counted of its plugin.
    pub counted: PluginWork,
}

/// A seal under way.
pub(super) struct Sealing {
    /// Steps that have not sealed.
    open: usize,
    last: bool,
    swap: Option<Box<(usize, Candidate)>>,
    sealed: Box<Sealed>,
}

impl Worker {
    /// The sinks' records say from the first on which plugins they passed.
    pub(super) fn begin_lineages(&mut self) {
        for (lineage, encoder) in self.lineages.iter().zip(&mut self.encoders) {
            if let Some(lineage) = lineage {
                encoder.set_lineage(&lineage.text(|it| &self.steps[it].plan));
            }
        }
    }

    /// Runs until the last barrier, a failure, or a cancel. `now_ms` reads the process's clock, once a turn.
    pub(super) fn run(mut self, now_ms: impl Fn() -> u64) {
        self.wakers.register(self.index);
        if let Err(error) = self.turn_until_done(&now_ms) {
            self.outbox.add(Report::Failed(error));
        }
        // What is left to say is said, unless nobody listens any more: to the coordinator, and to workers whose queues are full, which may
        // still wait for this one's last barrier.
        while !(self.flush_reports() & self.flush_exchanges()) && !self.cancelled.load(Relaxed) {
            std::thread::park_timeout(IDLE_WAIT_MAX);
        }
    }

    fn turn_until_done(&mut self, now_ms: &impl Fn() -> u64) -> Result<(), PipelineError> {
        let plan = Arc::clone(&self.plan);
        let mut now = now_ms();
        while !self.cancelled.load(Relaxed) {
            let turn = self.turn(&plan, now)?;
            match turn {
                Turn::Busy | Turn::Done => {}
                Turn::Idle | Turn::Blocked => std::thread::park_timeout(IDLE_WAIT_MAX),
            }
            now = now_ms();
            self.tell(turn, now);
            if turn == Turn::Done {
                break;
            }
        }
        Ok(())
    }

    /// Everything that there is to do now, a little of each.
    pub(super) fn turn(&mut self, plan: &Plan, now_ms: u64) -> Result<Turn, PipelineError> {
        let mut busy = false;
        self.arrivals.set(now_ms);
        if let Ok(Command::Barrier { epoch, last, swap }) = self.commands.try_recv() {
            self.begin_seal(plan, epoch, last, swap)?;
            busy = true;
        }
        if self.seal_is_complete() && self.finish_seal() {
            return Ok(Turn::Done);
        }
        // Later steps first: what they take makes room for those before them.
        let mut free = self.flush_reports();
        for index in (0..self.steps.len()).rev() {
            // What it receives goes to later steps only: that other queues are full is no reason to take nothing. It must not be one,
            // or the barrier that a join waits for on one side could be stuck behind records for its other side.
            let room = free && self.flush_feeds(index);
            self.gauge.waits(index, !room);
            if room {
                busy |= self.receive(plan, index)?;
            }
        }
        free &= self.flush_exchanges();
        let stopping = self.sealing.as_ref().is_some_and(|it| it.last);
        free &= !self.paused.load(Relaxed) && !self.memory.waits();
        if free && !stopping {
            busy |= self.read(plan, now_ms)?;
            self.tell_time(plan)?;
            self.emit_on_time(plan, now_ms)?;
            let open = self.sources.iter().any(|it| it.open > 0);
            if !open && !self.ended {
                self.ended = true;
                self.report(Report::Ended);
            }
        } else {
            self.sources.iter_mut().for_each(|it| it.time.pause(now_ms));
        }
        Ok(match (busy, free) {
            (true, _) => Turn::Busy,
            (false, true) => Turn::Idle,
            (false, false) => Turn::Blocked,
        })
    }

    pub(super) fn report(&mut self, report: Report) {
        self.outbox.add(report);
        self.flush_reports();
    }

    /// Hands reports to the coordinator. True when nothing waits.
    fn flush_reports(&mut self) -> bool {
        match self.outbox.flush() {
            Ok(true) => self.wakers.wake(self.workers),
            Ok(false) => {}
            Err(Gone) => self.cancelled.store(true, Relaxed),
        }
        self.outbox.is_empty()
    }

    /// Waits until the coordinator has room for all that was said. It hears workers whatever else it waits for, but for a commit, which waits for none.
    /// The error is that the attempt has ended.
    fn wait_until_said(&mut self) -> Result<(), PipelineError> {
        // At its end the coordinator empties the queues: there is room then, and no use in it.
        while !self.cancelled.load(Relaxed) {
            if self.flush_reports() {
                return Ok(());
            }
            self.flush_exchanges(); // Others may wait for what is in them.
            std::thread::park_timeout(IDLE_WAIT_MAX);
        }
        Err(PipelineError::stop(Failure::Internal, "nobody listens any more"))
    }

    // Sources.

    fn read(&mut self, plan: &Plan, now_ms: u64) -> Result<bool, PipelineError> {
        let mut busy = false;
        let epoch = self.epoch;
        self.firsts.take_if(|it| it.are_in_place(epoch));
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if self.firsts.is_some() && !source.first {
                source.time.pause(now_ms);
                continue;
            }
            let settings = &self.settings;
            source.time.reading(now_ms);
            if let Some(alignment) = &source.alignment {
                alignment.align(&mut source.time, now_ms);
            }
            let held = |partition: i32| source.time.is_held(partition);
            let polled = match &mut source.reader {
                Some(reader) => reader
                    .poll(settings.batch_rows_max, settings.batch_bytes_max, now_ms, &held)
                    .map_err(|error| source_failed(&settings.source_names[index], error))?,
                None => Polled::Empty,
            };
            match polled {
                Polled::Batch(raw) => {
                    busy = true;
                    self.take(plan, index, raw, now_ms)?;
                }
                Polled::Ended(partition) => {
                    busy = true;
                    source.open = source.open.saturating_sub(1);
                    if let Some(firsts) = &mut self.firsts {
                        firsts.read((index, partition), i64::MAX, false, epoch);
                    }
                    if settings.end_of_input_closes {
                        source.time.end(partition, now_ms);
                    }
                    self.say_watermark(plan, index)?;
                }
                Polled::Empty => {
                    source.time.tick(now_ms);
                    self.say_watermark(plan, index)?;
                }
            }
        }
        Ok(busy)
    }

    /// One raw batch, from entry to exit.
    pub(super) fn take(
        &mut self,
        plan: &Plan,
        index: usize,
        raw: crate::batch::RawBatch,
        now_ms: u64,
    ) -> Result<(), PipelineError> {
        self.arrivals.set(now_ms);
        let source = &mut self.sources[index];
        let origin = raw.origin;
        match source.positions.iter_mut().find(|it| it.0 == origin.partition) {
            Some(position) => position.1 = raw.next_offset,
            None => source.positions.push((origin.partition, raw.next_offset)),
        }
        if let Some(firsts) = &mut self.firsts {
            firsts.read((index, origin.partition), raw.next_offset, !raw.rows.records.is_empty(), self.epoch);
        }
        self.counters.records_in.fetch_add(raw.rows.records.len() as u64, Relaxed);
        let decoded = source.decoder.decode(raw);
        // Before any step: a batch that they empty still moves time.
        let clock = source.time.observe(origin.partition, &decoded.batch.times, now_ms);
        self.gauge.read(index, origin.partition, decoded.batch.rows + decoded.rejects.len());
        if let Some(batch) = decoded.rejected {
            let reasons = decoded.rejects.into_iter().map(|it| it.reason).collect();
            let step = self.settings.source_names[index].clone();
            let refused = Refused { batch, reasons, step, plugin: None, fault: false };
            self.refuse(refused, Place { shape: &Shape::default(), source: index, epoch: self.epoch })?;
        }
        let SourcePlan { stream, .. } = &plan.sources[index];
        self.probes.sources[index].offer(0, &stream.shape, &decoded.batch);
        self.deliver(plan, stream, decoded.batch, clock, self.epoch)?;
        self.say_watermark(plan, index)
    }

    /// Tells a source's readers its watermark, where that is news.
    fn say_watermark(&mut self, plan: &Plan, index: usize) -> Result<(), PipelineError> {
        let source = &mut self.sources[index];
        let now = TimeStatus { watermark: source.time.watermark(), idle: source.time.idle() };
        if source.said == Some(now) {
            return Ok(());
        }
        source.said = Some(now);
        self.advance_targets(plan, &plan.sources[index].stream, now)
    }

    // Batches.

    /// Hands a batch to everybody who reads the stream.
    fn deliver(
        &mut self,
        plan: &Plan,
        stream: &Stream,
        batch: Batch,
        clock: RowTimes,
        epoch: u64,
    ) -> Result<(), PipelineError> {
        if batch.rows == 0 {
            return Ok(());
        }
        let Some((last, others)) = stream.targets.split_last() else { return Ok(()) };
        for target in others {
            self.deliver_to(plan, *target, batch.clone(), clock.clone(), epoch)?;
        }
        self.deliver_to(plan, *last, batch, clock, epoch)
    }

    fn deliver_to(
        &mut self,
        plan: &Plan,
        target: Target,
        batch: Batch,
        clock: RowTimes,
        epoch: u64,
    ) -> Result<(), PipelineError> {
        match target {
            Target::Sink(sink) => self.write(plan, sink, &batch, epoch),
            Target::Step(step, side) if plan.steps[step].joins() => self.key_of_join(plan, (step, side), batch, clock),
            Target::Step(step, _) => {
                let Some((batch, clock)) = self.filter(plan, step, batch, clock) else { return Ok(()) };
                self.key(plan, step, batch, clock, epoch)
            }
        }
    }

    /// The records of a batch that the step reads, if there are any.
    fn filter(&self, plan: &Plan, step: usize, batch: Batch, clock: RowTimes) -> Option<(Batch, RowTimes)> {
        let Some(kept) = plan.steps[step].filter.as_ref().and_then(|it| it.kept(&batch)) else {
            return Some((batch, clock));
        };
        let dropped = (batch.rows - kept.len()) as u64;
        self.counters.filtered.fetch_add(dropped, Relaxed);
        self.counters.per_step[step].0.fetch_add(dropped, Relaxed);
        (!kept.is_empty()).then(|| (batch.gather(&kept), gather_times(&clock, &kept)))
    }

    /// Hands a batch to a step, by way of the workers that own its keys.
    fn key(
        &mut self,
        plan: &Plan,
        step: usize,
        batch: Batch,
        clock: RowTimes,
        epoch: u64,
    ) -> Result<(), PipelineError> {
        match &plan.steps[step].key {
            None => self.process(plan, (step, Side::Left), batch, None, &clock),
            Some(picks) => {
                let columns: Vec<_> = picks.iter().map(|it| it.of(&batch)).collect();
                let columns: Vec<_> = columns.iter().map(|it| &**it).collect();
                let (keys, keyless) = canonical_keys(&batch, &columns);
                if keyless.is_empty() {
                    return self.exchange(plan, (step, Side::Left), batch, keys, clock);
                }
                self.refuse_keyless(plan, step, &batch, &keyless, epoch)?;
                let kept: Vec<u32> = (0..batch.rows as u32).filter(|row| keyless.binary_search(row).is_err()).collect();
                let keys = gather_keys(&keys, &kept);
                let clock = gather_times(&clock, &kept);
                self.exchange(plan, (step, Side::Left), batch.gather(&kept), keys, clock)
            }
        }
    }

    fn write(&mut self, plan: &Plan, sink: usize, batch: &Batch, epoch: u64) -> Result<(), PipelineError> {
        let name = &plan.sinks[sink].name;
        if let Some(text) = self.lineages[sink].as_mut().and_then(|it| it.of(epoch)) {
            self.encoders[sink].set_lineage(&text);
        }
        let encoded = self.encoders[sink]
            .encode(batch)
            .map_err(|error| PipelineError::from_error(Failure::Config, &format!("sink `{name}`"), &error))?;
        if !encoded.rejects.is_empty() {
            let rows: Vec<u32> = encoded.rejects.iter().map(|it| it.row).collect();
            let reasons = encoded.rejects.into_iter().map(|it| it.reason).collect();
            let refused =
                Refused { batch: batch.gather(&rows), reasons, step: name.clone(), plugin: None, fault: false };
            let source = batch.origin.map_or(0, |it| it.source as usize);
            self.refuse(refused, Place { shape: &plan.sinks[sink].shape, source, epoch })?;
        }
        let records = encoded.rows.records.len() as u64;
        self.counters.records_out.fetch_add(records, Relaxed);
        self.counters.per_sink[sink].fetch_add(records, Relaxed);
        self.report(Report::Output(Output { epoch, sink, rows: encoded.rows, times: encoded.times }));
        Ok(())
    }

    /// One batch through one step, and what comes out of it further on.
    pub(super) fn process(
        &mut self,
        plan: &Plan,
        (index, side): (usize, Side),
        batch: Batch,
        keys: Option<Keys>,
        clock: &RowTimes,
    ) -> Result<(), PipelineError> {
        self.counters.per_step[index].0.fetch_add(batch.rows as u64, Relaxed);
        let topic = plan.steps[index].source.map_or("", |it| self.sources[it].topic(batch.origin)).to_owned();
        let step = &mut self.steps[index];
        if self.probes.steps[index].wants_input() {
            let input = Input::of(&batch, keys.as_ref(), clock, step.watermark, &topic);
            let states = input.keys.as_ref().map(|it| step.step.states(&step.plan, it));
            let states = states.transpose()?.flatten();
            self.probes.steps[index].offer_input(Input { states, ..input });
        }
        match (step.step.cut(clock), keys) {
            (Some(cut), Some(keys)) => {
                self.process_in_parts(plan, (index, side), (batch, keys, clock.clone()), cut, &topic)
            }
            (_, keys) => self.process_at_once(plan, (index, side), (batch, keys, clock), &topic),
        }
    }

    /// As [`Worker::process`], where nothing is to be done between two rows.
    pub(super) fn process_at_once(
        &mut self,
        plan: &Plan,
        (index, side): (usize, Side),
        (batch, keys, clock): (Batch, Option<Keys>, &RowTimes),
        topic: &str,
    ) -> Result<(), PipelineError> {
        let (step, began, rows) = (&mut self.steps[index], self.gauge.now(), batch.rows);
        let results = step.step.process(&step.plan, (side, batch), keys, clock, step.watermark, topic)?;
        self.gauge.worked(index, began, rows);
        self.keep_within_memory()?;
        self.pass_on(plan, index, results)
    }

    fn pass_on(&mut self, plan: &Plan, index: usize, results: Results) -> Result<(), PipelineError> {
        let epoch = self.steps[index].epoch;
        let (shape, source) = plan.steps[index].input_of(results.side);
        let place = Place { shape, source: source.unwrap_or(0), epoch };
        self.counters.filtered.fetch_add(results.filtered, Relaxed);
        for refused in results.refused {
            if refused.fault && self.steps[index].probation {
                return Err(failed_probation(&refused));
            }
            self.counters.per_step_refused[index].fetch_add(refused.batch.rows as u64, Relaxed);
            self.refuse(refused, place)?;
        }
        if let Some(late) = results.late {
            self.counters.late.fetch_add(late.batch.rows as u64, Relaxed);
            self.counters.lateness.add(&results.late_by_ms);
            if plan.steps[index].late == Late::DeadLetter {
                self.dead_letter(&late, place);
            }
        }
        for (port, batch, clock) in results.outputs {
            self.counters.per_step[index].1.fetch_add(batch.rows as u64, Relaxed);
            let stream = &plan.steps[index].ports[port].stream;
            self.probes.steps[index].offer(port, &stream.shape, &batch);
            self.deliver(plan, stream, batch, clock, epoch)?;
        }
        Ok(())
    }

    // Watermarks.

    /// Moves a step's watermark: fires what closes, then tells its readers.
    pub(super) fn advance(&mut self, plan: &Plan, index: usize, now: TimeStatus) -> Result<(), PipelineError> {
        let step = &mut self.steps[index];
        if now.watermark > step.watermark {
            let before = std::mem::replace(&mut step.watermark, now.watermark);
            if now.watermark != WATERMARK_END {
                step.reached = now.watermark;
                // A step that nothing has come to in this worker says nothing, nor does one that goes by the clock.
                let by_event_time = self.steps.iter().filter(|it| !it.plan.processing_time);
                let reached = by_event_time.map(|it| it.reached).filter(|it| *it != WATERMARK_NONE);
                // There are as many as there were workers at first; a rehearsal may go on with more.
                if let Some(place) = self.counters.watermarks.get(self.index) {
                    place.store(reached.min().unwrap_or(WATERMARK_NONE), Relaxed);
                }
            }
            self.fire(plan, index, (before, now.watermark))?;
        }
        let step = &mut self.steps[index];
        // Never back: a reader is told the step's own watermark, whatever woke it.
        let now = TimeStatus { watermark: held(step.watermark, plan.steps[index].hold_ms), ..now };
        if step.said == Some(now) {
            return Ok(());
        }
        step.said = Some(now);
        for port in &plan.steps[index].ports {
            self.advance_targets(plan, &port.stream, now)?;
        }
        Ok(())
    }

    /// Does what a step has to do between two watermarks.
    pub(super) fn fire(
        &mut self,
        plan: &Plan,
        index: usize,
        (before, watermark): (EventTime, EventTime),
    ) -> Result<(), PipelineError> {
        let mut more = true;
        while more {
            let (step, began) = (&mut self.steps[index], self.gauge.now());
            let results = step.step.advance(&step.plan, before, watermark)?;
            self.gauge.worked(index, began, 0);
            more = results.more;
            self.pass_on(plan, index, results)?;
            if more {
                self.wait_until_said()?; // However much a step has to write, little of it waits in memory.
            }
        }
        self.keep_within_memory()
    }

    /// Results that are due by processing time.
    fn emit_on_time(&mut self, plan: &Plan, now_ms: u64) -> Result<(), PipelineError> {
        for index in 0..self.steps.len() {
            let step = &mut self.steps[index];
            let results = step.step.tick(&step.plan, step.watermark, now_ms)?;
            self.pass_on(plan, index, results)?;
        }
        Ok(())
    }

    // Barriers.

    fn begin_seal(
        &mut self,
        plan: &Plan,
        epoch: u64,
        last: bool,
        swap: Option<Box<(usize, Candidate)>>,
    ) -> Result<(), PipelineError> {
        let mut positions = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let times = source.time.snapshot();
            for (partition, next_offset) in &source.positions {
                let time = times.iter().find(|it| it.partition == *partition).map(|it| it.max_time);
                let max_ts = time.filter(|it| *it != EventTime::MIN);
                let position = Position { next_offset: *next_offset, max_ts, watermark: None };
                positions.push((Origin { source: index as u32, partition: *partition }, position));
            }
        }
        let watermarks = vec![WATERMARK_NONE; self.steps.len()];
        let sealed = Sealed { positions, delta: Delta::default(), watermarks, keys: 0 };
        if let Some((step, candidate)) = swap.as_deref() {
            let steps = &self.steps;
            let plan_of = |it: usize| if it == *step { &candidate.plan } else { &steps[it].plan };
            self.lineages.iter_mut().flatten().for_each(|it| it.change(*step, epoch + 1, plan_of));
        }
        self.sealing = Some(Sealing { open: self.steps.len(), last, swap, sealed: Box::new(sealed) });
        self.epoch = epoch + 1;
        for source in &plan.sources {
            self.barrier_targets(plan, &source.stream, epoch)?;
        }
        Ok(())
    }

    /// A barrier has come from everywhere: the step's state is what the epoch made of it.
    pub(super) fn seal(&mut self, plan: &Plan, index: usize, epoch: u64) -> Result<(), PipelineError> {
        let step = &mut self.steps[index];
        step.epoch = epoch + 1;
        if let Some(sealing) = &mut self.sealing {
            let before = sealing.sealed.delta.bytes().len();
            step.step.seal(self.tables[index], &mut sealing.sealed.delta)?;
            let bytes = sealing.sealed.delta.bytes().len() - before;
            self.gauge.sealed(index, step.step.keys(), bytes as u64);
            // Now and not when the last step has sealed: this one may be past the barrier by then.
            sealing.sealed.watermarks[index] = step.reached;
            sealing.sealed.keys += step.step.keys();
            sealing.open -= 1;
            step.probation = false;
            step.count(&self.counters.per_plugin[index]);
            if let Some(swap) = sealing.swap.take_if(|it| it.0 == index) {
                step.swap(swap.1)?;
            }
        }
        for port in &plan.steps[index].ports {
            self.barrier_targets(plan, &port.stream, epoch)?;
        }
        Ok(())
    }

    fn seal_is_complete(&self) -> bool {
        self.sealing.as_ref().is_some_and(|it| it.open == 0)
    }

    /// Reports a complete seal. True when it was the last one.
    fn finish_seal(&mut self) -> bool {
        let Some(sealing) = self.sealing.take() else { return false };
        self.memory.sealed();
        self.report(Report::Sealed(sealing.sealed));
        sealing.last
    }
}

impl WorkerSource {
    /// The topic that records of `origin` are from.
    pub(super) fn topic(&self, origin: Option<Origin>) -> &str {
        let index = origin.map_or(0, |it| TopicPartition::of(it.partition).topic);
        self.topics.get(index).map_or("", String::as_str)
    }
}

impl WorkerStep {
    /// Counts what its plugin has done since the last time.
    fn count(&mut self, counters: &PluginCounters) {
        if let Some((vitals, _)) = self.step.health() {
            let now = PluginWork {
                calls: vitals.calls,
                busy: vitals.busy,
                faults: vitals.faults,
                memory_bytes: vitals.memory_bytes as u64,
                replaced: vitals.replaced + vitals.recycled,
            };
            counters.add(&self.counted, &now);
            self.counted = now;
        }
    }

    /// The records from here on are the new version's.
    fn swap(&mut self, candidate: Candidate) -> Result<(), PipelineError> {
        let version = plugin_plan(&self.plan.operation).map_or(0, PluginPlan::state_version);
        self.plan = candidate.plan;
        self.probation = true;
        // The instance is another one, which begins to count anew; what it holds is told as the change from the last one's.
        self.counted = PluginWork { memory_bytes: self.counted.memory_bytes, ..PluginWork::default() };
        self.step.replace(candidate.step, &self.plan, version)
    }
}

/// The watermark that a step's readers hear of.
fn held(watermark: EventTime, hold_ms: i64) -> EventTime {
    if watermark == WATERMARK_END { watermark } else { watermark.saturating_sub(hold_ms) }
}

fn failed_probation(refused: &Refused) -> PipelineError {
    let reason = refused.reasons.first().map_or("", String::as_str);
    PipelineError::restart(format!("step `{}`: the new version failed on a record: {reason}", refused.step))
}
