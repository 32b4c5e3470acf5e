//! The `portcullis` command: configuration, commands, and the place where all parts are put together.

mod command;
mod config;
mod data_dir;
mod duration;
mod failure;
mod load;
mod report;
mod secret_file;

fn main() -> std::process::ExitCode {
    command::run()
}
