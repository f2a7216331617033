//! Drives a rule without state over a batch.

use crate::wire::{Batch, Produced};
use crate::{Output, Plugin, Ports, Record, Reject};

/// A plugin without state: `#[wasmill_plugin::transform]` implements it.
pub trait Transform: Plugin {
    /// The record, borrowing from the batch.
    type Record<'a>: Record<'a>;
    /// The output.
    type Output: Ports;

    /// The rule.
    fn process(record: Self::Record<'_>, config: &Self::Config, out: &mut Output<Self::Output>) -> Result<(), Reject>;
}

/// Answers a batch.
pub(crate) fn process<P: Transform>(config: &P::Config, records: &Batch) -> Result<Produced, String> {
    let view = <P::Record<'_> as Record<'_>>::bind(records)?;
    let mut out = Output::new();
    for row in 0..records.rows {
        out.set_origin(row);
        let record = <P::Record<'_> as Record<'_>>::row(&view, row as usize);
        if let Err(reject) = P::process(record, config, &mut out) {
            out.refuse(reject);
        }
    }
    Ok(out.finish())
}
