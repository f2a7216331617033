//! wasmill: a stream processor whose user code is WebAssembly.
//!
//! One record's way: [`source`] reads it, [`decode`] gives it columns and an event time, [`watermark`] moves time,
//! [`filter`], [`plugin`], [`window`], [`join`] and [`dedupe`] decide what it means, [`state`] keeps the rest ([`spill`] what of it does not fit into memory), [`sink`] writes it, [`checkpoint`] makes it
//! count. [`pipeline`] joins them, as [`config`] says. [`batch`], [`mod@column`] and [`schema`] are what travels;
//! [`kafka`] is the client that the Kafka source and sink share. [`daemon`] runs many pipelines and takes them over HTTP.

pub mod batch;
pub mod column;
pub mod schema;

pub mod config;

pub mod kafka;

pub mod source;

pub mod decode;

pub mod watermark;

pub mod filter;

pub mod plugin;

pub mod exchange;

pub mod window;

pub mod join;

pub mod dedupe;

pub mod spill;

pub mod state;

pub mod sink;

pub mod checkpoint;

pub mod pipeline;

pub mod metrics;

pub mod failpoint;

pub mod daemon;
