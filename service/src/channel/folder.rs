//! Exchange folders for connectors: one where the body finds files, one where it leaves them.
//!
//! Files appear whole or not at all, are never replaced, and are never followed out of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use linli_plugin_host::exchange::{Bytes, FailureKind, Outcome, Shelf, Step};

use super::{failure, forbidden};

/// Largest file, as the connector interface takes it.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files that are listed at most; the others wait until these have gone.
const FILES_MAX: usize = 1_000;
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

    /// Performs a step on files.
    pub(super) async fn perform(&self, step: &Step) -> Outcome {
        let (folder, step) = (self.clone(), step.clone());
        let performed = tokio::task::spawn_blocking(move || folder.perform_now(&step)).await;
        performed.unwrap_or_else(|_| failure(FailureKind::Unknown, "the file system did not answer"))
    }

    fn perform_now(&self, step: &Step) -> Outcome {
        let done = match step {
            Step::WriteFile { name, content } => {
                self.named(name, |name| write(&self.outgoing, name, &content.0).map(|()| Outcome::Done))
            }
            Step::ReadFile { name } => {
                self.named(name, |name| read(&self.incoming.join(name)).map(Outcome::File))
            }
            Step::ListFiles => list(&self.incoming).map(Outcome::Files),
            Step::MoveFile { name, to } => {
                self.named(name, |name| shelve(&self.incoming, name, *to).map(|()| Outcome::Done))
            }
            Step::Http(_) | Step::Mail(_) | Step::Sleep(_) | Step::End(_) => Ok(Outcome::Done),
        };
        done.unwrap_or_else(|error| match error.kind() {
            ErrorKind::InvalidInput => forbidden(error.to_string()),
            ErrorKind::AlreadyExists => forbidden("a file of this name and other content is there already"),
            kind => failure(FailureKind::NotDone, format!("the exchange folder: {kind}")),
        })
    }

    fn named(&self, name: &str, then: impl FnOnce(&str) -> io::Result<Outcome>) -> io::Result<Outcome> {
        let sign = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let fits =
            (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(sign);
        if fits { then(name) } else { Err(invalid("the name of a file is not permitted")) }
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
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits();
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

/// The names of the files, sorted; nothing that is hidden, being written, a link or a folder.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type()?.is_file() && !name.starts_with('.') && name.len() <= NAME_BYTES_MAX {
            names.push(name);
        }
    }
    names.sort();
    names.truncate(FILES_MAX);
    Ok(names)
}

/// Moves a file away; of two of the same name both stay.
fn shelve(folder: &Path, name: &str, to: Shelf) -> io::Result<()> {
    let shelf = folder.join(match to {
        Shelf::Archive => "archive",
        Shelf::Quarantine => "quarantine",
    });
    fs::create_dir_all(&shelf)?;
    let from = folder.join(name);
    for number in 0..SAME_NAME_MAX {
        let named = if number == 0 { name.to_owned() } else { format!("{number}-{name}") };
        match fs::hard_link(&from, shelf.join(named)) {
            Ok(()) => {
                fs::remove_file(&from)?;
                return File::open(&shelf)?.sync_all().and_then(|()| File::open(folder)?.sync_all());
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(invalid("there are too many files of this name already"))
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::Scratch;
    use super::*;

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
        folder.perform_now(&Step::WriteFile { name: name.into(), content })
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
        assert_eq!(folder.perform_now(&Step::ListFiles), Outcome::Files(vec!["ack-1.csv".into()]));
        let read = |name: &str| folder.perform_now(&Step::ReadFile { name: name.into() });
        assert_eq!(read("ack-1.csv"), Outcome::File(Bytes(b"x".to_vec())));
        for wrong in ["link.csv", "sub", "nowhere.csv", "../out", "a/b", ".half.csv", ""] {
            assert!(matches!(read(wrong), Outcome::Failure { .. }), "{wrong}");
        }
        for _ in 0..2 {
            fs::write(folder.incoming.join("ack-1.csv"), "x").unwrap();
            let step = Step::MoveFile { name: "ack-1.csv".into(), to: Shelf::Archive };
            assert_eq!(folder.perform_now(&step), Outcome::Done);
        }
        assert_eq!(folder.perform_now(&Step::ListFiles), Outcome::Files(vec![]));
        assert_eq!(fs::read_dir(folder.incoming.join("archive")).unwrap().count(), 2);
    }
}
