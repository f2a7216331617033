//! Runs a plugin without state.

use super::run::admit;
use super::{Row, Run, batch, capture, configured};
use crate::{Transform, transform};
use serde_json::Value;

/// A `#[wasmill_plugin::transform]`, opened with a configuration.
pub struct TransformTest<P: Transform> {
    config: P::Config,
}

impl<P: Transform> TransformTest<P> {
    /// Opens the plugin. Panics when it refuses the configuration, with its reason.
    pub fn new(config: Value) -> Self {
        TransformTest { config: configured::<P>(&config) }
    }

    /// Hands the records over as one batch. Panics when the plugin fails the call.
    pub fn run<R: Into<Row>>(&self, rows: impl IntoIterator<Item = R>) -> Run {
        let rows: Vec<Row> = rows.into_iter().map(Into::into).collect();
        let mut run = Run::default();
        let fields = P::reads();
        let (origins, fitting): (Vec<_>, Vec<_>) = admit(&rows, &fields, &mut run).into_iter().unzip();
        let records = batch::of_rows(&fitting, &fields, i64::MIN);
        match capture::during(&mut run, || transform::process::<P>(&self.config, &records)) {
            Ok(produced) => run.add(&P::ports(), produced, &origins, |origin| rows[origin].value.clone()),
            Err(error) => panic!("the plugin failed the call: {error}"),
        }
        run
    }
}
