//! A disk that is soon full.

use std::process::Command;

/// A small file system of its own, unmounted at the end.
pub(crate) struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// None where this user may not mount one.
    pub(crate) fn mount(at: std::path::PathBuf, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir_all(&at).expect("a folder to mount at");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(at)),
            Ok(output) => {
                println!("skipped: cannot mount a small tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: cannot mount a small tmpfs: {error}");
                None
            }
        }
    }

    /// Makes it larger.
    pub(crate) fn grow(&self, size: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status();
        assert!(status.expect("mount was there before").success(), "the disk grows");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
