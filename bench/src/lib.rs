//! What the benchmarks measure with: the records, and what a child process used.
//!
//! `benches/parts` times the parts of the host in this process; the binary times whole pipelines, as processes of their own,
//! on a topic that was filled before; `wasmill-nexmark` does so with Nexmark's queries, `wasmill-latency`
//! measures how long records take, and `wasmill-recovery` how long a restart with much state does.

pub mod child;
mod clock;
pub mod latency;
pub mod machine;
pub mod nexmark;
pub mod records;
pub mod recovery;
pub mod scenarios;
pub mod shapes;
pub mod topic;
