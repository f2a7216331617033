//! What the scenario tests are made of: the real binary as a child process, a real broker, and naive computations of
//! what must come out.
//!
//! Nothing here knows how wasmill works: it starts it as a user would, and [`mod@reference`] computes results from records alone.

pub mod compare;
pub mod components;
pub mod daemon;
pub mod folder;
pub mod json;
pub mod kafka;
pub mod process;
pub mod random;
pub mod reference;
pub mod settings;
pub mod stream;
pub mod time;
pub mod topic;
pub mod turn;
pub mod wait;
