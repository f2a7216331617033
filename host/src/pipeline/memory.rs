//! How much memory the state of a pipeline may take, and what becomes of what is too much.
//!
//! Each worker has an equal share of the budget and looks at it once a batch. Of a share one half is for state in memory, a quarter
//! for what changed since the last barrier, and the rest for the scratch space: its buffers, its cache, its indexes.
//!
//! | too much of                             | what is done                                                                |
//! |-----------------------------------------|-----------------------------------------------------------------------------|
//! | state that can be moved                 | the keys that were not used of late go to the scratch space                 |
//! | changes                                 | the worker reads nothing until a barrier, which it asks for, has passed     |
//! | state that cannot be moved              | the pipeline ends with an error that names the step                         |
//!
//! Without a budget there is nothing to look at.

use super::error::{Failure, PipelineError};
use super::plan::StepPlan;
use super::step::{Operator, Step};
use super::worker::Worker;
use crate::checkpoint::CompactionLimits;
use crate::config::Pipeline;
use crate::spill::{Cold, Scratch, Sizes};
use crate::state::{Spills, TableId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The folder of the scratch space in a pipeline's folder.
const FOLDER: &str = "scratch";
/// Entries that are taken back between two looks at the memory.
pub(super) const RESTORED_BETWEEN_LOOKS: usize = 1_024;
/// What one buffer or the cache of a scratch space has at least, bytes: a small budget is exceeded by it.
const PART_BYTES_MIN: u64 = 1 << 20;
/// Deltas that are merged at once have this many bytes at least.
const MERGED_BYTES_MIN: u64 = 4 << 20;

/// What the state of one worker may take.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<Budget>);

#[derive(Debug)]
struct Budget {
    /// Of the pipeline, bytes.
    whole: u64,
    /// Of this worker, bytes.
    share: usize,
    scratch: Arc<Scratch>,
    /// Asks for a barrier.
    pressed: Arc<AtomicBool>,
    /// True until the barrier that was asked for has passed.
    waits: bool,
    /// True where moving keys did not help: it is tried again after the next barrier.
    spent: bool,
}

/// What a step holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Memory in use, bytes, about.
    pub bytes: usize,
    /// What the next barrier will write, bytes, about.
    pub changed: usize,
    /// Keys that are not in memory.
    pub cold_keys: usize,
    /// False where it stays in memory whatever happens.
    pub can_move: bool,
}

/// How the names of the scratch spaces of an attempt begin that begins itself. What an earlier one has left is removed.
pub(super) fn empty_scratch(pipeline_dir: &Path) -> Result<PathBuf, PipelineError> {
    let folder = pipeline_dir.join(FOLDER);
    // What is in it, and not the folder itself: it may be a disk of its own.
    let empty = || match std::fs::read_dir(&folder) {
        Ok(mut entries) => entries.try_for_each(|it| std::fs::remove_dir_all(it?.path())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    empty().map_err(|error| {
        let doing = format!("cannot empty {}", folder.display());
        PipelineError::from_error(Failure::Internal, &doing, &error)
    })?;
    // A thread that an attempt left behind must not meet the files of the next one.
    Ok(folder.join(super::run_token()))
}

/// When snapshot files are merged: deltas are in memory while they are, and at a restore until they are.
pub(super) fn compaction(memory: Option<u64>) -> CompactionLimits {
    let limits = CompactionLimits::default();
    let Some(memory) = memory else { return limits };
    let at_most = |bytes: u64, limit: u64| bytes.max(MERGED_BYTES_MIN).min(limit);
    CompactionLimits {
        delta_bytes_max: at_most(memory / 8, limits.delta_bytes_max),
        merge_bytes_max: at_most(memory / 4, limits.merge_bytes_max),
        ..limits
    }
}

impl Memory {
    /// Worker `index`'s, of `workers`. The names of their scratch spaces begin with `scratch`.
    pub(super) fn new(
        pipeline: &Pipeline,
        (index, workers): (usize, usize),
        scratch: &Path,
        pressed: &Arc<AtomicBool>,
    ) -> Self {
        let Some(whole) = pipeline.memory else { return Memory(None) };
        let share = whole / workers as u64;
        let part = (share / 12).max(PART_BYTES_MIN);
        let mut dir = scratch.as_os_str().to_owned();
        dir.push(format!("-{index}"));
        let scratch = Arc::new(Scratch::new(dir.into(), Sizes { buffer: part, cache: part }));
        let (waits, spent) = (false, false);
        Memory(Some(Budget { whole, share: share as usize, scratch, pressed: Arc::clone(pressed), waits, spent }))
    }

    /// True while sources are not to be read, for a barrier is waited for.
    pub(super) fn waits(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.waits)
    }

    /// A barrier has passed.
    pub(super) fn sealed(&mut self) {
        if let Some(budget) = &mut self.0 {
            (budget.waits, budget.spent) = (false, false);
        }
    }

    /// Bytes of the scratch space on the disk.
    pub(super) fn scratch_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |it| it.scratch.disk_bytes())
    }
}

impl Worker {
    /// Gives the steps whose state can be moved a place to move it to.
    pub(super) fn furnish(&mut self) {
        let Some(budget) = &self.memory.0 else { return };
        let movable = self.steps.iter().filter(|it| it.step.held().can_move).count();
        for (step, table) in self.steps.iter_mut().zip(&self.tables) {
            step.step.spill_to(&budget.scratch, *table, budget.share / 2 / movable.max(1));
        }
    }

    /// To be called once a batch.
    pub(super) fn keep_within_memory(&mut self) -> Result<(), PipelineError> {
        if self.memory.0.is_some() { self.look_at_memory() } else { Ok(()) }
    }

    fn look_at_memory(&mut self) -> Result<(), PipelineError> {
        let Some(budget) = &mut self.memory.0 else { return Ok(()) };
        budget.scratch.check().map_err(|error| PipelineError::stop(Failure::Internal, error.to_string()))?;
        let held = self.steps.iter().map(|it| it.step.held());
        let (mut movable, mut fixed, mut changed) = (0, 0, 0);
        for held in held {
            *(if held.can_move { &mut movable } else { &mut fixed }) += held.bytes;
            changed += held.changed;
        }
        if changed > budget.share / 4 && !budget.waits {
            budget.waits = true;
            budget.pressed.store(true, Relaxed);
            self.wakers.wake(self.workers);
        }
        let room = (budget.share / 2).saturating_sub(fixed).max(budget.share / 16);
        if movable > room && !budget.spent {
            // Some more, for the keys that come next. Each step gives its part.
            let (goal, all) = ((room - room / 8) as u128, movable as u128);
            movable = 0;
            for step in self.steps.iter_mut().filter(|it| it.step.held().can_move) {
                let part = step.step.held().bytes as u128 * goal / all;
                step.step.shrink(&step.plan, part as usize)?;
                movable += step.step.held().bytes;
            }
            budget.spent = movable > room;
        }
        if fixed + movable > budget.share { Err(self.too_much()) } else { Ok(()) }
    }

    /// The error about state that does not fit and cannot be moved.
    fn too_much(&self) -> PipelineError {
        let largest = self.steps.iter().max_by_key(|it| it.step.held().bytes);
        let (step, held) = largest.map_or(("", Held::default()), |it| (&*it.plan.name, it.step.held()));
        let (whole, share) = self.memory.0.as_ref().map_or((0, 0), |it| (it.whole, it.share));
        let what = if held.can_move {
            "state that cannot be moved to the disk now"
        } else {
            "windows that are all written whenever it is time, and so stay in memory"
        };
        PipelineError::stop(
            Failure::Internal,
            format!(
                "step `{step}` holds {} of {what}, and worker {} may hold {} in all, its share of `memory` = {}; what was \
                 committed is kept: raise `memory` and start again, or let the step hold less (fewer keys, shorter windows, less lateness)",
                size(held.bytes as u64),
                self.index,
                size(share as u64),
                size(whole),
            ),
        )
    }
}

impl Step {
    /// What it holds.
    pub(super) fn held(&self) -> Held {
        if let Some(state) = self.operator.spills() {
            let (bytes, changed, cold_keys) = (state.bytes(), state.changed_bytes(), state.cold_keys());
            return Held { bytes, changed, cold_keys, can_move: true };
        }
        match &self.operator {
            Operator::Window(window) => Held { bytes: window.bytes(), ..Held::default() },
            _ => Held::default(),
        }
    }

    /// From now on its state may be moved to `scratch`.
    fn spill_to(&mut self, scratch: &Arc<Scratch>, table: TableId, limit: usize) {
        if let Some(state) = self.operator.spills_mut() {
            state.spill_to(Cold::new(Arc::clone(scratch), table.0), limit);
        }
    }

    /// Moves what was not used of late until the rest takes at most `bytes`.
    fn shrink(&mut self, plan: &StepPlan, bytes: usize) -> Result<(), PipelineError> {
        let shrunk = self.operator.spills_mut().map_or(Ok(()), |it| it.shrink(bytes));
        shrunk.map_err(|error| super::step::spill_failed(plan, &error))
    }
}

/// A number of bytes as a person writes it.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|it| bytes >= it.1);
    unit.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{:.1} {name}", bytes as f64 / unit as f64))
}

impl Operator {
    /// Its state, where that can be moved.
    fn spills(&self) -> Option<&dyn Spills> {
        match self {
            Operator::Keyed(_, state) => Some(state),
            Operator::Dedupe(dedupe) => Some(dedupe.state()),
            Operator::Join(join) => Some(join.store()),
            Operator::Tables(part) => Some(part.state()),
            Operator::Window(window) => window.spills(),
            Operator::Transform(_) | Operator::Select => None,
        }
    }

    fn spills_mut(&mut self) -> Option<&mut dyn Spills> {
        match self {
            Operator::Keyed(_, state) => Some(state),
            Operator::Dedupe(dedupe) => Some(dedupe.state_mut()),
            Operator::Join(join) => Some(join.store_mut()),
            Operator::Tables(part) => Some(part.state_mut()),
            Operator::Window(window) => window.spills_mut(),
            Operator::Transform(_) | Operator::Select => None,
        }
    }
}
