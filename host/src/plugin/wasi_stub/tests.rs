use super::*;
use expect_test::{Expect, expect};
use wasmtime::{Engine, Linker, Memory, Store, Val};

/// The adapter beside a memory of one page, and what it logged.
struct Stub {
    store: Store<Vec<String>>,
    instance: wasmtime::Instance,
    memory: Memory,
}

/// Where the tests put what they hand over, out of the way of the adapter's own places.
const ARGUMENTS: i32 = 0x4000;
const TEXT: usize = 0x5000;

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "critical"];

impl Stub {
    fn new() -> Stub {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, super::module().finish()).unwrap();
        let mut store = Store::new(&engine, Vec::new());
        let memory = Memory::new(&mut store, wasmtime::MemoryType::new(1, Some(1))).unwrap();
        // Every byte has a value, so that a place that is not put back shows.
        let filled: Vec<u8> = (0..memory.data_size(&store)).map(filling).collect();
        memory.write(&mut store, 0, &filled).unwrap();
        let mut linker = Linker::new(&engine);
        linker.define(&mut store, "env", "memory", memory).unwrap();
        let log =
            move |mut caller: wasmtime::Caller<'_, Vec<String>>, level: u32, from: u32, len: u32, at: u32, n: u32| {
                let bytes = memory.data(&caller);
                let text = |from: u32, len: u32| {
                    String::from_utf8(bytes[from as usize..(from + len) as usize].to_vec())
                        .expect("a log line is UTF-8")
                };
                let line = format!("{} {}: {}", LEVELS[level as usize], text(from, len), text(at, n));
                caller.data_mut().push(line);
            };
        linker.func_wrap("wasmill:plugin/logging@0.1.0", "log", log).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        Stub { store, instance, memory }
    }

    /// Calls `name`; a trap is none. Memory from 0 to where the arguments lie must be as it was.
    #[track_caller]
    fn call(&mut self, name: &str, arguments: &[Val]) -> Option<i32> {
        let function = self.instance.get_func(&mut self.store, name).expect("a call of preview 1");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let outcome = function.call(&mut self.store, arguments, &mut results);
        let kept = self.memory.data(&self.store)[..ARGUMENTS as usize].iter().enumerate();
        assert!(kept.into_iter().all(|(at, &it)| it == filling(at)), "{name} leaves the plugin's memory changed");
        outcome.ok().map(|()| results.first().and_then(Val::i32).unwrap_or_default())
    }

    /// Calls `name` with one number, which is no open file and a good address, as often as it takes one.
    fn call_plainly(&mut self, name: &str) -> Option<i32> {
        let function = self.instance.get_func(&mut self.store, name).expect("a call of preview 1");
        let types: Vec<_> = function.ty(&self.store).params().collect();
        let arguments: Vec<_> =
            types.iter().map(|it| if it.is_i64() { Val::I64(7) } else { Val::I32(ARGUMENTS) }).collect();
        self.call(name, &arguments)
    }

    /// Writes `text`, from `place` in memory, to a standard stream.
    #[track_caller]
    fn write_from(&mut self, place: usize, stream: i32, text: &[u8]) {
        let before = self.memory.data(&self.store)[place..place + text.len()].to_vec();
        self.memory.write(&mut self.store, place, text).unwrap();
        let pieces = [place as u32, text.len() as u32].map(u32::to_le_bytes).concat();
        self.memory.write(&mut self.store, ARGUMENTS as usize, &pieces).unwrap();
        let function = self.instance.get_func(&mut self.store, "fd_write").unwrap();
        let mut results = [Val::I32(0)];
        let arguments = [stream, ARGUMENTS, 1, ARGUMENTS + 8].map(Val::I32);
        function.call(&mut self.store, &arguments, &mut results).unwrap();
        assert_eq!((results[0].i32(), self.int(ARGUMENTS + 8)), (Some(0), text.len() as u32));
        assert_eq!(&self.memory.data(&self.store)[place..place + text.len()], text, "what was written stays there");
        self.memory.write(&mut self.store, place, &before).unwrap();
        let kept = self.memory.data(&self.store)[..ARGUMENTS as usize].iter().enumerate();
        assert!(kept.into_iter().all(|(at, &it)| it == filling(at)), "fd_write leaves the plugin's memory changed");
    }

    #[track_caller]
    fn write(&mut self, stream: i32, text: impl AsRef<[u8]>) {
        self.write_from(TEXT, stream, text.as_ref());
    }

    fn int(&self, at: i32) -> u32 {
        u32::from_le_bytes(self.memory.data(&self.store)[at as usize..at as usize + 4].try_into().unwrap())
    }

    fn long(&self, at: i32) -> u64 {
        u64::from_le_bytes(self.memory.data(&self.store)[at as usize..at as usize + 8].try_into().unwrap())
    }

    #[track_caller]
    fn check(&self, expected: Expect) {
        expected.assert_eq(&self.store.data().join("\n"));
    }
}

fn filling(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

#[test]
fn an_adapter_imports_the_log_and_the_plugins_memory() {
    let adapter = adapter().unwrap();
    let module = wasmtime::Module::new(&Engine::default(), &adapter).unwrap();
    let imports: Vec<_> = module.imports().map(|it| format!("{} {}", it.module(), it.name())).collect();
    assert_eq!(imports, ["wasmill:plugin/logging@0.1.0 log", "env memory"]);
    assert_eq!(module.exports().len(), 46, "preview 1 has 46 calls");
}

#[test]
fn a_file_or_a_socket_is_refused_by_name() {
    let mut stub = Stub::new();
    for name in ["path_open", "path_unlink_file", "fd_readdir"] {
        assert_eq!(stub.call_plainly(name), Some(2));
    }
    assert_eq!(stub.call_plainly("fd_pread"), Some(8));
    assert_eq!(stub.call_plainly("sock_send"), Some(2));
    stub.check(expect![[r#"
        warn wasi: files are not available to a plugin: path_open
        warn wasi: files are not available to a plugin: path_unlink_file
        warn wasi: files are not available to a plugin: fd_readdir
        warn wasi: files are not available to a plugin: fd_pread
        warn wasi: sockets are not available to a plugin: sock_send"#]]);
}

#[test]
fn every_refused_call_says_its_own_name() {
    let mut stub = Stub::new();
    let names: Vec<_> = calls::calls().iter().map(|it| it.name).collect();
    let mut refused = 0;
    for name in names {
        let lines = stub.store.data().len();
        let answer = stub.call_plainly(name);
        if stub.store.data().len() == lines {
            continue;
        }
        refused += 1;
        let line = stub.store.data().last().unwrap();
        assert!(line.ends_with(&format!(": {name}")) || (answer.is_none() && line.contains("exit")), "{name}: {line}");
        assert_ne!(answer, Some(0), "{name}");
    }
    assert_eq!(refused, 27);
}

#[test]
fn a_closed_file_is_bad_without_a_word() {
    let mut stub = Stub::new();
    for name in ["fd_close", "fd_read", "fd_write", "fd_seek", "fd_fdstat_get", "fd_prestat_get"] {
        assert_eq!(stub.call_plainly(name), Some(8), "{name}");
    }
    stub.check(expect![""]);
}

#[test]
fn there_are_no_arguments_and_no_environment() {
    let mut stub = Stub::new();
    for name in ["args_sizes_get", "environ_sizes_get"] {
        let places = [ARGUMENTS, ARGUMENTS + 4].map(Val::I32);
        assert_eq!(stub.call(name, &places), Some(0));
        assert_eq!((stub.int(ARGUMENTS), stub.int(ARGUMENTS + 4)), (0, 0));
    }
}

#[test]
fn the_root_is_there_and_nothing_else() {
    let mut stub = Stub::new();
    assert_eq!(stub.call("fd_prestat_get", &[3, ARGUMENTS].map(Val::I32)), Some(0));
    assert_eq!((stub.int(ARGUMENTS), stub.int(ARGUMENTS + 4)), (0, 1), "a directory, and the length of its name");
    assert_eq!(stub.call("fd_prestat_dir_name", &[3, ARGUMENTS, 1].map(Val::I32)), Some(0));
    assert_eq!(stub.memory.data(&stub.store)[ARGUMENTS as usize], b'/');
    assert_eq!(stub.call("fd_prestat_get", &[4, ARGUMENTS].map(Val::I32)), Some(8));
    for (file, expected) in [(1, 2), (3, 3)] {
        assert_eq!(stub.call("fd_fdstat_get", &[file, ARGUMENTS].map(Val::I32)), Some(0));
        assert_eq!(stub.int(ARGUMENTS), expected, "the type of file {file}");
        assert_eq!(stub.call("fd_filestat_get", &[file, ARGUMENTS].map(Val::I32)), Some(0));
        assert_eq!(stub.int(ARGUMENTS + 16), expected, "the type of file {file}");
    }
}

#[test]
fn the_clock_moves_by_a_step_a_look() {
    let mut stub = Stub::new();
    for look in 1..4 {
        assert_eq!(stub.call("clock_time_get", &[Val::I32(0), Val::I64(1), Val::I32(ARGUMENTS)]), Some(0));
        assert_eq!(stub.long(ARGUMENTS), 946_684_800_000_000_000 + 1_000 * look);
    }
}

#[test]
fn to_sleep_moves_the_clock_to_the_first_of_the_times() {
    let mut stub = Stub::new();
    let mut subscriptions = vec![0; 3 * 48];
    let now = CLOCK_START_NS as u64;
    for (at, (name, timeout, absolute)) in
        [(1_u64, 5_000, 0), (2, now + 3_000, 1), (3, 3_000, 0)].into_iter().enumerate()
    {
        subscriptions[at * 48..at * 48 + 8].copy_from_slice(&name.to_le_bytes());
        subscriptions[at * 48 + 24..at * 48 + 32].copy_from_slice(&u64::to_le_bytes(timeout));
        subscriptions[at * 48 + 40] = absolute;
    }
    stub.memory.write(&mut stub.store, TEXT, &subscriptions).unwrap();
    let arguments = [TEXT as i32, ARGUMENTS + 8, 3, ARGUMENTS].map(Val::I32);
    assert_eq!(stub.call("poll_oneoff", &arguments), Some(0));
    assert_eq!((stub.int(ARGUMENTS), stub.long(ARGUMENTS + 8), stub.long(ARGUMENTS + 40)), (2, 2, 3));
    stub.call("clock_time_get", &[Val::I32(0), Val::I64(1), Val::I32(ARGUMENTS)]);
    assert_eq!(stub.long(ARGUMENTS), now + 4_000);
    assert_eq!(stub.call_plainly("sched_yield"), Some(0));
}

#[test]
fn random_bytes_are_the_same_on_every_instance_and_differ_within_one() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut stub = Stub::new();
        assert_eq!(stub.call("random_get", &[ARGUMENTS, 19].map(Val::I32)), Some(0));
        let first = stub.memory.data(&stub.store)[ARGUMENTS as usize..ARGUMENTS as usize + 20].to_vec();
        assert_eq!(first[19], filling(ARGUMENTS as usize + 19), "no byte more than was asked for");
        assert_eq!(stub.call("random_get", &[ARGUMENTS, 19].map(Val::I32)), Some(0));
        assert_ne!(stub.memory.data(&stub.store)[ARGUMENTS as usize..ARGUMENTS as usize + 20], first);
        seen.push(first);
    }
    assert_eq!(seen[0], seen[1]);
    // The generator's own first number for this seed, computed apart.
    assert_eq!(seen[0][..8], splitmix(RANDOM_SEED as u64).to_le_bytes());
}

fn splitmix(seed: u64) -> u64 {
    let mut number = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[test]
fn output_is_joined_to_lines() {
    let mut stub = Stub::new();
    for piece in ["one ", "line", "\ntwo\n\n", "and a piece"] {
        stub.write(1, piece);
    }
    stub.check(expect![[r#"
        info stdout: one line
        info stdout: two"#]]);
    stub.write(2, "to the other stream\n");
    stub.check(expect![[r#"
        info stdout: one line
        info stdout: two
        info stdout: and a piece
        warn stderr: to the other stream"#]]);
}

#[test]
fn what_go_dies_of_is_grave() {
    let mut stub = Stub::new();
    stub.write(2, "panic: ");
    stub.write(
        2,
        "no such row\n\ngoroutine 1 [running]:\npanic(..)\n\truntime/panic.go:7\nmain.f()\n\trule/rule.go:12\n",
    );
    stub.write(2, "main.g()\n\trule/rule.go:20\nfatal error: all goroutines are asleep\npanicky\n");
    stub.check(expect![[r#"
        critical stderr: panic: no such row
        warn stderr: goroutine 1 [running]:
        warn stderr: panic(..)
        warn stderr: 	runtime/panic.go:7
        warn stderr: main.f()
        critical stderr: 	rule/rule.go:12
        warn stderr: main.g()
        warn stderr: 	rule/rule.go:20
        critical stderr: fatal error: all goroutines are asleep
        warn stderr: panicky"#]]);
}

#[test]
fn a_plugin_that_exits_says_its_last_words_and_traps() {
    let mut stub = Stub::new();
    stub.write(1, "half a line");
    assert_eq!(stub.call("proc_exit", &[Val::I32(2)]), None);
    stub.call("proc_exit", &[Val::I32(0)]);
    stub.call("proc_raise", &[Val::I32(134)]);
    stub.check(expect![[r#"
        info stdout: half a line
        critical wasi: the plugin ended itself with exit status 2
        critical wasi: the plugin ended itself with exit status 0
        critical wasi: the plugin ended itself with exit status 134"#]]);
}

#[test]
fn a_long_line_is_cut_between_two_characters() {
    let mut stub = Stub::new();
    let text = format!("x{}\n", "é".repeat(line::LINE_BYTES_MAX as usize));
    stub.write(1, &text);
    let lines = stub.store.data().clone();
    let lengths: Vec<_> = lines.iter().map(|it| it.len() - "info stdout: ".len()).collect();
    assert_eq!(lengths, [1_023, 1_024, 2], "of bytes");
    assert_eq!(lines.concat().replace("info stdout: ", "") + "\n", text);
}

#[test]
fn a_write_that_splits_a_character_does_not() {
    let mut stub = Stub::new();
    for byte in "grün, 語, 𝄞 und ñ\n".bytes() {
        stub.write(1, [byte]);
    }
    stub.check(expect!["info stdout: grün, 語, 𝄞 und ñ"]);
}

#[test]
fn bytes_that_are_not_utf8_become_question_marks() {
    let mut stub = Stub::new();
    stub.write(1, b"a\xffb\xc3(\xe0\x80\x80|\xed\xa0\x80|\xf4\x90\x80\x80|\xf5|\xc0\xaf|\xe8\xaa\n");
    stub.check(expect!["info stdout: a?b?(???|???|????|?|??|??"]);
}

#[test]
fn what_lies_where_the_line_is_put_is_written_and_kept() {
    let mut stub = Stub::new();
    stub.write(1, "begun, ");
    stub.write_from(0, 1, "from the bottom\n".as_bytes());
    stub.write_from(1_000, 1, &[b'y'; 100]);
    stub.write_from(8_200, 1, " and from the other place\n".as_bytes());
    let long = [b"z".repeat(5_000), b"\n".to_vec()].concat();
    stub.write_from(1_030, 1, &long);
    let lines = stub.store.data();
    assert_eq!(lines[0], "info stdout: begun, from the bottom");
    assert_eq!(lines[1], format!("info stdout: {} and from the other place", "y".repeat(100)));
    assert_eq!(lines[2..].iter().map(|it| it.len() - "info stdout: ".len()).sum::<usize>(), 5_000);
}
