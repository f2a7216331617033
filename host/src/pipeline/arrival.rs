//! Windows by processing time: a record's time is when a worker hands it to such a step, and the step's watermark is how far the
//! clocks of all workers that do so are.
//!
//! So the step itself works by watermarks like every other: they travel with the records in the same queues, none is late, and
//! at a barrier every worker has the same one. A clock that starts behind the watermark of a checkpoint stands still until it is there.

use super::error::PipelineError;
use super::plan::{Plan, StepPlan};
use super::worker::Worker;
use crate::batch::{Batch, EventTime, RowTimes};
use crate::exchange::TimeStatus;
use crate::join::Side;
use crate::watermark::WATERMARK_END;

/// Processing time as one worker tells it to its steps.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    /// What the workers' clock began at, ms since the Unix epoch.
    began_unix_ms: i64,
    /// Now, ms since the Unix epoch.
    now: EventTime,
    /// The watermark that this worker last told each step; that of the step at the start.
    told: Vec<EventTime>,
}

impl Arrivals {
    /// For steps that are at the watermarks `told`.
    pub(super) fn new(began_unix_ms: i64, now_ms: u64, told: Vec<EventTime>) -> Self {
        let mut arrivals = Arrivals { began_unix_ms, now: 0, told };
        arrivals.set(now_ms);
        arrivals
    }

    /// The workers' clock is at `now_ms`.
    pub(super) fn set(&mut self, now_ms: u64) {
        self.now = self.began_unix_ms.saturating_add_unsigned(now_ms);
    }

    /// The time of a record that comes to `step` now.
    fn at(&self, step: usize) -> EventTime {
        self.now.max(self.told[step].saturating_add(1))
    }

    /// A batch that comes to `step` now, and its clock.
    pub(super) fn stamped(&self, step: usize, mut batch: Batch) -> (Batch, RowTimes) {
        batch.times = vec![self.at(step); batch.rows];
        (batch, RowTimes { before: self.told[step], stragglers: Vec::new(), after: self.told[step] })
    }

    /// What `step` is to be told where it was not yet: that no record comes any more with a time before now.
    fn due(&mut self, step: usize) -> Option<TimeStatus> {
        let watermark = self.at(step) - 1;
        (watermark > self.told[step]).then(|| self.tell(step, watermark))
    }

    fn tell(&mut self, step: usize, watermark: EventTime) -> TimeStatus {
        self.told[step] = watermark;
        TimeStatus { watermark, idle: false }
    }

    /// What `step` hears where its input says `now`: only that it has ended.
    pub(super) fn heard(&mut self, plan: &StepPlan, step: usize, now: TimeStatus) -> Option<TimeStatus> {
        match (plan.processing_time, now.watermark) {
            (false, _) => Some(now),
            (true, WATERMARK_END) => Some(self.tell(step, WATERMARK_END)),
            (true, _) => None,
        }
    }
}

impl Worker {
    /// Tells the steps by processing time how late it is.
    pub(super) fn tell_time(&mut self, plan: &Plan) -> Result<(), PipelineError> {
        for (step, _) in plan.steps.iter().enumerate().filter(|it| it.1.processing_time) {
            if let Some(now) = self.arrivals.due(step) {
                self.advance_target(plan, (step, Side::Left), now)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watermark::WATERMARK_NONE;

    fn batch(rows: usize) -> Batch {
        Batch {
            rows,
            origin: None,
            offsets: Vec::new(),
            times: vec![7; rows],
            raw: None,
            key: None,
            value: None,
            headers: Vec::new(),
            columns: Vec::new(),
        }
    }

    fn told(arrivals: &mut Arrivals) -> Option<EventTime> {
        arrivals.due(0).map(|it| it.watermark)
    }

    #[test]
    fn records_have_the_time_at_which_they_come_and_are_after_every_watermark() {
        let mut arrivals = Arrivals::new(1_000, 5, vec![WATERMARK_NONE]);
        let (batch, clock) = arrivals.stamped(0, batch(2));
        assert_eq!((batch.times, clock.after), (vec![1_005; 2], WATERMARK_NONE));
        assert_eq!((told(&mut arrivals), told(&mut arrivals)), (Some(1_004), None), "told once");
        arrivals.set(9);
        assert_eq!(told(&mut arrivals), Some(1_008));
    }

    #[test]
    fn a_clock_behind_what_a_checkpoint_says_stands_still() {
        let mut arrivals = Arrivals::new(1_000, 0, vec![2_000]);
        assert_eq!((arrivals.stamped(0, batch(1)).0.times, told(&mut arrivals)), (vec![2_001], None));
        arrivals.set(1_001);
        assert_eq!((arrivals.stamped(0, batch(1)).0.times, told(&mut arrivals)), (vec![2_001], None));
        arrivals.set(1_002);
        assert_eq!((arrivals.stamped(0, batch(1)).0.times, told(&mut arrivals)), (vec![2_002], Some(2_001)));
    }

    #[test]
    fn after_the_end_there_is_nothing_to_tell() {
        let mut arrivals = Arrivals::new(1_000, 0, vec![WATERMARK_NONE]);
        arrivals.tell(0, WATERMARK_END);
        arrivals.set(5);
        assert_eq!(told(&mut arrivals), None);
    }
}
