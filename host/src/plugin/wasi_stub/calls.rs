//! The calls of WASI preview 1, and what each is answered.

use super::line::{CRITICAL, STANDARD_ERROR, STANDARD_OUTPUT, STUB, word};
use super::{CLOCK_STEP_NS, EXCHANGE, FLUSH, LENGTH, NOW, PLAIN, RANDOM, RANDOM_STATE, SETTLE, WRITE, at};
use wasm_encoder::{Function, InstructionSink, ValType};

/// Errnos of preview 1.
const SUCCESS: i32 = 0;
const ACCESS: i32 = 2;
const BAD_FILE: i32 = 8;
const INVALID: i32 = 28;
const NO_SEEK: i32 = 70;

/// File types of preview 1.
const CHARACTER_DEVICE: i32 = 2;
const DIRECTORY: i32 = 3;

/// The root directory, by which C's library and Go find a file; what is opened in it is refused. 0 to 2 are the standard streams.
const ROOT: i32 = 3;

/// Bytes of a subscription of `poll_oneoff`, and of an event.
const SUBSCRIPTION_BYTES: i32 = 48;
const EVENT_BYTES: i32 = 32;

/// One call that a module may import.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) signature: &'static str,
    pub(super) body: Function,
}

/// All calls of preview 1.
pub(super) fn calls() -> Vec<Call> {
    let answered = answered().into_iter().map(|(name, signature, body)| Call { name, signature, body });
    let refused = REFUSED.iter().flat_map(|&(capability, errno, calls)| {
        calls.iter().map(move |&(name, signature)| {
            let parameters = signature.len() - ">i".len();
            Call { name, signature, body: refused(parameters, capability, name, errno) }
        })
    });
    answered.chain(refused).collect()
}

/// A capability that is refused, with which errno, and the calls that would need it.
type Refused = (&'static str, i32, &'static [(&'static str, &'static str)]);

const REFUSED: [Refused; 3] = [
    (
        "files",
        ACCESS,
        &[
            ("path_create_directory", "iii>i"),
            ("path_filestat_get", "iiiii>i"),
            ("path_filestat_set_times", "iiiiIIi>i"),
            ("path_link", "iiiiiii>i"),
            ("path_open", "iiiiiIIii>i"),
            ("path_readlink", "iiiiii>i"),
            ("path_remove_directory", "iii>i"),
            ("path_rename", "iiiiii>i"),
            ("path_symlink", "iiiii>i"),
            ("path_unlink_file", "iii>i"),
            ("fd_readdir", "iiiIi>i"),
        ],
    ),
    (
        "files",
        BAD_FILE,
        &[
            ("fd_advise", "iIIi>i"),
            ("fd_allocate", "iII>i"),
            ("fd_datasync", "i>i"),
            ("fd_fdstat_set_rights", "iII>i"),
            ("fd_filestat_set_size", "iI>i"),
            ("fd_filestat_set_times", "iIIi>i"),
            ("fd_pread", "iiiIi>i"),
            ("fd_pwrite", "iiiIi>i"),
            ("fd_renumber", "ii>i"),
            ("fd_sync", "i>i"),
        ],
    ),
    (
        "sockets",
        ACCESS,
        &[("sock_accept", "iii>i"), ("sock_recv", "iiiiii>i"), ("sock_send", "iiiii>i"), ("sock_shutdown", "ii>i")],
    ),
];

/// The calls that have an answer of their own.
fn answered() -> Vec<(&'static str, &'static str, Function)> {
    vec![
        ("args_get", "ii>i", always(SUCCESS)),
        ("args_sizes_get", "ii>i", two_zeros()),
        ("environ_get", "ii>i", always(SUCCESS)),
        ("environ_sizes_get", "ii>i", two_zeros()),
        ("clock_res_get", "ii>i", clock_res_get()),
        ("clock_time_get", "iIi>i", clock_time_get()),
        ("fd_close", "i>i", on_open_files(SUCCESS)),
        ("fd_fdstat_get", "ii>i", fd_stat(24, 0)),
        ("fd_fdstat_set_flags", "ii>i", on_open_files(SUCCESS)),
        ("fd_filestat_get", "ii>i", fd_stat(64, 16)),
        ("fd_prestat_dir_name", "iii>i", fd_prestat_dir_name()),
        ("fd_prestat_get", "ii>i", fd_prestat_get()),
        ("fd_read", "iiii>i", fd_read()),
        ("fd_seek", "iIii>i", on_open_files(NO_SEEK)),
        ("fd_tell", "ii>i", on_open_files(NO_SEEK)),
        ("fd_write", "iiii>i", fd_write()),
        ("poll_oneoff", "iiii>i", poll_oneoff()),
        ("proc_exit", "i", proc_exit()),
        ("proc_raise", "i>i", proc_exit()),
        ("random_get", "ii>i", random_get()),
        ("sched_yield", ">i", always(SUCCESS)),
    ]
}

/// A function with `locals` 64-bit and then as many 32-bit locals as it needs, behind its parameters.
fn body(longs: u32, ints: u32, write: impl FnOnce(&mut InstructionSink<'_>)) -> Function {
    let mut function = Function::new([(longs, ValType::I64), (ints, ValType::I32)]);
    let mut code = function.instructions();
    write(&mut code);
    code.end();
    function
}

fn always(errno: i32) -> Function {
    body(0, 0, |code| {
        code.i32_const(errno);
    })
}

/// `errno` for a file that is open, which are the standard streams and the root.
fn on_open_files(errno: i32) -> Function {
    body(0, 0, |code| {
        code.i32_const(errno).i32_const(BAD_FILE).local_get(0).i32_const(ROOT).i32_le_u().select();
    })
}

/// Says in the log what is not to be had.
fn refused(parameters: usize, capability: &str, name: &str, errno: i32) -> Function {
    const WARN: i32 = 3;
    let address = parameters as u32;
    body(0, 1, |code| {
        say(code, address, &format!("{capability} are not available to a plugin: {name}"));
        code.local_get(address).i32_const(WARN).i32_const(1).call(FLUSH);
        code.local_get(address).call(EXCHANGE).i32_const(errno);
    })
}

/// Begins a line at the beginning of memory, which is exchanged; `address` is a local that is to say so.
fn say(code: &mut InstructionSink<'_>, address: u32, text: &str) {
    code.i32_const(STUB).call(SETTLE);
    code.i32_const(0).local_tee(address).call(EXCHANGE);
    for (index, start) in (0..text.len()).step_by(8).enumerate() {
        let piece = text.get(start..text.len().min(start + 8)).unwrap_or_default();
        code.local_get(address).i64_const(word(piece)).i64_store(at(index as u32 * 8));
    }
    code.i32_const(text.len() as i32).global_set(LENGTH);
}

/// No strings, of no bytes.
fn two_zeros() -> Function {
    body(0, 0, |code| {
        code.local_get(0).i32_const(0).i32_store(at(0)).local_get(1).i32_const(0).i32_store(at(0)).i32_const(SUCCESS);
    })
}

fn clock_res_get() -> Function {
    body(0, 0, |code| {
        code.local_get(1).i64_const(CLOCK_STEP_NS).i64_store(at(0)).i32_const(SUCCESS);
    })
}

/// `clock_time_get(clock, precision, time)`: all clocks are the same.
fn clock_time_get() -> Function {
    body(0, 0, |code| {
        code.global_get(NOW).i64_const(CLOCK_STEP_NS).i64_add().global_set(NOW);
        code.local_get(2).global_get(NOW).i64_store(at(0)).i32_const(SUCCESS);
    })
}

/// `fd_fdstat_get(file, stat)` and `fd_filestat_get`: `bytes` that are 0, but for the file's type, and the root's rights.
fn fd_stat(bytes: i32, type_offset: u32) -> Function {
    body(0, 0, |code| {
        code.local_get(0).i32_const(ROOT).i32_gt_u().if_(PLAIN).i32_const(BAD_FILE).return_().end();
        code.local_get(1).i32_const(0).i32_const(bytes).memory_fill(0);
        code.local_get(1).i32_const(DIRECTORY).i32_const(CHARACTER_DEVICE);
        code.local_get(0).i32_const(ROOT).i32_eq().select().i32_store8(at(type_offset));
        code.i32_const(SUCCESS);
    })
}

/// `fd_prestat_get(file, prestat)`: a directory whose name has one byte.
fn fd_prestat_get() -> Function {
    body(0, 0, |code| {
        code.local_get(0).i32_const(ROOT).i32_ne().if_(PLAIN).i32_const(BAD_FILE).return_().end();
        code.local_get(1).i64_const(1 << 32).i64_store(at(0)).i32_const(SUCCESS);
    })
}

/// `fd_prestat_dir_name(file, name, length)`.
fn fd_prestat_dir_name() -> Function {
    body(0, 0, |code| {
        code.local_get(0).i32_const(ROOT).i32_ne().local_get(2).i32_eqz().i32_or();
        code.if_(PLAIN).i32_const(BAD_FILE).return_().end();
        code.local_get(1).i32_const(i32::from(b'/')).i32_store8(at(0)).i32_const(SUCCESS);
    })
}

/// `fd_read(file, pieces, count, read)`: the end of standard input, and of nothing else.
fn fd_read() -> Function {
    body(0, 0, |code| {
        code.local_get(0).if_(PLAIN).i32_const(BAD_FILE).return_().end();
        code.local_get(3).i32_const(0).i32_store(at(0)).i32_const(SUCCESS);
    })
}

/// `fd_write(file, pieces, count, written)`.
fn fd_write() -> Function {
    let (file, pieces, count, written, sum) = (0, 1, 2, 3, 4);
    body(0, 1, |code| {
        code.local_get(file).i32_const(STANDARD_OUTPUT).i32_ne().local_get(file).i32_const(STANDARD_ERROR).i32_ne();
        code.i32_and().if_(PLAIN).i32_const(BAD_FILE).return_().end();
        code.block(PLAIN).loop_(PLAIN).local_get(count).i32_eqz().br_if(1);
        code.local_get(file).local_get(pieces).i32_load(at(0)).local_get(pieces).i32_load(at(4)).call(WRITE);
        code.local_get(sum).local_get(pieces).i32_load(at(4)).i32_add().local_set(sum);
        code.local_get(pieces).i32_const(8).i32_add().local_set(pieces);
        code.local_get(count).i32_const(1).i32_sub().local_set(count).br(0).end().end();
        code.local_get(written).local_get(sum).i32_store(at(0)).i32_const(SUCCESS);
    })
}

/// `poll_oneoff(subscriptions, events, count, happened)`: nothing is waited for. Where a stream is asked for it is ready; else the clock
/// moves to the first of the times.
fn poll_oneoff() -> Function {
    let (subscriptions, events, count, happened) = (0, 1, 2, 3);
    let (start, first, place, stop, streams, event) = (4, 5, 6, 7, 8, 9);
    body(2, 4, |code| {
        code.local_get(count).i32_eqz().if_(PLAIN).i32_const(INVALID).return_().end();
        code.global_get(NOW).local_set(start).i64_const(-1).local_set(first);
        code.local_get(subscriptions).local_tee(place);
        code.local_get(count).i32_const(SUBSCRIPTION_BYTES).i32_mul().i32_add().local_set(stop);
        code.loop_(PLAIN).local_get(place).i32_load8_u(at(8)).if_(PLAIN).i32_const(1).local_set(streams).else_();
        deadline(code, place, start);
        code.local_get(first);
        deadline(code, place, start);
        code.local_get(first).i64_lt_u().select().local_set(first).end();
        next(code, place, SUBSCRIPTION_BYTES);
        code.local_get(place).local_get(stop).i32_lt_u().br_if(0).end();
        code.local_get(streams).i32_eqz().local_get(first).global_get(NOW).i64_gt_u().i32_and();
        code.if_(PLAIN).local_get(first).global_set(NOW).end();
        code.local_get(events).local_set(event).local_get(subscriptions).local_set(place);
        code.loop_(PLAIN).block(PLAIN).local_get(place).i32_load8_u(at(8)).i32_eqz().if_(PLAIN);
        deadline(code, place, start);
        code.global_get(NOW).i64_gt_u().br_if(1).end();
        code.local_get(event).i32_const(0).i32_const(EVENT_BYTES).memory_fill(0);
        code.local_get(event).local_get(place).i64_load(at(0)).i64_store(at(0));
        code.local_get(event).local_get(place).i32_load8_u(at(8)).i32_store8(at(10));
        next(code, event, EVENT_BYTES);
        code.end();
        next(code, place, SUBSCRIPTION_BYTES);
        code.local_get(place).local_get(stop).i32_lt_u().br_if(0).end();
        code.local_get(happened).local_get(event).local_get(events).i32_sub();
        code.i32_const(EVENT_BYTES).i32_div_u().i32_store(at(0)).i32_const(SUCCESS);
    })
}

/// The time that the subscription at `place` waits for: as it says, or from `start` on.
fn deadline(code: &mut InstructionSink<'_>, place: u32, start: u32) {
    code.local_get(place).i64_load(at(24));
    code.i64_const(0).local_get(start).local_get(place).i32_load8_u(at(40)).i32_const(1).i32_and().select().i64_add();
}

fn next(code: &mut InstructionSink<'_>, place: u32, bytes: i32) {
    code.local_get(place).i32_const(bytes).i32_add().local_set(place);
}

/// `proc_exit(status)` and `proc_raise(signal)`: a plugin does not end by itself, so it traps.
fn proc_exit() -> Function {
    let (status, address, unit) = (0, 1, 2);
    body(0, 2, |code| {
        say(code, address, "the plugin ended itself with exit status ");
        // An exit status has three digits at most.
        code.local_get(status).i32_const(1_000).i32_rem_u().local_set(status);
        code.i32_const(100).local_set(unit).loop_(PLAIN);
        code.local_get(status).local_get(unit).i32_ge_u().local_get(unit).i32_const(1).i32_eq().i32_or().if_(PLAIN);
        code.local_get(address).global_get(LENGTH).i32_add();
        code.local_get(status).local_get(unit).i32_div_u().i32_const(10).i32_rem_u();
        code.i32_const(i32::from(b'0')).i32_add().i32_store8(at(0));
        code.global_get(LENGTH).i32_const(1).i32_add().global_set(LENGTH).end();
        code.local_get(unit).i32_const(10).i32_div_u().local_tee(unit).br_if(0).end();
        code.local_get(address).i32_const(CRITICAL).i32_const(1).call(FLUSH);
        code.local_get(address).call(EXCHANGE).unreachable();
    })
}

/// `random()`: the next number of SplitMix64.
pub(super) fn random() -> Function {
    body(1, 0, |code| {
        code.global_get(RANDOM_STATE).i64_const(0x9e37_79b9_7f4a_7c15_u64 as i64).i64_add();
        code.global_set(RANDOM_STATE).global_get(RANDOM_STATE).local_set(0);
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb_u64)] {
            code.local_get(0).local_get(0).i64_const(shift).i64_shr_u().i64_xor();
            code.i64_const(factor as i64).i64_mul().local_set(0);
        }
        code.local_get(0).local_get(0).i64_const(31).i64_shr_u().i64_xor();
    })
}

/// `random_get(bytes, length)`: a number for each eight bytes, and the low bytes of one more for the rest.
fn random_get() -> Function {
    let (bytes, length, number) = (0, 1, 2);
    body(1, 0, |code| {
        code.block(PLAIN).loop_(PLAIN).local_get(length).i32_const(8).i32_lt_u().br_if(1);
        code.local_get(bytes).call(RANDOM).i64_store(at(0));
        next(code, bytes, 8);
        next(code, length, -8);
        code.br(0).end().end();
        code.local_get(length).if_(PLAIN).call(RANDOM).local_set(number);
        code.loop_(PLAIN).local_get(bytes).local_get(number).i64_store8(at(0));
        code.local_get(number).i64_const(8).i64_shr_u().local_set(number);
        next(code, bytes, 1);
        next(code, length, -1);
        code.local_get(length).br_if(0).end().end();
        code.i32_const(SUCCESS);
    })
}
