//! The same of every language: what an author begins with, what a failure says, what the sandbox gives, what memory does, what becomes of
//! state that an earlier version wrote.

mod faults;
mod from_nothing;
mod memory;
mod migration;
mod native;
mod probe;
mod sandbox;
