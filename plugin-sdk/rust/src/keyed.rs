//! Drives a rule with a state for each key over the groups of a batch.

use crate::bindings::keyed::exports::wasmill::plugin::keyed::{Groups, KeyedOutput};
use crate::plugin::index_of_slot;
use crate::state::{State, Store, Stored};
use crate::wire::{Batch, Field, Kind, Produced, Slot, Strings, Values};
use crate::{Group, Output, Plugin, Ports, Read, Record, Reject, Timer, Timers, bind_column};

/// A plugin with state: `#[wasmill_plugin::keyed]` implements it.
pub trait Keyed: Plugin {
    /// The record, borrowing from the batch.
    type Record<'a>: Record<'a>;
    /// The state of a key: stored as JSON where serde can write it.
    type State: State;
    /// The output.
    type Output: Ports;
    /// Whether `on_timer` does anything.
    const TIMERS: bool;

    /// The rule, for the records of a key: one by one, or all at once.
    fn process<'a>(
        records: Group<'a, Self::Record<'a>>,
        state: &mut Option<Self::State>,
        timers: &mut Timers,
        config: &Self::Config,
        out: &mut Output<Self::Output>,
    );

    /// What happens when a timer fires.
    fn on_timer(
        timer: Timer<'_>,
        state: &mut Option<Self::State>,
        timers: &mut Timers,
        config: &Self::Config,
        out: &mut Output<Self::Output>,
    ) -> Result<(), Reject>;
}

/// The fields read: the record's, and what `on_timer` is told.
#[doc(hidden)]
pub fn reads<P: Keyed>() -> Vec<Field> {
    let mut fields = <P::Record<'static> as Record<'static>>::fields();
    if P::TIMERS {
        index_of_slot(&mut fields, Slot::Key, Kind::Bytes);
        index_of_slot(&mut fields, Slot::Time, Kind::S64);
    }
    fields
}

/// Answers a batch.
pub(crate) fn process<P: Keyed>(config: &P::Config, records: &Batch, groups: &Groups) -> Result<KeyedOutput, String> {
    let view = <P::Record<'_> as Record<'_>>::bind(records)?;
    let mut run = Run::<P>::new(groups, records.watermark)?;
    for (group, bounds) in groups.bounds.windows(2).enumerate() {
        let &[start, end] = bounds else { continue };
        if start >= end || end > records.rows {
            return Err(format!("the host handed over group {group} of rows {start}..{end} of {}", records.rows));
        }
        run.group(group, |state, timers, out| {
            P::process(Group::new(view, start..end), state, timers, config, out);
        })?;
    }
    run.finish(|out| Ok(out.finish()))
}

/// Answers the timers that are due: row `i` is timer `ids[i]` of group `i`.
pub(crate) fn on_timers<P: Keyed>(
    config: &P::Config,
    due: &Batch,
    ids: &[u32],
    groups: &Groups,
) -> Result<KeyedOutput, String> {
    let mut fields = reads::<P>();
    let rows = due.rows as usize;
    let key = Keys::of(due, index_of_slot(&mut fields, Slot::Key, Kind::Bytes));
    let at = bind_column::<Option<i64>>(due, index_of_slot(&mut fields, Slot::Time, Kind::S64), "time")?;
    if ids.len() != rows {
        return Err(format!("the host named {} timers in {rows} rows", ids.len()));
    }
    let mut run = Run::<P>::new(groups, due.watermark)?;
    for (row, &id) in ids.iter().enumerate() {
        let timer = Timer { id, at: Option::read(at, row).unwrap_or_default(), key: key.get(row) };
        run.group(row, |state, timers, out| {
            out.set_origin(row as u32);
            let mark = timers.mark();
            if let Err(reject) = P::on_timer(timer, state, timers, config, out) {
                timers.forget(mark);
                out.refuse(reject);
            }
        })?;
    }
    run.finish(|out| out.finish_without_records("on_timer"))
}

/// A call's answer, growing group by group.
struct Run<'a, P: Keyed> {
    before: Stored<'a>,
    after: Store,
    timers: Timers,
    out: Output<P::Output>,
}

impl<'a, P: Keyed> Run<'a, P> {
    fn new(groups: &'a Groups, watermark: i64) -> Result<Self, String> {
        let before = Stored::of(&groups.states, "states")?;
        let after = Store::with_capacity(before.len());
        Ok(Run { before, after, timers: Timers::new(watermark), out: Output::new() })
    }

    /// Runs `rule` over the state of `group`. Groups come in order, each once.
    fn group(
        &mut self,
        group: usize,
        rule: impl FnOnce(&mut Option<P::State>, &mut Timers, &mut Output<P::Output>),
    ) -> Result<(), String> {
        let mut state = self.before.read::<P::State>(group)?;
        self.timers.set_group(group as u32);
        rule(&mut state, &mut self.timers, &mut self.out);
        self.after.write(state.as_ref())
    }

    fn finish(
        self,
        produced: impl FnOnce(Output<P::Output>) -> Result<Produced, String>,
    ) -> Result<KeyedOutput, String> {
        Ok(KeyedOutput { output: produced(self.out)?, states: self.after.into_column(), timers: self.timers.finish() })
    }
}

/// The keys of a batch, whichever kind the author reads them as; empty where null.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a>(Option<&'a Strings>);

impl<'a> Keys<'a> {
    /// Column `index`.
    pub(crate) fn of(batch: &'a Batch, index: usize) -> Self {
        Keys(batch.columns.get(index).and_then(|it| match &it.values {
            Values::Text(strings) | Values::Bytes(strings) => Some(strings),
            _ => None,
        }))
    }

    /// The key of `row`.
    pub(crate) fn get(self, row: usize) -> &'a [u8] {
        self.0.and_then(|it| Stored::present(it).bytes(row).ok()).unwrap_or_default()
    }
}
