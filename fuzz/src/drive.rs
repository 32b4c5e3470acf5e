//! Runs one target over its mutated corpus for a while.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::mutate::Mutator;

/// An input that takes longer is a defect.
pub(crate) const INPUT_TIME_MAX: Duration = Duration::from_secs(10);

/// How a target came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This many inputs, and none failed.
    Clean(u64),
    /// This input made it panic.
    Panicked(Vec<u8>),
}

/// How to drive.
pub(crate) struct Drive<'a> {
    /// What makes the inputs the same again.
    pub(crate) seed: u64,
    /// How long.
    pub(crate) time: Duration,
    /// Where to write each input before it is run: slow, for an input that ends the process.
    pub(crate) each_input_to: Option<&'a Path>,
    /// Where the watchdog writes an input that takes too long, before it ends the process.
    pub(crate) stuck_input_to: &'a Path,
}

/// The files of a corpus, in the order of their names.
pub(crate) fn read_corpus(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// Runs the corpus as it is, then mutations of it until the time is over.
pub(crate) fn drive(function: fn(&[u8]), corpus: Vec<Vec<u8>>, how: &Drive<'_>) -> io::Result<Verdict> {
    let running = watch(how.stuck_input_to);
    let until = Instant::now() + how.time;
    let mut mutator = Mutator::new(how.seed, corpus.clone());
    let mut waiting = corpus.into_iter();
    let mut count = 0;
    while count == 0 || Instant::now() < until {
        let input = waiting.next().unwrap_or_else(|| mutator.next_input());
        if let Some(path) = how.each_input_to {
            fs::write(path, &input)?;
        }
        *lock(&running) = Some((Instant::now(), input.clone()));
        let outcome = catch_unwind(AssertUnwindSafe(|| function(&input)));
        *lock(&running) = None;
        count += 1;
        if outcome.is_err() {
            return Ok(Verdict::Panicked(input));
        }
    }
    Ok(Verdict::Clean(count))
}

type Running = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// A thread that ends the process when an input takes too long: nothing else can stop a loop without an end.
fn watch(stuck_input_to: &Path) -> Running {
    let running = Running::default();
    let (watched, path) = (Arc::clone(&running), stuck_input_to.to_owned());
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let stuck = lock(&watched)
                .as_ref()
                .filter(|(since, _)| since.elapsed() > INPUT_TIME_MAX)
                .cloned();
            if let Some((_, input)) = stuck {
                let written = fs::write(&path, input);
                eprintln!(
                    "an input takes longer than {INPUT_TIME_MAX:?}: {} ({written:?})",
                    path.display()
                );
                std::process::exit(1);
            }
        }
    });
    running
}

fn lock(running: &Running) -> std::sync::MutexGuard<'_, Option<(Instant, Vec<u8>)>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: fn(&[u8])) -> Verdict {
        let path = Path::new("not written");
        let how = Drive {
            seed: 3,
            time: Duration::from_secs(5),
            each_input_to: None,
            stuck_input_to: path,
        };
        drive(function, vec![b"hello".to_vec()], &how).unwrap()
    }

    #[test]
    fn finds_a_defect_two_mutations_away() {
        let Verdict::Panicked(input) = check(|data| assert!(!(data.contains(&b'{') && data.contains(&0xff)))) else {
            panic!("not found");
        };
        assert!(input.contains(&b'{') && input.contains(&0xff));
    }

    #[test]
    fn the_corpus_itself_is_run_first() {
        assert_eq!(
            check(|data| assert_ne!(data, b"hello")),
            Verdict::Panicked(b"hello".to_vec())
        );
    }

    #[test]
    fn a_sound_target_is_clean_and_inputs_can_be_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("input");
        let how = Drive {
            seed: 3,
            time: Duration::from_millis(20),
            each_input_to: Some(&path),
            stuck_input_to: &path,
        };
        let verdict = drive(|_| {}, vec![b"hello".to_vec()], &how).unwrap();
        assert!(matches!(verdict, Verdict::Clean(count) if count > 1), "{verdict:?}");
        assert!(path.exists());
    }
}
