//! Parses the command line, nothing else.

// The system's allocator keeps the memory of a burst of batches; mimalloc gives it back.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    loghound::cli::main()
}
