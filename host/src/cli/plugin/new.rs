//! `wasmill plugin new`.

use super::project::{Kind, Language, check_name};
use super::sdk;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `wasmill plugin new`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill plugin new big-spender --lang python
  wasmill plugin new silence --lang go --kind keyed
  wasmill plugin new takings --lang ts --kind aggregate --into plugins/takings")]
pub(crate) struct New {
    /// What the plugin is called: lower-case letters, digits and dashes
    #[arg(value_name = "NAME")]
    name: String,

    /// The language that the rule is written in
    #[arg(long, value_enum)]
    lang: Language,

    /// What the rule does
    #[arg(long, value_enum, default_value_t = Kind::Transform)]
    kind: Kind,

    /// The folder to make [default: NAME]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// Makes the folder with the template's files, the name in place of the example's, and the SDK; all of it or nothing.
///
/// # Errors
/// The name cannot be one, the folder is there already, or it cannot be written.
pub(crate) fn new(options: &New) -> Result<()> {
    check_name(&options.name)?;
    let folder = options.into.clone().unwrap_or_else(|| PathBuf::from(&options.name));
    if folder.exists() {
        bail!("{} is there already; choose another name, or another folder with --into", folder.display());
    }
    let parent = folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = || -> Result<()> {
        std::fs::create_dir_all(parent)?;
        let scratch = tempfile::Builder::new().prefix(".wasmill-new-").tempdir_in(parent)?;
        write(scratch.path(), options)?;
        // One step: a project is there whole or not at all. Nothing is left to clean up behind it.
        std::fs::rename(scratch.keep(), &folder)?;
        open_to_others(&folder)
    };
    made().with_context(|| format!("cannot make {}", folder.display()))?;
    let lang = options.lang.to_possible_value();
    // A reader that has closed the pipe has read enough.
    let _ = writeln!(
        std::io::stdout(),
        "made {folder}, a {kind} plugin in {lang}. Next:\n  cd {folder}\n  less README.md             what to install, once\n  wasmill plugin build\n  wasmill plugin test",
        folder = folder.display(),
        kind = options.kind.name(),
        lang = lang.as_ref().map_or("", |it| it.get_name()),
    );
    Ok(())
}

fn write(root: &Path, options: &New) -> Result<()> {
    let name = Name::of(&options.name);
    let template = format!("{}/{}/", options.lang.templates(), options.kind.name());
    for file in sdk::files(options.lang.sdk()) {
        match file.path.strip_prefix(&*template) {
            Some(path) => put(&root.join(name.fill(path)), &name.fill_bytes(file.bytes))?,
            None if file.path.starts_with("templates") => {}
            None => put(&root.join("sdk").join(file.path), file.bytes)?,
        }
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    std::fs::write(path, bytes)?;
    Ok(())
}

/// A temporary folder is its maker's alone; a project is like any folder that the user makes.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let parent = folder.join("sdk").metadata()?.permissions().mode();
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(parent))?)
}

/// The author's name for the plugin in the forms that the templates have the example's name in.
struct Name {
    kebab: String,
    snake: String,
    pascal: String,
}

impl Name {
    fn of(name: &str) -> Name {
        let pascal = name.split('-').map(|part| {
            let mut letters = part.chars();
            letters.next().map_or(String::new(), |it| it.to_ascii_uppercase().to_string() + letters.as_str())
        });
        Name { kebab: name.to_owned(), snake: name.replace('-', "_"), pascal: pascal.collect() }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("example-rule", &self.kebab)
            .replace("example_rule", &self.snake)
            .replace("ExampleRule", &self.pascal)
    }

    /// As [`Name::fill`]; what is not text stays as it is.
    fn fill_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| self.fill(text).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_place_of_the_examples_in_each_form() {
        let name = Name::of("big-spender-2");
        assert_eq!(name.fill("example-rule example_rule ExampleRule"), "big-spender-2 big_spender_2 BigSpender2");
        assert_eq!(name.fill_bytes(b"\xffexample-rule"), b"\xffexample-rule");
    }
}
