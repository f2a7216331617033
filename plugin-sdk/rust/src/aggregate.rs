//! Drives an accumulator for each key and window.

use crate::keyed::Keys;
use crate::plugin::index_of_slot;
use crate::state::{State, Store, Stored, decode};
use crate::wire::{Batch, Column, Field, Kind, Produced, Slot, Strings};
use crate::{Output, Plugin, Ports, Read, Record, Reject, bind_column};
use serde::de::DeserializeOwned;

/// Folds the records of a window into an accumulator. Implement it under `#[wasmill_plugin::aggregate]`.
///
/// The host assigns windows, stores accumulators and merges them: those of sessions that meet, and those of the panes that a window
/// consists of. So `merge` must be associative, and adding records to two accumulators and merging them must give what adding
/// all of them to one gives; [`AggregateTest`](crate::testing::AggregateTest) checks it.
pub trait Aggregate: 'static {
    /// The record, borrowing from the batch.
    type Record<'a>: Record<'a>;
    /// What is known of a window so far.
    type Accumulator: State + Default;
    /// The step's `config`; [`NoConfig`](crate::NoConfig) for none.
    type Config: DeserializeOwned + Send + Sync + 'static;
    /// What is emitted for a window.
    type Output: Ports;

    /// Adds a record.
    fn add(record: Self::Record<'_>, accumulator: &mut Self::Accumulator, config: &Self::Config);

    /// Adds what `right` knows to `left`.
    fn merge(left: &mut Self::Accumulator, right: Self::Accumulator, config: &Self::Config);

    /// Emits what the window amounts to. May be called more than once for a window, when it is updated.
    fn finish(
        window: Window<'_>,
        accumulator: Self::Accumulator,
        config: &Self::Config,
        out: &mut Output<Self::Output>,
    ) -> Result<(), Reject>;
}

/// [`Aggregate`] and what the macro knows of it.
#[doc(hidden)]
pub trait AggregatePlugin: Plugin<Config = <Self as Aggregate>::Config> + Aggregate {}

/// A window of one key: `start <= t < end`, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<'a> {
    /// The key's bytes; empty for the null key.
    pub key: &'a [u8],
    /// The first millisecond.
    pub start: i64,
    /// The millisecond after the last.
    pub end: i64,
}

impl<'a> Window<'a> {
    /// The key as text.
    pub fn key_text(&self) -> Result<&'a str, Reject> {
        Ok(std::str::from_utf8(self.key)?)
    }
}

/// The fields read: the record's, and what `finish` is told.
#[doc(hidden)]
pub fn reads<P: Aggregate>() -> Vec<Field> {
    let mut fields = <P::Record<'static> as Record<'static>>::fields();
    window_fields(&mut fields);
    fields
}

/// The indexes of the key and of the window's start and end.
fn window_fields(fields: &mut Vec<Field>) -> [usize; 3] {
    [
        index_of_slot(fields, Slot::Key, Kind::Bytes),
        index_of_slot(fields, Slot::WindowStart, Kind::S64),
        index_of_slot(fields, Slot::WindowEnd, Kind::S64),
    ]
}

/// Adds the rows `bounds[i]..bounds[i + 1]` to accumulator `i`.
pub(crate) fn add<P: Aggregate>(
    config: &P::Config,
    records: &Batch,
    bounds: &[u32],
    accumulators: &Column,
) -> Result<Strings, String> {
    let view = <P::Record<'_> as Record<'_>>::bind(records)?;
    let before = Stored::of(accumulators, "accumulators")?;
    let mut after = Store::with_capacity(before.len());
    for (group, bounds) in bounds.windows(2).enumerate() {
        let &[start, end] = bounds else { continue };
        if start > end || end > records.rows {
            return Err(format!("the host handed over group {group} of rows {start}..{end} of {}", records.rows));
        }
        let mut accumulator = before.read::<P::Accumulator>(group)?.unwrap_or_default();
        for row in start..end {
            P::add(<P::Record<'_> as Record<'_>>::row(&view, row as usize), &mut accumulator, config);
        }
        after.write(Some(&accumulator))?;
    }
    Ok(after.into_strings())
}

/// Merges accumulator `i` of `right` into that of `left`.
pub(crate) fn merge<P: Aggregate>(config: &P::Config, left: &Strings, right: &Strings) -> Result<Strings, String> {
    let (left, right) = (Stored::present(left), Stored::present(right));
    let mut merged = Store::with_capacity(left.len());
    for group in 0..left.len() {
        let mut accumulator: P::Accumulator = decode(left.bytes(group)?)?;
        P::merge(&mut accumulator, decode(right.bytes(group)?)?, config);
        merged.write(Some(&accumulator))?;
    }
    Ok(merged.into_strings())
}

/// Turns finished accumulators into output; row `i` of `windows` says which window accumulator `i` is of.
pub(crate) fn finish<P: Aggregate>(
    config: &P::Config,
    windows: &Batch,
    accumulators: &Strings,
) -> Result<Produced, String> {
    let [key, start, end] = window_fields(&mut reads::<P>());
    let keys = Keys::of(windows, key);
    let starts = bind_column::<Option<i64>>(windows, start, "window_start")?;
    let ends = bind_column::<Option<i64>>(windows, end, "window_end")?;
    let accumulators = Stored::present(accumulators);
    let mut out = Output::new();
    for row in 0..windows.rows as usize {
        out.set_origin(row as u32);
        let window = Window {
            key: keys.get(row),
            start: Option::read(starts, row).unwrap_or_default(),
            end: Option::read(ends, row).unwrap_or_default(),
        };
        if let Err(reject) = P::finish(window, decode(accumulators.bytes(row)?)?, config, &mut out) {
            out.refuse(reject);
        }
    }
    out.finish_without_records("finish")
}
