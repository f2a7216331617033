//! Tests of the whole, on a real broker.

mod planes;
