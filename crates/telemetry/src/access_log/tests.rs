use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::Path,
    process::{Command, Stdio},
};

use super::*;

/// Long enough for any machine; nothing here waits so long unless it fails.
const LONG: Duration = Duration::from_secs(60);
const NO_TIME: Duration = Duration::ZERO;

fn to_file(path: &Path) -> AccessLog {
    AccessLog::open(Destination::File(path.to_owned())).unwrap()
}

/// A log into a pipe, and the pipe's other end.
fn to_pipe() -> (AccessLog, io::PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let log = AccessLog::start(Output::of(File::from(OwnedFd::from(writer)))).unwrap();
    (log, reader)
}

fn write(buffer: &LogBuffer, line: &str) {
    buffer.line(|out| out.extend_from_slice(line.as_bytes()));
}

fn wait_for(fact: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !fact() {
        assert!(Instant::now() < deadline, "it did not come true");
        thread::yield_now();
    }
}

/// What one buffer makes of what is written into it.
#[test]
fn what_is_logged_as_one_line_reads_as_one() {
    let longest = "x".repeat(LINE_BYTES_MAX - 1);
    let too_long = "x".repeat(LINE_BYTES_MAX);
    let cases = [
        ("a line", "a line\n", 0),
        ("with its break\n", "with its break\n", 0),
        ("two\nlines\n\n", "two lines \n", 0),
        ("", "", 0),
        ("\n", "", 0),
        (longest.as_str(), &format!("{longest}\n"), 0),
        (too_long.as_str(), "", 1),
    ];
    for (line, expected, dropped) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = to_file(&path);
        let buffer = log.buffer();
        write(&buffer, line);
        write(&buffer, "after it");
        assert!(log.close(LONG));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{expected}after it\n"));
        assert_eq!(
            (log.lines(), log.dropped()),
            (1 + u64::from(!expected.is_empty()), dropped)
        );
        assert_eq!(log.write_errors(), 0);
    }
}

#[test]
fn workers_share_a_destination_and_no_line_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = to_file(&path);
    thread::scope(|scope| {
        for worker in 0..4 {
            let log = &log;
            scope.spawn(move || {
                let buffer = log.buffer();
                for number in 0..5_000 {
                    write(&buffer, &format!("{worker} {number} {}", "x".repeat(number % 90)));
                    // Far faster than the disk; the test is about order, not about loss.
                    if number % 1_000 == 999 {
                        assert!(log.flush(LONG));
                    }
                }
            });
        }
    });
    assert!(log.flush(LONG));
    assert_eq!((log.lines(), log.dropped(), log.write_errors()), (20_000, 0, 0));
    let mut next = [0; 4];
    for line in fs::read_to_string(&path).unwrap().lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let (worker, number) = (parts[0].parse::<usize>().unwrap(), parts[1].parse::<usize>().unwrap());
        assert_eq!((number, parts[2].len()), (next[worker], number % 90));
        next[worker] += 1;
    }
    assert_eq!(next, [5_000; 4]);
}

#[test]
fn a_line_arrives_without_being_asked_for_also_when_the_writer_sleeps() {
    let (log, reader) = to_pipe();
    let mut reader = BufReader::new(reader);
    let buffer = log.buffer();
    for round in 0..3 {
        wait_for(|| log.0.0.idle.load(Ordering::Relaxed));
        for line in ["first", "second"] {
            let line = format!("{line} of {round}");
            write(&buffer, &line);
            let mut read = String::new();
            reader.read_line(&mut read).unwrap();
            assert_eq!(read, format!("{line}\n"));
        }
    }
}

#[test]
fn a_slow_reader_costs_lines_and_nobody_s_time() {
    let (log, mut reader) = to_pipe();
    let buffer = log.buffer();
    let line = "x".repeat(999);
    let total = 4 * BUFFER_BYTES_MAX as u64 / 1_000;
    (0..total).for_each(|_| write(&buffer, &line)); // nobody reads; this would not end if it waited
    let dropped = log.dropped();
    assert!(dropped > 0 && dropped < total, "{dropped}");
    assert!(!log.flush(NO_TIME));
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    assert!(log.flush(LONG));
    write(&buffer, "the reader is back");
    assert!(log.close(LONG));
    drop((buffer, log));
    let text = reading.join().unwrap().unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.pop(), Some("the reader is back"));
    assert_eq!(lines.len() as u64 + dropped, total);
    assert!(lines.iter().all(|read| *read == line));
}

#[test]
fn a_reader_that_went_away_is_counted() {
    let (log, reader) = to_pipe();
    drop(reader);
    let buffer = log.buffer();
    write(&buffer, "to nobody");
    wait_for(|| log.write_errors() > 0);
    assert!(!log.close(NO_TIME));
    wait_for(|| log.dropped() == 1);
    assert_eq!(log.lines(), 0);
}

#[test]
fn a_full_disk_loses_what_does_not_fit_and_mends_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    symlink("/dev/full", &path).unwrap();
    let log = to_file(&path);
    let buffer = log.buffer();
    write(&buffer, "before");
    wait_for(|| log.write_errors() > 0);
    assert!(!log.flush(NO_TIME));
    let line = "x".repeat(999);
    let total = 2 * BUFFER_BYTES_MAX as u64 / 1_000;
    (0..total).for_each(|_| write(&buffer, &line));
    let dropped = log.dropped();
    assert!(dropped > 0 && dropped < total, "{dropped}");
    // Room again, under the same name: nothing that was kept is lost.
    fs::remove_file(&path).unwrap();
    log.reopen();
    assert!(log.flush(LONG));
    write(&buffer, "after");
    assert!(log.close(LONG));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.first(), lines.last()), (Some(&"before"), Some(&"after")));
    assert_eq!(lines.len() as u64, total - dropped + 2);
    assert_eq!((log.lines(), log.dropped()), (total - dropped + 2, dropped));
}

#[test]
fn closing_on_a_full_disk_ends_in_time_and_counts_every_line() {
    let log = to_file(Path::new("/dev/full"));
    let buffer = log.buffer();
    (0..100).for_each(|_| write(&buffer, "never to be read"));
    assert!(!log.close(Duration::from_millis(1)));
    wait_for(|| log.dropped() == 100);
    write(&buffer, "too late");
    write(&log.buffer(), "too late as well");
    assert_eq!((log.lines(), log.dropped()), (0, 102));
    assert!(!log.close(LONG));
    assert!(!log.flush(LONG));
}

/// A line that a file took in part before it was moved away is written again, as a whole, to the next one.
#[test]
fn what_was_written_in_part_is_finished_or_begun_again() {
    let lines = buffer::Lines::of(b"first\nsecond\n");
    for (at, whole) in [(0, 0), (3, 0), (5, 0), (6, 6), (9, 6), (12, 6), (13, 13)] {
        assert_eq!(lines.whole_before(at), whole, "{at}");
    }
}

#[test]
fn a_moved_file_is_left_and_a_new_one_begun() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
    let log = to_file(&path);
    let buffer = log.buffer();
    write(&buffer, "old");
    assert!(log.flush(LONG));
    fs::rename(&path, &moved).unwrap();
    log.reopen();
    assert!(log.flush(LONG));
    write(&buffer, "new");
    assert!(log.close(LONG));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "old\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
}

/// Every line of `path` and of what was rotated away from it, the oldest first.
fn all_lines(path: &Path) -> (usize, Vec<String>) {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| {
            file.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&format!("{name}."))
        })
        .collect();
    let number = |file: &std::path::PathBuf| {
        let text = file.to_str().unwrap();
        let number: u32 = text
            .rsplit_once('-')
            .and_then(|(_, number)| number.parse().ok())
            .unwrap_or(1);
        (
            text.split('-').next().unwrap_or_default().len(),
            text[..text.rfind('Z').unwrap()].to_owned(),
            number,
        )
    };
    files.sort_by_key(number);
    files.push(path.to_owned());
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    (files.len(), text.lines().map(str::to_owned).collect())
}

#[test]
fn a_file_is_rotated_between_lines_and_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = to_file(&path);
    log.rotate(Some(Rotation {
        bytes_max: Some(100),
        every: None,
        keep: 100,
    }));
    let buffer = log.buffer();
    for round in 0..20 {
        (0..3).for_each(|line| write(&buffer, &format!("round {round:02} line {line} {}", "x".repeat(10))));
        assert!(log.flush(LONG)); // what was collected is written as a whole
    }
    assert!(log.close(LONG));
    let (files, lines) = all_lines(&path);
    assert!(files > 10, "{files}");
    let expected: Vec<_> = (0..20)
        .flat_map(|round| (0..3).map(move |line| format!("round {round:02} line {line} {}", "x".repeat(10))))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn what_is_too_old_goes_and_a_rotation_that_fails_costs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = to_file(&path);
    let rotation = Rotation {
        bytes_max: Some(1),
        every: Some(Every::Day),
        keep: 2,
    };
    log.rotate(Some(rotation));
    let buffer = log.buffer();
    for line in 0..6 {
        write(&buffer, &line.to_string());
        assert!(log.flush(LONG));
    }
    assert_eq!(all_lines(&path), (3, ["3", "4", "5"].map(str::to_owned).into()));
    log.rotate(None);
    write(&buffer, "6");
    assert!(log.flush(LONG));
    assert_eq!(all_lines(&path).0, 3);
    // Nowhere to begin a new file: what is open is written on.
    log.rotate(Some(rotation));
    fs::remove_dir_all(directory.path()).unwrap();
    write(&buffer, "7");
    assert!(log.close(LONG));
    assert_eq!((log.lines(), log.dropped()), (8, 0));
}

#[test]
fn a_file_that_cannot_be_opened_again_stays_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
    let log = to_file(&path);
    let buffer = log.buffer();
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    log.reopen();
    assert!(log.flush(LONG));
    write(&buffer, "still here");
    assert!(log.close(LONG));
    assert_eq!(fs::read_to_string(&moved).unwrap(), "still here\n");
}

#[test]
fn files_are_appended_to_and_not_for_everyone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for (before, after) in [
        (None, "new\n"),
        (Some("whole\n"), "whole\nnew\n"),
        (Some("cut of"), "cut of\nnew\n"),
    ] {
        let _ = fs::remove_file(&path);
        if let Some(before) = before {
            fs::write(&path, before).unwrap();
        }
        let log = to_file(&path);
        if before.is_none() {
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o137,
                0,
                "not 0640 or less"
            );
        }
        write(&log.buffer(), "new");
        assert!(log.close(LONG));
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
    }
    let error = AccessLog::open(Destination::File(directory.path().join("no/such/directory"))).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("no/such/directory"), "{error}");
}

#[test]
fn a_panic_within_a_line_leaves_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = to_file(&path);
    let buffer = log.buffer();
    write(&buffer, "before");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        buffer.line(|out| {
            out.extend_from_slice(b"half a l");
            std::panic::resume_unwind(Box::new(()));
        });
    }));
    assert!(panicked.is_err());
    write(&buffer, "after");
    assert!(log.close(LONG));
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
}

#[test]
fn the_last_handle_writes_what_is_left_and_dropped_buffers_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = to_file(&path);
    for number in 0..10 {
        write(&log.buffer(), &number.to_string());
    }
    assert!(log.flush(LONG)); // takes the lines,
    assert!(log.flush(LONG)); // then finds the buffers empty
    assert_eq!(lock(&log.0.0.buffers).slots.len(), 0);
    let buffer = log.buffer();
    write(&buffer, "last");
    drop(log);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!((text.lines().count(), text.lines().last()), (11, Some("last")));
}

/// Run by the test below in a process of its own.
#[test]
fn child_logs_to_its_own_output() {
    if std::env::var_os("PORTCULLIS_TEST_CHILD").is_none() {
        return;
    }
    for (destination, line) in [(Destination::Stdout, "to stdout"), (Destination::Stderr, "to stderr")] {
        let log = AccessLog::open(destination).unwrap();
        write(&log.buffer(), line);
        assert!(log.close(LONG));
    }
}

#[test]
fn standard_output_and_error_are_destinations() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "access_log::tests::child_logs_to_its_own_output",
            "--nocapture",
        ])
        .env("PORTCULLIS_TEST_CHILD", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let has = |output: &[u8], line: &str| String::from_utf8_lossy(output).lines().any(|read| read.ends_with(line));
    assert!(child.status.success());
    assert!(
        has(&child.stdout, "to stdout") && !has(&child.stdout, "to stderr"),
        "{child:?}"
    );
    assert!(
        has(&child.stderr, "to stderr") && !has(&child.stderr, "to stdout"),
        "{child:?}"
    );
}
