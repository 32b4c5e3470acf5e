//! The `portcullis` command: configuration, commands, and the place where all parts are put together.

mod command;
mod config;
mod control_socket;
mod data_dir;
mod duration;
mod failure;
mod load;
mod process_log;
mod protect;
mod report;
mod secret_file;
mod service;

/// A burst of requests frees what the next one needs again. The C library returns it to the system in between; this one does not
/// for a while.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::run()
}
