//! The command line, the only place that writes to a terminal, takes signals and decides on an exit code.

mod arguments;
mod check;
mod client;
mod completions;
mod exit;
mod folders;
mod live;
mod logging;
mod pages;
mod plugin;
mod report;
mod run;
mod serve;

use arguments::{Arguments, Command};
use clap::Parser;
use exit::Exit;
use std::ffi::OsString;
use std::process::ExitCode;

/// Parses the arguments, does what they say and answers the exit code.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let exit = match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command: Command::Run(options) }) => run::run(&options),
        Ok(Arguments { command: Command::Check(options) }) => check::check(&options),
        Ok(Arguments { command: Command::Plugin(options) }) => plugin::plugin(&options),
        Ok(Arguments { command: Command::Pipeline(options) }) => client::pipeline::pipeline(&options),
        Ok(Arguments { command: Command::DeadLetters(options) }) => client::letters::dead_letters(&options),
        Ok(Arguments { command: Command::Completions(options) }) => completions::completions(&options),
        Ok(Arguments { command: Command::Serve(options) }) => serve::serve(&options),
        Ok(Arguments { command: Command::Examine(options) }) => serve::examine(&options),
        Err(error) => {
            // Nowhere to report a terminal that is gone.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        }
    };
    exit.into()
}
