//! A keyed plugin that fails on demand: it counts the rows of each key, and traps on a row whose `id` is a multiple of
//! `trap_every`. Its state is the count as text; version 1 held it as eight bytes, which `migrate` reads. With `state_version` 1 it is
//! the earlier plugin itself.
//!
//! Each row answers with the count so far, and sets timer 1 of its key to its event time plus `timer_ms`, where that is
//! given. A timer answers with the count and forgets the key.

mod bindings {
    #![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated")]
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package wasmill:misbehaving-keyed;
            world migrating-plugin {
                include wasmill:plugin/keyed-plugin@0.1.0;
                export wasmill:plugin/migration@0.1.0;
            }
        ",
        world: "wasmill:misbehaving-keyed/migrating-plugin",
        generate_all,
    });
    #[cfg(target_family = "wasm")]
    export!(Counting with_types_in self);
    #[cfg(target_family = "wasm")]
    use super::Counting;
}

use bindings::exports::wasmill::plugin::keyed::{Groups, Guest as Keyed, KeyedOutput, Timer};
use bindings::exports::wasmill::plugin::lifecycle::{Guest as Lifecycle, Info, Port, Spec};
use bindings::exports::wasmill::plugin::migration::Guest as Migration;
use bindings::wasmill::plugin::columns::{Batch, Column, Field, Kind, Slot, Strings, Values};
use bindings::wasmill::plugin::output::{Body, Produced, Table};
use serde::Deserialize;
use std::sync::OnceLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    trap_every: Option<i64>,
    timer_ms: Option<i64>,
    state_version: Option<u32>,
}

/// The version of the state that it is configured to keep.
fn state_version() -> u32 {
    CONFIG.get().and_then(|it| it.state_version).unwrap_or(2)
}

static CONFIG: OnceLock<Config> = OnceLock::new();

/// The plugin.
pub struct Counting;

impl Lifecycle for Counting {
    fn describe() -> Info {
        Info {
            name: "misbehaving-keyed".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "counts by key, and fails on demand".into(),
            config_schema: String::new(),
        }
    }

    fn open(config: String) -> Result<Spec, String> {
        let config: Config = serde_json::from_str(&config).map_err(|error| format!("config: {error}"))?;
        CONFIG.set(config).map_err(|_| "opened twice")?;
        let id = Slot::Field("id".into());
        Ok(Spec {
            reads: vec![
                Field { slot: id, kind: Kind::S64, required: true },
                Field { slot: Slot::Time, kind: Kind::S64, required: true },
            ],
            ports: vec![Port {
                name: "out".into(),
                fields: vec![Field { slot: Slot::Field("count".into()), kind: Kind::S64, required: true }],
            }],
            state_version: state_version(),
        })
    }
}

impl Keyed for Counting {
    fn process(records: Batch, groups: Groups) -> Result<KeyedOutput, String> {
        let config = CONFIG.get().ok_or("not opened")?;
        let (Values::S64(ids), Values::S64(times)) = (&records.columns[0].values, &records.columns[1].values) else {
            return Err("id and time are not s64".into());
        };
        let mut counts = read(&groups.states)?;
        let (mut seen, mut timers) = (Vec::new(), Vec::new());
        for (group, bounds) in groups.bounds.windows(2).enumerate() {
            for row in bounds[0] as usize..bounds[1] as usize {
                if config.trap_every.is_some_and(|every| ids[row] % every == 0) {
                    panic!("cannot count id {}", ids[row]);
                }
                let count = counts[group].unwrap_or(0) + 1;
                counts[group] = Some(count);
                seen.push(count);
                let at = config.timer_ms.map(|it| times[row] + it);
                timers.extend(at.map(|at| Timer { group: group as u32, id: 1, at: Some(at) }));
            }
        }
        Ok(answer((0..records.rows).collect(), seen, &counts, timers))
    }

    fn on_timers(due: Batch, _: Vec<u32>, groups: Groups) -> Result<KeyedOutput, String> {
        let counts = read(&groups.states)?.into_iter().map(|it| it.unwrap_or(0)).collect();
        Ok(answer((0..due.rows).collect(), counts, &vec![None; due.rows as usize], vec![]))
    }
}

impl Migration for Counting {
    fn migrate(from_version: u32, states: Strings) -> Result<Strings, String> {
        if from_version != 1 {
            return Err(format!("there is no way from state version {from_version}"));
        }
        let old = states.offsets.windows(2).map(|it| &states.data[it[0] as usize..it[1] as usize]);
        let counts =
            old.map(|it| it.try_into().map(i64::from_le_bytes).map(Some).map_err(|_| "a state of eight bytes"));
        let Values::Bytes(states) = write(&counts.collect::<Result<Vec<_>, _>>()?).values else { unreachable!() };
        Ok(states)
    }
}

fn answer(origins: Vec<u32>, seen: Vec<i64>, counts: &[Option<i64>], timers: Vec<Timer>) -> KeyedOutput {
    let columns = vec![Column { values: Values::S64(seen), nulls: vec![] }];
    let tables = vec![Table { port: 0, origins, body: Body::Columns(columns) }];
    KeyedOutput { output: Produced { tables, rejects: vec![] }, states: write(counts), timers }
}

fn read(states: &Column) -> Result<Vec<Option<i64>>, String> {
    let Values::Bytes(strings) = &states.values else { return Err("states are not bytes".into()) };
    let state = |(group, it): (usize, &[u32])| {
        if states.nulls.get(group) == Some(&1) {
            return Ok(None);
        }
        let bytes = &strings.data[it[0] as usize..it[1] as usize];
        if state_version() == 1 {
            return bytes.try_into().map(i64::from_le_bytes).map(Some).map_err(|_| "a state is not eight bytes".into());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "a state is not text")?;
        text.parse().map(Some).map_err(|_| format!("a state is not a count: {text}"))
    };
    strings.offsets.windows(2).enumerate().map(state).collect()
}

fn write(counts: &[Option<i64>]) -> Column {
    let mut strings = Strings { offsets: vec![0], data: vec![] };
    for count in counts {
        strings.data.extend(count.iter().flat_map(|it| match state_version() {
            1 => it.to_le_bytes().to_vec(),
            _ => it.to_string().into_bytes(),
        }));
        strings.offsets.push(strings.data.len() as u32);
    }
    let nulls = counts.iter().map(|it| u8::from(it.is_none())).collect();
    Column { values: Values::Bytes(strings), nulls }
}
