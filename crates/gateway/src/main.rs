//! `octo`: see `octo --help`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// For events, which are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    gateway::cli::main()
}
