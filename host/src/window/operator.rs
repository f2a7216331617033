//! The window operator of a step, whichever it is.

use super::accumulators::Accumulators;
use super::entry::StateError;
use super::fired::{Fired, Processed};
use super::{Input, Panes, Rolling, Sessions};
use crate::config::{Emit, Window};
use crate::state::{Delta, Entry, TableId};

/// One of the windows. After each batch the worker calls [`Operator::advance`] with the watermark after it; before a barrier's
/// [`Operator::seal`] it has done so.
#[derive(Debug)]
pub enum Operator<A> {
    /// Tumbling and hopping.
    Panes(Panes<A>),
    /// Session.
    Sessions(Sessions<A>),
    /// Rolling.
    Rolling(Rolling<A>),
}

/// Calls the same method of whichever it is.
macro_rules! each {
    ($self:expr, $it:ident => $call:expr) => {
        match $self {
            Operator::Panes($it) => $call,
            Operator::Sessions($it) => $call,
            Operator::Rolling($it) => $call,
        }
    };
}

impl<A: Accumulators> Operator<A> {
    /// The operator of `window`. Rolling windows answer on arrival whatever `emit` says.
    pub fn new(window: Window, emit: Emit, folds: A) -> Self {
        match window {
            Window::Tumbling { size_ms, offset_ms } => {
                Operator::Panes(Panes::new(size_ms, size_ms, offset_ms, emit, folds))
            }
            Window::Hopping { size_ms, slide_ms, offset_ms } => {
                Operator::Panes(Panes::new(size_ms, slide_ms, offset_ms, emit, folds))
            }
            Window::Session { gap_ms } => Operator::Sessions(Sessions::new(gap_ms, emit, folds)),
            Window::Rolling { size_ms } => Operator::Rolling(Rolling::new(size_ms, folds)),
        }
    }

    /// Folds a batch. Late rows are listed and change nothing.
    pub fn process(&mut self, input: &Input<'_>) -> Result<Processed<A::Output>, A::Error> {
        each!(self, it => it.process(input))
    }

    /// Closes every window whose last millisecond `watermark` has reached; it only ever rises.
    pub fn advance(&mut self, watermark: i64) -> Result<Fired<A::Output>, A::Error> {
        match self {
            Operator::Panes(it) => it.advance(watermark),
            Operator::Sessions(it) => it.advance(watermark),
            Operator::Rolling(it) => {
                it.advance(watermark);
                Ok(Fired::new(it.accumulators()))
            }
        }
    }

    /// With [`Emit::Every`], a row for each open window that changed since it was last reported; otherwise nothing.
    pub fn changed(&mut self) -> Result<Fired<A::Output>, A::Error> {
        match self {
            Operator::Panes(it) => it.changed(),
            Operator::Sessions(it) => it.changed(),
            Operator::Rolling(it) => Ok(Fired::new(it.accumulators())),
        }
    }

    /// Writes what changed since the last seal; what it costs is in proportion to that.
    pub fn seal(&mut self, table: TableId, delta: &mut Delta) {
        each!(self, it => it.seal(table, delta));
    }

    /// Takes back an entry that [`Operator::seal`] wrote, into a new operator of the same configuration. Later entries of a
    /// key hold, deletions included. After the last one, [`Operator::resume`].
    pub fn restore(&mut self, entry: Entry<'_>) -> Result<(), StateError> {
        each!(self, it => it.restore(entry))
    }

    /// Ends a restore: what `watermark` closes has fired before the seal.
    pub fn resume(&mut self, watermark: i64) -> Result<(), A::Error> {
        match self {
            Operator::Panes(it) => it.resume(watermark),
            Operator::Sessions(it) => it.resume(watermark),
            Operator::Rolling(it) => return it.resume(watermark),
        }
        Ok(())
    }

    /// How many keys there is state for.
    pub fn keys(&self) -> usize {
        each!(self, it => it.keys())
    }

    /// Memory in use, bytes, roughly.
    pub fn bytes(&self) -> usize {
        each!(self, it => it.bytes())
    }

    /// What the windows compute.
    pub fn accumulators(&mut self) -> &mut A {
        each!(self, it => it.accumulators())
    }
}
