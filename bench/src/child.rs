//! A child process and what it used: the operating system's own account, all threads together.

use crate::clock::now;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Lines of its log that a failure shows.
const TAIL_LINES: usize = 20;

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// From its start to its end.
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Resident memory at its peak, bytes; never less than that of the process that started it.
    pub resident_bytes_max: u64,
}

/// Runs `command` to its end, with all that it says in the file `log`.
///
/// # Errors
/// It does not start, or ends with another code than 0; the error has the end of the log.
pub fn run(mut command: Command, log: &Path) -> Result<Used> {
    let file = File::create(log).with_context(|| log.display().to_string())?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let started = now();
    let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let (status, usage) = wait(child.id()).with_context(|| format!("cannot wait for {command:?}"))?;
    let wall = started.elapsed();
    if status != 0 {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        bail!("{command:?} ended with wait status {status}\n{tail}");
    }
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok(Used { wall, cpu, resident_bytes_max: usage.ru_maxrss as u64 * 1_024 })
}

/// Waits for the end of a child that nobody else waits for: its wait status and what it used.
#[expect(unsafe_code, reason = "the standard library does not tell what a child used")]
pub(crate) fn wait(id: u32) -> std::io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: `rusage` is numbers alone, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to values of this frame, of the types that the call fills.
        if unsafe { libc::wait4(id as libc::pid_t, &raw mut status, 0, &raw mut usage) } >= 0 {
            return Ok((status, usage));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
