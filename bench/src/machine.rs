//! Where something is measured.

use std::process::Command;
use wasmill_tests::settings;

/// The processor, how many of it, the system and the commit: what a figure is worth nothing without.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find(|it| it.starts_with("model name")).and_then(|it| it.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, |it| it.get());
    let system = read("/proc/sys/kernel/osrelease");
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(settings::repository());
    let commit = git.output().map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default();
    format!("{}, {cores} cores, Linux {}, commit {commit}", model.map_or("unknown", |it| it.1), system.trim())
}

/// The machine's memory at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs could still have.
    pub available_bytes: u64,
    /// Pages that had to go to the disk since the machine's start: figures from a machine that swaps are worth nothing.
    pub swapped_pages: u64,
}

impl Memory {
    /// As the system says.
    pub fn read() -> Memory {
        let figure = |path: &str, name: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0)
        };
        Memory {
            total_bytes: figure("/proc/meminfo", "MemTotal:") * 1_024,
            available_bytes: figure("/proc/meminfo", "MemAvailable:") * 1_024,
            swapped_pages: figure("/proc/vmstat", "pswpout "),
        }
    }
}
