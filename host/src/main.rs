//! The command line: `wasmill run` and `wasmill check`.

mod cli;

/// Allocates batches, and through its `override` feature what C libraries ask for too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
