//! One broker's thread: fetches what is wanted of the partitions that it leads, as long as the connection lives.

use super::Arenas;
use super::cluster::Kept;
use super::connection::{Connection, Lost};
use super::messages::{self, FETCH, FetchLimits};
use super::shared::Shared;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer, and of one partition in it. A single larger batch still comes whole.
const BYTES_MAX: i32 = 4 << 20;
const PARTITION_BYTES_MAX: i32 = 1 << 20;

/// Fetches from `node` at `address` until there is nothing to fetch any more or the connection is lost.
pub(super) fn run(shared: &Arc<Shared>, node: i32, address: &str) -> Result<(), Lost> {
    let mut connection = Connection::open(shared.sockets(), address, Shared::NEEDS)?;
    let mut arenas = Arenas::default();
    let (mut wanted, mut turn) = (Vec::new(), 0usize);
    while let Some(wait_ms) = shared.plan(node, turn, &mut wanted) {
        turn = turn.wrapping_add(1);
        let limits = FetchLimits {
            wait_ms,
            bytes_max: shared.bytes_max.unwrap_or(BYTES_MAX),
            partition_bytes_max: shared.bytes_max.unwrap_or(PARTITION_BYTES_MAX),
        };
        let write = |out: &mut Vec<u8>| messages::write_fetch(out, shared.topic(), &wanted, limits);
        let wire = connection.ask(FETCH, write, |bytes| arenas.take(bytes))?;
        let answer = connection.read(FETCH, &wire, messages::read_fetch)?;
        if answer.error != 0 {
            let cause = std::io::Error::other(format!("the broker refuses to be fetched from: error {}", answer.error));
            return Err(Lost::Io { address: connection.address().to_owned(), cause });
        }
        // The broker has answered at once, and reads no further request before the time is over.
        let throttle = Duration::from_millis(u64::try_from(answer.throttle_ms).unwrap_or(0));
        shared.accept(node, &wanted, answer, &arenas.lend(wire));
        if !throttle.is_zero() && shared.sockets().pause(throttle) {
            break;
        }
    }
    Ok(())
}
