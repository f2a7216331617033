//! Turns the batches of one fetch into runs of records over one arena.

use super::aborted::Aborted;
use super::codec::{CodecError, Codecs};
use super::walk::{Encoded, Records, Walked, walk};
use crate::kafka::wire::{Arenas, Batch, Broken, Fetched};
use std::sync::Arc;

/// Why a batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PieceError {
    /// Its bytes are not what they should be.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Its codec failed.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Some records of one partition over one arena, and the offsets that they account for.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) arena: Arc<Vec<u8>>,
    pub(super) rows: Records,
    /// Bytes of keys, values and headers.
    pub(super) payload: usize,
    /// Where reading goes on after all of them.
    pub(super) next_offset: i64,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The first offset that counts.
    pub(super) from: i64,
    /// Nothing counts from here on.
    pub(super) end: i64,
    /// No further batch is added to so many records,
    pub(super) rows_max: usize,
    /// or bytes.
    pub(super) bytes_max: usize,
}

/// What is used again from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Tools {
    codecs: Codecs,
    arenas: Arenas,
    headers: Vec<u8>,
}

/// Where the bytes of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the answer itself.
    Wire,
    /// In an arena of its own: expanded, or copied because headers have to be written behind them.
    Own,
}

/// The batches of one fetch that are left to read.
#[derive(Debug)]
pub(super) struct Piece {
    wire: Arc<Vec<u8>>,
    at: usize,
    end: usize,
    aborted: Aborted,
    /// There were headers in an uncompressed batch: there will be more.
    copies: bool,
}

impl Piece {
    pub(super) fn new(fetched: Fetched, copies: bool) -> Piece {
        let aborted = Aborted::new(fetched.aborted);
        Piece { wire: fetched.wire, at: fetched.range.start, end: fetched.range.end, aborted, copies }
    }

    /// True when nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// True where uncompressed batches are better copied at once.
    pub(super) fn copies(&self) -> bool {
        self.copies
    }

    /// The next run: whole batches until a limit, the end, or a batch whose bytes are elsewhere.
    ///
    /// | batch                                    | effect                                      |
    /// |------------------------------------------|---------------------------------------------|
    /// | all before `from`                        | passed over                                 |
    /// | at or after `end`                        | not taken; the run's next offset is `end`   |
    /// | a control batch, or of an aborted transaction | the next offset is behind it           |
    /// | any other                                | its records from `from` to `end` are added  |
    /// | broken                                   | ends the run before it, or is the error     |
    pub(super) fn run(&mut self, limits: Limits, tools: &mut Tools) -> Result<Run, PieceError> {
        let mut building =
            Building { run: Run { next_offset: limits.from, ..Run::default() }, place: None, own: Vec::new() };
        let wire = Arc::clone(&self.wire);
        let bytes = wire.get(..self.end).unwrap_or_default();
        while !self.is_empty() {
            let run = &building.run;
            if run.rows.offsets.len() >= limits.rows_max || run.payload >= limits.bytes_max {
                break;
            }
            match self.batch(bytes, limits, &mut building, tools) {
                Ok(true) => {}
                Ok(false) => break,
                // What was read before it is handed over first.
                Err(_) if building.run.next_offset > limits.from => break,
                Err(error) => return Err(error),
            }
        }
        Ok(building.finish(&wire, tools))
    }

    /// Reads one batch. False where it is left for the next run.
    fn batch(
        &mut self,
        bytes: &[u8],
        limits: Limits,
        building: &mut Building,
        tools: &mut Tools,
    ) -> Result<bool, PieceError> {
        // The fetcher has found whole batches here; the bytes are the same.
        let batch = Batch::at(bytes, self.at).map_err(|_| Broken("a batch is gone"))?;
        let from = building.run.next_offset;
        if batch.base_offset >= limits.end {
            building.run.next_offset = limits.end;
            self.at = self.end;
            return Ok(false);
        }
        if batch.last_offset >= from {
            batch.check(bytes)?;
            let records = bytes.get(batch.records()).unwrap_or_default();
            if batch.is_control() {
                self.aborted.pass_control(&batch, records);
            } else if !self.aborted.has(&batch) && !self.add(&batch, bytes, (from, limits.end), building, tools)? {
                return Ok(false);
            }
            building.run.next_offset = batch.next_offset().min(limits.end);
        } else if batch.is_control() {
            self.aborted.pass_control(&batch, bytes.get(batch.records()).unwrap_or_default());
        }
        self.at = batch.range.end;
        Ok(true)
    }

    /// Adds the records of a batch. False where it does not go into this run.
    fn add(
        &mut self,
        batch: &Batch,
        bytes: &[u8],
        wanted: (i64, i64),
        building: &mut Building,
        tools: &mut Tools,
    ) -> Result<bool, PieceError> {
        if batch.codec() == 0 && !self.copies {
            if building.place == Some(Place::Own) {
                return Ok(false);
            }
            match walk(batch, bytes, batch.records(), wanted, None, &mut building.run.rows)? {
                Walked::Added(payload) => {
                    building.run.payload += payload;
                    building.place = Some(Place::Wire);
                    return Ok(true);
                }
                Walked::Headers => self.copies = true,
            }
        }
        if building.place == Some(Place::Wire) {
            return Ok(false);
        }
        building.add_own(batch, bytes.get(batch.records()).unwrap_or_default(), wanted, tools)?;
        Ok(true)
    }
}

/// A run that is being made.
#[derive(Debug)]
struct Building {
    run: Run,
    place: Option<Place>,
    own: Vec<u8>,
}

impl Building {
    /// Expands `records` behind what is in the arena, with their headers behind them.
    fn add_own(
        &mut self,
        batch: &Batch,
        records: &[u8],
        wanted: (i64, i64),
        tools: &mut Tools,
    ) -> Result<(), PieceError> {
        if self.place.is_none() {
            self.own = tools.arenas.take(records.len());
            self.place = Some(Place::Own);
        }
        let start = self.own.len();
        let added =
            tools.codecs.expand(batch.codec(), records, &mut self.own).map_err(PieceError::from).and_then(|()| {
                tools.headers.clear();
                let range = start..self.own.len();
                let encoded = Encoded { base: range.end, bytes: &mut tools.headers };
                Ok(walk(batch, &self.own, range, wanted, Some(encoded), &mut self.run.rows)?)
            });
        match added {
            Ok(Walked::Added(payload)) => self.run.payload += payload,
            Ok(Walked::Headers) => {} // Not with a place for them.
            Err(error) => {
                self.own.truncate(start);
                return Err(error);
            }
        }
        self.own.extend_from_slice(&tools.headers);
        Ok(())
    }

    fn finish(mut self, wire: &Arc<Vec<u8>>, tools: &mut Tools) -> Run {
        self.run.arena = match self.place {
            Some(Place::Own) => tools.arenas.lend(self.own),
            Some(Place::Wire) => Arc::clone(wire),
            None => Arc::default(),
        };
        self.run
    }
}
