//! The `portcullis` command.

mod config;
mod report;

fn main() {}
