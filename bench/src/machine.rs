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
