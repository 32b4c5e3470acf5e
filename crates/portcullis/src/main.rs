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

fn main() -> std::process::ExitCode {
    command::run()
}
