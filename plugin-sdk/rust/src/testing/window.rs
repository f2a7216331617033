//! Runs a plugin that folds windows.

use super::run::admit;
use super::{Row, Run, batch, capture, configured};
use crate::aggregate;
use crate::wire::{Slot, Strings};
use crate::{AggregatePlugin, Plugin};
use serde_json::Value;
use std::ops::Range;

/// A `#[wasmill_plugin::aggregate]`, opened with a configuration.
pub struct AggregateTest<P: AggregatePlugin> {
    config: <P as Plugin>::Config,
}

impl<P: AggregatePlugin> AggregateTest<P> {
    /// Opens the plugin. Panics when it refuses the configuration, with its reason.
    pub fn new(config: Value) -> Self {
        AggregateTest { config: configured::<P>(&config) }
    }

    /// Folds the records into one window of `key`, and finishes it. The records are also folded in two halves and merged, wherever they
    /// can be cut; panics when that gives another result than adding them one after another.
    pub fn run<R: Into<Row>>(&self, key: &str, window: Range<i64>, rows: impl IntoIterator<Item = R>) -> Run {
        let rows: Vec<Row> = rows.into_iter().map(|it| it.into().key(key)).collect();
        let mut run = Run::default();
        let fields = P::reads();
        let fitting: Vec<&Row> = admit(&rows, &fields, &mut run).into_iter().map(|(_, row)| row).collect();
        let whole = capture::during(&mut run, || self.add(&fitting));
        let finished = self.finish(key, &window, whole, &mut run);
        for cut in 1..fitting.len() {
            let (left, right) = (self.add(&fitting[..cut]), self.add(&fitting[cut..]));
            let merged = self.expect("merge", aggregate::merge::<P>(&self.config, &left, &right));
            let other = self.finish(key, &window, merged, &mut Run::default());
            assert_eq!(
                other.emitted, finished.emitted,
                "records {cut}.. merged after those before give another result"
            );
        }
        run.emitted = finished.emitted;
        run.rejects.extend(finished.rejects);
        run
    }

    /// A new accumulator with these records.
    fn add(&self, rows: &[&Row]) -> Strings {
        let records = batch::of_rows(rows, &P::reads(), i64::MIN);
        let none = batch::bytes_column(std::iter::once(None));
        self.expect("add", aggregate::add::<P>(&self.config, &records, &[0, records.rows], &none))
    }

    fn finish(&self, key: &str, window: &Range<i64>, accumulator: Strings, run: &mut Run) -> Run {
        let windows = batch::of_keys(1, &P::reads(), window.end, |slot, _| match slot {
            Slot::Key => Some(batch::Filled::Bytes(key.into())),
            Slot::WindowStart => Some(batch::Filled::Int(window.start)),
            Slot::WindowEnd => Some(batch::Filled::Int(window.end)),
            _ => None,
        });
        let answer = capture::during(run, || aggregate::finish::<P>(&self.config, &windows, &accumulator));
        let mut finished = Run::default();
        finished.add(&P::ports(), self.expect("finish", answer), &[0], |_| Value::Null);
        finished
    }

    fn expect<T>(&self, call: &str, answer: Result<T, String>) -> T {
        match answer {
            Ok(answer) => answer,
            Err(error) => panic!("the plugin failed {call}: {error}"),
        }
    }
}
