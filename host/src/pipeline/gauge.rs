//! What a worker tells of itself, a few times a second: how busy it is, and how far its partitions and steps are.

use super::clock::Clock;
use super::worker::{Turn, Worker};
use crate::metrics::{PartitionView, StepView, WorkerView};
use std::time::Duration;

/// How often a worker tells, ms.
const SHOW_MS: u64 = 250;
/// Rates and shares are of the last seconds: what is so many ms old counts 1/e.
const FADE_MS: f64 = 2_000.0;

/// What a worker measures of itself. Written once a batch or a turn of the loop.
pub(super) struct Gauge {
    clock: Clock,
    /// The time of the last turn, and of the last telling, ms.
    turned_ms: Option<u64>,
    shown_ms: Option<u64>,
    busy: Share,
    blocked: Share,
    partitions: Vec<PartitionGauge>,
    steps: Vec<StepGauge>,
}

struct PartitionGauge {
    source: usize,
    partition: i32,
    records: Rate,
}

#[derive(Default)]
struct StepGauge {
    records: Rate,
    busy: Share,
    blocked: Share,
    /// True when what it made waited for room in this turn.
    waits: bool,
    state_keys: u64,
    checkpoint_bytes: u64,
}

/// A time of the present interval, and its share of the last ones.
#[derive(Default)]
struct Share {
    now: Duration,
    share: f64,
}

impl Share {
    fn fade(&mut self, interval_ms: f64, weight: f64) {
        let now = (self.now.as_secs_f64() * 1e3 / interval_ms).min(1.0);
        self.share += (now - self.share) * weight;
        self.now = Duration::ZERO;
    }
}

/// A count, and how fast it grew.
#[derive(Default)]
struct Rate {
    count: u64,
    before: u64,
    rate: f64,
}

impl Rate {
    fn fade(&mut self, interval_ms: f64, weight: f64) {
        let now = (self.count - self.before) as f64 * 1e3 / interval_ms;
        self.rate += (now - self.rate) * weight;
        self.before = self.count;
    }
}

impl Gauge {
    /// For so many steps.
    pub(super) fn new(steps: usize) -> Self {
        Gauge {
            clock: Clock::start(),
            turned_ms: None,
            shown_ms: None,
            busy: Share::default(),
            blocked: Share::default(),
            partitions: Vec::new(),
            steps: (0..steps).map(|_| StepGauge::default()).collect(),
        }
    }

    /// Now, for [`Self::worked`].
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// A step has worked since `began`, on so many records.
    pub(super) fn worked(&mut self, step: usize, began: Duration, rows: usize) {
        let took = self.clock.elapsed().saturating_sub(began);
        let step = &mut self.steps[step];
        step.busy.now += took;
        step.records.count += rows as u64;
    }

    /// What a step has made waits for room further on, or not.
    pub(super) fn waits(&mut self, step: usize, waits: bool) {
        self.steps[step].waits = waits;
    }

    /// A step's state at a checkpoint.
    pub(super) fn sealed(&mut self, step: usize, keys: u64, bytes: u64) {
        let step = &mut self.steps[step];
        (step.state_keys, step.checkpoint_bytes) = (keys, bytes);
    }

    /// Records were read.
    pub(super) fn read(&mut self, source: usize, partition: i32, rows: usize) {
        let known = self.partitions.iter_mut().find(|it| (it.source, it.partition) == (source, partition));
        match known {
            Some(it) => it.records.count += rows as u64,
            None => {
                let records = Rate { count: rows as u64, ..Rate::default() };
                self.partitions.push(PartitionGauge { source, partition, records });
            }
        }
    }

    /// A turn of the loop has ended. True when it is time to tell.
    fn turned(&mut self, turn: Turn, now_ms: u64) -> bool {
        let took = Duration::from_millis(now_ms - self.turned_ms.unwrap_or(now_ms).min(now_ms));
        self.turned_ms = Some(now_ms);
        match turn {
            Turn::Busy => self.busy.now += took,
            Turn::Blocked => self.blocked.now += took,
            Turn::Idle | Turn::Done => {}
        }
        for step in self.steps.iter_mut().filter(|it| it.waits) {
            step.blocked.now += took;
        }
        let since_ms = now_ms.saturating_sub(*self.shown_ms.get_or_insert(now_ms));
        if since_ms < SHOW_MS && turn != Turn::Done {
            return false;
        }
        self.shown_ms = Some(now_ms);
        if since_ms > 0 {
            self.fade(since_ms as f64);
        }
        true
    }

    fn fade(&mut self, interval_ms: f64) {
        let weight = 1.0 - (-interval_ms / FADE_MS).exp();
        self.busy.fade(interval_ms, weight);
        self.blocked.fade(interval_ms, weight);
        self.partitions.iter_mut().for_each(|it| it.records.fade(interval_ms, weight));
        for step in &mut self.steps {
            step.records.fade(interval_ms, weight);
            step.busy.fade(interval_ms, weight);
            step.blocked.fade(interval_ms, weight);
        }
    }
}

impl Worker {
    /// A turn of the loop has ended: tells how things are, where it is time.
    pub(super) fn tell(&mut self, turn: Turn, now_ms: u64) {
        if self.gauge.turned(turn, now_ms) {
            let view = self.view();
            self.counters.views.set(self.index, view);
        }
    }

    fn view(&self) -> WorkerView {
        let step = |(gauge, step): (&StepGauge, &super::worker::WorkerStep)| StepView {
            rate: gauge.records.rate,
            busy: gauge.busy.share,
            backpressured: gauge.blocked.share,
            watermark: step.watermark,
            state_keys: gauge.state_keys,
            memory_bytes: step.step.held().bytes as u64,
            spilled_keys: step.step.held().cold_keys as u64,
            checkpoint_bytes: gauge.checkpoint_bytes,
        };
        WorkerView {
            busy: self.gauge.busy.share,
            backpressured: self.gauge.blocked.share,
            partitions: self.partition_views(),
            steps: self.gauge.steps.iter().zip(&self.steps).map(step).collect(),
            spilled_bytes: self.memory.scratch_bytes(),
        }
    }

    fn partition_views(&self) -> Vec<PartitionView> {
        let mut views = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let lags = source.reader.as_ref().map(crate::source::Source::lags).unwrap_or_default();
            for state in source.time.states() {
                let of = |it: &&(i32, i64)| it.0 == state.partition;
                let read =
                    self.gauge.partitions.iter().find(|it| (it.source, it.partition) == (index, state.partition));
                views.push(PartitionView {
                    source: index,
                    partition: state.partition,
                    records: read.map_or(0, |it| it.records.count),
                    rate: read.map_or(0.0, |it| it.records.rate),
                    next_offset: source.positions.iter().find(of).map_or(0, |it| it.1),
                    lag: lags.iter().find(of).map(|it| it.1.max(0) as u64),
                    watermark: state.watermark,
                    idle: state.idle,
                    ended: state.ended,
                });
            }
        }
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_follow_the_last_seconds() {
        let mut gauge = Gauge::new(1);
        let mut now_ms = 0;
        let mut seconds = |gauge: &mut Gauge, seconds: u64, rows: usize, turn: Turn| {
            for _ in 0..seconds * 10 {
                now_ms += 100;
                gauge.read(0, 3, rows);
                gauge.waits(0, turn == Turn::Blocked);
                gauge.turned(turn, now_ms);
            }
        };
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.02 * expected.max(1.0), "{found}");
        seconds(&mut gauge, 20, 50, Turn::Busy);
        near(gauge.partitions[0].records.rate, 500.0);
        near(gauge.busy.share, 1.0);
        near(gauge.blocked.share, 0.0);
        seconds(&mut gauge, 30, 0, Turn::Blocked);
        near(gauge.partitions[0].records.rate, 0.0);
        near(gauge.busy.share, 0.0);
        near(gauge.steps[0].blocked.share, 1.0);
        assert_eq!(gauge.partitions[0].records.count, 10_000);
    }
}
