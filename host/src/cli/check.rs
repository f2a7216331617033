//! `wasmill check`.

use super::arguments;
use super::exit::Exit;
use super::report::counted;
use std::io::Write;
use wasmill::config::{self, Pipeline};

/// Checks the file and plans it, and says what was found: errors on standard error, the plan on standard output.
pub(crate) fn check(options: &arguments::Check) -> Exit {
    let pipeline = match config::load(&options.pipeline, &options.set.overrides) {
        Ok(pipeline) => pipeline,
        Err(errors) => {
            let _ = writeln!(std::io::stderr(), "{errors}\n{}", counted(errors.iter().len() as u64, "error"));
            return Exit::Config;
        }
    };
    let mut warnings = config::warnings(&pipeline);
    match wasmill::pipeline::check(&pipeline) {
        Ok(lines) => {
            warnings.iter_mut().for_each(|it| it.insert_str(0, "warning: "));
            let mut text = warnings.join("\n");
            for line in std::iter::once(size(&pipeline)).chain(lines) {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&line);
            }
            // A reader that has closed the pipe has read enough.
            let _ = writeln!(std::io::stdout(), "{text}");
            Exit::Done
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}: {error}", options.pipeline.display());
            error.failure().into()
        }
    }
}

fn size(pipeline: &Pipeline) -> String {
    let count = |list: usize, what| counted(list as u64, what);
    format!(
        "{}: ok: {}, {}, {}",
        pipeline.name,
        count(pipeline.sources.len(), "source"),
        count(pipeline.steps.len(), "step"),
        count(pipeline.sinks.len(), "sink")
    )
}
