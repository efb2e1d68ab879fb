//! Which files have been read, between one run and the next.
//!
//! A run hands over what it read at its end only, and the host stores it with the cursor. If the run moved the files away before that, a
//! crash in between would lose them; so the cursor names them, and the **next** run moves them away, when it is certain that what they said
//! is stored. Until then they lie where they were: whoever loses a run reads them again, and answers that come twice are one. The cursor
//! holds a digest too: a file that was replaced, or had not been written to its end, is another one and is read, not put away.

use linli_plugin_sdk::connector::{Failure, FailureKind, Io, RunError, Shelf};
use sha2::{Digest as _, Sha256};

use crate::incoming::Reading;

/// Longest cursor, in bytes: as many files as it can name are read in one run.
const CURSOR_BYTES_MAX: usize = 1_024;
/// Longest name of a file that can be asked for, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// What one run brings at most, in bytes: the host takes 8 MiB, and a table that is packed may say much more.
const RUN_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Rows of a file that a message names.
const NAMED_ROWS_MAX: usize = 5;

/// A file that a run has read.
struct Seen {
    name: String,
    digest: String,
    understood: bool,
}

/// What lies in the folder under a name.
enum Found {
    Content(Vec<u8>),
    /// The host does not hand it out; why.
    Refused(String),
}

impl Found {
    async fn read(io: &Io, name: &str) -> Result<Self, Failure> {
        match io.read_file(name).await {
            Ok(content) => Ok(Self::Content(content)),
            Err(Failure { kind: FailureKind::Forbidden, detail }) => Ok(Self::Refused(detail)),
            Err(failure) => Err(failure),
        }
    }

    /// The first half of the SHA-256 of what it holds, enough to see a change.
    fn digest(&self) -> String {
        match self {
            Self::Content(content) => {
                Sha256::digest(content).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
            }
            Self::Refused(_) => "0".repeat(32),
        }
    }

    /// What it says, and how many bytes that is.
    fn understand<T, K: Tables<T>>(&self, name: &str, tables: &K) -> (Reading<T>, usize) {
        let refused = |why: String| (Reading { items: Vec::new(), wrong: vec![why] }, 0);
        let content = match self {
            Self::Content(content) => content,
            Self::Refused(why) => return refused(why.clone()),
        };
        let reading = tables.read(name, content);
        let bytes = reading.items.iter().map(|item| tables.bytes(item)).sum();
        if reading.items.len() > K::MOST || bytes > RUN_BYTES_MAX {
            return refused(format!("it has more than {} rows or {RUN_BYTES_MAX} bytes: split it", K::MOST));
        }
        (reading, bytes)
    }
}

/// A kind of tables.
pub(crate) trait Tables<T> {
    /// How the names of its files begin, in lower case.
    const PREFIX: &'static str;
    /// How many items one run brings at most.
    const MOST: usize;

    /// What a table says.
    fn read(&self, name: &str, content: &[u8]) -> Reading<T>;

    /// How large an item is for the host, about.
    fn bytes(&self, item: &T) -> usize;
}

/// Reads the new files of a kind, after those that the last run read have been put away. Answers what they say and the cursor for the
/// next run, which is empty if there was nothing new.
pub(crate) async fn take<T, K: Tables<T>>(
    io: &Io,
    tables: &K,
    cursor: &str,
) -> Result<(Vec<T>, String), RunError> {
    let listed = io.list_files().await?;
    let (names, unnameable): (Vec<String>, Vec<String>) =
        listed.into_iter().filter(|name| is_table(name, K::PREFIX)).partition(|name| is_nameable(name));
    let settled = settle(io, &names, cursor, tables).await?;
    let (mut items, mut size, mut next, mut unread) = (Vec::new(), 0, String::new(), None);
    for name in names.into_iter().filter(|name| !settled.contains(name)) {
        let found = match Found::read(io, &name).await {
            Ok(found) => found,
            // It went away, or is not to be read now: the next run sees.
            Err(failure) => {
                unread.get_or_insert(failure);
                continue;
            }
        };
        let (mut reading, bytes) = found.understand(&name, tables);
        let entry = entry(&Seen { digest: found.digest(), understood: reading.wrong.is_empty(), name });
        let fits = next.len() + entry.len() <= CURSOR_BYTES_MAX
            && items.len() + reading.items.len() <= K::MOST
            && size + bytes <= RUN_BYTES_MAX;
        // One file always fits.
        if !fits {
            break;
        }
        size += bytes;
        items.append(&mut reading.items);
        next.push_str(&entry);
    }
    if next.is_empty() {
        if let Some(failure) = unread {
            return Err(failure.into());
        }
        if !unnameable.is_empty() {
            return Err(RunError::never(format!(
                "{} files cannot be read because of their names: only letters and digits of ASCII, `.`, `_` and `-`, at most \
                 {NAME_BYTES_MAX} bytes; rename them",
                unnameable.len()
            )));
        }
    }
    Ok((items, next))
}

/// Puts away what the last run read and nobody has changed since; answers the names. If some of it was not understood, that goes to
/// quarantine and the run ends with what is wrong; the rest is put away by the next one.
async fn settle<T>(
    io: &Io,
    names: &[String],
    cursor: &str,
    tables: &impl Tables<T>,
) -> Result<Vec<String>, RunError> {
    let mut understood = Vec::new();
    let mut wrong = Vec::new();
    for seen in seen(cursor).into_iter().filter(|seen| names.contains(&seen.name)) {
        let Ok(found) = Found::read(io, &seen.name).await else { continue };
        if found.digest() != seen.digest {
            continue;
        }
        if seen.understood {
            understood.push(seen.name);
        } else {
            io.move_file(seen.name.as_str(), Shelf::Quarantine).await?;
            wrong.push(said(&seen.name, &found.understand(&seen.name, tables).0.wrong));
        }
    }
    if !wrong.is_empty() {
        return Err(RunError::never(format!("in quarantine now: {}", wrong.join("; "))));
    }
    for name in &understood {
        io.move_file(name.as_str(), Shelf::Archive).await?;
    }
    Ok(understood)
}

/// What is wrong with a file, with as many rows as a message has room for.
fn said(name: &str, wrong: &[String]) -> String {
    let mut text = format!("`{name}`: ");
    let named: Vec<&str> = wrong.iter().take(NAMED_ROWS_MAX).map(String::as_str).collect();
    text.push_str(&named.join("; "));
    if wrong.len() > NAMED_ROWS_MAX {
        text.push_str(&format!("; and {} rows more", wrong.len() - NAMED_ROWS_MAX));
    }
    text
}

/// Whether a file is one of these: `ack-….csv`, `ack-….xlsx`, or `.xls`, which is told to be of no use.
fn is_table(name: &str, prefix: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(prefix) && [".csv", ".xlsx", ".xls"].iter().any(|ending| name.ends_with(ending))
}

fn is_nameable(name: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= NAME_BYTES_MAX && name.bytes().all(sign)
}

/// A file in a cursor: `name:digest`, and `!` if it was not understood.
fn entry(seen: &Seen) -> String {
    format!("{}:{}{} ", seen.name, seen.digest, if seen.understood { "" } else { "!" })
}

fn seen(cursor: &str) -> Vec<Seen> {
    let one = |entry: &str| {
        let (name, digest) = entry.split_once(':')?;
        let understood = !digest.ends_with('!');
        let digest = digest.trim_end_matches('!').to_owned();
        Some(Seen { name: name.to_owned(), digest, understood })
    };
    cursor.split(' ').filter_map(one).collect()
}
