//! What the environment says about a run of the tests.

use std::path::{Path, PathBuf};

/// Records of the largest scenario: `WASMILL_TEST_RECORDS`, or 200,000.
pub fn records() -> u64 {
    number("WASMILL_TEST_RECORDS").unwrap_or(200_000)
}

/// How long versions take over again and again: `WASMILL_TEST_SWAP_SECONDS`, or 60, which is long enough for 99 of 100 to be something else than all.
pub fn swap_seconds() -> u64 {
    number("WASMILL_TEST_SWAP_SECONDS").unwrap_or(60)
}

/// Records that each language's plugin is given beside, to see that its memory stays flat: `WASMILL_TEST_MEMORY_RECORDS`, or none.
pub fn memory_records() -> Option<u64> {
    number("WASMILL_TEST_MEMORY_RECORDS")
}

/// The seed of a scenario's random choices: `WASMILL_TEST_SEED`, or a new one. Printed, so that a failure can be repeated.
pub fn seed(scenario: &str) -> u64 {
    let seed = number("WASMILL_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ crate::wait::now_ms());
    println!("{scenario}: WASMILL_TEST_SEED={seed}");
    seed
}

/// The binary under test: `WASMILL_BIN`, or `wasmill` beside the test executable's folder.
pub fn wasmill() -> PathBuf {
    let binary = text("WASMILL_BIN").map_or_else(|| target().join("wasmill"), PathBuf::from);
    assert!(binary.is_file(), "there is no {}: run the tests with `make test`", binary.display());
    binary
}

/// Where the runs of all tests keep compiled plugins: beside the executables, and never in the user's own cache.
pub fn compiled() -> PathBuf {
    target().join("compiled-plugins")
}

/// A plugin of `example-plugins` or of `tests/plugins`, built for WebAssembly.
pub fn plugin(name: &str) -> PathBuf {
    let file = format!("{}.wasm", name.replace('-', "_"));
    let dashed = format!("{name}.wasm");
    let root = repository();
    let release = Path::new("wasm32-unknown-unknown/release");
    let mut places = vec![root.join("examples/plugins").join(&dashed), root.join("examples/plugins").join(&file)];
    for target in [target().join(".."), root.join("target")] {
        places.push(target.join(release).join(&file));
    }
    let found = places.iter().find(|it| it.is_file());
    found
        .unwrap_or_else(|| panic!("plugin {name} is not built (none of {places:?}): run the tests with `make test`"))
        .clone()
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository").to_owned()
}

/// The folder with the profile's executables: that of the test executable, or its parent.
fn target() -> PathBuf {
    let mut folder = std::env::current_exe().expect("the test executable has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

fn number(name: &str) -> Option<u64> {
    let text = text(name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the environment in the tests")]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}
