//! `wasmill plugin`: from nothing to a component that was tested, in any of the languages.

mod build;
mod folders;
mod new;
mod project;
mod sdk;

use super::exit::Exit;
use clap::{Args, Subcommand};
use std::io::Write;

/// `wasmill plugin`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
From nothing to a running rule:
  wasmill plugin new big-spender --lang python
  cd big-spender
  wasmill plugin build                   says what is missing, and the command that installs it
  wasmill plugin test                    runs the cases of tests/ in the sandbox
  wasmill plugin run build/big-spender.wasm --input records.jsonl";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a small project with an example rule, a test and a README
    New(new::New),
    /// Build the project in a folder into a component
    ///
    /// Finds what kind of project it is, runs the compiler of its language and makes a component that imports nothing but
    /// wasmill's own interfaces. The file is written when all of it succeeded, or not at all.
    Build(build::Build),
    /// Print the boundary's WIT, for a language without an SDK
    Wit,
}

/// Does what was asked for, and says on standard error what went wrong.
pub(crate) fn plugin(options: &Plugin) -> Exit {
    let done = match &options.command {
        Command::New(options) => new::new(options),
        Command::Build(options) => build::build(options),
        // A reader that has closed the pipe has read enough.
        Command::Wit => {
            let _ = write!(std::io::stdout(), "{}", wasmill::plugin::WIT);
            return Exit::Done;
        }
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Exit::Config
        }
    }
}
