//! What comes to a keyed step from all workers: records, watermarks and barriers, for each of its inputs in queues of its own.
//!
//! A barrier ends an epoch only when it has come in every queue; until then what comes after it waits in those where it
//! has come. Each input has its own queues because its barrier may take longer than the other one's.

use super::error::PipelineError;
use super::join_step::tombstones;
use super::plan::{OperationPlan, Plan, StepPlan, Stream, Target};
use super::reads::Pick;
use super::table_keys::TableKeys;
use super::tables_step;
use super::worker::Worker;
use crate::batch::{Batch, Keys, RowTimes};
use crate::config::TablesPart;
use crate::decode::canonical_keys;
use crate::exchange::{Exchange, Message, Parcel, TimeStatus, gather_times, joined_times, split};
use crate::join::Side;
use crate::watermark::{Valve, WATERMARK_END, WATERMARK_NONE};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Messages taken from one queue before the next one has its turn.
const RECEIVE_MAX: usize = 4;

/// One worker's ends of the queues of one keyed step.
pub(super) struct Inbox {
    /// The queues of each input.
    pub exchanges: Vec<Exchange>,
    /// The watermarks at their other ends: those of the first input's workers, then those of the second's.
    pub valve: Valve,
    /// The queues whose barrier has come, in the same order.
    pub barriers: Vec<bool>,
}

impl Inbox {
    fn status(&self) -> TimeStatus {
        TimeStatus { watermark: self.valve.watermark(), idle: self.valve.is_idle() }
    }

    /// A barrier has come in a queue. True when it was the last one.
    fn barrier(&mut self, queue: usize) -> bool {
        self.barriers[queue] = true;
        let all = self.barriers.iter().all(|it| *it);
        if all {
            self.barriers.fill(false);
        }
        all
    }

    /// The watermark at the other end of a queue has come so far.
    fn advance(&mut self, queue: usize, said: TimeStatus) -> TimeStatus {
        self.valve.active(queue);
        self.valve.advance(queue, said.watermark);
        if said.idle {
            self.valve.idle(queue);
        }
        self.status()
    }
}

/// What an input says whose time means nothing: that it holds nobody back, until it ends.
fn without_time(now: TimeStatus) -> TimeStatus {
    let ended = now.watermark == WATERMARK_END;
    TimeStatus { watermark: if ended { WATERMARK_END } else { WATERMARK_NONE }, idle: !ended }
}

/// How the records of an input of a join get their keys.
struct KeyOf<'a> {
    /// The columns that make it.
    picks: &'a [Pick],
    /// The fields that these are.
    fields: Vec<&'a Arc<str>>,
    /// Whether the records are values of their keys, and a tombstone is one too.
    is_table: bool,
    /// Whether a record without a key goes on.
    keeps: bool,
}

/// None for what one part of a join of two tables sends to the next: that has its keys with it.
fn key_of(step: &StepPlan, side: Side) -> Option<KeyOf<'_>> {
    let (join, own) = match (&step.operation, side) {
        (OperationPlan::Join(join), _) | (OperationPlan::Tables(TablesPart::Matches, join), Side::Right) => {
            (join, false)
        }
        (OperationPlan::Tables(TablesPart::Changes, join), _) => (join, true),
        _ => return None,
    };
    if own {
        return Some(KeyOf { picks: &join.own, fields: join.join.key.iter().collect(), is_table: true, keeps: false });
    }
    let is_table = side == Side::Right && join.join.kind.has_table();
    let fields = join.join.on.iter().map(|(left, right)| if side == Side::Left { left } else { right });
    // The rows of a table that have no key are nobody's.
    let keeps = join.join.keeps[side.index()];
    Some(KeyOf { picks: &join.sides[side.index()].key, fields: fields.collect(), is_table, keeps })
}

impl Worker {
    /// True where a step has one input that this worker alone feeds: nothing to wait for, and nothing to join.
    fn is_direct(&self, plan: &Plan, step: usize) -> bool {
        plan.steps[step].key.is_none() || (self.workers == 1 && plan.steps[step].sides().len() == 1)
    }

    /// Hands a keyed batch to the workers that own its keys.
    pub(super) fn exchange(
        &mut self,
        plan: &Plan,
        (step, side): (usize, Side),
        batch: Batch,
        keys: Keys,
        clock: RowTimes,
    ) -> Result<(), PipelineError> {
        if batch.rows == 0 {
            return Ok(());
        }
        let processing_time = plan.steps[step].processing_time;
        let (batch, clock) = if processing_time { self.arrivals.stamped(step, batch) } else { (batch, clock) };
        if self.workers == 1 {
            let mut others = WATERMARK_END;
            let is_direct = self.is_direct(plan, step);
            if let Some(inbox) = self.steps[step].inbox.as_mut().filter(|_| !is_direct) {
                if !plan.steps[step].is_timeless(side) {
                    inbox.valve.active(side.index());
                }
                others = inbox.valve.others(side.index());
            }
            let clock = joined_times(clock, &batch.times, self.steps[step].watermark, others);
            return self.process(plan, (step, side), batch, Some(keys), &clock);
        }
        let parcels = split(batch, keys, &clock, self.workers);
        if let Some(inbox) = &mut self.steps[step].inbox {
            for (worker, parcel) in parcels {
                inbox.exchanges[side.index()].send(worker, Message::Data(Box::new(parcel)));
            }
        }
        Ok(())
    }

    /// Hands a batch to a join. A record without a key matches nothing: it is dropped and counted, or where its side goes on
    /// without a match goes the same way as the others, so that it counts in the same epoch.
    pub(super) fn key_of_join(
        &mut self,
        plan: &Plan,
        (step, side): (usize, Side),
        mut batch: Batch,
        mut clock: RowTimes,
    ) -> Result<(), PipelineError> {
        let Some(key) = key_of(&plan.steps[step], side) else {
            let Some(keys) = tables_step::travelling_keys(&mut batch) else { return Ok(()) };
            return self.exchange(plan, (step, side), batch, keys, clock);
        };
        let KeyOf { picks, fields, is_table, keeps } = key;
        let columns: Vec<_> = picks.iter().map(|it| it.of(&batch)).collect();
        let columns: Vec<_> = columns.iter().map(|it| &**it).collect();
        let (mut keys, mut keyless) = canonical_keys(&batch, &columns);
        let empty = tombstones(&batch);
        let mut rows: Option<Vec<u32>> = None;
        if is_table && empty.contains(&true) {
            // The fields of a record without a value are those of its key.
            let found = TableKeys::new(fields, &batch).with_tombstones(keys, &keyless, &empty);
            (keys, rows, keyless) = (found.keys, Some(found.rows), found.keyless);
        }
        let count = keys.hashes.len() as u32;
        // Without a value there is nothing to join: Kafka Streams drops such records of a stream as well.
        let nothing = |row: u32| !is_table && empty[row as usize];
        let unkept = |row: u32| keyless.binary_search(&row).is_ok() && !keeps;
        let kept: Vec<u32> = (0..count).filter(|&row| !nothing(row) && !unkept(row)).collect();
        if kept.len() < count as usize {
            let dropped = u64::from(count) - kept.len() as u64;
            self.counters.filtered.fetch_add(dropped, Relaxed);
            self.counters.per_step[step].0.fetch_add(dropped, Relaxed);
            keys = super::step::gather_keys(&keys, &kept);
            rows = Some(match rows {
                Some(rows) => kept.iter().map(|&it| rows[it as usize]).collect(),
                None => kept,
            });
        }
        if let Some(rows) = rows {
            batch = batch.gather(&rows);
            clock = gather_times(&clock, &rows);
        }
        self.exchange(plan, (step, side), batch, keys, clock)
    }

    /// Takes a few messages from each queue whose barrier has not come yet.
    pub(super) fn receive(&mut self, plan: &Plan, index: usize) -> Result<bool, PipelineError> {
        let mut busy = false;
        if self.workers == 1 || self.steps[index].inbox.is_none() {
            return Ok(false);
        }
        for side in plan.steps[index].sides() {
            for from in 0..self.workers {
                busy |= self.receive_from(plan, (index, *side), from)?;
            }
        }
        Ok(busy)
    }

    fn receive_from(&mut self, plan: &Plan, at: (usize, Side), from: usize) -> Result<bool, PipelineError> {
        let (index, side) = at;
        let queue = side.index() * self.workers + from;
        let mut busy = false;
        for _ in 0..RECEIVE_MAX {
            let Some(inbox) = self.steps[index].inbox.as_mut().filter(|it| !it.barriers[queue]) else { break };
            let Some(message) = inbox.exchanges[side.index()].receive(from) else { break };
            busy = true;
            match message {
                Message::Data(parcel) => {
                    let Parcel { batch, keys, clock } = *parcel;
                    if !plan.steps[index].is_timeless(side) {
                        inbox.valve.active(queue);
                    }
                    let (floor, others) = (inbox.valve.watermark(), inbox.valve.others(queue));
                    let clock = joined_times(clock, &batch.times, floor, others);
                    self.process(plan, at, batch, Some(keys), &clock)?;
                }
                Message::Watermark(said) => {
                    let now = inbox.advance(queue, said);
                    self.advance(plan, index, now)?;
                }
                Message::Barrier(epoch) => {
                    if inbox.barrier(queue) {
                        self.seal(plan, index, epoch)?;
                    }
                }
            }
        }
        Ok(busy)
    }

    /// Tells the readers of a stream how far event time is in it.
    pub(super) fn advance_targets(
        &mut self,
        plan: &Plan,
        stream: &Stream,
        now: TimeStatus,
    ) -> Result<(), PipelineError> {
        for target in &stream.targets {
            let Target::Step(step, side) = *target else { continue };
            if let Some(now) = self.arrivals.heard(&plan.steps[step], step, now) {
                self.advance_target(plan, (step, side), now)?;
            }
        }
        Ok(())
    }

    /// Tells an input of a step how far time is in it.
    pub(super) fn advance_target(
        &mut self,
        plan: &Plan,
        (step, side): (usize, Side),
        now: TimeStatus,
    ) -> Result<(), PipelineError> {
        if self.is_direct(plan, step) {
            return self.advance(plan, step, now);
        }
        let now = if plan.steps[step].is_timeless(side) { without_time(now) } else { now };
        let (workers, Some(inbox)) = (self.workers, &mut self.steps[step].inbox) else { return Ok(()) };
        if workers == 1 {
            let now = inbox.advance(side.index(), now);
            return self.advance(plan, step, now);
        }
        for worker in 0..workers {
            inbox.exchanges[side.index()].send(worker, Message::Watermark(now));
        }
        Ok(())
    }

    /// Sends a barrier down a stream.
    pub(super) fn barrier_targets(&mut self, plan: &Plan, stream: &Stream, epoch: u64) -> Result<(), PipelineError> {
        for target in &stream.targets {
            let Target::Step(step, side) = *target else { continue };
            if self.is_direct(plan, step) {
                self.seal(plan, step, epoch)?;
                continue;
            }
            let (workers, Some(inbox)) = (self.workers, &mut self.steps[step].inbox) else { continue };
            if workers == 1 {
                if inbox.barrier(side.index()) {
                    self.seal(plan, step, epoch)?;
                }
                continue;
            }
            for worker in 0..workers {
                inbox.exchanges[side.index()].send(worker, Message::Barrier(epoch));
            }
        }
        Ok(())
    }

    /// Hands on what waits for any step. True when nothing waits.
    pub(super) fn flush_exchanges(&mut self) -> bool {
        let mut done = true;
        for step in &mut self.steps {
            for exchange in step.inbox.iter_mut().flat_map(|it| &mut it.exchanges) {
                done &= exchange.flush();
            }
        }
        done
    }

    /// Hands on what waits in the queues that a step's output goes into. True when nothing waits there.
    pub(super) fn flush_feeds(&mut self, index: usize) -> bool {
        let mut done = true;
        for &(step, side) in &self.feeds[index] {
            if let Some(inbox) = &mut self.steps[step].inbox {
                done &= inbox.exchanges[side.index()].flush();
            }
        }
        done
    }
}
