//! Exchange folders for connectors: one where the body finds files, one where it leaves them.
//!
//! Files appear whole or not at all, are never replaced, and are never followed out of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linli_core::time::Instant;
use linli_plugin_host::exchange::{Bytes, FailureKind, Outcome, Shelf, Step};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{failure, forbidden};

/// Largest file, as the connector interface takes it.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files that are listed at most; the others wait until these have gone.
const FILES_MAX: usize = 1_000;
/// A file that has changed within this time, in microseconds, may still be being written: nobody reads half an answer.
const QUIET_MICROS: u64 = 2_000_000;
/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Files of one name on a shelf at most: a body that sends the same name for ever is looked at.
const SAME_NAME_MAX: u32 = 10_000;

/// A pair of folders.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    outgoing: PathBuf,
    incoming: PathBuf,
}

impl Folder {
    pub(super) fn new(outgoing: PathBuf, incoming: PathBuf) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        for (key, path) in [("outgoing", &outgoing), ("incoming", &incoming)] {
            if !path.is_dir() {
                problems.push(format!("`folder.{key}`: `{}` is not a folder", path.display()));
            }
        }
        if outgoing == incoming {
            problems.push("`folder.outgoing` and `folder.incoming` must be two folders".to_owned());
        }
        if problems.is_empty() { Ok(Self { outgoing, incoming }) } else { Err(problems) }
    }

    /// Performs a step on files, at an instant of the system's clock. A list waits for what was left there a moment ago.
    pub(super) async fn perform(&self, step: &Step, now: Instant) -> Outcome {
        let mut now = now.micros();
        if *step == Step::ListFiles
            && self.blocking(move |folder| folder.is_restless(now)).await == Some(true)
        {
            tokio::time::sleep(Duration::from_micros(QUIET_MICROS)).await;
            now = now.saturating_add_unsigned(QUIET_MICROS);
        }
        let step = step.clone();
        let performed = self.blocking(move |folder| folder.perform_now(&step, now)).await;
        performed.unwrap_or_else(|| failure(FailureKind::Unknown, "the file system did not answer"))
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> Option<T> {
        let folder = self.clone();
        tokio::task::spawn_blocking(move || work(&folder)).await.ok()
    }

    /// Whether somebody may be writing a file at present.
    fn is_restless(&self, now: i64) -> bool {
        files(&self.incoming).is_ok_and(|files| files.iter().any(|file| !file.is_quiet(now)))
    }

    fn perform_now(&self, step: &Step, now: i64) -> Outcome {
        let done = match step {
            Step::WriteFile { name, content } => {
                self.named(name, |name| write(&self.outgoing, name, &content.0).map(|()| Outcome::Done))
            }
            Step::ReadFile { name } => {
                self.named(name, |name| read(&self.incoming.join(name)).map(Outcome::File))
            }
            Step::ListFiles => list(&self.incoming, now).map(Outcome::Files),
            Step::MoveFile { name, to } => {
                self.named(name, |name| shelve(&self.incoming, name, *to).map(|()| Outcome::Done))
            }
            Step::Http(_) | Step::Mail(_) | Step::Sleep(_) | Step::End(_) => Ok(Outcome::Done),
        };
        done.unwrap_or_else(|error| not_done(&error))
    }

    fn named(&self, name: &str, then: impl FnOnce(&str) -> io::Result<Outcome>) -> io::Result<Outcome> {
        let sign = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let fits =
            (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(sign);
        if fits { then(name) } else { Err(invalid("the name of a file is not permitted")) }
    }
}

/// What came of a step that was not done. A folder that is away, full or not ours to write in is the channel's trouble; the step is
/// tried again.
fn not_done(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::InvalidInput => forbidden(error.to_string()),
        ErrorKind::AlreadyExists => forbidden("a file of this name and other content is there already"),
        kind => failure(FailureKind::NotDone, format!("the exchange folder: {kind}")),
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why.to_owned())
}

/// Writes beside, then gives it its name, where there is none of that name yet.
fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    let beside = folder.join(format!(".{name}.part"));
    // What is left of a write that was broken off.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&beside)?;
    let written =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&beside, &path));
    fs::remove_file(&beside)?;
    match written {
        Ok(()) => File::open(folder)?.sync_all(),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && read(&path)?.0 == content => Ok(()),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Bytes> {
    let no_follow = OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(no_follow.cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(invalid("it is not a file"));
    }
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(invalid("the file has more than 4 MiB"));
    }
    Ok(Bytes(content))
}

/// A file that a body left.
struct Left {
    name: String,
    /// When it was last changed, in microseconds since the Unix epoch; no program can set that.
    changed_at: i64,
}

impl Left {
    /// Whether nobody has changed it of late. A file of the future is: clocks differ.
    fn is_quiet(&self, now: i64) -> bool {
        u64::try_from(now.saturating_sub(self.changed_at)).map_or(true, |age| age >= QUIET_MICROS)
    }
}

/// The files; nothing that is hidden, a link or a folder.
fn files(folder: &Path) -> io::Result<Vec<Left>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // It may have gone since.
        let Ok(known) = entry.metadata() else { continue };
        if known.is_file() && !name.starts_with('.') && name.len() <= NAME_BYTES_MAX {
            let changed_at =
                known.ctime().saturating_mul(1_000_000).saturating_add(known.ctime_nsec() / 1000);
            files.push(Left { name, changed_at });
        }
    }
    Ok(files)
}

/// The names of the files that are whole, sorted.
fn list(folder: &Path, now: i64) -> io::Result<Vec<String>> {
    let quiet = files(folder)?.into_iter().filter(|file| file.is_quiet(now));
    let mut names: Vec<String> = quiet.map(|file| file.name).collect();
    names.sort();
    names.truncate(FILES_MAX);
    Ok(names)
}

/// Moves a file away; of two of the same name both stay. Everything by open folders: a body that puts a link where a shelf should be
/// leads nowhere.
fn shelve(folder: &Path, name: &str, to: Shelf) -> io::Result<()> {
    let shelf_name = match to {
        Shelf::Archive => "archive",
        Shelf::Quarantine => "quarantine",
    };
    let opened = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = File::open(folder)?;
    match rustix::fs::mkdirat(&folder, shelf_name, Mode::from_raw_mode(0o750)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let shelf = match rustix::fs::openat(&folder, shelf_name, opened, Mode::empty()) {
        Ok(shelf) => File::from(shelf),
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(invalid(&format!("`{shelf_name}` is not a folder"))),
        Err(error) => return Err(error.into()),
    };
    for number in 0..SAME_NAME_MAX {
        let named = if number == 0 { name.to_owned() } else { format!("{number}-{name}") };
        match rustix::fs::linkat(&folder, name, &shelf, named, AtFlags::empty()) {
            Ok(()) => {
                rustix::fs::unlinkat(&folder, name, AtFlags::empty())?;
                return shelf.sync_all().and_then(|()| folder.sync_all());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(invalid("there are too many files of this name already"))
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::Scratch;
    use super::*;

    /// Long after every file of these tests was written.
    const LATER: i64 = i64::MAX;

    fn folder() -> (Scratch, Folder) {
        let scratch = Scratch::new();
        for part in ["out", "in"] {
            fs::create_dir(scratch.path().join(part)).unwrap();
        }
        let folder = Folder::new(scratch.path().join("out"), scratch.path().join("in")).unwrap();
        (scratch, folder)
    }

    fn written(folder: &Folder, name: &str, content: &str) -> Outcome {
        let content = Bytes(content.as_bytes().to_vec());
        folder.perform_now(&Step::WriteFile { name: name.into(), content }, LATER)
    }

    #[test]
    fn a_file_appears_whole_once_and_is_not_replaced() {
        let (_scratch, folder) = folder();
        assert_eq!(written(&folder, "referral-1.csv", "a,b\n"), Outcome::Done);
        assert_eq!(written(&folder, "referral-1.csv", "a,b\n"), Outcome::Done);
        let other = written(&folder, "referral-1.csv", "c,d\n");
        assert!(matches!(other, Outcome::Failure { kind: FailureKind::Forbidden, .. }), "{other:?}");
        assert_eq!(fs::read(folder.outgoing.join("referral-1.csv")).unwrap(), b"a,b\n");
        // A write that was broken off leaves nothing in the way.
        fs::write(folder.outgoing.join(".referral-2.csv.part"), "half").unwrap();
        assert_eq!(written(&folder, "referral-2.csv", "whole"), Outcome::Done);
        assert_eq!(fs::read_dir(&folder.outgoing).unwrap().count(), 2);
    }

    #[test]
    fn files_are_read_and_put_away() {
        let (_scratch, folder) = folder();
        fs::write(folder.incoming.join("ack-1.csv"), "x").unwrap();
        fs::write(folder.incoming.join(".half.csv"), "x").unwrap();
        fs::create_dir(folder.incoming.join("sub")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.incoming.join("link.csv")).unwrap();
        assert_eq!(folder.perform_now(&Step::ListFiles, LATER), Outcome::Files(vec!["ack-1.csv".into()]));
        let read = |name: &str| folder.perform_now(&Step::ReadFile { name: name.into() }, LATER);
        assert_eq!(read("ack-1.csv"), Outcome::File(Bytes(b"x".to_vec())));
        for wrong in ["link.csv", "sub", "nowhere.csv", "../out", "a/b", ".half.csv", ""] {
            assert!(matches!(read(wrong), Outcome::Failure { .. }), "{wrong}");
        }
        for _ in 0..2 {
            fs::write(folder.incoming.join("ack-1.csv"), "x").unwrap();
            let step = Step::MoveFile { name: "ack-1.csv".into(), to: Shelf::Archive };
            assert_eq!(folder.perform_now(&step, LATER), Outcome::Done);
        }
        assert_eq!(folder.perform_now(&Step::ListFiles, LATER), Outcome::Files(vec![]));
        assert_eq!(fs::read_dir(folder.incoming.join("archive")).unwrap().count(), 2);
    }

    #[test]
    fn a_shelf_that_is_a_link_leads_nowhere() {
        let (scratch, folder) = folder();
        let elsewhere = scratch.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.incoming.join("archive")).unwrap();
        fs::write(folder.incoming.join("ack-1.csv"), "x").unwrap();
        let step = Step::MoveFile { name: "ack-1.csv".into(), to: Shelf::Archive };
        let refused = folder.perform_now(&step, LATER);
        assert!(matches!(refused, Outcome::Failure { kind: FailureKind::Forbidden, .. }), "{refused:?}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert!(folder.incoming.join("ack-1.csv").is_file());
        let quarantined = Step::MoveFile { name: "ack-1.csv".into(), to: Shelf::Quarantine };
        assert_eq!(folder.perform_now(&quarantined, LATER), Outcome::Done);
    }

    #[test]
    fn a_folder_that_is_away_full_or_closed_is_tried_again() {
        for wrong in [Errno::NOSPC, Errno::DQUOT, Errno::ACCESS, Errno::ROFS, Errno::NOENT, Errno::STALE] {
            let outcome = not_done(&wrong.into());
            assert!(matches!(outcome, Outcome::Failure { kind: FailureKind::NotDone, .. }), "{outcome:?}");
        }
        let (_scratch, folder) = folder();
        fs::remove_dir(&folder.outgoing).unwrap();
        let away = written(&folder, "referral-1.csv", "a,b\n");
        assert!(matches!(away, Outcome::Failure { kind: FailureKind::NotDone, .. }), "{away:?}");
        fs::create_dir(&folder.outgoing).unwrap();
        assert_eq!(written(&folder, "referral-1.csv", "a,b\n"), Outcome::Done);
    }

    #[tokio::test]
    async fn what_is_still_being_written_is_left_to_the_next_list() {
        let (_scratch, folder) = folder();
        let path = folder.incoming.join("ack-1.csv");
        fs::write(&path, "half").unwrap();
        let changed = files(&folder.incoming).unwrap().pop().unwrap().changed_at;
        let listed = |now: i64| folder.perform_now(&Step::ListFiles, now);
        let there = Outcome::Files(vec!["ack-1.csv".into()]);
        let quiet = i64::try_from(QUIET_MICROS).unwrap();
        assert_eq!(listed(changed), Outcome::Files(vec![]));
        assert_eq!(listed(changed + quiet - 1), Outcome::Files(vec![]));
        assert_eq!(listed(changed + quiet), there);
        assert_eq!(listed(changed - 60_000_000), there, "another machine's clock may be ahead");
        // Who asks a moment after it was left gets it.
        let asked_at = Instant::from_micros(changed + 1).unwrap();
        assert_eq!(folder.perform(&Step::ListFiles, asked_at).await, there);
    }
}
