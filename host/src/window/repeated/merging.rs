//! Sessions: a record makes one of all that it overlaps.

use super::{Assigner, Repeated};
use crate::window::Input;
use crate::window::accumulators::{Accumulators, Merge};
use crate::window::fired::Processed;
use crate::window::keys::KeyId;

impl<A: Accumulators> Repeated<A> {
    /// Adds a row to its session, made of those that it joins. False where it is late: lateness is judged on the merged window
    /// (as Flink's `MergingWindowSet` does), so an old record is on time when it joins a session that is held.
    pub(super) fn assign_session(
        &mut self,
        input: &Input<'_>,
        row: usize,
        out: &mut Processed<A::Output>,
    ) -> Result<bool, A::Error> {
        let Assigner::Sessions(gap, touching) = self.assigner else { return Ok(false) };
        let gap = input.gaps.get(row).copied().filter(|it| *it > 0).unwrap_or(gap);
        let (start, time) = (input.times[row], input.times[row]);
        let end = time.saturating_add(gap);
        let (hash, text) = (input.keys.hashes[row], input.keys.texts.get(row));
        let expired = self.expired(end);
        let id = if expired { self.keys.find(hash, text) } else { Some(self.keys.intern(hash, text)) };
        let Some(id) = id else { return Ok(false) };
        let held = &self.keys[id].state.held;
        // Those held are apart from each other, so both their starts and their ends are in order.
        let from = held.partition_point(|it| it.end < start || (it.end == start && !touching));
        let to = held.partition_point(|it| it.start < end || (it.start == end && touching));
        let at = if from < to {
            self.merge(input, id, from..to, (start, end))?;
            from
        } else if expired {
            return Ok(false);
        } else {
            self.open(id, (start, end))
        };
        self.add(input, row, (id, at), out)?;
        Ok(true)
    }

    /// Makes one window of those of `which` and of a new one from `start` to `end`.
    fn merge(
        &mut self,
        input: &Input<'_>,
        id: KeyId,
        which: std::ops::Range<usize>,
        (start, end): (i64, i64),
    ) -> Result<(), A::Error> {
        let at = which.start;
        if which.len() > 1 {
            self.fold(input)?; // What is to be merged must be complete.
        }
        let absorbed: Vec<_> = self.keys[id].state.held.drain(which.start + 1..which.end).collect();
        for mut gone in absorbed {
            let into = &mut self.keys[id].state.held[at];
            into.end = into.end.max(gone.end);
            into.seen = (into.seen.0.min(gone.seen.0), into.seen.1.max(gone.seen.1));
            into.records += gone.records;
            into.panes = into.panes.max(gone.panes);
            into.early = into.early.min(gone.early);
            into.stands.append(&mut gone.stands);
            self.folds.merge(&[Merge { into: into.slot, from: gone.slot }])?;
            self.let_go(id, &gone);
        }
        let watermark = self.watermark;
        let key = &mut self.keys[id];
        let held = &mut key.state.held[at];
        held.end = held.end.max(end);
        if start < held.start {
            if std::mem::take(&mut held.sealed) {
                self.removed.push(key.hash, &key.text, held.start);
            }
            held.start = start;
            held.timer = None; // Timers name the start.
        }
        // One that has grown past the watermark has its pane on time before it.
        held.closed = held.end.saturating_sub(1) <= watermark;
        Ok(())
    }
}
