//! `wasmill serve`, driven over its interface as a user's tools do.

mod access;
mod commands;
mod kills;
mod lifecycle;
mod pace;
mod pipelines;
mod survival;
mod swaps;
mod upgrades;
mod uploads;
mod watching;
