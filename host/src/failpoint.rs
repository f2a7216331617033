//! Named points in the commit at which a test kills the process, or holds up the thread. Nothing is left of them without the feature `failpoints`.

/// Every point, in the order in which an epoch passes them; `commit.before-offsets` is passed while files are made durable, where positions may go early.
///
/// `catalog.*` and `deploy.*` are passed by the daemon, when a plugin is uploaded and when a pipeline is deployed; `upgrade.*` when a step's plugin is replaced. `merge.*` are passed by the thread that merges snapshot files, at any moment of an epoch.
pub const FAILPOINTS: &[&str] = &[
    "stage.done",
    "persist.before-files",
    "persist.in-file",
    "persist.after-files",
    "persist.before-manifest-rename",
    "persist.after-manifest-rename",
    "persist.done",
    "commit.before-send",
    "commit.before-flush",
    "commit.before-offsets",
    "commit.before-commit",
    "commit.after-commit",
    "current.before-rename",
    "current.after-rename",
    "publish.done",
    "forget.after-manifests",
    "merge.before-write",
    "merge.after-write",
    "catalog.before-compile",
    "catalog.before-component",
    "catalog.after-component",
    "catalog.after-version",
    "deploy.before-record",
    "deploy.after-record",
    "deploy.before-start",
    "upgrade.before-record",
    "upgrade.after-record",
    "upgrade.accepted",
    "upgrade.settled",
];

/// Dies here, by SIGKILL, or goes no further, when the point was armed and has been passed often enough. Otherwise does nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_name: &'static str) {}

#[cfg(feature = "failpoints")]
pub use armed::{arm_failpoint, failpoint};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        name: String,
        /// Passes that are still survived, and this one.
        left: AtomicU64,
        holds: bool,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Arms `name` (dies at its first pass) or `name:nth` (dies at its nth, from 1). With `:hold` after it the thread that passes goes no further, and
    /// the process lives.
    ///
    /// Errors: an unknown name, a number that is none, or a point armed already.
    pub fn arm_failpoint(spec: &str) -> Result<(), String> {
        let (spec, holds) = spec.strip_suffix(":hold").map_or((spec, false), |it| (it, true));
        let (name, nth) = spec.split_once(':').unwrap_or((spec, "1"));
        let nth: u64 = nth.parse().ok().filter(|&it| it > 0).ok_or_else(|| format!("`{nth}` is not a count from 1"))?;
        if !super::FAILPOINTS.contains(&name) {
            return Err(format!("no failpoint `{name}`; there are: {}", super::FAILPOINTS.join(", ")));
        }
        ARMED
            .set(Armed { name: name.to_owned(), left: AtomicU64::new(nth), holds })
            .map_err(|_| "a failpoint is armed already".to_owned())
    }

    /// Dies here, by SIGKILL, or goes no further, when the point was armed and has been passed often enough. Otherwise does nothing.
    pub fn failpoint(name: &'static str) {
        debug_assert!(super::FAILPOINTS.contains(&name), "failpoint `{name}` is not listed");
        let Some(armed) = ARMED.get() else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            if armed.holds { hold() } else { die() }
        }
    }

    #[expect(unsafe_code, reason = "the standard library cannot send SIGKILL, the one death that runs no handler")]
    fn die() -> ! {
        // SAFETY: no pointers; a process may always signal itself.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        hold()
    }

    fn hold() -> ! {
        loop {
            std::thread::park();
        }
    }
}
