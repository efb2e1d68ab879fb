//! Opening a plugin's files so that nobody but root and the service's user could have put them there or can change them
//! while they are read: no symbolic link within a plugin's folder, owner and mode checked on the open descriptor, and
//! everything read once from that one descriptor.
//!
//! The way *to* the folder of plugins may hold links: the operator named it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::elf::Refusal;
use crate::error::LoadCause;

/// Whether owner and mode matter: they do when loading, and not to an author who looks at a folder of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Of root or the service's user, and not writable by others.
    Strict,
    /// Of the service's user's build, in cargo's target folder: not writable by everybody; by a group, as many a umask
    /// has it.
    Build,
    /// Whatever they are.
    Any,
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
    rights: Rights,
}

/// Permission bits of a mode: writable by the group, by everybody; deletion restricted to owners.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

impl Folder {
    /// Opens a folder that the operator named, through links where there are any.
    pub(crate) fn open(path: &Path, rights: Rights) -> Result<Self, Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| {
            unreadable(&format!("the folder `{}`", path.display()), errno, "correct the path")
        })?;
        Self::checked(descriptor, path.to_owned(), rights)
    }

    /// Opens a plugin's folder by its path: the last component may not be a link.
    pub(crate) fn open_plugin(path: &Path, rights: Rights) -> Result<Self, Refusal> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Self::open(path, rights);
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Self::open(parent, rights)?.folder(name)?.ok_or_else(|| {
            let reason = format!("the folder `{}` is not there", path.display());
            Refusal::new(LoadCause::Missing, reason, "correct the path")
        })
    }

    /// Opens a folder within this one; `None`: there is nothing of this name, or it is no folder.
    pub(crate) fn folder(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, Refusal> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => Self::checked(descriptor, self.path.join(name), self.rights).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) if self.is_link(name) => Err(link(&self.path.join(name), errno)),
            Err(Errno::NOTDIR) => Ok(None),
            Err(errno) => {
                let what = format!("the folder `{}`", self.path.join(name).display());
                Err(unreadable(&what, errno, "check that the service may read it"))
            }
        }
    }

    /// Its path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it that are UTF-8, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, Refusal> {
        let entries = rustix::fs::Dir::read_from(&self.descriptor)
            .and_then(Iterator::collect::<Result<Vec<_>, Errno>>)
            .map_err(|errno| {
                let what = format!("the folder `{}`", self.path.display());
                unreadable(&what, errno, "check that the service may read it")
            })?;
        let mut names: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.file_name().to_str().ok())
            .filter(|name| !matches!(*name, "." | ".."))
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Reads a file, by its name or by `<folder>/<name>`; `None`: there is nothing of this name.
    pub(crate) fn read(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        if let Some((folder, name)) = path.split_once('/') {
            return match self.folder(folder)? {
                Some(folder) => folder.read(name, bytes_max),
                None => Ok(None),
            };
        }
        let full = self.path.join(path);
        match rustix::fs::openat(&self.descriptor, path, FILE_FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(descriptor) => content(descriptor, &full, bytes_max, self.rights).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) if self.is_link(OsStr::new(path)) => Err(link(&full, errno)),
            Err(errno) => Err(unreadable(&format!("`{path}`"), errno, "check that the service may read it")),
        }
    }

    fn checked(descriptor: OwnedFd, path: PathBuf, rights: Rights) -> Result<Self, Refusal> {
        let stat = stat(&descriptor, &path)?;
        // In a sticky folder everybody may add names, but nobody can exchange what belongs to another.
        let allowed = if stat.st_mode & STICKY == 0 { 0 } else { GROUP_WRITES | OTHERS_WRITE };
        safe(&stat, &path, rights, allowed)?;
        Ok(Self { descriptor, path, rights })
    }

    /// For the message only; what counts is that opening did not follow it.
    fn is_link(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }
}

/// Not blocked by a pipe, and no terminal becomes the service's.
const FILE_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Reads a file that the operator named, through links where there are any.
pub(crate) fn read_path(path: &Path, bytes_max: u64, rights: Rights) -> Result<Vec<u8>, Refusal> {
    let descriptor = rustix::fs::openat(CWD, path, FILE_FLAGS, Mode::empty())
        .map_err(|errno| unreadable("the file", errno, "check that it exists and may be read"))?;
    content(descriptor, path, bytes_max, rights)
}

fn content(descriptor: OwnedFd, path: &Path, bytes_max: u64, rights: Rights) -> Result<Vec<u8>, Refusal> {
    let stat = stat(&descriptor, path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let reason = format!("`{}` is not a regular file", path.display());
        return Err(Refusal::new(LoadCause::Unsafe, reason, "install the file itself"));
    }
    safe(&stat, path, rights, 0)?;
    let mut bytes = Vec::new();
    File::from(descriptor).take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        unreadable(&format!("`{}`", path.display()), errno, "check the disk")
    })?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("`{}` has more than {bytes_max} bytes", path.display());
        return Err(Refusal::new(LoadCause::Unreadable, reason, "install the plugin's own files"));
    }
    Ok(bytes)
}

fn stat(descriptor: impl AsFd, path: &Path) -> Result<Stat, Refusal> {
    rustix::fs::fstat(descriptor)
        .map_err(|errno| unreadable(&format!("`{}`", path.display()), errno, "check the disk"))
}

/// Whether nobody but root and this program's user can have changed it.
fn safe(stat: &Stat, path: &Path, rights: Rights, allowed: u32) -> Result<(), Refusal> {
    let refused = match rights {
        Rights::Strict => GROUP_WRITES | OTHERS_WRITE,
        Rights::Build => OTHERS_WRITE,
        Rights::Any => return Ok(()),
    };
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != user {
        let reason = format!(
            "`{}` belongs to the user {}, neither to root nor to the service's user {user}",
            path.display(),
            stat.st_uid
        );
        return Err(Refusal::new(LoadCause::Unsafe, reason, "give it to root: `chown root`"));
    }
    if stat.st_mode & refused & !allowed != 0 {
        let who = if stat.st_mode & OTHERS_WRITE != 0 { "everybody" } else { "its group" };
        let reason =
            format!("`{}` may be changed by {who} (mode {:04o})", path.display(), stat.st_mode & 0o7777);
        return Err(Refusal::new(LoadCause::Unsafe, reason, "take that right away: `chmod go-w`"));
    }
    Ok(())
}

fn link(path: &Path, errno: Errno) -> Refusal {
    let reason = format!("`{}` is a symbolic link, which is not followed ({errno})", path.display());
    Refusal::new(LoadCause::Unsafe, reason, "install the files themselves, not links to them")
}

fn unreadable(what: &str, errno: Errno, help: &str) -> Refusal {
    let error = io::Error::from(errno);
    let cause = match error.kind() {
        io::ErrorKind::NotFound => LoadCause::Missing,
        _ => LoadCause::Unreadable,
    };
    Refusal::new(cause, format!("{what} cannot be read: {error}"), help)
}
