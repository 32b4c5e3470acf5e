//! The `portcullis` command: configuration, commands, and the place where all parts are put together.

mod command;
mod config;
mod duration;
mod failure;
mod report;
mod secret_file;

fn main() -> std::process::ExitCode {
    command::run()
}
