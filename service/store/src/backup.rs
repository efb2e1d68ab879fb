//! Backups of a SQLite store: database and key store as they were at one moment, in one encrypted file.
//!
//! ```text
//! "linli backup 1\n"
//! length (4 bytes, big-endian) ‖ the file's key, sealed by the root key
//! chunks: length (4 bytes) ‖ sealed; what is sealed is a byte, 1 for the last chunk, and at most 1 MiB of the stream
//! the stream: for `database` and `keys`, in this order: length (8 bytes) ‖ the file
//! ```
//!
//! A chunk is bound to all that stands before the first one and to its number: none can be changed, dropped, moved, or taken
//! from another backup, and a file that was cut off has no last chunk.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::backend::sqlite;
use crate::crypto::cell::{self, Place};
use crate::crypto::{Chacha, CryptoProvider, Key, NoRandomness, Random, RootKey};
use crate::error::Fault;
use crate::store::Store;

const MAGIC: &[u8] = b"linli backup 1\n";
/// What a chunk holds of the stream at most.
const CHUNK: usize = 1 << 20;
/// More than a sealed chunk, or the sealed key, has.
const SEALED_MAX: usize = CHUNK + 1024;
const KEY_PLACE: Place<'static> = Place { site: "", table: "backup", row: &[], column: "key", version: 1 };

/// Why a backup was not made, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store is not on SQLite.
    #[error("the data lie on PostgreSQL, which has backups of its own")]
    Elsewhere,
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no backup, or not all of it, or not as it was made.
    #[error("it is damaged, cut off, or no backup of this program")]
    Damaged,
    /// The root key is not the one that it was made with.
    #[error("the root key does not open it")]
    WrongRootKey,
    /// The operating system gave no randomness.
    #[error("no randomness")]
    NoRandomness,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Fault),
}

impl BackupError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl Store {
    /// Makes a backup in a new file while everything is read and written. Keys are made before what they seal, and are copied
    /// after it: every value in the copy has its key, but for those of people who were erased meanwhile.
    ///
    /// # Errors
    /// [`BackupError`]; then no file is left.
    pub async fn backup(&self, path: &Path) -> Result<Backup, BackupError> {
        if self.shared() {
            return Err(BackupError::Elsewhere);
        }
        let beside = |suffix: &str| Copy(sqlite::beside(path, suffix));
        let (database, keys, part) = (beside(".database"), beside(".keys"), beside(".part"));
        copy(&sqlite::to_copy(self.reader()).await?, &database).await?;
        copy(self.keys_connection().0, &keys).await?;
        let (store, target) = (self.clone(), path.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let written = write(&store, &part.0, [&database, &keys])?;
            std::fs::rename(&part.0, &target).map_err(|source| BackupError::file(&target, source))?;
            Ok(Backup { path: target, ..written })
        });
        written.await.unwrap_or(Err(BackupError::Database(Fault::Internal)))
    }
}

/// The ends of the names of files that are there while a backup is made: copies in clear, and what is written of it.
pub const UNFINISHED: [&str; 3] = [".database", ".keys", ".part"];

/// A file that is removed with this value.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Copies a database as it is at one moment. Who writes is not kept waiting.
async fn copy(connection: &DatabaseConnection, to: &Copy) -> Result<(), BackupError> {
    drop(std::fs::remove_file(&to.0)); // what a crash left
    let path = Value::String(Some(to.0.display().to_string()));
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), "VACUUM INTO ?", [path]);
    connection.execute_raw(statement).await.map(drop).map_err(|err: DbErr| Fault::of(&err).into())
}

fn write(store: &Store, path: &Path, files: [&Copy; 2]) -> Result<Backup, BackupError> {
    let wrong = |source| BackupError::file(path, source);
    let (provider, random) = (store.keys().provider(), store.keys().random());
    let key = Key::draw(random).map_err(|NoRandomness| BackupError::NoRandomness)?;
    let sealed = store.keys().seal_by_root(&KEY_PLACE, key.bytes()).map_err(|_| BackupError::NoRandomness)?;
    let head = head(&sealed);
    let file = File::options().write(true).create_new(true).open(path).map_err(wrong)?;
    let mut out = Hashing { file: BufWriter::new(file), hash: Sha256::new(), length: 0 };
    out.write_all(&head).map_err(wrong)?;
    let mut chunks = Chunks {
        out,
        provider,
        random,
        key,
        bound: Sha256::digest(&head).into(),
        number: 0,
        held: Zeroizing::new(vec![0]),
    };
    for copy in files {
        let wrong = |source| BackupError::file(&copy.0, source);
        let mut from = File::open(&copy.0).map_err(wrong)?;
        let length = from.metadata().map_err(wrong)?.len();
        chunks.write_all(&length.to_be_bytes()).map_err(wrong)?;
        io::copy(&mut from, &mut chunks).map_err(wrong)?;
    }
    let Hashing { file, hash, length } = chunks.finish().map_err(wrong)?;
    let file = file.into_inner().map_err(|err| wrong(err.into_error()))?;
    file.sync_all().map_err(wrong)?;
    Ok(Backup { path: path.to_owned(), length, sha256: hash.finalize().into() })
}

fn head(sealed_key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(sealed_key.len()).unwrap_or(u32::MAX).to_be_bytes();
    [MAGIC, &length, sealed_key].concat()
}

/// What binds a chunk to its place.
fn associated(bound: &[u8; 32], number: u64) -> Vec<u8> {
    [&bound[..], &number.to_be_bytes()].concat()
}

/// A file whose digest is known when it is written.
struct Hashing<W> {
    file: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Seals a stream chunk by chunk.
struct Chunks<'a, W> {
    out: W,
    provider: &'a dyn CryptoProvider,
    random: &'a dyn Random,
    key: Key,
    bound: [u8; 32],
    number: u64,
    /// The byte that tells the last chunk, and what waits for a whole one.
    held: Zeroizing<Vec<u8>>,
}

impl<W: Write> Chunks<'_, W> {
    fn send(&mut self, last: bool) -> io::Result<()> {
        if let Some(first) = self.held.first_mut() {
            *first = u8::from(last);
        }
        let associated = associated(&self.bound, self.number);
        let sealed = self.provider.seal(&self.key, self.random, &associated, &self.held);
        let sealed = sealed.map_err(|err| io::Error::other(err.to_string()))?;
        self.out.write_all(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.number += 1;
        self.held.truncate(1);
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.send(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Chunks<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.held.len() > CHUNK {
            self.send(false)?;
        }
        let room = (CHUNK + 1 - self.held.len()).min(bytes.len());
        self.held.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a chunk is sent when it is whole
    }
}

/// Unpacks a backup into a database at `path`, with its keys beside it; neither may be there. Nothing of it is trusted before
/// its last chunk was opened: where it fails, nothing is left. Returns the SHA-256 of the backup.
///
/// # Errors
/// [`BackupError`].
pub fn unpack(backup: &Path, root: &RootKey, path: &Path) -> Result<[u8; 32], BackupError> {
    let targets = [path.to_owned(), sqlite::beside(path, ".keys")];
    let mut made = Vec::new();
    let unpacked = unpack_into(backup, root, &targets, &mut made);
    if unpacked.is_err() {
        for path in made {
            drop(std::fs::remove_file(path));
        }
    }
    unpacked.and_then(|()| digest(backup))
}

fn digest(path: &Path) -> Result<[u8; 32], BackupError> {
    let wrong = |source| BackupError::file(path, source);
    let mut file = File::open(path).map_err(wrong)?;
    let (mut hash, mut bytes) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut bytes).map_err(wrong)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(bytes.get(..read).unwrap_or_default()),
        }
    }
}

fn unpack_into(
    backup: &Path,
    root: &RootKey,
    targets: &[PathBuf; 2],
    made: &mut Vec<PathBuf>,
) -> Result<(), BackupError> {
    let file = File::open(backup).map_err(|source| BackupError::file(backup, source))?;
    let mut from = BufReader::new(file);
    let mut magic = vec![0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(|_| BackupError::Damaged)?;
    let sealed = block(&mut from)?.filter(|_| magic == MAGIC).ok_or(BackupError::Damaged)?;
    let provider = Chacha;
    let key =
        cell::open(&provider, root.key(), &KEY_PLACE, &sealed).map_err(|_| BackupError::WrongRootKey)?;
    let key = key.as_slice().try_into().map(Key::new).map_err(|_| BackupError::Damaged)?;
    let bound = Sha256::digest(head(&sealed)).into();
    let mut opened =
        Opened { from, provider, key, bound, number: 0, held: Zeroizing::default(), at: 0, last: false };
    for target in targets {
        let wrong = |source| BackupError::file(target, source);
        let mut length = [0; 8];
        opened.read_exact(&mut length).map_err(|_| BackupError::Damaged)?;
        let length = u64::from_be_bytes(length);
        let mut file = File::options().write(true).create_new(true).open(target).map_err(wrong)?;
        made.push(target.clone());
        let copied = io::copy(&mut (&mut opened).take(length), &mut file).map_err(|source| {
            if source.kind() == io::ErrorKind::InvalidData { BackupError::Damaged } else { wrong(source) }
        })?;
        if copied != length {
            return Err(BackupError::Damaged);
        }
        file.sync_all().map_err(wrong)?;
    }
    // The end is the last chunk's, and nothing follows it.
    let mut more = [0];
    match opened.read(&mut more) {
        Ok(0) if opened.last && block(&mut opened.from)?.is_none() => Ok(()),
        Ok(_) | Err(_) => Err(BackupError::Damaged),
    }
}

/// A length and as many bytes; `None` at the end.
fn block(from: &mut impl Read) -> Result<Option<Vec<u8>>, BackupError> {
    let mut length = [0; 4];
    match from.read(&mut length).map_err(|_| BackupError::Damaged)? {
        0 => return Ok(None),
        read => {
            let rest = length.get_mut(read..).unwrap_or_default();
            from.read_exact(rest).map_err(|_| BackupError::Damaged)?;
        }
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > SEALED_MAX {
        return Err(BackupError::Damaged);
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(|_| BackupError::Damaged)?;
    Ok(Some(bytes))
}

/// Opens a stream chunk by chunk.
struct Opened<R> {
    from: R,
    provider: Chacha,
    key: Key,
    bound: [u8; 32],
    number: u64,
    held: Zeroizing<Vec<u8>>,
    at: usize,
    last: bool,
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.held.len() {
            if self.last {
                return Ok(0);
            }
            let damaged = || io::Error::from(io::ErrorKind::InvalidData);
            let sealed = block(&mut self.from).map_err(|_| damaged())?.ok_or_else(damaged)?;
            let associated = associated(&self.bound, self.number);
            self.held = self.provider.open(&self.key, &associated, &sealed).map_err(|_| damaged())?;
            self.last = self.held.first() == Some(&1);
            self.number += 1;
            self.at = 1;
        }
        let held = self.held.get(self.at..).unwrap_or_default();
        let count = held.len().min(into.len());
        if let (Some(into), Some(held)) = (into.get_mut(..count), held.get(..count)) {
            into.copy_from_slice(held);
        }
        self.at += count;
        Ok(count)
    }
}
