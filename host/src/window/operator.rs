//! The window operator of a step, whichever it is.

use super::accumulators::Accumulators;
use super::entry::{self, StateError};
use super::fired::{Fired, Processed};
use super::{Counted, Input, Panes, Repeated, Rolling, Sessions, Sliding};
use crate::batch;
use crate::config::{Emit, Firing, Window};
use crate::spill::SpillError;
use crate::state::{Delta, Entry, Spills, TableId};

/// One of the windows. After each batch the worker calls [`Operator::advance`] with the watermark after it; before a barrier's
/// [`Operator::seal`] it has done so.
#[derive(Debug)]
pub enum Operator<A> {
    /// Tumbling and hopping.
    Panes(Box<Panes<A>>),
    /// Session.
    Sessions(Sessions<A>),
    /// Rolling.
    Rolling(Rolling<A>),
    /// Sliding.
    Sliding(Sliding<A>),
    /// Any of time that may write several results.
    Repeated(Box<Repeated<A>>),
    /// Of a number of records.
    Counted(Counted<A>),
}

/// Calls the same method of whichever it is.
macro_rules! each {
    ($self:expr, $it:ident => $call:expr) => {
        match $self {
            Operator::Panes($it) => $call,
            Operator::Sessions($it) => $call,
            Operator::Rolling($it) => $call,
            Operator::Sliding($it) => $call,
            Operator::Repeated($it) => $call,
            Operator::Counted($it) => $call,
        }
    };
}

impl<A: Accumulators> Operator<A> {
    /// The operator of `window`. Rolling and count windows answer on arrival whatever `emit` says. Windows that are written
    /// once, and each of which is that of every other system, share panes or are merged when they close; all others are kept one
    /// by one.
    pub fn new(window: &Window, emit: Emit, folds: A) -> Self {
        match (window, emit) {
            (Window::Rolling { size_ms }, _) => Operator::Rolling(Rolling::new(*size_ms, folds)),
            (Window::Sliding { difference_ms }, emit) => {
                Operator::Sliding(Sliding::new(*difference_ms, emit == Emit::OnUpdate, folds))
            }
            (Window::Count { records, every }, _) => Operator::Counted(Counted::new(*records, *every, folds)),
            (window, Emit::Repeatedly(firing)) => Operator::Repeated(Box::new(Repeated::new(window, firing, folds))),
            (Window::Tumbling { size_ms, offset_ms }, _) => {
                Operator::Panes(Box::new(Panes::new(*size_ms, *size_ms, *offset_ms, emit, folds)))
            }
            (Window::Hopping { size_ms, slide_ms, offset_ms }, _) => {
                Operator::Panes(Box::new(Panes::new(*size_ms, *slide_ms, *offset_ms, emit, folds)))
            }
            (Window::Session { gap_ms, touching: false, gap_field: None }, _) => {
                Operator::Sessions(Sessions::new(*gap_ms, emit, folds))
            }
            (Window::Session { .. } | Window::Calendar { .. } | Window::Global, _) => {
                Operator::Repeated(Box::new(Repeated::new(window, Firing::ON_CLOSE, folds)))
            }
        }
    }

    /// Folds a batch. Late rows are listed and change nothing.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        each!(self, it => it.process(input))
    }

    /// Closes every window whose last millisecond `watermark` has reached; it only ever rises. Where keys are on the disk, see
    /// [`Operator::warm_due`].
    pub fn advance(&mut self, watermark: i64) -> Result<Fired<A::Output>, A::Error> {
        match self {
            Operator::Panes(it) => it.advance(watermark),
            Operator::Sessions(it) => it.advance(watermark),
            Operator::Rolling(it) => {
                it.advance(watermark);
                Ok(Fired::new(it.accumulators()))
            }
            Operator::Sliding(it) => it.advance(watermark),
            Operator::Repeated(it) => it.advance(watermark),
            Operator::Counted(it) => Ok(Fired::new(it.accumulators())),
        }
    }

    /// As [`Operator::advance`], but stops at `rows_max` rows, or with the key that reaches them where one may have several rows. False where something is left:
    /// the call is to be repeated with the same watermark before anything else is done. However many windows close at once, and of however many keys, what
    /// they write needs little memory.
    pub fn advance_some(&mut self, watermark: i64, rows_max: usize) -> Result<(Fired<A::Output>, bool), A::Error> {
        match self {
            Operator::Panes(it) => it.advance_some(watermark, rows_max),
            Operator::Sessions(it) => it.advance_some(watermark, rows_max),
            Operator::Sliding(it) => it.advance_some(watermark, rows_max),
            Operator::Repeated(it) => it.advance_some(watermark, rows_max),
            Operator::Rolling(it) => {
                let done = it.advance(watermark);
                Ok((Fired::new(it.accumulators()), done))
            }
            Operator::Counted(it) => Ok((Fired::new(it.accumulators()), true)),
        }
    }

    /// Brings some of the keys back from the disk that are needed to close what `watermark` has reached: as many as may be in memory at once. To be
    /// called before each [`Operator::advance_some`], which then goes as far as they allow.
    ///
    /// # Errors
    /// The disk's.
    pub fn warm_due(&mut self, watermark: i64) -> Result<(), SpillError> {
        match self {
            Operator::Panes(it) => it.warm_due(watermark),
            Operator::Sessions(it) => it.warm_due(watermark),
            Operator::Rolling(it) => it.warm_due(watermark),
            Operator::Sliding(it) => it.warm_due(watermark),
            Operator::Repeated(it) => it.warm_due(watermark),
            Operator::Counted(_) => Ok(()),
        }
    }

    /// True where keys on the disk may be needed to close what `watermark` has reached. Then a batch must not be processed that has a straggler
    /// which came at that watermark, but the rows before it, and then [`Operator::advance_some`] be called.
    pub fn waits_for(&self, watermark: i64) -> bool {
        match self {
            Operator::Panes(it) => it.waits_for(watermark),
            Operator::Sessions(it) => it.waits_for(watermark),
            Operator::Sliding(it) => it.waits_for(watermark),
            Operator::Repeated(it) => it.waits_for(watermark),
            Operator::Rolling(_) | Operator::Counted(_) => false, // They write nothing then.
        }
    }

    /// With an interval of processing time, a row for each open window that changed since it was last reported; otherwise nothing.
    pub fn changed(&mut self) -> Result<Fired<A::Output>, A::Error> {
        match self {
            Operator::Panes(it) => it.changed(),
            Operator::Sessions(it) => it.changed(),
            Operator::Rolling(it) => Ok(Fired::new(it.accumulators())),
            Operator::Sliding(it) => Ok(Fired::new(it.accumulators())),
            Operator::Repeated(it) => it.changed(),
            Operator::Counted(it) => Ok(Fired::new(it.accumulators())),
        }
    }

    /// Writes what changed since the last seal; what it costs is in proportion to that.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        each!(self, it => it.seal(table, delta));
    }

    /// A restore begins that [`Operator::resume`] will end at `watermark`.
    pub fn begin(&mut self, watermark: i64) {
        match self {
            Operator::Panes(it) => it.begin(watermark),
            Operator::Sliding(it) => it.begin(watermark),
            _ => {}
        }
    }

    /// Makes room for an entry that is about to be restored, and brings its key back if that is on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn make_room(&mut self, entry: Entry<'_>) -> Result<(), SpillError> {
        let Some(windows) = self.spills_mut().filter(|it| it.chest().is_some()) else { return Ok(()) };
        windows.settle()?;
        match entry::split(entry.key) {
            Ok((text, _)) => windows.warm_key(batch::hash(text), text).map(drop),
            Err(_) => Ok(()), // Restoring says so.
        }
    }

    /// Takes back an entry that [`Operator::seal`] wrote, into a new operator of the same configuration. Later entries of a
    /// key hold, deletions included. After the last one, [`Operator::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        each!(self, it => it.restore(entry))
    }

    /// Ends a restore: what `watermark` closes has fired before the seal.
    pub fn resume(&mut self, watermark: i64) {
        match self {
            Operator::Panes(it) => it.resume(watermark),
            Operator::Sessions(it) => it.resume(watermark),
            Operator::Rolling(it) => it.resume(watermark),
            Operator::Sliding(it) => it.resume(watermark),
            Operator::Repeated(it) => it.resume(watermark),
            Operator::Counted(_) => {}
        }
    }

    /// Frees what is kept only so that results cost less. It is made anew where it is needed, by the accumulators that there are by then.
    pub fn forget_sums(&mut self) {
        if let Operator::Panes(it) = self {
            it.forget_sums();
        }
    }

    /// How many keys there is state for.
    pub fn keys(&self) -> usize {
        each!(self, it => it.keys())
    }

    /// Memory in use, bytes, roughly.
    pub fn bytes(&self) -> usize {
        each!(self, it => it.bytes())
    }

    /// Its state, where that can be moved to the disk.
    pub fn spills(&self) -> Option<&dyn Spills> {
        match self {
            Operator::Panes(it) => Some(&**it),
            Operator::Sessions(it) => Some(it),
            Operator::Rolling(it) => Some(it),
            Operator::Sliding(it) => Some(it),
            Operator::Repeated(it) if it.can_move() => Some(&**it),
            Operator::Repeated(_) => None,
            Operator::Counted(it) => Some(it),
        }
    }

    /// The same, to be changed.
    pub fn spills_mut(&mut self) -> Option<&mut dyn Spills> {
        match self {
            Operator::Panes(it) => Some(&mut **it),
            Operator::Sessions(it) => Some(it),
            Operator::Rolling(it) => Some(it),
            Operator::Sliding(it) => Some(it),
            Operator::Repeated(it) if it.can_move() => Some(&mut **it),
            Operator::Repeated(_) => None,
            Operator::Counted(it) => Some(it),
        }
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        each!(self, it => it.accumulators())
    }
}
