//! A component on its way to disk: streamed in pieces, counted and hashed as it comes, never held whole.

use crate::daemon::problem::{Code, Problem};
use axum::body::Body;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long a client may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What is still taken of an upload that is refused.
const DRAINED_BYTES_MAX: u64 = 16 << 20;
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(2);

/// A file that was uploaded. It is removed when this is dropped, unless it was moved away.
#[derive(Debug)]
pub(super) struct Upload {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its sha256, in lower-case hexadecimal.
    pub(super) digest: String,
    /// Its size.
    pub(super) bytes: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // Moved away, or else removed at the next start too.
    }
}

/// Writes `body` to `path`, at most `bytes_max` of it, and syncs it. `announced` is what the client said that it sends.
///
/// # Errors
/// The body is empty, too large, breaks off, or the disk refuses. Nothing is left behind then.
pub(super) async fn receive(
    mut body: Body,
    announced: Option<u64>,
    path: PathBuf,
    bytes_max: u64,
) -> Result<Upload, Problem> {
    if let Some(announced) = announced.filter(|it| *it > bytes_max) {
        drain(body).await;
        return Err(too_large(&format!("{announced} bytes were announced"), bytes_max));
    }
    let mut upload = Upload { path, digest: String::new(), bytes: 0 };
    let failed = |path: &Path, error| Problem::internal(&format!("cannot write {}", path.display()), error);
    let mut file = tokio::fs::File::create(&upload.path).await.map_err(|error| failed(&upload.path, error))?;
    let mut hash = Sha256::new();
    loop {
        let interrupted = |why: &str| {
            let after = upload.bytes;
            Problem::new(
                Code::UploadInterrupted,
                format!("the upload broke off after {after} bytes ({why}); send it again"),
            )
        };
        let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(interrupted(&error.to_string())),
            Ok(None) => break,
            Err(_) => return Err(interrupted(&format!("nothing came for {} s", SILENCE_MAX.as_secs()))),
        };
        let Ok(data) = frame.into_data() else { continue };
        upload.bytes += data.len() as u64;
        if upload.bytes > bytes_max {
            drain(body).await;
            return Err(too_large("more came", bytes_max));
        }
        hash.update(&data);
        file.write_all(&data).await.map_err(|error| failed(&upload.path, error))?;
    }
    if upload.bytes == 0 {
        return Err(Problem::new(
            Code::EmptyUpload,
            "found no bytes, expected a component; send the file that `wasmill plugin build` made as the body",
        ));
    }
    file.sync_all().await.map_err(|error| failed(&upload.path, error))?;
    upload.digest = hash.finalize().iter().map(|it| format!("{it:02x}")).collect();
    Ok(upload)
}

/// Takes a little of what is refused, and drops it: a client that sends without listening hears the answer then.
async fn drain(mut body: Body) {
    let mut left = DRAINED_BYTES_MAX;
    let take = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |it| it.len() as u64));
            if left == 0 {
                return;
            }
        }
    };
    // Whoever is slower hears nothing, and was told by the limit that is documented.
    let _ = tokio::time::timeout(DRAIN_WAIT_MAX, take).await;
}

fn too_large(found: &str, bytes_max: u64) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("{found}, expected a component of at most {bytes_max} bytes; strip its debug information"),
    )
}
