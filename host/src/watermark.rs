//! Event time: how far it has come in each partition, in a worker, and over many workers.
//!
//! Pure: it knows no clock (processing time is handed in), no thread and no Kafka. Two nouns: [`Partitions`] is one
//! worker's view of one source, [`Valve`] joins the watermarks of several upstream workers. The rules are Flink's
//! (`BoundedOutOfOrdernessWatermarks`, `WatermarkOutputMultiplexer`, `StatusWatermarkValve`), but for two things: a
//! watermark is known record by record rather than every 200 ms, and a partition or an input that has *ended* never
//! makes the others' windows close while one of them is only idle.
//!
//! | partitions or inputs                 | watermark                                                     |
//! |--------------------------------------|---------------------------------------------------------------|
//! | some active                          | the minimum over the active ones                              |
//! | none active, some idle               | the maximum of what they all had: nothing else can come of it |
//! | all ended                            | [`WATERMARK_END`]                                             |
//! | none at all                          | where it was                                                  |
//!
//! And never lower than it was.

use crate::batch::{EventTime, RowTimes};

/// Before the first watermark.
pub const WATERMARK_NONE: EventTime = EventTime::MIN;
/// No record can come any more: every window closes.
pub const WATERMARK_END: EventTime = EventTime::MAX;

/// What a checkpoint keeps of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionTime {
    /// The partition.
    pub partition: i32,
    /// The largest event time seen in it; [`WATERMARK_NONE`] for none.
    pub max_time: EventTime,
    /// Whether it was idle.
    pub idle: bool,
}

/// How a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The partition.
    pub partition: i32,
    /// Its own watermark.
    pub watermark: EventTime,
    /// Whether it is idle.
    pub idle: bool,
    /// Whether it was read to its end.
    pub ended: bool,
}

/// The partitions of one source that one worker owns.
#[derive(Clone, Debug)]
pub struct Partitions {
    delay_ms: i64,
    idle_timeout_ms: Option<u64>,
    partitions: Vec<Partition>,
    /// True when no partition will be added.
    complete: bool,
    /// The highest watermark so far.
    watermark: EventTime,
    /// When somebody last read, or said that nobody does.
    seen_at_ms: Option<u64>,
}

#[derive(Clone, Debug)]
struct Partition {
    id: i32,
    max_time: EventTime,
    /// What its source said itself; [`WATERMARK_NONE`] for nothing.
    stated: EventTime,
    idle: bool,
    ended: bool,
    /// It is ahead of others, and not read for now.
    held: bool,
    last_record_at_ms: u64,
}

impl Partition {
    fn watermark(&self, delay_ms: i64) -> EventTime {
        self.max_time.saturating_sub(delay_ms).saturating_sub(1).max(self.stated)
    }

    fn active(&self) -> bool {
        !self.idle && !self.ended
    }
}

impl Partitions {
    /// No partitions yet. Records may be out of order by `delay_ms`; a partition without records for `idle_timeout_ms`
    /// (none for never) holds nothing back.
    pub fn new(delay_ms: i64, idle_timeout_ms: Option<u64>) -> Self {
        let (complete, watermark, seen_at_ms) = (false, WATERMARK_NONE, None);
        Partitions { delay_ms, idle_timeout_ms, partitions: Vec::new(), complete, watermark, seen_at_ms }
    }

    /// Partitions as a checkpoint left them, with the watermark that [`Partitions::watermark`] answered then.
    pub fn restore(&mut self, partitions: &[PartitionTime], watermark: EventTime, now_ms: u64) {
        for time in partitions {
            let at = self.add(time.partition, now_ms);
            let partition = &mut self.partitions[at];
            partition.max_time = partition.max_time.max(time.max_time);
            partition.idle = time.idle;
        }
        self.watermark = self.watermark.max(watermark);
    }

    /// A partition that is read from now on; until its first record, or until it is idle, it holds the watermark. No
    /// effect where it is known. Answers where it is.
    pub fn add(&mut self, partition: i32, now_ms: u64) -> usize {
        if let Some(at) = self.partitions.iter().position(|it| it.id == partition) {
            return at;
        }
        self.partitions.push(Partition {
            id: partition,
            max_time: WATERMARK_NONE,
            stated: WATERMARK_NONE,
            idle: false,
            ended: false,
            held: false,
            last_record_at_ms: now_ms,
        });
        self.partitions.len() - 1
    }

    /// A partition that another worker reads from now on. The watermark moves at the next batch or tick.
    pub fn remove(&mut self, partition: i32) {
        self.partitions.retain(|it| it.id != partition);
    }

    /// A batch of `partition` arrived, with these event times. An idle partition is active again.
    ///
    /// The watermark is that of every single record: the result does not depend on where a batch starts or ends.
    pub fn observe(&mut self, partition: i32, times: &[EventTime], now_ms: u64) -> RowTimes {
        let at = self.add(partition, now_ms);
        let before = self.watermark;
        if !times.is_empty() {
            let partition = &mut self.partitions[at];
            partition.idle = false;
            partition.last_record_at_ms = now_ms;
        }
        let others = self.partitions.iter().enumerate().filter(|(other, it)| *other != at && it.active());
        let others = others.map(|(_, it)| it.watermark(self.delay_ms)).min().unwrap_or(WATERMARK_END);
        let mut max_time = self.partitions[at].max_time;
        let mut watermark = before;
        if !times.is_empty() {
            // Records that only wake a partition move the watermark as well: what they had counts from their first row
            // on.
            watermark = watermark.max(self.partitions[at].watermark(self.delay_ms).min(others));
        }
        let mut stragglers = Vec::new();
        for (row, &time) in times.iter().enumerate() {
            if time <= watermark {
                stragglers.push((row as u32, watermark));
            }
            if time > max_time {
                max_time = time;
                let own = time.saturating_sub(self.delay_ms).saturating_sub(1);
                watermark = watermark.max(own.min(others));
            }
        }
        self.partitions[at].max_time = max_time;
        self.watermark = watermark;
        RowTimes { before, stragglers, after: watermark }
    }

    /// The source says of its own that no record of `partition` is on time at or below `watermark`. Answers the joined watermark
    /// where that moved it.
    pub fn state(&mut self, partition: i32, watermark: EventTime, now_ms: u64) -> Option<EventTime> {
        let at = self.add(partition, now_ms);
        self.partitions[at].stated = self.partitions[at].stated.max(watermark);
        self.advance()
    }

    /// The source says that nothing comes of `partition` for now (`idle`), or that it goes on. Answers the joined watermark where
    /// that moved it.
    pub fn rest(&mut self, partition: i32, idle: bool, now_ms: u64) -> Option<EventTime> {
        let at = self.add(partition, now_ms);
        self.partitions[at].idle = idle;
        self.partitions[at].last_record_at_ms = now_ms;
        self.advance()
    }

    /// No record of `partition` will come any more. Answers the watermark where that moved it.
    pub fn end(&mut self, partition: i32, now_ms: u64) -> Option<EventTime> {
        let at = self.add(partition, now_ms);
        self.partitions[at].ended = true;
        self.advance()
    }

    /// The least of the largest times of the active partitions that have had records: what the others may be so far ahead of.
    /// [`WATERMARK_END`] where there is none.
    pub fn low(&self) -> EventTime {
        let active = self.partitions.iter().filter(|it| it.active() && it.max_time != WATERMARK_NONE);
        active.map(|it| it.max_time).min().unwrap_or(WATERMARK_END)
    }

    /// Partitions that have come past `limit` are not to be read until it is further. They do not become idle by that.
    pub fn hold(&mut self, limit: EventTime, now_ms: u64) {
        for partition in &mut self.partitions {
            partition.held = partition.max_time > limit;
            if partition.held {
                partition.last_record_at_ms = now_ms;
            }
        }
    }

    /// True while a partition is not to be read.
    pub fn is_held(&self, partition: i32) -> bool {
        self.partitions.iter().any(|it| it.held && it.id == partition)
    }

    /// The worker reads. To be called before each poll.
    pub fn reading(&mut self, now_ms: u64) {
        self.seen_at_ms = Some(now_ms);
    }

    /// The worker does not read (something downstream is full): the time since it last did does not count for idleness, since a
    /// partition that nobody polls is not idle.
    pub fn pause(&mut self, now_ms: u64) {
        let passed_ms = self.seen_at_ms.map_or(0, |it| now_ms.saturating_sub(it));
        self.seen_at_ms = Some(now_ms);
        for partition in &mut self.partitions {
            partition.last_record_at_ms = partition.last_record_at_ms.saturating_add(passed_ms).min(now_ms);
        }
    }

    /// Time has passed: partitions without records become idle. Answers the watermark where that moved it.
    pub fn tick(&mut self, now_ms: u64) -> Option<EventTime> {
        if let Some(timeout_ms) = self.idle_timeout_ms {
            for partition in &mut self.partitions {
                partition.idle |= now_ms.saturating_sub(partition.last_record_at_ms) >= timeout_ms;
            }
        }
        self.advance()
    }

    fn advance(&mut self) -> Option<EventTime> {
        let own = |it: &Partition| it.watermark(self.delay_ms);
        let active = self.partitions.iter().filter(|it| it.active()).map(own).min();
        let watermark = match active {
            Some(watermark) => watermark,
            None if self.ended() => WATERMARK_END,
            None => self.partitions.iter().map(own).max()?,
        };
        if watermark <= self.watermark {
            return None; // A partition waking from idleness brings late records, not a lower watermark.
        }
        self.watermark = watermark;
        Some(watermark)
    }

    /// No record at or below it is on time any more.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// True while no partition can move the watermark, though one may wake: [`Valve::idle`] for downstream. A worker
    /// without partitions is idle too, so that it holds nobody back.
    pub fn idle(&self) -> bool {
        !self.ended() && !self.partitions.iter().any(Partition::active)
    }

    /// No partition will be added: time ends with the last of those there are, and at once where there is none. A worker
    /// without partitions says so where the input is bounded, or the stages that it feeds would never end.
    pub fn complete(&mut self) -> Option<EventTime> {
        self.complete = true;
        self.advance()
    }

    /// True when all partitions have ended, if there are any or none will come.
    pub fn ended(&self) -> bool {
        (self.complete || !self.partitions.is_empty()) && self.partitions.iter().all(|it| it.ended)
    }

    /// How each partition is.
    pub fn states(&self) -> impl Iterator<Item = PartitionState> {
        self.partitions.iter().map(|it| PartitionState {
            partition: it.id,
            watermark: it.watermark(self.delay_ms),
            idle: it.idle,
            ended: it.ended,
        })
    }

    /// What a checkpoint keeps, together with [`Partitions::watermark`]. That a partition has ended is not kept: a file
    /// that has grown since is read on.
    pub fn snapshot(&self) -> Vec<PartitionTime> {
        let keep = |it: &Partition| PartitionTime { partition: it.id, max_time: it.max_time, idle: it.idle };
        self.partitions.iter().map(keep).collect()
    }
}

/// Joins the watermarks of the upstream workers that feed one stage.
///
/// An input that wakes behind the joined watermark does not count until it has caught up: it can neither bring it back
/// nor hold it (Flink's "aligned"). Its records up to there are late.
#[derive(Clone, Debug)]
pub struct Valve {
    inputs: Vec<ValveInput>,
    watermark: EventTime,
}

#[derive(Clone, Debug)]
struct ValveInput {
    watermark: EventTime,
    /// The watermark before [`WATERMARK_END`].
    reached: EventTime,
    idle: bool,
    aligned: bool,
}

impl Valve {
    /// A valve of `inputs` inputs, all active, none with a watermark yet. `watermark` is where a checkpoint left it, or
    /// [`WATERMARK_NONE`].
    pub fn new(inputs: usize, watermark: EventTime) -> Self {
        let input = ValveInput { watermark: WATERMARK_NONE, reached: WATERMARK_NONE, idle: false, aligned: true };
        Valve { inputs: vec![input; inputs], watermark }
    }

    /// The watermark of `input` has come to `watermark`. Ignored where it goes back, and from an idle input, whose
    /// status must change first; the end is taken from any. Answers the joined watermark where that moved it.
    pub fn advance(&mut self, input: usize, watermark: EventTime) -> Option<EventTime> {
        let joined = self.watermark;
        let it = &mut self.inputs[input];
        if watermark <= it.watermark || (it.idle && watermark != WATERMARK_END) {
            return None;
        }
        if watermark != WATERMARK_END {
            it.reached = watermark;
        }
        it.watermark = watermark;
        it.aligned |= watermark >= joined;
        self.join()
    }

    /// `input` holds nothing back from now on. Answers the joined watermark where that moved it.
    pub fn idle(&mut self, input: usize) -> Option<EventTime> {
        self.inputs[input].idle = true;
        self.inputs[input].aligned = false;
        self.join()
    }

    /// `input` counts again from now on, or once it has caught up.
    pub fn active(&mut self, input: usize) {
        let it = &mut self.inputs[input];
        if it.idle {
            it.idle = false;
            it.aligned = it.watermark >= self.watermark;
        }
    }

    fn join(&mut self) -> Option<EventTime> {
        let open = || self.inputs.iter().filter(|it| it.watermark != WATERMARK_END);
        let aligned = open().filter(|it| it.aligned && !it.idle).map(|it| it.watermark).min();
        let watermark = match aligned {
            Some(watermark) => watermark,
            None if open().next().is_none() => WATERMARK_END,
            None if open().all(|it| it.idle) => self.inputs.iter().map(|it| it.reached).max()?,
            None => return None, // Some input is awake but behind.
        };
        if watermark <= self.watermark {
            return None;
        }
        self.watermark = watermark;
        Some(watermark)
    }

    /// The joined watermark.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The minimum over the inputs that count, `input` apart; [`WATERMARK_END`] where there is none.
    pub fn others(&self, input: usize) -> EventTime {
        let inputs = self.inputs.iter().enumerate().filter(|(at, it)| *at != input && it.aligned && !it.idle);
        inputs.map(|(_, it)| it.watermark).min().unwrap_or(WATERMARK_END)
    }

    /// True while every input that has not ended is idle: the valve is then an idle input of what is downstream.
    pub fn is_idle(&self) -> bool {
        let mut open = self.inputs.iter().filter(|it| it.watermark != WATERMARK_END).peekable();
        open.peek().is_some() && open.all(|it| it.idle)
    }

    /// True when every input has ended.
    pub fn ended(&self) -> bool {
        self.inputs.iter().all(|it| it.watermark == WATERMARK_END)
    }
}

#[cfg(test)]
mod tests;
