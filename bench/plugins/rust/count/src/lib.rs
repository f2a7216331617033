//! Counts the records of each key, and writes a row for each key of a batch.

use wasmill_plugin::prelude::*;
use wasmill_plugin::{NoConfig, State};

/// What is read; the rule looks at none of it.
#[derive(Record)]
#[expect(dead_code, reason = "each measured rule reads the same two fields")]
struct Payment<'a> {
    amount: f64,
    customer: Option<&'a str>,
}

#[derive(Emit)]
struct Count {
    count: i64,
}

/// The state, of eight bytes.
#[derive(Default)]
struct Counted(i64);

impl State for Counted {
    fn load(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.try_into().map_err(|_| format!("{} bytes, expected 8", bytes.len()))?;
        Ok(Counted(i64::from_le_bytes(bytes)))
    }

    fn store(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.extend_from_slice(&self.0.to_le_bytes());
        Ok(())
    }
}

/// Counts.
#[wasmill_plugin::keyed(state_version = 1)]
fn count<'a>(payments: Group<'a, Payment<'a>>, state: &mut Counted, _config: &NoConfig, out: &mut Output<Count>) {
    state.0 += payments.len() as i64;
    out.emit(Count { count: state.0 });
}
