//! The same of every language: what an author begins with, what a failure says, what the sandbox gives, what memory does.

mod faults;
mod from_nothing;
mod memory;
mod probe;
mod sandbox;
