//! Runs a plugin with state for each key, over a state and timers as the host keeps them.

use super::run::admit;
use super::{Row, Run, batch, capture, configured};
use crate::bindings::keyed::exports::wasmill::plugin::keyed::{Groups, KeyedOutput};
use crate::wire::Slot;
use crate::{Keyed, State, keyed};
use serde_json::Value;
use std::collections::BTreeMap;

type Key = Vec<u8>;

/// A `#[wasmill_plugin::keyed]`, opened with a configuration, and what is kept for it from one run to the next.
pub struct KeyedTest<P: Keyed> {
    config: P::Config,
    key: Option<String>,
    states: BTreeMap<Key, Vec<u8>>,
    timers: BTreeMap<(Key, u32), i64>,
    watermark: i64,
}

impl<P: Keyed> KeyedTest<P> {
    /// Opens the plugin. Panics when it refuses the configuration, with its reason.
    pub fn new(config: Value) -> Self {
        let config = configured::<P>(&config);
        KeyedTest { config, key: None, states: BTreeMap::new(), timers: BTreeMap::new(), watermark: i64::MIN }
    }

    /// As `key = "FIELD"` of the step: records are keyed by this field, unless a [`Row`] has a key.
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.into());
        self
    }

    /// Hands the records over as one batch, grouped by key. Panics when the plugin fails the call.
    pub fn run<R: Into<Row>>(&mut self, rows: impl IntoIterator<Item = R>) -> Run {
        let rows: Vec<Row> = rows.into_iter().map(|it| self.keyed_row(it.into())).collect();
        let mut run = Run::default();
        let fields = P::reads();
        // In the order in which keys first come.
        let mut keys: Vec<Key> = Vec::new();
        let mut groups: Vec<Vec<(usize, &Row)>> = Vec::new();
        let mut places: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (index, row) in admit(&rows, &fields, &mut run) {
            let key = row.key_bytes().unwrap_or_default();
            let place = *places.entry(key).or_insert(keys.len());
            if place == keys.len() {
                keys.push(key.to_vec());
                groups.push(Vec::new());
            }
            groups[place].push((index, row));
        }
        let (origins, grouped): (Vec<_>, Vec<_>) = groups.iter().flatten().copied().unzip();
        let records = batch::of_rows(&grouped, &fields, self.watermark);
        let mut bounds = vec![0];
        bounds.extend(groups.iter().scan(0, |end, rows| {
            *end += rows.len() as u32;
            Some(*end)
        }));
        let groups = self.groups(&keys, bounds);
        let answer = capture::during(&mut run, || keyed::process::<P>(&self.config, &records, &groups));
        self.apply(&mut run, answer, &keys, &origins, |origin| rows[origin].value.clone());
        run
    }

    /// Moves the watermark to `watermark`, in milliseconds since the Unix epoch, and fires the timers that it passes, in the order of
    /// their times. In the run, an origin counts the timers.
    pub fn advance(&mut self, watermark: i64) -> Run {
        let mut run = Run::default();
        self.watermark = watermark;
        let mut fired = 0;
        while let Some((at, key, id)) =
            self.timers.iter().filter(|(_, at)| **at <= watermark).map(|((key, id), at)| (*at, key.clone(), *id)).min()
        {
            self.timers.remove(&(key.clone(), id));
            let due = batch::of_keys(1, &P::reads(), watermark, |slot, _| match slot {
                Slot::Key => Some(batch::Filled::Bytes(key.clone())),
                Slot::Time => Some(batch::Filled::Int(at)),
                _ => None,
            });
            let keys = [key];
            let groups = self.groups(&keys, vec![0, 1]);
            let answer = capture::during(&mut run, || keyed::on_timers::<P>(&self.config, &due, &[id], &groups));
            self.apply(&mut run, answer, &keys, &[fired], |_| Value::Null);
            fired += 1;
        }
        run
    }

    /// The state of a key. Panics when it is no `S`.
    pub fn state<S: State>(&self, key: impl AsRef<[u8]>) -> Option<S> {
        self.states.get(key.as_ref()).map(|bytes| match S::load(bytes) {
            Ok(state) => state,
            Err(error) => panic!("the state is another type: {error}"),
        })
    }

    /// How many keys have a state.
    pub fn keys(&self) -> usize {
        self.states.len()
    }

    /// The timers set: key, id and time, in that order.
    pub fn timers(&self) -> Vec<(String, u32, i64)> {
        self.timers.iter().map(|((key, id), at)| (String::from_utf8_lossy(key).into_owned(), *id, *at)).collect()
    }

    fn keyed_row(&self, row: Row) -> Row {
        let Some(field) = self.key.as_ref().filter(|_| row.key_bytes().is_none()) else { return row };
        let key = match row.value.get(field) {
            None | Some(Value::Null) => return row,
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        row.key(key)
    }

    fn groups(&self, keys: &[Key], bounds: Vec<u32>) -> Groups {
        Groups { bounds, states: batch::bytes_column(keys.iter().map(|it| self.states.get(it).map(Vec::as_slice))) }
    }

    fn apply(
        &mut self,
        run: &mut Run,
        answer: Result<KeyedOutput, String>,
        keys: &[Key],
        origins: &[usize],
        record: impl Fn(usize) -> Value,
    ) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => panic!("the plugin failed the call: {error}"),
        };
        let states = batch::bytes_of(&answer.states);
        assert_eq!(states.len(), keys.len(), "one state for each group");
        for (key, state) in keys.iter().zip(states) {
            match state {
                Some(state) => drop(self.states.insert(key.clone(), state)),
                None => drop(self.states.remove(key)),
            }
        }
        for timer in answer.timers {
            let at = (keys[timer.group as usize].clone(), timer.id);
            match timer.at {
                Some(time) => drop(self.timers.insert(at, time)),
                None => drop(self.timers.remove(&at)),
            }
        }
        run.add(&P::ports(), answer.output, origins, record);
    }
}
