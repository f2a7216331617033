//! The command line: `wasmill run` and `wasmill check`.

mod cli;

/// Allocates batches, and through its `override` feature what C libraries ask for too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    #[cfg(feature = "failpoints")]
    arm_failpoint();
    cli::main(std::env::args_os())
}

/// A test says at which point of the commit this process dies.
#[cfg(feature = "failpoints")]
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn arm_failpoint() {
    if let Ok(spec) = std::env::var("WASMILL_FAILPOINT")
        && let Err(error) = wasmill::failpoint::arm_failpoint(&spec)
    {
        panic!("WASMILL_FAILPOINT: {error}");
    }
}
