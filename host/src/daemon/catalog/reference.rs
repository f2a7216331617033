//! Names and versions of plugins, and what a pipeline file calls them.

use crate::daemon::problem::{Code, Problem};
use semver::Version;
use std::fmt;

/// Longest name of a plugin, in bytes: it is a folder's name too.
const NAME_BYTES_MAX: usize = 64;
/// Longest version, in bytes.
const VERSION_BYTES_MAX: usize = 64;

/// What a pipeline file writes for a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Reference {
    /// `NAME@VERSION`.
    Exact(String, Version),
    /// `NAME@latest`: the highest version that is no pre-release, or the highest where there are only such.
    Latest(String),
    /// `sha256:DIGEST`.
    Digest(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Exact(name, version) => write!(f, "{name}@{version}"),
            Reference::Latest(name) => write!(f, "{name}@latest"),
            Reference::Digest(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(in crate::daemon) fn parse(text: &str) -> Result<Self, String> {
        if let Some(digest) = text.strip_prefix("sha256:") {
            let hex = digest.len() == 64 && digest.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
            return match hex {
                true => Ok(Reference::Digest(digest.to_owned())),
                false => Err(format!("found {text:?}, expected `sha256:` and 64 hexadecimal digits in lower case")),
            };
        }
        let Some((name, version)) = text.split_once('@') else {
            let hint = if text.contains(['/', '\\']) || text.ends_with(".wasm") {
                "files are for `wasmill run`; upload it with `wasmill plugin push FILE` and write"
            } else {
                "write"
            };
            return Err(format!(
                "found {text:?}, expected a plugin of the catalog: {hint} \"NAME@VERSION\" or \"NAME@latest\""
            ));
        };
        check_name(name).map_err(|it| it.detail)?;
        match version {
            "latest" => Ok(Reference::Latest(name.to_owned())),
            _ => Ok(Reference::Exact(name.to_owned(), parse_version(version).map_err(|it| it.detail)?)),
        }
    }
}

/// Checks a plugin's name.
pub(in crate::daemon) fn check_name(name: &str) -> Result<(), Problem> {
    let fits = name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-')
        && name.len() <= NAME_BYTES_MAX;
    if fits {
        return Ok(());
    }
    Err(Problem::new(
        Code::BadName,
        format!(
            "found the plugin's name {name:?}, expected lower-case letters, digits and dashes, a letter first, at most \
             {NAME_BYTES_MAX}, such as `fraud-rules`"
        ),
    ))
}

/// Reads a version.
pub(in crate::daemon) fn parse_version(text: &str) -> Result<Version, Problem> {
    let refuse = |why: &str| {
        Err(Problem::new(
            Code::BadVersion,
            format!("found the version {text:?}, expected one after semver.org such as 1.2.0 or 2.0.0-rc.1{why}"),
        ))
    };
    if text.len() > VERSION_BYTES_MAX {
        return refuse(&format!(", at most {VERSION_BYTES_MAX} characters"));
    }
    match Version::parse(text) {
        Ok(version) if version.build.is_empty() => Ok(version),
        // Two versions that differ in it alone are the same to semver: which one is the latest?
        Ok(_) => refuse(" without build metadata (`+..`)"),
        Err(error) => refuse(&format!(" ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&match Reference::parse(text) {
            Ok(reference) => format!("{reference:?}"),
            Err(problem) => problem,
        });
    }

    #[test]
    fn references_name_a_version_the_latest_or_a_digest() {
        check("fraud-rules@latest", expect![[r#"Latest("fraud-rules")"#]]);
        assert_eq!(
            Reference::parse("a@1.2.3-rc.1").unwrap(),
            Reference::Exact("a".into(), "1.2.3-rc.1".parse().unwrap())
        );
        let digest = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(Reference::parse(&digest).unwrap().to_string(), digest);
    }

    #[test]
    fn what_is_no_reference_is_told_what_to_write() {
        check(
            "./rules.wasm",
            expect![[
                r#"found "./rules.wasm", expected a plugin of the catalog: files are for `wasmill run`; upload it with `wasmill plugin push FILE` and write "NAME@VERSION" or "NAME@latest""#
            ]],
        );
        check(
            "../x@1.0.0",
            expect![[
                r#"found the plugin's name "../x", expected lower-case letters, digits and dashes, a letter first, at most 64, such as `fraud-rules`"#
            ]],
        );
        check(
            "a@1.0",
            expect![[
                r#"found the version "1.0", expected one after semver.org such as 1.2.0 or 2.0.0-rc.1 (unexpected end of input while parsing minor version number)"#
            ]],
        );
        check(
            "a@1.0.0+x",
            expect![[
                r#"found the version "1.0.0+x", expected one after semver.org such as 1.2.0 or 2.0.0-rc.1 without build metadata (`+..`)"#
            ]],
        );
        check(
            "sha256:00",
            expect![[r#"found "sha256:00", expected `sha256:` and 64 hexadecimal digits in lower case"#]],
        );
    }
}
