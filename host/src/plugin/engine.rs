//! The compiler and the tick that deadlines are counted in. The one thread of this module is here.

use super::error::PluginError;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Cache, CacheConfig, Config, Engine, Strategy};

/// Deadlines are counted in ticks of this many milliseconds, so a call runs at most this much longer than allowed.
pub(super) const TICK_MS: u64 = 5;

/// Stack of a guest, in bytes: half of what Rust gives a thread.
const STACK_BYTES_MAX: usize = 1 << 20;

/// Compiles plugins and counts the ticks of their deadlines. Cheap to clone; made once a process.
///
/// The ticker runs until the last engine, plugin and instance made from it are gone, and is joined then.
#[derive(Clone)]
pub struct PluginEngine(Arc<Inner>);

struct Inner {
    engine: Engine,
    cache: Option<Cache>,
    _ticker: Ticker,
}

impl PluginEngine {
    /// An engine that keeps compiled code in the folder `compiled` of `cache_dir`, which is made where it is missing; none
    /// compiles anew each time. The folder must be trusted: what is in it is run as native code. What else is in
    /// `cache_dir` stays as it is.
    ///
    /// # Errors
    /// The folder cannot be made or written, or the machine has no compiler for it.
    pub fn new(cache_dir: Option<&Path>) -> Result<Self, PluginError> {
        let started = cache(cache_dir).and_then(|cache| Ok((Engine::new(&config(cache.clone()))?, cache)));
        let (engine, cache) = started.map_err(|error| {
            let place =
                cache_dir.map_or("without a cache".to_owned(), |it| format!("with its cache in {}", it.display()));
            PluginError::Engine(format!("the plugin engine does not start {place}: {error:#}"))
        })?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| PluginError::Engine(format!("the plugin engine's ticker does not start: {error}")))?;
        Ok(PluginEngine(Arc::new(Inner { engine, cache, _ticker: ticker })))
    }

    /// How many plugins were found in the cache and not compiled.
    pub fn cache_hits(&self) -> usize {
        self.0.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    pub(super) fn wasmtime(&self) -> &Engine {
        &self.0.engine
    }
}

fn cache(dir: Option<&Path>) -> wasmtime::Result<Option<Cache>> {
    let Some(dir) = dir else { return Ok(None) };
    // Of its own: what wasmtime finds there and does not know, it deletes.
    let compiled = dir.join("compiled");
    std::fs::create_dir_all(&compiled)?;
    let mut config = CacheConfig::new();
    config.with_directory(compiled.canonicalize()?);
    // Compressed once: again and better, as it would when a plugin was loaded often, takes a process hundreds of MB.
    config.with_optimized_compression_level(config.baseline_compression_level());
    Cache::new(config).map(Some)
}

fn config(cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .relaxed_simd_deterministic(true) // A replay on another machine gives the same output.
        .cache(cache);
    config
}

/// Moves the engine's epoch (a tick here) until it is dropped.
struct Ticker {
    /// Its end wakes the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let tick = Duration::from_millis(TICK_MS);
        let run = move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(run)?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It cannot panic, and there is nobody to tell.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_folder_that_cannot_be_made_is_named_in_the_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(error) = PluginEngine::new(Some(&file.path().join("cache"))) else { panic!("a folder in a file") };
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        assert_eq!(error.blame(), crate::plugin::Blame::Host);
    }

    /// What wasmtime's worker, which does one thing after the other, has written down of each module.
    fn written_down(dir: &Path) -> Vec<String> {
        let of = |it: std::fs::DirEntry| match it.path() {
            path if path.is_dir() => written_down(&path),
            path if path.extension() == Some("stats".as_ref()) => std::fs::read_to_string(path).into_iter().collect(),
            _ => Vec::new(),
        };
        std::fs::read_dir(dir).unwrap().map(Result::unwrap).flat_map(of).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how long a test waits")]
    fn what_else_is_in_the_cache_folder_stays() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "of somebody else").unwrap();
            path
        };
        let others = ["a", "b.txt", "folder/c", "folder/folder/d.txt", "folder/folder/folder/e"].map(write);
        let stranger = write("compiled/stranger");
        let engine = PluginEngine::new(Some(dir.path())).unwrap();
        // The first module that it keeps has wasmtime clean up; when the second is written down, that is done.
        for (kept, module) in [&b"\0asm\x01\0\0\0"[..], b"\0asm\x01\0\0\0\0\x01\0"].into_iter().enumerate() {
            wasmtime::Module::new(engine.wasmtime(), module).unwrap();
            let deadline = std::time::Instant::now() + Duration::from_secs(30);
            while written_down(dir.path()).len() <= kept {
                assert!(std::time::Instant::now() < deadline, "wasmtime keeps nothing");
                std::thread::yield_now();
            }
        }
        assert!(!stranger.exists(), "wasmtime deletes nothing: is a folder of its own still needed?");
        for it in others {
            assert!(it.exists(), "{} was deleted", it.display());
        }
    }

    #[test]
    fn what_is_loaded_often_is_not_compressed_again() {
        let dir = tempfile::tempdir().unwrap();
        let engine = PluginEngine::new(Some(dir.path())).unwrap();
        let usages = |stats: &str| stats.lines().find_map(|it| it.strip_prefix("usages = ")?.parse().ok()).unwrap_or(0);
        // Those that its queue has no room for are not counted, so that it takes more loads than are wanted.
        let stats = (0..100_000).find_map(|_| {
            wasmtime::Module::new(engine.wasmtime(), b"\0asm\x01\0\0\0").unwrap();
            Some(written_down(dir.path()).concat()).filter(|it| usages(it) > 300)
        });
        let stats = stats.expect("a module that was loaded 300 times");
        let levels: Vec<_> = stats.lines().filter(|it| it.contains("compression")).collect();
        assert_eq!(levels, ["optimized-compression = 3"], "{stats}");
    }

    #[test]
    fn dropping_the_engine_ends_the_ticker() {
        let engine = PluginEngine::new(None).unwrap();
        let weak = Arc::downgrade(&engine.0);
        drop(engine); // Would hang if the thread did not end.
        assert!(weak.upgrade().is_none());
    }
}
