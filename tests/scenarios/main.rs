//! Scenarios: the real binary, a real broker and real plugins, as a user meets them. Start them with `make test`.

mod alignment;
mod bad_input;
mod bad_kafka;
mod builtins;
mod conformance;
mod crossings;
mod daemon;
mod dead_letter;
mod exactly_once;
mod examples;
mod fetch;
mod joins;
mod languages;
mod misbehaving;
mod planes;
mod plugin_cli;
mod produce;
mod purchases;
mod reference;
mod run;
mod takeover;
mod tidy;
mod topics;
mod upgrade;
mod windows;
mod workers;
