//! The misdeeds.

use crate::bindings::wasmill::plugin::columns::{Column, Strings, Values};
use crate::bindings::wasmill::plugin::logging::{self, Level};
use crate::bindings::wasmill::plugin::metrics;
use crate::bindings::wasmill::plugin::output::{Body, Produced, Reject, Table};
use crate::config::Mode;
use std::hint::black_box;

/// Does it: `hit` are the rows that asked for it, `id` the first one's id, `produced` what a good plugin would answer.
pub(crate) fn misbehave(mode: Mode, hit: &[u32], id: i64, rows: u32, produced: &mut Produced) -> Result<(), String> {
    match mode {
        Mode::None | Mode::FailOpen => {}
        Mode::Trap => trap(),
        Mode::Loop => {
            let mut turn = 0u64;
            while black_box(turn) != u64::MAX {
                turn = black_box(turn) + 1;
            }
        }
        Mode::Recurse => {
            black_box(recurse(black_box(u64::MAX)));
        }
        Mode::Grow => loop {
            leak(16 << 20);
        },
        Mode::Leak => leak(1 << 20),
        Mode::Err => return Err(format!("cannot take id {id}")),
        Mode::Panic => panic!("cannot stand id {id}"),
        Mode::Reject => reject(hit, produced),
        Mode::RejectTwice => produced.rejects.extend(hit.iter().chain(hit).map(|&row| refusal(row))),
        Mode::BadOrigin => produced.tables.push(Table { port: 0, origins: vec![rows], body: Body::Unchanged }),
        Mode::BadPort => produced.tables.push(Table { port: 7, origins: vec![hit[0]], body: Body::Unchanged }),
        Mode::BadUtf8 => made(hit, produced, text(hit, b"\xff"), json(hit, b"{}")),
        Mode::BadOffsets => {
            let mut column = text(hit, b"note");
            if let Values::Text(strings) = &mut column.values {
                strings.offsets[0] = 9;
            }
            made(hit, produced, column, json(hit, b"{}"));
        }
        Mode::BadLength => made(hit, produced, text(&[], b""), json(hit, b"{}")),
        Mode::BadJson => made(hit, produced, text(hit, b"note"), json(hit, b"{\"half\":")),
        Mode::WrongKind => made(hit, produced, json(hit, b"1"), json(hit, b"{}")),
        Mode::TooManyRows => {
            let origins = vec![hit[0]; rows as usize * 64 + 2_000];
            produced.tables.push(Table { port: 0, origins, body: Body::Unchanged });
        }
        Mode::TooManyBytes => made(hit, produced, text(hit, &vec![b'a'; 80 << 20]), json(hit, b"{}")),
        Mode::LogFlood => {
            for line in 0..100_000 {
                logging::log(Level::Warn, "flood", &format!("line {line}\nfor id {id}"));
            }
        }
        Mode::Count => metrics::count("rows_hit", hit.len() as u64),
    }
    Ok(())
}

#[cfg(target_family = "wasm")]
fn trap() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() {
    panic!("only WebAssembly has a trap instruction")
}

fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(recurse(black_box(depth - 1))) + 1 }
}

/// Memory that is never given back.
fn leak(bytes: usize) {
    black_box(Vec::leak(black_box(vec![1u8; bytes])));
}

fn refusal(row: u32) -> Reject {
    Reject { row, reason: "not wanted".into() }
}

/// Rejects the rows instead of passing them.
fn reject(hit: &[u32], produced: &mut Produced) {
    produced.tables[0].origins.retain(|row| !hit.contains(row));
    produced.rejects.extend(hit.iter().map(|&row| refusal(row)));
}

/// Output on the second port.
fn made(hit: &[u32], produced: &mut Produced, note: Column, document: Column) {
    let body = Body::Columns(vec![note, document]);
    produced.tables.push(Table { port: 1, origins: hit.to_vec(), body });
}

fn text(rows: &[u32], each: &[u8]) -> Column {
    Column { values: Values::Text(strings(rows, each)), nulls: vec![] }
}

fn json(rows: &[u32], each: &[u8]) -> Column {
    Column { values: Values::Json(strings(rows, each)), nulls: vec![] }
}

fn strings(rows: &[u32], each: &[u8]) -> Strings {
    let offsets = (0..=rows.len()).map(|row| (row * each.len()) as u32).collect();
    Strings { offsets, data: each.repeat(rows.len()) }
}
