//! Joins what a plugin writes to its standard output and error to whole lines, and logs them.
//!
//! Go prints a panic in dozens of small writes, and C's library a line in pieces. A line waits in globals, since an adapter has no
//! memory; to add to it or to log it, globals and a part of the plugin's memory change places, and back again before the
//! plugin runs on. Lines are logged as UTF-8: a byte that is not becomes `?`.

use super::{CHARACTER, EXCHANGE, FIRST_WORD, FLUSH, LENGTH, LOG, PLAIN, SETTLE, STREAM, TRACED, at};
use wasm_encoder::{BlockType, Function, ValType};

/// Length of a line, in bytes; more begins another, between two characters.
pub(super) const LINE_BYTES_MAX: u32 = 1_024;

/// Globals of eight bytes that hold the line and, behind it, what the log is to call its source.
pub(super) const WORDS: u32 = LINE_BYTES_MAX / 8 + 1;

/// Bytes of memory that change places with the globals.
const REGION_BYTES: u32 = WORDS * 8;

/// Bytes of a write that are taken at once. Those that begin below `REGION_BYTES` end below `HIGH`.
const CHUNK_BYTES_MAX: u32 = 4_096;

/// Where the line is put: at the beginning of memory, or here when what is written lies there. The least memory is 64 KiB.
const HIGH: u32 = 8_192;

/// Who speaks, as `STREAM` holds it.
pub(super) const STUB: i32 = 0;
pub(super) const STANDARD_OUTPUT: i32 = 1;
pub(super) const STANDARD_ERROR: i32 = 2;

/// Levels of the log.
const INFO: i32 = 2;
const WARN: i32 = 3;
pub(super) const CRITICAL: i32 = 5;

/// Signatures and bodies, in the order of their indexes.
pub(super) fn functions() -> [(&'static str, Function); 5] {
    [("i", exchange()), ("ii>i", character()), ("iii", flush()), ("i", settle()), ("iii", write())]
}

/// Up to eight bytes as the number that a load of them gives, the rest being 0.
pub(super) fn word(text: &str) -> i64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    i64::from_le_bytes(bytes)
}

/// `exchange(address)`: globals and memory change places.
fn exchange() -> Function {
    let mut function = Function::new([(1, ValType::I64)]);
    let mut code = function.instructions();
    for index in 0..WORDS {
        code.local_get(0).i64_load(at(index * 8)).local_set(1);
        code.local_get(0).global_get(FIRST_WORD + index).i64_store(at(index * 8));
        code.local_get(1).global_set(FIRST_WORD + index);
    }
    code.end();
    function
}

/// `character(from, end)`: the length of the UTF-8 character there; 0 when more bytes might make it one, -1 when none would.
fn character() -> Function {
    let (from, end, first, length, low, high, next) = (0, 1, 2, 3, 4, 5, 6);
    let mut function = Function::new([(5, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(from).i32_load8_u(at(0)).local_tee(first);
    code.i32_const(0x80).i32_lt_u().if_(PLAIN).i32_const(1).return_().end();
    // The second byte's bounds are narrower after four first bytes: no long forms, no surrogates, nothing past U+10FFFF.
    code.i32_const(0x80).local_set(low).i32_const(0xbf).local_set(high);
    for (byte, local, bound) in [(0xe0, low, 0xa0), (0xed, high, 0x9f), (0xf0, low, 0x90), (0xf4, high, 0x8f)] {
        code.local_get(first).i32_const(byte).i32_eq().if_(PLAIN).i32_const(bound).local_set(local).end();
    }
    code.i32_const(2).local_get(first).i32_const(0xe0).i32_ge_u().i32_add();
    code.local_get(first).i32_const(0xf0).i32_ge_u().i32_add().local_set(length);
    code.local_get(first).i32_const(0xc2).i32_lt_u().local_get(first).i32_const(0xf4).i32_gt_u().i32_or();
    code.if_(PLAIN).i32_const(-1).return_().end();
    code.i32_const(1).local_set(next).block(PLAIN).loop_(PLAIN);
    code.local_get(next).local_get(length).i32_ge_u().br_if(1);
    code.local_get(from).local_get(next).i32_add().local_get(end).i32_ge_u();
    code.if_(PLAIN).i32_const(0).return_().end();
    code.local_get(from).local_get(next).i32_add().i32_load8_u(at(0)).local_tee(first);
    code.local_get(low).i32_lt_u().local_get(first).local_get(high).i32_gt_u().i32_or();
    code.if_(PLAIN).i32_const(-1).return_().end();
    code.i32_const(0x80).local_set(low).i32_const(0xbf).local_set(high);
    code.local_get(next).i32_const(1).i32_add().local_set(next).br(0).end().end();
    code.local_get(length).end();
    function
}

/// `flush(address, level, whole)`: logs the line at `address`, where it was exchanged to. One that is not `whole` keeps a character that
/// it ends within. Level 0 is the stream's.
fn flush() -> Function {
    let (address, level, whole, place, end, length) = (0, 1, 2, 3, 4, 5);
    let mut function = Function::new([(3, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(address).local_tee(place).global_get(LENGTH).i32_add().local_set(end);
    code.block(PLAIN).loop_(PLAIN);
    code.local_get(place).local_get(end).i32_ge_u().br_if(1);
    code.local_get(place).local_get(end).call(CHARACTER).local_tee(length).i32_const(0).i32_gt_s();
    code.if_(PLAIN).local_get(place).local_get(length).i32_add().local_set(place).br(1).end();
    code.local_get(length).i32_eqz().local_get(whole).i32_eqz().i32_and().br_if(1);
    code.local_get(place).i32_const(i32::from(b'?')).i32_store8(at(0));
    code.local_get(place).i32_const(1).i32_add().local_set(place).br(0).end().end();
    code.local_get(place).local_get(address).i32_gt_u().if_(PLAIN);
    code.local_get(level).i32_eqz().if_(PLAIN);
    code.i32_const(INFO).i32_const(WARN).global_get(STREAM).i32_const(STANDARD_OUTPUT).i32_eq().select();
    code.local_set(level);
    code.global_get(STREAM).i32_const(STANDARD_ERROR).i32_eq().if_(PLAIN);
    raise_level(&mut code, address, level);
    code.end().end();
    name_source(&mut code, address);
    code.local_get(level).local_get(address).i32_const(LINE_BYTES_MAX as i32).i32_add();
    code.i32_const(6).i32_const(4).global_get(STREAM).select();
    code.local_get(address).local_get(place).local_get(address).i32_sub().call(LOG).end();
    code.local_get(end).local_get(place).i32_sub().global_set(LENGTH);
    code.local_get(address).local_get(place).global_get(LENGTH).memory_copy(0, 0).end();
    function
}

/// Makes what Go dies of grave, and the place where it did: the first of the trace below it that is not the runtime's. The host keeps the
/// grave lines of a call that fails for its dead letter.
fn raise_level(code: &mut wasm_encoder::InstructionSink<'_>, address: u32, level: u32) {
    code.local_get(address).i64_load(at(0)).i64_const(word("fatal er")).i64_eq();
    code.local_get(address).i64_load(at(0)).i64_const(8).i64_shl().i64_const(word("panic: ") << 8).i64_eq();
    code.i32_or().if_(PLAIN).i32_const(CRITICAL).local_set(level).i32_const(1).global_set(TRACED).else_();
    code.local_get(address).i32_load8_u(at(0)).i32_const(i32::from(b'\t')).i32_eq();
    code.local_get(address).i64_load(at(0)).i64_const(word("\truntime")).i64_ne().i32_and();
    code.global_get(TRACED).i32_and().if_(PLAIN).i32_const(CRITICAL).local_set(level).i32_const(0).global_set(TRACED);
    code.end().end();
}

/// Puts behind the line what the log calls its source: four or six letters.
fn name_source(code: &mut wasm_encoder::InstructionSink<'_>, address: u32) {
    code.local_get(address);
    code.global_get(STREAM).i32_eqz().if_(BlockType::Result(ValType::I64)).i64_const(word("wasi")).else_();
    code.i64_const(word("stdout")).i64_const(word("stderr"));
    code.global_get(STREAM).i32_const(STANDARD_OUTPUT).i32_eq().select().end();
    code.i64_store(at(LINE_BYTES_MAX));
}

/// `settle(stream)`: what is written from here on is written to `stream`; a piece of a line of another is logged.
fn settle() -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.global_get(STREAM).local_get(0).i32_ne().if_(PLAIN);
    code.global_get(LENGTH).if_(PLAIN);
    code.i32_const(0).call(EXCHANGE);
    code.i32_const(0).i32_const(0).i32_const(1).call(FLUSH);
    code.i32_const(0).call(EXCHANGE).end();
    code.local_get(0).global_set(STREAM).end().end();
    function
}

/// `write(stream, from, length)`: adds bytes, and logs each line that they end.
fn write() -> Function {
    let (stream, from, length, address, stop, byte) = (0, 1, 2, 3, 4, 5);
    let mut function = Function::new([(3, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(stream).call(SETTLE);
    code.block(PLAIN).loop_(PLAIN).local_get(length).i32_eqz().br_if(1);
    code.i32_const(HIGH as i32).i32_const(0).local_get(from).i32_const(REGION_BYTES as i32).i32_lt_u().select();
    code.local_tee(address).call(EXCHANGE);
    let chunk = CHUNK_BYTES_MAX as i32;
    code.local_get(length).i32_const(chunk).local_get(length).i32_const(chunk).i32_lt_u().select().local_tee(stop);
    code.local_get(length).local_get(stop).i32_sub().local_set(length);
    code.local_get(from).i32_add().local_set(stop);
    code.loop_(PLAIN).local_get(from).i32_load8_u(at(0)).local_tee(byte).i32_const(i32::from(b'\n')).i32_eq();
    code.if_(PLAIN).local_get(address).i32_const(0).i32_const(1).call(FLUSH).else_();
    code.local_get(address).global_get(LENGTH).i32_add().local_get(byte).i32_store8(at(0));
    code.global_get(LENGTH).i32_const(1).i32_add().global_set(LENGTH);
    code.global_get(LENGTH).i32_const(LINE_BYTES_MAX as i32).i32_eq();
    code.if_(PLAIN).local_get(address).i32_const(0).i32_const(0).call(FLUSH).end().end();
    code.local_get(from).i32_const(1).i32_add().local_tee(from).local_get(stop).i32_lt_u().br_if(0).end();
    code.local_get(address).call(EXCHANGE).br(0).end().end().end();
    function
}
