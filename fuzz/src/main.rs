//! `make fuzz`: the crates' fuzz targets on a stable toolchain.
//!
//! Each target runs in a child process, so that a stack overflow or an abort ends that and not the run; the child is then
//! started again with the same seed, writing each input down before it runs it.

mod drive;
mod mutate;
mod path;
mod target;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use clap::Parser;

use crate::{
    drive::{Drive, Verdict, drive, read_corpus},
    target::{TARGETS, Target},
};

/// Mutates the corpora of the fuzz targets and runs the targets on them. Run from the root of the tree.
#[derive(Parser)]
struct Arguments {
    /// Which; all without a name.
    #[arg(value_parser = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>())]
    targets: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed gives the same inputs; a random one without it.
    #[arg(long)]
    seed: Option<u64>,
    /// Run one target on this file alone.
    #[arg(long, requires = "targets")]
    input: Option<PathBuf>,
    /// Be the child that runs one target.
    #[arg(long, hide = true)]
    child: bool,
    /// Write each input down before it is run: slow.
    #[arg(long)]
    careful: bool,
}

const ARTIFACTS: &str = "fuzz/artifacts";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let names = arguments.targets.iter().filter_map(|name| Target::named(name));
    let mut targets: Vec<_> = names.collect();
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    let clean = match (&arguments.input, arguments.child) {
        (Some(input), _) => run_input(&targets, input),
        (None, true) => run_children(&targets, &arguments),
        (None, false) => run_all(&targets, &arguments),
    };
    match clean {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}; run it from the root of the tree");
            ExitCode::from(2)
        }
    }
}

fn run_input(targets: &[Target], input: &Path) -> io::Result<bool> {
    let data = fs::read(input)?;
    for target in targets {
        (target.function)(&data);
        println!("{}: {} is fine", target.name, input.display());
    }
    Ok(true)
}

/// Starts a child for each target.
fn run_all(targets: &[Target], arguments: &Arguments) -> io::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {} s for each target", arguments.seconds);
    fs::create_dir_all(ARTIFACTS)?;
    let mut clean = true;
    for target in targets {
        let child = |careful: bool| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--child", target.name, "--seed", &seed.to_string()]);
            command.args(["--seconds", &arguments.seconds.to_string()]);
            command.args(careful.then_some("--careful")).status()
        };
        let status = child(arguments.careful)?;
        clean &= status.success();
        if status.code().is_none() && !arguments.careful {
            eprintln!("{}: ended by {status}; running it again to find the input", target.name);
            let again = child(true)?;
            eprintln!(
                "{}: {again}; its last input is {}",
                target.name,
                artifact(target, "last").display()
            );
        }
    }
    println!(
        "{}",
        if clean {
            "No target failed."
        } else {
            "FAILED: the inputs are in fuzz/artifacts."
        }
    );
    Ok(clean)
}

/// Is the child.
fn run_children(targets: &[Target], arguments: &Arguments) -> io::Result<bool> {
    let mut clean = true;
    for target in targets {
        let (last, stuck) = (artifact(target, "last"), artifact(target, "stuck"));
        let how = Drive {
            seed: arguments.seed.unwrap_or_else(rand::random),
            time: Duration::from_secs(arguments.seconds),
            each_input_to: arguments.careful.then_some(&last),
            stuck_input_to: &stuck,
        };
        match drive(target.function, read_corpus(&target.corpus())?, &how)? {
            Verdict::Clean(count) => println!("{}: {count} inputs, none failed", target.name),
            Verdict::Panicked(input) => {
                let path = artifact(target, "panicked");
                fs::write(&path, input)?;
                println!("{}: FAILED on {}", target.name, path.display());
                clean = false;
            }
        }
    }
    Ok(clean)
}

fn artifact(target: &Target, what: &str) -> PathBuf {
    Path::new(ARTIFACTS).join(format!("{}-{what}", target.name))
}
