//! One run of a query, and what it used: as a whole, and once the first fifth of the input was in.

use crate::clock::{now, unix_ms};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

/// How often the child tells its progress.
const PROGRESS_EVERY: &str = "20ms";
/// The share of the input that counts as warming up, as other systems are measured.
const WARM_UP: f64 = 0.2;
/// Lines of its log that a failure shows.
const TAIL_LINES: usize = 20;

/// What a run used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// From its start to its end.
    pub wall: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Records that were read, and CPU time that was used, when the warm-up ended.
    pub warm: Option<(u64, Duration)>,
    /// When it was started, ms since the Unix epoch.
    pub started_ms: i64,
    /// How long half of the commits took at most, and 99 of 100, ms; none where the system does not tell.
    pub commit_ms: Option<(f64, f64)>,
    /// Resident memory at its peak, bytes.
    pub resident_bytes_max: u64,
}

impl Used {
    /// Events a CPU-second, of `events` in all: as a whole, and after the warm-up.
    pub fn per_cpu_second(&self, events: u64) -> (f64, Option<f64>) {
        let rate = |events: u64, cpu: Duration| events as f64 / cpu.as_secs_f64();
        let after = |(read, cpu): (u64, Duration)| rate(events - read, self.cpu.saturating_sub(cpu));
        (rate(events, self.cpu), self.warm.map(after))
    }
}

/// Runs the pipeline `file` over `events` events to its end with one worker. Its log goes to `log`.
///
/// # Errors
/// It does not start, ends with another code than 0, or has not read everything; the error has the end of the log.
pub fn run(wasmill: &Path, file: &Path, data: &Path, log: &Path, events: u64) -> Result<Used> {
    let mut command = Command::new(wasmill);
    command.arg("run").arg(file).args(["--until-end", "--workers", "1", "--progress-every", PROGRESS_EVERY]);
    command.arg("--data-dir").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (started, started_ms) = (now(), unix_ms());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut kept = File::create(log).with_context(|| log.display().to_string())?;
    let (stat, status) = (format!("/proc/{}/stat", child.id()), format!("/proc/{}/status", child.id()));
    let (mut lines, mut warm, mut read, mut commit_ms, mut resident_bytes_max) = (Vec::new(), None, 0, None, 0);
    for line in BufReader::new(child.stderr.take().context("a pipe")?).lines() {
        let line = line?;
        writeln!(kept, "{line}")?;
        read = figure(&line, "records_in").unwrap_or(read);
        commit_ms = figure(&line, "commit_ms_p50").zip(figure(&line, "commit_ms_p99")).or(commit_ms);
        resident_bytes_max = peak(&status).unwrap_or(resident_bytes_max);
        if warm.is_none() && read as f64 >= events as f64 * WARM_UP {
            warm = Some((read, so_far(&stat)?));
        }
        lines.push(line);
    }
    let (status, usage) = crate::child::wait(child.id()).context("cannot wait for it")?;
    if status != 0 || read != events {
        let tail = lines.split_off(lines.len().saturating_sub(TAIL_LINES)).join("\n");
        bail!("{command:?} ended with wait status {status} and {read} of {events} events read\n{tail}");
    }
    let cpu = crate::child::duration(usage.ru_utime) + crate::child::duration(usage.ru_stime);
    let wall = started.elapsed();
    let warm = warm.filter(|it| it.0 < events);
    Ok(Used { wall, cpu, warm, started_ms, commit_ms, resident_bytes_max })
}

/// `NAME=FIGURE` in a line.
pub fn figure<T: FromStr>(line: &str, name: &str) -> Option<T> {
    line.split_once(&format!(" {name}="))?.1.split_whitespace().next()?.parse().ok()
}

/// The most memory that a process has had, bytes, by its `/proc/PID/status`; none once it has ended. (What `wait4` says of a child is at
/// least what its parent had when it started it.)
fn peak(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let kib = text.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    kib.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|it| it * 1_024)
}

/// The CPU time that a process has used, by its `/proc/PID/stat`, in ticks of 10 ms.
///
/// # Errors
/// It has ended.
pub fn so_far(stat: &str) -> Result<Duration> {
    let text = std::fs::read_to_string(stat).with_context(|| stat.to_owned())?;
    let (_, fields) = text.rsplit_once(") ").context("no name in it")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
