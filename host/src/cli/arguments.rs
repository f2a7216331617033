//! The arguments, with the help that teaches them.

use super::client::{letters, pipeline};
use super::{completions, folders, plugin, serve};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmill::config::duration_ms;
use wasmill::pipeline::{RunOptions, Until};

/// A stream processor whose user code is WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  wasmill check fraud.toml               say all that is wrong with a pipeline, run nothing
  wasmill run fraud.toml                 run it until Ctrl-C, which commits and stops
  wasmill run demo.toml --until-end      run it to the end of its input
  wasmill plugin new big-spender --lang python   begin a rule of your own
  wasmill serve                          run pipelines that are deployed with `wasmill pipeline apply`

Exit codes:
  0   done, or stopped by a signal with everything committed
  64  the command line is wrong
  65  a record cannot be processed, there are no dead letters and bad_records is \"stop\"
  69  a broker was not reached in time
  70  something inside failed (a full disk, a bug)
  78  the pipeline file or a plugin is wrong
  130 aborted by a second signal; the next run goes on from the last checkpoint

Environment:
  WASMILL_CACHE   a folder for compiled plugins, trusted as the binary is; else beside the state, or in the user's cache
  WASMILL_LOG     which log lines to write, such as \"debug\" or \"warn,wasmill::plugin=debug\"
  WASMILL_SERVER  the daemon that `plugin push` and `pipeline` talk to, such as http://127.0.0.1:7878
  WASMILL_TOKEN   a token of that daemon";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline in the foreground
    ///
    /// It goes on where the last run committed. Ctrl-C (or SIGTERM) takes a last checkpoint, commits and exits with 0; a
    /// second one aborts. Results for a stdout sink go to standard output, all else to standard error: on a terminal one
    /// live line and a closing summary, otherwise log lines.
    Run(Run),
    /// Report all that is wrong with a pipeline file, without running it
    ///
    /// Loads and opens the plugins that it names; asks no broker. Every error has its file and line, what was found and
    /// what was expected.
    Check(Check),
    /// Make, build, test and measure plugins
    ///
    /// A plugin is a rule, written in Rust, Python, JavaScript, TypeScript, Go or C and built into a WebAssembly component.
    Plugin(plugin::Plugin),
    /// Run pipelines that are deployed over HTTP, for as long as it lives
    ///
    /// Plugins and pipelines arrive over its interface, are kept in its data directory and come back by themselves after any
    /// end. Log lines go to standard error.
    Serve(serve::Serve),
    /// Deploy, watch and operate the pipelines of a daemon
    Pipeline(pipeline::Pipeline),
    /// List and replay the records that pipelines of a daemon could not process
    DeadLetters(letters::DeadLetters),
    /// Print what a shell completes
    Completions(completions::Completions),
    /// Look at a component within limits, for the daemon
    #[command(name = wasmill::daemon::EXAMINE_COMMAND, hide = true)]
    Examine(serve::Examine),
}

/// `wasmill run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(crate) pipeline: PathBuf,

    /// Stop at the end of the input, with every window closed and written
    #[arg(long, conflicts_with = "available_now")]
    pub(crate) until_end: bool,

    /// Stop at what is the end of the input now; windows stay open, the next run goes on
    #[arg(long)]
    pub(crate) available_now: bool,

    /// Where state and checkpoints are kept [default: .wasmill beside the pipeline file]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Worker threads; results do not depend on it [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) set: Set,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// How often a log line tells the progress, where there is no terminal: `500ms`, `1m`
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = interval)]
    pub(crate) progress_every: Duration,

    /// Start from the committed positions although their state is missing: windows in progress are lost
    #[arg(long, conflicts_with = "discard_state")]
    pub(crate) allow_missing_state: bool,

    /// Throw the stored state away and start without it
    #[arg(long)]
    pub(crate) discard_state: bool,
}

const RUN_EXAMPLES: &str = "\
Examples:
  wasmill run fraud.toml
  wasmill run fraud.toml --set sources.transactions.brokers=kafka-1:9092
  wasmill run fraud.toml --set steps.rules.config.max_amount=5000
  wasmill run demo.toml --until-end --data-dir /tmp/demo > alerts.jsonl
  wasmill run fraud.toml --available-now --log-format json";

/// `wasmill check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  wasmill check fraud.toml\n  wasmill check fraud.toml --set steps.rules.plugin=./new-rules.wasm"
)]
pub(crate) struct Check {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub(crate) pipeline: PathBuf,

    #[command(flatten)]
    pub(crate) set: Set,
}

/// Overrides of keys.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Set a key of the file, by its path: sources.orders.rate=100. VALUE is TOML, or else a text. May be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Shortest time between two lines of progress, ms.
const INTERVAL_MS_MIN: u64 = 10;

/// A time between two lines.
fn interval(text: &str) -> Result<Duration, String> {
    match duration_ms(text).map_err(|expected| format!("expected {expected}"))? {
        ms if ms < INTERVAL_MS_MIN => Err(format!("expected a duration of at least {INTERVAL_MS_MIN}ms")),
        ms => Ok(Duration::from_millis(ms)),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE, such as checkpoint_interval=5s".to_owned()),
    }
}

impl Run {
    /// What the engine is asked to do; `cores` where the number of workers was not given.
    pub(crate) fn options(&self, cores: NonZeroUsize) -> RunOptions {
        let until = match (self.until_end, self.available_now) {
            (true, _) => Until::End,
            (_, true) => Until::Available,
            _ => Until::Forever,
        };
        let beside = || self.pipeline.parent().unwrap_or(Path::new("")).join(".wasmill");
        let data_dir = self.data_dir.clone().unwrap_or_else(beside);
        RunOptions {
            until,
            cache_dir: folders::named_cache().unwrap_or_else(|| data_dir.join("cache")),
            data_dir,
            workers: self.workers.unwrap_or(cores).get(),
            allow_missing_state: self.allow_missing_state,
            discard_state: self.discard_state,
            anew_without_state: false,
            undecided: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(line: &str) -> Result<Run, clap::Error> {
        match Arguments::try_parse_from(format!("wasmill run {line}").split_whitespace())?.command {
            Command::Run(run) => Ok(run),
            _ => unreachable!("`run` was asked for"),
        }
    }

    fn options(line: &str) -> RunOptions {
        run(line).unwrap().options(NonZeroUsize::new(3).unwrap())
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_run_without_flags_goes_on_for_ever_on_all_cores_with_state_beside_the_file() {
        let expected = RunOptions {
            until: Until::Forever,
            data_dir: PathBuf::from("jobs/.wasmill"),
            cache_dir: PathBuf::from("jobs/.wasmill/cache"),
            workers: 3,
            allow_missing_state: false,
            discard_state: false,
            anew_without_state: false,
            undecided: None,
        };
        assert_eq!(options("jobs/fraud.toml"), expected);
        assert_eq!(options("fraud.toml").data_dir, PathBuf::from(".wasmill"));
    }

    #[test]
    fn flags_say_how_long_where_and_with_how_many_workers() {
        let all = options("f.toml --until-end --data-dir /d --workers 1 --discard-state");
        assert_eq!((all.until, all.data_dir, all.workers), (Until::End, PathBuf::from("/d"), 1));
        assert!(all.discard_state && !all.allow_missing_state);
        assert_eq!(options("f.toml --available-now --allow-missing-state").until, Until::Available);
    }

    #[test]
    fn flags_that_contradict_or_are_no_values_are_usage_errors() {
        for wrong in [
            "",
            "f.toml --until-end --available-now",
            "f.toml --discard-state --allow-missing-state",
            "f.toml --workers 0",
            "f.toml --set name",
            "f.toml --set =x",
            "f.toml --log-format xml",
            "f.toml --nope",
        ] {
            assert!(run(wrong).unwrap_err().use_stderr(), "{wrong:?} must be refused");
        }
    }

    #[test]
    fn a_set_value_keeps_what_follows_the_first_equals_sign() {
        let set = run("f.toml --set a.b=c=d --set checkpoint_interval=5s").unwrap().set.overrides;
        assert_eq!(set, [("a.b".into(), "c=d".into()), ("checkpoint_interval".into(), "5s".into())]);
    }
}
