//! What is wrong with a pipeline file: every error at once, each with its place and what to do.

use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the pipeline file.
    Line {
        /// The file as the user named it.
        file: Arc<str>,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// The pipeline file as a whole.
    Whole {
        /// The file as the user named it.
        file: Arc<str>,
    },
    /// On the command line.
    Flag {
        /// `KEY=VALUE` as given to `--set`.
        setting: Arc<str>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Place::Whole { file } => f.write_str(file),
            Place::Flag { setting } => write!(f, "--set {setting}"),
        }
    }
}

impl Place {
    /// Order of reporting: the file from top to bottom, then the flags.
    fn order(&self) -> (u8, usize, usize) {
        match self {
            Place::Whole { .. } => (0, 0, 0),
            Place::Line { line, column, .. } => (1, *line, *column),
            Place::Flag { .. } => (2, 0, 0),
        }
    }
}

/// One thing that is wrong with a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where it was written, or for a key that is missing, the table that lacks it.
    pub place: Place,
    /// The key's path, such as `sources.orders.event_time.delay`; empty for the file as a whole.
    pub key: String,
    /// What was found, what was expected and what to do.
    pub problem: String,
    /// The valid name nearest to the one found.
    pub nearest: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        match &self.nearest {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with a pipeline file, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, in the order of the file, those of flags last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects errors while checking goes on.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<ConfigError>);

impl Errors {
    /// Adds an error.
    pub(super) fn push(&mut self, place: &Place, key: impl Into<String>, problem: impl Into<String>) {
        self.push_near(place, key, problem, None);
    }

    /// Adds an error about a name, with the valid one nearest to it.
    pub(super) fn push_near(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        problem: impl Into<String>,
        nearest: Option<&str>,
    ) {
        self.0.push(ConfigError {
            place: place.clone(),
            key: key.into(),
            problem: problem.into(),
            nearest: nearest.map(str::to_owned),
        });
    }

    /// True when nothing was wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors in order of reporting. Call only when there are some.
    pub(super) fn into_all(mut self) -> ConfigErrors {
        debug_assert!(!self.0.is_empty(), "an error report without errors");
        self.0.sort_by_key(|it| it.place.order());
        ConfigErrors(self.0)
    }
}

/// The candidate nearest to `name`, where it is near enough for a slip of the keyboard.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = name.to_lowercase();
    let distance_max = (found.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|it| (strsim::osa_distance(&found, &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// The names in backticks with commas between them, for a message.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}
