//! `wasmill completions`: what a shell completes.

use super::arguments::Arguments;
use super::exit::Exit;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};

/// `wasmill completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  wasmill completions bash > ~/.local/share/bash-completion/completions/wasmill
  wasmill completions zsh > ~/.zfunc/_wasmill
  wasmill completions fish > ~/.config/fish/completions/wasmill.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints what the shell reads.
pub(crate) fn completions(options: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "wasmill", &mut script);
    // A reader that has closed the pipe has read enough.
    let _ = io::stdout().write_all(&script);
    Exit::Done
}
