//! Values that must not be seen: they are named by where they are kept, and never appear in output.

use std::fmt;
use std::path::Path;

/// A value that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    /// The value itself. For whom it is meant, and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A value that is no secret, kept with those that are.
    pub(super) fn plain(value: String) -> Self {
        Secret(value)
    }

    /// What `reference` names: `file:PATH` (one newline at the end is not part of it) or `env:NAME`.
    ///
    /// # Errors
    /// What was found and what was expected, without the value.
    pub(super) fn read(reference: &str, base: &Path) -> Result<Self, String> {
        const EXPECTED: &str = "expected \"file:PATH\" or \"env:NAME\", which say where the value is kept";
        if let Some(path) = reference.strip_prefix("file:") {
            let path = base.join(path);
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let value = text.strip_suffix('\n').unwrap_or(&text);
            let value = value.strip_suffix('\r').unwrap_or(value);
            return if value.is_empty() {
                Err(format!("{} is empty", path.display()))
            } else {
                Ok(Secret(value.to_owned()))
            };
        }
        if let Some(name) = reference.strip_prefix("env:") {
            return match std::env::var_os(name).map(std::ffi::OsString::into_string) {
                Some(Ok(value)) if !value.is_empty() => Ok(Secret(value)),
                Some(Ok(_)) | None => Err(format!("the environment has no variable {name}, or an empty one")),
                Some(Err(_)) => Err(format!("the environment variable {name} is not UTF-8")),
            };
        }
        // What was found may be the secret itself.
        Err(format!("found a value that is written out, {EXPECTED}"))
    }
}
