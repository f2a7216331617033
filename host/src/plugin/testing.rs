//! What this module's tests share: where the example plugins are, and an engine.

use super::{Plugin, PluginEngine};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The built example plugin `name`, beside the test executable's own build.
pub(super) fn guest(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap(); // target/debug/deps/wasmill-0123
    let path = target.join("wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")));
    assert!(path.exists(), "{} is missing: run `make plugins`", path.display());
    path
}

/// An engine and the plugin `name`, made once for all tests.
pub(super) fn plugin(name: &'static str) -> Plugin {
    static ENGINE: OnceLock<PluginEngine> = OnceLock::new();
    static MISBEHAVING: OnceLock<Plugin> = OnceLock::new();
    static KEYED: OnceLock<Plugin> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| PluginEngine::new(None).unwrap());
    let slot = if name == "misbehaving" { &MISBEHAVING } else { &KEYED };
    slot.get_or_init(|| Plugin::load(engine, &guest(name)).unwrap()).clone()
}
