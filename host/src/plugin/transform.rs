//! The runner of a `transform` plugin.

use super::bisect;
use super::component::{Plugin, PluginKind};
use super::error::PluginError;
use super::instance::{KindGuest, Opened};
use super::produced::{Call, Produced};
use super::supervised::{Supervised, Vitals, assert_fits, with_batch};
use crate::config::PluginLimits;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One worker's instance of a `transform` plugin.
pub struct TransformRunner(Supervised);

impl TransformRunner {
    /// Starts an instance with the step's `config` (a JSON object).
    ///
    /// # Errors
    /// The plugin is of another kind, or does not start; see [`super::Instance::start`].
    pub fn start(plugin: &Plugin, config: &str, limits: &PluginLimits) -> Result<(Self, Opened), PluginError> {
        let (supervised, opened) = Supervised::start(plugin, PluginKind::Transform, config, limits)?;
        Ok((TransformRunner(supervised), opened))
    }

    /// Hands over records. Rows on which the plugin fails alone are rejected with `fault` set; every other row is
    /// processed as if those were not there.
    ///
    /// # Errors
    /// The plugin failed on [100 rows](super::PluginError::EveryRow) one after the other, or does not start again.
    ///
    /// # Panics
    /// The columns are not those that the plugin reads.
    pub fn process(&mut self, call: &Call<'_>) -> Result<Produced, PluginError> {
        let spec = Arc::clone(&self.0.spec);
        assert_fits(&spec, call);
        self.0.recycle()?;
        let mut produced = Produced::default();
        let faults = bisect::by_rows(&mut self.0, call.rows, |guest, part| {
            let check = guest.check(&spec, part, true);
            let ms_max = guest.ms_max(part);
            let answer = with_batch(call, part, |batch| {
                guest.instance.call(
                    ms_max,
                    |store, guest| {
                        let KindGuest::Transform(guest) = guest else { unreachable!("checked at the start") };
                        guest.call_process(store, batch)
                    },
                    |raw| check.produced(raw),
                )
            });
            produced.append(answer?);
            Ok(())
        })?;
        Ok(produced.with_faults(faults))
    }

    /// How the runner is.
    pub fn vitals(&self) -> Vitals {
        self.0.vitals()
    }

    /// What the plugin counted since the runner started, by name.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        self.0.counters()
    }
}

#[cfg(test)]
mod tests;
