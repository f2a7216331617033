//! Counts the records of each key. Version 1 of its state was the count as eight bytes, the lowest first.

use serde::{Deserialize, Serialize};
use wasmill_plugin::NoConfig;
use wasmill_plugin::prelude::*;

/// What the rule reads.
#[derive(Record)]
pub(crate) struct Event {
    #[expect(dead_code, reason = "records are counted, whatever they hold")]
    id: i64,
}

/// What is remembered of a key.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    count: i64,
}

/// What is written.
#[derive(Emit)]
pub(crate) struct Counted {
    count: i64,
}

/// Writes how many records of its key there were.
#[wasmill_plugin::keyed(state_version = 2, migrate = migrate)]
pub(crate) fn counter(_event: Event, state: &mut Seen, _config: &NoConfig, out: &mut Output<Counted>) {
    state.count += 1;
    out.emit(Counted { count: state.count });
}

fn migrate(version: u32, state: &[u8]) -> Result<Seen, Reject> {
    let count = match version {
        1 => state.try_into().map(i64::from_le_bytes).ok(),
        _ => None,
    };
    let count =
        count.ok_or_else(|| Reject::new(format!("there is no way from {} bytes of version {version}", state.len())))?;
    Ok(Seen { count })
}
