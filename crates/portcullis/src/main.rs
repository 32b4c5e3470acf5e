//! The `portcullis` command: configuration, commands, and the place where all parts are put together.

mod acme;
mod command;
mod config;
mod control_socket;
mod data_dir;
mod duration;
mod failure;
mod load;
mod origin_certificates;
mod own_listener;
mod post;
mod process_log;
mod protect;
mod releases;
mod report;
mod secret_file;
mod service;
mod usage;

/// A few percent less CPU for each request than with the C library's: see the workspace's table of dependencies.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::run()
}
