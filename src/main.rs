//! The `takedown` command; everything it does is in [`takedown::ops::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is any other thread.
    takedown::ops::scheduling::work_in_bulk();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(takedown::ops::cli::main()),
        Err(error) => {
            eprintln!("error: the asynchronous runtime cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
