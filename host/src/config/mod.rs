//! The pipeline file: as written ([`raw`](self)), then checked into a [`Pipeline`].

mod model;

pub use model::*;
