//! State of one version of a plugin brought to another's.

use super::error::{Failure, PipelineError};
use super::plan::{PluginPlan, StepPlan};
use super::step::{plugin_failed, spill_failed};
use crate::batch::Keys;
use crate::column::Strings;
use crate::plugin::{Instance, KeyedRunner};
use crate::state::KeyedState;

/// The error about state that the plugin cannot read.
pub(super) fn wrong_version(plan: &StepPlan, plugin: &PluginPlan, version: u32, why: &str) -> PipelineError {
    PipelineError::stop(
        Failure::Config,
        format!(
            "step `{}`: its state is of version {version}, its plugin's is {}: {why}; run the earlier plugin, or use --discard-state",
            plan.name,
            plugin.state_version()
        ),
    )
}

/// Why the plugin cannot take over state of `version`, as what it does; none where it can. It is asked in an instance of its own, so that
/// whatever it does then does not matter to what runs.
pub(super) fn obstacle(plugin: &PluginPlan, version: u32) -> Option<String> {
    let options = &plugin.options;
    match Instance::start(&plugin.plugin, &options.config, &options.limits) {
        Ok((mut instance, _)) => instance.can_migrate(version).err(),
        Err(error) => Some(format!("does not start: {error}")),
    }
}

/// Brings all of a worker's keyed state to the plugin's version. It counts as changed, so the next snapshot holds it.
pub(super) fn migrate(
    runner: &mut KeyedRunner,
    state: &mut KeyedState,
    plan: &StepPlan,
    plugin: &PluginPlan,
    version: u32,
) -> Result<(), PipelineError> {
    if let Err(why) = runner.can_migrate(version) {
        return Err(wrong_version(plan, plugin, version, &format!("the plugin {why}")));
    }
    let (mut keys, mut old) = (Keys::default(), Strings::default());
    for (hash, key, bytes) in state.states() {
        keys.hashes.push(hash);
        keys.texts.push(key);
        old.push(bytes);
    }
    let mut after = None;
    loop {
        let new = runner.migrate(version, &old).map_err(|error| plugin_failed(plan, &error))?;
        for (row, &hash) in keys.hashes.iter().enumerate() {
            state.set(hash, keys.texts.get(row), Some(new.get(row)));
        }
        // Then those on the disk, some at a time. None goes back there meanwhile, where it would be found once more.
        let page = state.warm_page(&mut after);
        let Some(page) = page.map_err(|error| spill_failed(plan, &error))? else { return Ok(()) };
        (keys, old) = (Keys::default(), Strings::default());
        for (row, &hash) in page.hashes.iter().enumerate() {
            if let Some(bytes) = state.get(hash, page.texts.get(row)) {
                keys.hashes.push(hash);
                keys.texts.push(page.texts.get(row));
                old.push(bytes);
            }
        }
    }
}
