//! A child process and what it used: the operating system's own account, all threads together.

use crate::clock::now;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
        bail!("{command:?} ended with wait status {status}\n{}", tail(log));
    }
    Ok(used(wall, &usage))
}

/// A process that goes on until it is killed: when this is dropped or this process ends, if not before.
#[derive(Debug)]
pub struct Endless {
    id: u32,
    log: PathBuf,
    started: Instant,
    /// How it ended.
    ended: Option<(i32, libc::rusage)>,
}

impl Endless {
    /// Starts `command`, which must become the process itself, with all that it says in the file `log`.
    ///
    /// # Errors
    /// It does not start.
    #[expect(unsafe_code, reason = "the standard library cannot have a child end with its parent")]
    pub fn start(mut command: Command, log: &Path) -> Result<Endless> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let end_with_parent = || {
            // SAFETY: no pointers; the call is one that may be made between fork and exec.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: what is called between fork and exec makes one system call and allocates nothing.
        unsafe { command.pre_exec(end_with_parent) };
        let started = now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Endless { id: child.id(), log: log.to_owned(), started, ended: None })
    }

    /// Nothing as long as it runs.
    ///
    /// # Errors
    /// It has ended; the error has the end of the log.
    pub fn is_running(&mut self) -> Result<()> {
        self.ended = wait_with(self.id, libc::WNOHANG)?;
        match self.ended {
            None => Ok(()),
            Some((status, _)) => bail!("it ended by itself, wait status {status}\n{}", tail(&self.log)),
        }
    }

    /// Kills it (-9): what it used until then.
    ///
    /// # Errors
    /// It had ended before.
    pub fn kill(mut self) -> Result<Used> {
        self.is_running()?;
        let (_, usage) = self.end()?;
        Ok(used(self.started.elapsed(), &usage))
    }

    #[expect(unsafe_code, reason = "the standard library would wait for the child, and not tell what it used")]
    fn end(&mut self) -> Result<(i32, libc::rusage)> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        // SAFETY: no pointers; nobody has waited for the child, so its id is still its own.
        unsafe { libc::kill(self.id as libc::pid_t, libc::SIGKILL) };
        let ended = wait(self.id).context("cannot wait for it")?;
        self.ended = Some(ended);
        Ok(ended)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        // It cannot fail for a child that nobody else waits for, and there is nobody to tell.
        let _ = self.end();
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

fn used(wall: Duration, usage: &libc::rusage) -> Used {
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Used { wall, cpu, resident_bytes_max: usage.ru_maxrss as u64 * 1_024 }
}

/// Waits for the end of a child that nobody else waits for: its wait status and what it used.
pub(crate) fn wait(id: u32) -> std::io::Result<(i32, libc::rusage)> {
    loop {
        if let Some(ended) = wait_with(id, 0)? {
            return Ok(ended);
        }
    }
}

/// As [`wait`], with flags of `wait4`; none where it still runs.
#[expect(unsafe_code, reason = "the standard library does not tell what a child used")]
fn wait_with(id: u32, flags: i32) -> std::io::Result<Option<(i32, libc::rusage)>> {
    let mut status = 0;
    // SAFETY: `rusage` is numbers alone, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to values of this frame, of the types that the call fills.
        match unsafe { libc::wait4(id as libc::pid_t, &raw mut status, flags, &raw mut usage) } {
            0 => return Ok(None),
            found if found > 0 => return Ok(Some((status, usage))),
            _ => {}
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
