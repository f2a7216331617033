//! Lists the files of `plugin-sdk/` for the binary to carry: `$OUT_DIR/sdk.rs`, which `cli/plugin/sdk.rs` includes.
//!
//! What `.sdkignore` in an SDK names, by its path from there, is not for authors: its own tests and tools.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script where it is by its environment")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

const LANGUAGES: [&str; 5] = ["rust", "python", "js", "go", "c"];

/// Never an author's, in any language.
const IGNORED: [&str; 8] =
    ["target", "node_modules", "__pycache__", ".venv", "build", ".sdkignore", ".pytest_cache", "Cargo.lock"];

fn main() {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../plugin-sdk");
    let mut list = String::from("static FILES: &[File] = &[\n");
    for language in LANGUAGES {
        let folder = root.join(language);
        let ignored = std::fs::read_to_string(folder.join(".sdkignore")).unwrap_or_default();
        let ignored: Vec<_> =
            ignored.lines().map(|it| it.trim().trim_matches('/')).filter(|it| !it.is_empty()).collect();
        let mut files = Vec::new();
        walk(&folder, "", &ignored, &mut files);
        files.sort();
        for (path, file) in files {
            let file = file.display().to_string();
            let _ = writeln!(
                list,
                "    File {{ language: {language:?}, path: {path:?}, bytes: include_bytes!({file:?}) }},"
            );
        }
    }
    list.push_str("];\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it")).join("sdk.rs");
    std::fs::write(out, list).expect("the build's own folder can be written");
}

/// Adds the files below `folder`, each with its path from the SDK's root.
fn walk(folder: &Path, prefix: &str, ignored: &[&str], files: &mut Vec<(String, PathBuf)>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.expect("a folder of the source can be read");
        let name = entry.file_name().into_string().expect("names in the source are text");
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if IGNORED.contains(&&*name) || ignored.contains(&&*path) {
            continue;
        }
        if entry.path().is_dir() {
            walk(&entry.path(), &path, ignored, files);
        } else {
            println!("cargo:rerun-if-changed={}", entry.path().display());
            files.push((path, entry.path()));
        }
    }
}
