//! `wasmill plugin`: from nothing to a component that was tested, in any of the languages.

mod bench;
mod build;
mod check;
mod new;
mod project;
mod records;
mod run;
mod sdk;
mod stop;
mod subject;
mod test;

use super::client::plugin as remote;
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
    #[command(flatten)]
    Remote(remote::Remote),
    /// Say what a component is: its kind, what it reads and writes, and all that wasmill would refuse
    ///
    /// Loads and opens it as a pipeline does. Exit code 0 where it could run, 78 where it would be refused.
    Check(check::Check),
    /// Run a component on the cases of tests/*.toml, in the sandbox that pipelines use
    ///
    /// Every difference from what a case expects is shown line by line. Exit code 0 where all cases pass, 1 where some fail,
    /// 78 where a case file is wrong. docs/reference/plugin-cases.md describes the format.
    Test(test::Test),
    /// Run a component once over a file: JSON lines in, JSON lines out
    ///
    /// What comes out goes to standard output, what is refused and a summary to standard error. State is kept in memory and
    /// ends with the run; the end of the input fires all timers and closes all windows.
    Run(run::Run),
    /// Measure what a component costs: nanoseconds a record at several batch sizes, start-up, memory
    ///
    /// The time is that of the calls alone, in CPU time of the thread: records are decoded before.
    Bench(bench::Bench),
    /// Print the boundary's WIT, for a language without an SDK
    Wit,
}

/// Does what was asked for, and says on standard error what went wrong.
pub(crate) fn plugin(options: &Plugin) -> Exit {
    let done = match &options.command {
        Command::New(options) => new::new(options),
        Command::Build(options) => build::build(options),
        Command::Remote(command) => return remote::remote(command),
        Command::Check(options) => return check::check(options),
        Command::Test(options) => return test::test(options),
        Command::Run(options) => return run::run(options),
        Command::Bench(options) => return bench::bench(options),
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
