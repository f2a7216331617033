//! Brings states of an older version of a plugin up to date.

use crate::state::{State, Store, Stored};
use crate::wire::Strings;
use crate::{Plugin, Reject};

/// A plugin that can read older states or accumulators: `migrate = function` of the macros implements it.
pub trait Migrate: Plugin {
    /// The state, or the accumulator.
    type State: State;

    /// The current form of `state`, the bytes that `from_version` wrote.
    fn migrate(from_version: u32, state: &[u8]) -> Result<Self::State, Reject>;
}

/// Migrates all of `states`; one that cannot be migrated refuses the deployment.
pub(crate) fn migrate<P: Migrate>(from_version: u32, states: &Strings) -> Result<Strings, String> {
    let states = Stored::present(states);
    let mut migrated = Store::with_capacity(states.len());
    for at in 0..states.len() {
        let state = P::migrate(from_version, states.bytes(at)?).map_err(|reject| {
            format!("state {at} of version {from_version} cannot become version {}: {reject}", P::STATE_VERSION)
        })?;
        migrated.write(Some(&state))?;
    }
    Ok(migrated.into_strings())
}
