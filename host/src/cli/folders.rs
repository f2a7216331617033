//! Folders of the user that the environment names.

use std::path::PathBuf;

fn var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from)
}

fn cache() -> Option<PathBuf> {
    var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|it| it.join(".cache")))
}

/// Where compiled code is kept between commands: `$WASMILL_CACHE`, or else a folder of the user's cache, or none.
pub(crate) fn compiled() -> Option<PathBuf> {
    named_cache().or_else(|| cache().map(|it| it.join("wasmill")))
}

/// Where compiled code is kept, where the environment says so: for all commands, those that have a place of their own too.
pub(crate) fn named_cache() -> Option<PathBuf> {
    var("WASMILL_CACHE")
}

/// Where the toolchain scripts of wasmill's repository install to: `$WASMILL_TOOLS`, or else a folder of the user's cache.
pub(crate) fn tools() -> Option<PathBuf> {
    var("WASMILL_TOOLS").or_else(|| cache().map(|it| it.join("wasmill-tools")))
}

/// Where cargo builds to, where the environment says so.
pub(crate) fn cargo_target() -> Option<PathBuf> {
    var("CARGO_TARGET_DIR")
}

/// The folders that programs are looked for in.
pub(crate) fn path() -> Vec<PathBuf> {
    std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect()
}
