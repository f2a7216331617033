//! One broker's thread: sends it what it leads, some requests ahead of its answers, as long as the connection lives.

use super::super::cluster::Kept;
use super::super::connection::{Connection, Lost};
use super::super::messages::{PRODUCE, Piece, ProduceRequest, read_produce};
use super::batch::Sealed;
use super::codec::Codecs;
use super::queue::{Plan, Queues};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Requests that are not answered yet, and batches of a partition from the first one on that is not acknowledged: a broker knows a partition's last
/// five batches again when they are sent twice.
pub(super) const UNANSWERED_MAX: usize = 5;

/// Sends to `node` at `address` until there is nothing to send any more or the connection is lost.
pub(super) fn run(queues: &Arc<Queues>, node: i32, address: &str) -> Result<(), Lost> {
    let mut connection = Connection::open(queues.sockets(), address, Queues::NEEDS)?;
    let mut codecs = Codecs::default();
    let mut request = ProduceRequest::default();
    let mut unanswered: VecDeque<Vec<Arc<Sealed>>> = VecDeque::new();
    let mut turn = 0usize;
    loop {
        let mut batches = Vec::new();
        let plan = if unanswered.len() < UNANSWERED_MAX {
            queues.plan(node, turn, unanswered.len(), &mut batches)
        } else {
            Plan::Read
        };
        match plan {
            Plan::Send => {
                turn = turn.wrapping_add(1);
                send(queues, &mut connection, &mut codecs, &mut request, &batches)?;
                unanswered.push_back(batches);
            }
            Plan::Read => {
                let Some(batches) = unanswered.pop_front() else { continue };
                let wire = connection.receive(Vec::with_capacity)?;
                let answer = connection.read_earlier(PRODUCE, &wire, unanswered.len(), read_produce)?;
                if !queues.accept(node, batches, &answer.written) {
                    let cause = std::io::Error::other("a partition is missing in an answer");
                    return Err(Lost::Io { address: connection.address().to_owned(), cause });
                }
                // The broker has answered at once, and reads no further request before the time is over.
                let throttle = Duration::from_millis(u64::try_from(answer.throttle_ms).unwrap_or(0));
                if !throttle.is_zero() && queues.sockets().pause(throttle) {
                    return Ok(());
                }
            }
            Plan::End => return Ok(()),
        }
    }
}

fn send(
    queues: &Queues,
    connection: &mut Connection,
    codecs: &mut Codecs,
    request: &mut ProduceRequest,
    batches: &[Arc<Sealed>],
) -> Result<(), Lost> {
    let mut pieces = Vec::with_capacity(batches.len());
    for batch in batches {
        let (topic, partition) = queues.named(batch.partition);
        let (header, records) = batch.parts(codecs);
        pieces.push(Piece { topic, partition, header, records });
    }
    connection.begin(PRODUCE, &mut request.small);
    request.write(queues.transactional_id.as_deref(), queues.request_ms, &pieces);
    let mut slices = Vec::with_capacity(2 * pieces.len() + 1);
    let mut at = 0;
    for (cut, piece) in request.cuts.iter().zip(&pieces) {
        slices.push(std::io::IoSlice::new(request.small.get(at..*cut).unwrap_or_default()));
        slices.push(std::io::IoSlice::new(piece.records));
        at = *cut;
    }
    slices.push(std::io::IoSlice::new(request.small.get(at..).unwrap_or_default()));
    connection.send(&mut slices)
}
