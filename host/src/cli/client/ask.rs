//! Asking before something is destroyed.

use super::Failure;
use clap::Args;
use std::io::{self, IsTerminal, Write};

/// `--yes`.
#[derive(Args, Clone, Debug)]
pub(super) struct Yes {
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
}

impl Yes {
    /// Goes on where the user says so, on the terminal or by `--yes`.
    pub(super) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::Input(format!("{question} There is no terminal to ask on: say --yes")));
        }
        let mut stderr = io::stderr();
        // A terminal that cannot be written to cannot be read from either.
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::Declined) }
    }
}
