//! The records of one key, as a keyed rule may take them: all at once.

use crate::{Output, Ports, Record, Reject, Timers};
use std::fmt;
use std::ops::Range;

/// The records of one key in a batch, in their order of arrival: at least one.
///
/// A keyed rule that takes a `Group<'a, Payment<'a>>` in place of a `Payment<'_>` is called once for each key of a batch. What it emits or passes on is
/// made from the group's last record; an error that it returns refuses all of the group's records.
///
/// How many records of a key a batch has is a matter of chance: a rule must come to the same state however they are cut.
pub struct Group<'a, R: Record<'a>> {
    view: R::View,
    rows: Range<u32>,
}

impl<'a, R: Record<'a>> Group<'a, R> {
    pub(crate) fn new(view: R::View, rows: Range<u32>) -> Self {
        Group { view, rows }
    }

    /// How many records.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a group has a record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The records.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = R> + use<'_, 'a, R> {
        self.rows.clone().map(|row| R::row(&self.view, row as usize))
    }

    /// Calls a rule that takes a record for each of them; one that it refuses leaves nothing behind but state.
    #[doc(hidden)]
    #[inline(always)]
    pub fn each<P: Ports>(
        self,
        timers: &mut Timers,
        out: &mut Output<P>,
        mut rule: impl FnMut(R, &mut Timers, &mut Output<P>) -> Result<(), Reject>,
    ) {
        for row in self.rows {
            out.set_origin(row);
            let mark = timers.mark();
            if let Err(reject) = rule(R::row(&self.view, row as usize), timers, out) {
                timers.forget(mark);
                out.refuse(reject);
            }
        }
    }

    /// Calls a rule that takes the group.
    #[doc(hidden)]
    #[inline(always)]
    pub fn all<P: Ports>(
        self,
        timers: &mut Timers,
        out: &mut Output<P>,
        rule: impl FnOnce(Self, &mut Timers, &mut Output<P>) -> Result<(), Reject>,
    ) {
        let rows = self.rows.clone();
        out.set_origin(rows.end.saturating_sub(1));
        let mark = timers.mark();
        if let Err(reject) = rule(self, timers, out) {
            timers.forget(mark);
            // The last first: all that was made is of it.
            for row in rows.rev() {
                out.set_origin(row);
                out.refuse(reject.clone());
            }
        }
    }
}

impl<'a, R: Record<'a>> fmt::Debug for Group<'a, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group of {}", self.len())
    }
}
