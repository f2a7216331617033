//! Rules about the tree that no compiler checks: who may name whom, how long a file may get, what must not be written in it.
//!
//! Each test reads the tracked files and prints every offence at once. A rule that stands in the way is changed here, with its
//! reason, and not worked around.

mod licences;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For each module of the host, the others that it may name: data goes down the list of `ARCHITECTURE.md`, and only `pipeline`
/// joins two stages. `config` is what was asked for, and may be read everywhere.
const EDGES: &[(&str, &[&str])] = &[
    ("column", &[]),
    ("batch", &["column"]),
    ("schema", &["column"]),
    ("failpoint", &[]),
    ("metrics", &[]),
    ("config", &["batch", "column", "schema"]),
    ("kafka", &["batch", "config", "failpoint", "metrics"]),
    // A file source starts in the middle of a file by decoding where records begin.
    ("source", &["batch", "column", "config", "decode", "kafka", "metrics", "schema"]),
    ("decode", &["batch", "column", "config", "metrics", "schema"]),
    ("watermark", &["batch", "config"]),
    ("filter", &["column", "config", "decode"]),
    ("plugin", &["batch", "column", "config", "metrics", "schema", "state"]),
    ("exchange", &["batch", "column", "metrics", "schema"]),
    ("window", &["batch", "column", "config", "schema", "spill", "state"]),
    ("join", &["batch", "column", "spill", "state", "watermark"]),
    ("dedupe", &["batch", "spill", "state"]),
    // Where state is while it is not in memory.
    ("spill", &["batch"]),
    ("state", &["batch", "column", "spill"]),
    ("sink", &["batch", "column", "config", "decode", "failpoint", "kafka", "metrics", "schema"]),
    ("checkpoint", &["failpoint", "state"]),
];

/// Modules that know more than one stage, or start everything.
const JOINTS: &[&str] = &["pipeline", "cli", "daemon", "main", "lib"];

/// Pure parts: the same input gives the same output, always and everywhere.
const PURE: &[&str] = &[
    "column.rs",
    "batch.rs",
    "schema.rs",
    "filter/",
    "watermark.rs",
    "watermark/",
    "window/",
    "join/",
    "dedupe.rs",
    "dedupe/",
    "state/",
    "checkpoint/barrier",
    "checkpoint/format.rs",
    "checkpoint/manifest.rs",
    "checkpoint/merge.rs",
    "checkpoint/pointer.rs",
];

const IMPURE: &[&str] = &[
    "std::time",
    "std::thread",
    "std::env",
    "std::net",
    "Instant",
    "SystemTime",
    "rand",
    "rdkafka",
    "wasmtime",
    "tokio",
    "tracing",
];

/// Words that only some files of the host may use in code.
const OWNED: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka/"]),
    ("rdkafka_sys", &["kafka/"]),
    ("lsm_tree", &["spill/"]),
    ("TcpStream", &["kafka/wire/", "daemon/http/"]),
    ("wasmtime", &["plugin/"]),
    ("env::var", &["main.rs", "cli/", "daemon/"]),
    ("env::var_os", &["main.rs", "cli/", "daemon/"]),
    ("env::args", &["main.rs", "cli/", "daemon/"]),
    ("env::args_os", &["main.rs", "cli/", "daemon/"]),
    ("tokio::signal", &["main.rs", "cli/", "daemon/"]),
    ("sigaction", &["main.rs", "cli/", "daemon/"]),
];

/// No file of Rust may be longer; tables of cases may. Lower both when the longest allow.
const LINES_MAX: usize = 800;
const TEST_LINES_MAX: usize = 1_050;

/// Hosts that a file may link to. A registry's mirror, say, is nobody else's business.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "crates.io",
    "docs.rs",
    "example.com",
    "github.com",
    "go.dev",
    "json-schema.org",
    "kafka.apache.org",
    "maven.apache.org",
    "nightlies.apache.org",
    "nodejs.org",
    "cwiki.apache.org",
    "issues.apache.org",
    "rustup.rs",
    "sh.rustup.rs",
    "www.apache.org",
    "www.nexmark.com",
    "www.rfc-editor.org",
];

#[test]
fn modules_name_only_the_modules_that_they_may() {
    let mut offences = String::new();
    for (path, code) in host_code() {
        let module = module_of(&path);
        if JOINTS.contains(&module) {
            continue;
        }
        let Some((_, allowed)) = EDGES.iter().find(|it| it.0 == module) else {
            let _ = writeln!(offences, "{path}: module `{module}` is not in the table of edges");
            continue;
        };
        for other in crate_names(&code) {
            if other != module && !allowed.contains(&&*other) {
                let _ = writeln!(offences, "{path}: `{module}` must not name `{other}`");
            }
        }
    }
    assert!(offences.is_empty(), "\n{offences}");
}

#[test]
fn pure_modules_know_no_clock_randomness_thread_kafka_or_wasmtime() {
    let mut offences = String::new();
    for (path, code) in host_code().filter(|it| PURE.iter().any(|pure| it.0.starts_with(pure))) {
        for word in IMPURE.iter().filter(|it| has_word(&code, it)) {
            let _ = writeln!(offences, "{path}: `{word}` in a pure module");
        }
    }
    assert!(offences.is_empty(), "\n{offences}");
}

#[test]
fn the_environment_signals_and_foreign_libraries_have_owners() {
    let mut offences = String::new();
    for (path, code) in host_code() {
        for (word, owners) in OWNED {
            if has_word(&code, word) && !owners.iter().any(|it| path.starts_with(it)) {
                let _ = writeln!(offences, "{path}: only {owners:?} may use `{word}`");
            }
        }
    }
    assert!(offences.is_empty(), "\n{offences}");
}

#[test]
fn every_failpoint_is_listed_and_every_listed_one_is_somewhere() {
    let mut used = BTreeSet::new();
    for (_, code) in host_code() {
        used.extend(code.split("failpoint(\"").skip(1).filter_map(|it| it.split('"').next().map(str::to_owned)));
    }
    let listed: BTreeSet<_> = wasmill::failpoint::FAILPOINTS.iter().map(|&it| it.to_owned()).collect();
    assert_eq!(used, listed);
}

#[test]
fn no_file_is_too_long() {
    let mut lengths: Vec<_> =
        tracked().filter(|it| it.ends_with(".rs")).map(|it| (read(&it).lines().count(), it)).collect();
    lengths.sort_by(|a, b| b.cmp(a));
    println!("the longest files, of at most {LINES_MAX} lines ({TEST_LINES_MAX} of tests):");
    for (lines, path) in lengths.iter().take(10) {
        println!("{lines:6} {path}");
    }
    for (lines, path) in lengths {
        let lines_max = if is_test(&path) { TEST_LINES_MAX } else { LINES_MAX };
        assert!(lines <= lines_max, "{path} has {lines} lines, at most {lines_max}: split it by noun");
    }
}

#[test]
fn nothing_unfinished_and_nothing_of_one_machine_is_written_down() {
    // In two pieces, so that this file does not hold them.
    let banned = [
        concat!("to", "do!"),
        concat!("FIX", "ME"),
        concat!("#[ign", "ore"),
        concat!("unimple", "mented!("),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    let mut offences = String::new();
    for path in tracked() {
        let text = read(&path);
        for (number, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|it| line.contains(*it)) {
                let _ = writeln!(offences, "{path}:{}: `{word}`", number + 1);
            }
            // A lock file of npm's names whom the packages' authors thank.
            let hosts = hosts(line).filter(|it| !HOSTS.contains(it) && !path.ends_with("package-lock.json"));
            for host in hosts {
                let _ = writeln!(offences, "{path}:{}: host `{host}` is not in the list of hosts", number + 1);
            }
        }
    }
    assert!(offences.is_empty(), "\n{offences}");
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let mut decisions: Vec<_> =
        tracked().filter(|it| it.starts_with("docs/adr/") && !it.ends_with("README.md")).collect();
    decisions.sort();
    for (i, path) in decisions.iter().enumerate() {
        let number = i + 1;
        let name = path.trim_start_matches("docs/adr/");
        assert!(name.starts_with(&format!("{number:04}-")), "{path} should be number {number:04}");
        let title = read(path);
        assert!(title.starts_with(&format!("# {number}. ")), "{path} should begin with `# {number}. TITLE`");
    }
}

#[test]
fn links_in_the_documentation_lead_to_files() {
    let mut offences = String::new();
    for path in tracked().filter(|it| it.ends_with(".md")) {
        let text = read(&path);
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        for link in text.split("](").skip(1).filter_map(|it| it.split([')', ' ', '\n']).next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !root().join(folder).join(file).exists() {
                let _ = writeln!(offences, "{path}: `{link}` leads nowhere");
            }
        }
    }
    assert!(offences.is_empty(), "\n{offences}");
}

/// The host's files below `src/`, without comments and without tests.
fn host_code() -> impl Iterator<Item = (String, String)> {
    let code = |path: String| {
        let short = path.strip_prefix("host/src/")?.to_owned();
        (short.ends_with(".rs") && !is_test(&path)).then(|| (short, strip(&read(&path))))
    };
    tracked().filter_map(code)
}

/// True for a file of nothing but tests.
fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
}

/// Code alone: no comment lines, nothing behind `#[cfg(test)] mod`.
fn strip(text: &str) -> String {
    let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let code = text[..tests].lines().map(|it| it.split_once("// ").map_or(it, |(code, _)| code));
    let code = code.filter(|it| !it.trim_start().starts_with("//"));
    code.fold(String::new(), |out, line| out + line + "\n")
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// `a` in `crate::a` and `crate::{a::b, ..}`.
fn crate_names(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map(|it| it.split('}').next().unwrap_or(it));
        for item in list.map_or_else(|| vec![rest], |it| it.split(',').collect()) {
            let name: String = item.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
            // A type or a macro of the crate's root is nobody's module.
            if name.starts_with(|it: char| it.is_lowercase()) {
                names.insert(name);
            }
        }
    }
    names
}

/// `word` with neither a letter before nor behind it.
fn has_word(code: &str, word: &str) -> bool {
    let letter = |it: char| it.is_alphanumeric() || it == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(letter) && !code[at + word.len()..].starts_with(letter))
}

/// The host of each `http` link in `line`.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("http://").skip(1).chain(line.split("https://").skip(1));
    behind
        .map(|it| it.split(|it: char| !it.is_alphanumeric() && it != '.' && it != '-').next().unwrap_or(it))
        .filter(|it| !it.is_empty())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file that is, or would be, committed.
fn tracked() -> impl Iterator<Item = String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    names.into_iter().filter(|it| root().join(it).is_file())
}

/// A file's text; of one that is not text, what can be read.
fn read(path: &str) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_readers_of_code_see_what_they_should() {
    let code = strip(
        "//! crate::a\nuse crate::{b::C, d};\ncrate::e::f(); // crate::g\ncrate::T;\n#[cfg(test)]\nmod tests { crate::h }",
    );
    assert_eq!(crate_names(&code).into_iter().collect::<Vec<_>>(), ["b", "d", "e"]);
    assert!(has_word("std::thread::Builder", "std::thread"));
    assert!(!has_word("random operand", "rand"));
    assert_eq!(hosts("see <https://docs.rs/a> and http://localhost:80/").collect::<Vec<_>>(), ["localhost", "docs.rs"]);
}
