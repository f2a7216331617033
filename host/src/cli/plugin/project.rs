//! What a folder is a project of: its language, its kind and what is to be built.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use wasmill::plugin::PluginKind;

/// The languages that `plugin new` and `plugin build` know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Rust,
    Python,
    Js,
    Ts,
    Go,
    C,
}

impl Language {
    /// The folder of its SDK in `plugin-sdk/`.
    pub(crate) fn sdk(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Python => "python",
            Language::Js | Language::Ts => "js",
            Language::Go => "go",
            Language::C => "c",
        }
    }

    /// The folder of its templates in its SDK.
    pub(crate) fn templates(self) -> &'static str {
        if self == Language::Ts { "templates-ts" } else { "templates" }
    }
}

/// The kinds of plugin, as arguments and in `plugin.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// One record at a time, without state: filter, map, split, route
    Transform,
    /// Key by key, with state and timers
    Keyed,
    /// Folds the records of a window
    Aggregate,
}

impl Kind {
    /// As arguments and `plugin.toml` have it.
    pub(crate) fn name(self) -> &'static str {
        PluginKind::from(self).name()
    }
}

impl From<Kind> for PluginKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Transform => PluginKind::Transform,
            Kind::Keyed => PluginKind::Keyed,
            Kind::Aggregate => PluginKind::Aggregate,
        }
    }
}

/// A folder with a plugin's source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Project {
    /// Absolute, so that a command may run elsewhere.
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) language: Language,
    /// None where the language's compiler finds out: Rust.
    pub(crate) kind: Option<Kind>,
    /// The file to begin with, below `folder`; empty for Rust and Go, whose compilers know.
    pub(crate) entry: String,
    /// The SDK's folder, absolute.
    pub(crate) sdk: PathBuf,
}

/// `plugin.toml`, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    language: Language,
    kind: Kind,
    #[serde(default)]
    entry: String,
    #[serde(default = "sdk")]
    sdk: PathBuf,
}

fn sdk() -> PathBuf {
    "sdk".into()
}

impl Project {
    /// Reads `plugin.toml` in `folder`, or else the manifest of a crate.
    ///
    /// # Errors
    /// The folder holds neither, or they are wrong: with file, what was found and what was expected.
    pub(crate) fn find(folder: &Path) -> Result<Project> {
        let folder = folder.canonicalize().with_context(|| format!("cannot open the folder {}", folder.display()))?;
        let file = folder.join("plugin.toml");
        if file.is_file() {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            return Self::read(folder, &text).with_context(|| file.display().to_string());
        }
        let manifest = folder.join("Cargo.toml");
        if manifest.is_file() {
            let text = std::fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
            return Self::of_crate(folder, &text).with_context(|| manifest.display().to_string());
        }
        bail!(
            "{} is no plugin project: it has neither plugin.toml nor Cargo.toml; `wasmill plugin new NAME --lang ..` makes one",
            folder.display()
        )
    }

    fn read(folder: PathBuf, text: &str) -> Result<Project> {
        let raw: Raw = toml::from_str(text)?;
        check_name(&raw.name)?;
        let needs_entry = !matches!(raw.language, Language::Rust | Language::Go);
        if needs_entry && raw.entry.is_empty() {
            bail!("`entry` is missing: the file with the rule, such as `entry = \"rule.py\"`");
        }
        if !raw.entry.is_empty() && !folder.join(&raw.entry).is_file() {
            bail!("entry = \"{}\": there is no such file in {}", raw.entry, folder.display());
        }
        let sdk = folder.join(&raw.sdk);
        let sdk = sdk.canonicalize().with_context(|| {
            format!(
                "the SDK is not at {}: copy the folder `sdk` of a new project there, or set `sdk` to where it is",
                sdk.display()
            )
        })?;
        Ok(Project { name: raw.name, language: raw.language, kind: Some(raw.kind), entry: raw.entry, sdk, folder })
    }

    fn of_crate(folder: PathBuf, text: &str) -> Result<Project> {
        #[derive(Deserialize)]
        struct Manifest {
            package: Option<Package>,
        }
        #[derive(Deserialize)]
        struct Package {
            name: String,
        }
        let manifest: Manifest = toml::from_str(text)?;
        let Some(Package { name }) = manifest.package else {
            bail!("no [package]: this is a workspace; name the folder of the plugin's crate");
        };
        let sdk = folder.join("sdk");
        Ok(Project { folder, name, language: Language::Rust, kind: None, entry: String::new(), sdk })
    }

    /// Where the component goes.
    pub(crate) fn output(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.name))
    }
}

/// Longest name of a plugin, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Checks a name: it becomes a file, a package and an identifier in five languages.
///
/// # Errors
/// What is allowed, with the name that is not.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= NAME_BYTES_MAX;
    if fits {
        return Ok(());
    }
    bail!(
        "`{name}` cannot be a plugin's name: expected lower-case letters, digits and single dashes, a letter first, at most \
         {NAME_BYTES_MAX}, such as `big-spender`"
    )
}
