//! Stands between the boundary and a plugin written in Python: typed columns outside, one byte string a call inside.
//!
//! Python pays some 290 ns for each number of a `list<f64>` and 2 ns for 1,024 of them as bytes, so the columns cross as bytes. The format is
//! in `../wit/python.wit`. One component for each kind of plugin is built from here, by feature.

#[cfg(feature = "aggregate")]
wit_bindgen::generate!({ path: "../wit", world: "aggregate-adapter", generate_all });
#[cfg(feature = "keyed")]
wit_bindgen::generate!({ path: "../wit", world: "keyed-adapter", generate_all });
#[cfg(feature = "transform")]
wit_bindgen::generate!({ path: "../wit", world: "transform-adapter", generate_all });

mod answer;
mod request;

use answer::Answer;
use exports::wasmill::plugin::lifecycle as outer;
use request::Request;
use wasmill::plugin::lifecycle as inner;
use wasmill::python::calls;

/// The types of the boundary.
mod wire {
    #[cfg(feature = "keyed")]
    pub(crate) use crate::exports::wasmill::plugin::keyed::{Groups, KeyedOutput, Timer};
    pub(crate) use crate::wasmill::plugin::columns::{Batch, Column, Kind, Strings, Values};
    pub(crate) use crate::wasmill::plugin::output::{Body, Produced, Reject, Table};
}

struct Adapter;
export!(Adapter);

impl exports::wasmill::plugin::lifecycle::Guest for Adapter {
    fn describe() -> outer::Info {
        let inner::Info { name, version, description, config_schema } = inner::describe();
        outer::Info { name, version, description, config_schema }
    }

    fn open(config: String) -> Result<outer::Spec, String> {
        let inner::Spec { reads, ports, state_version } = inner::open(&config)?;
        let ports = ports.into_iter().map(|it| outer::Port { name: it.name, fields: it.fields }).collect();
        Ok(outer::Spec { reads, ports, state_version })
    }
}

/// Reads all of an answer with `read`.
fn read<T>(answer: Vec<String>, read: impl FnOnce(&mut Answer) -> Result<T, String>) -> Result<T, String> {
    let mut answer = Answer::new(answer)?;
    let value = read(&mut answer)?;
    answer.end()?;
    Ok(value)
}

#[cfg(feature = "transform")]
impl exports::wasmill::plugin::transform::Guest for Adapter {
    fn process(records: wire::Batch) -> Result<wire::Produced, String> {
        read(calls::transform(&Request::default().batch(records).finish())?, Answer::produced)
    }
}

#[cfg(feature = "keyed")]
impl exports::wasmill::plugin::keyed::Guest for Adapter {
    fn process(records: wire::Batch, groups: wire::Groups) -> Result<wire::KeyedOutput, String> {
        let request = Request::default().batch(records).numbers(groups.bounds).column(groups.states);
        read(calls::keyed(&request.finish())?, keyed_output)
    }

    fn on_timers(due: wire::Batch, ids: Vec<u32>, groups: wire::Groups) -> Result<wire::KeyedOutput, String> {
        let request = Request::default().batch(due).numbers(ids).numbers(groups.bounds).column(groups.states);
        read(calls::on_timers(&request.finish())?, keyed_output)
    }
}

#[cfg(feature = "keyed")]
fn keyed_output(answer: &mut Answer) -> Result<wire::KeyedOutput, String> {
    Ok(wire::KeyedOutput { output: answer.produced()?, states: answer.column()?, timers: answer.timers()? })
}

#[cfg(feature = "aggregate")]
impl exports::wasmill::plugin::aggregate::Guest for Adapter {
    fn add(records: wire::Batch, bounds: Vec<u32>, accumulators: wire::Column) -> Result<wire::Strings, String> {
        let request = Request::default().batch(records).numbers(bounds).column(accumulators);
        read(calls::add(&request.finish())?, Answer::strings)
    }

    fn merge(left: wire::Strings, right: wire::Strings) -> Result<wire::Strings, String> {
        read(calls::merge(&Request::default().strings(left).strings(right).finish())?, Answer::strings)
    }

    fn finish(windows: wire::Batch, accumulators: wire::Strings) -> Result<wire::Produced, String> {
        read(calls::finish(&Request::default().batch(windows).strings(accumulators).finish())?, Answer::produced)
    }
}

#[cfg(any(feature = "keyed", feature = "aggregate"))]
impl exports::wasmill::plugin::migration::Guest for Adapter {
    fn migrate(from_version: u32, states: wire::Strings) -> Result<wire::Strings, String> {
        read(calls::migrate(&Request::default().word(from_version).strings(states).finish())?, Answer::strings)
    }
}
