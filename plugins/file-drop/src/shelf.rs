//! Which files have been read, between one run and the next.
//!
//! A run hands over what it read at its end only, and the host stores it with the cursor. If the run moved the files away before that, a
//! crash in between would lose them; so the cursor names them, and the **next** run moves them away, when it is certain that what they said
//! is stored. Until then they lie where they were: whoever loses a run reads them again, and answers that come twice are one. The cursor
//! holds a digest too: a file that was replaced, or had not been written to its end, is another one and is read, not put away. A table of
//! text that ends within a line is read only when it has lain unchanged from one run to the next: half of a last row may say another thing.

use linli_plugin_sdk::connector::{Failure, FailureKind, Io, RunError, Shelf};
use sha2::{Digest as _, Sha256};

use crate::incoming::{Reading, Wrong};
use crate::table;

/// Longest cursor, in bytes: as many files as it can name are read in one run.
const CURSOR_BYTES_MAX: usize = 1_024;
/// Longest name of a file that can be asked for, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// What one run brings at most, in bytes: the host takes 8 MiB, and a table that is packed may say much more.
const RUN_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Rows that a message names for one reason.
const NAMED_ROWS_MAX: usize = 5;

/// A file that a run has seen.
struct Seen {
    name: String,
    digest: String,
    how: How,
}

/// What a run made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// All of it was understood.
    Understood,
    /// Some of it was not.
    Wrong,
    /// It was not read: it may not have been written to its end.
    Unfinished,
}

impl How {
    /// What stands behind a digest in a cursor.
    const fn mark(self) -> &'static str {
        match self {
            Self::Understood => "",
            Self::Wrong => "!",
            Self::Unfinished => "?",
        }
    }
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

    fn is_whole(&self, name: &str) -> bool {
        match self {
            Self::Content(content) => table::is_whole(name, content),
            Self::Refused(_) => true,
        }
    }

    /// What it says, how many bytes that is, and how well it was understood.
    fn understand<T, K: Tables<T>>(&self, name: &str, tables: &K) -> (Reading<T>, usize, How) {
        let refused = |why: String| (Reading::nothing(why), 0, How::Wrong);
        let content = match self {
            Self::Content(content) => content,
            Self::Refused(why) => return refused(why.clone()),
        };
        let reading = tables.read(name, content);
        let bytes = reading.items.iter().map(|item| tables.bytes(item)).sum();
        if reading.items.len() > K::MOST || bytes > RUN_BYTES_MAX {
            return refused(format!("it has more than {} rows or {RUN_BYTES_MAX} bytes: split it", K::MOST));
        }
        let how = if reading.wrong.is_empty() { How::Understood } else { How::Wrong };
        (reading, bytes, how)
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
    let Settled { put_away, still } = settle(io, &names, cursor, tables).await?;
    let (mut items, mut size, mut next, mut unread) = (Vec::new(), 0, String::new(), None);
    for name in names.into_iter().filter(|name| !put_away.contains(name)) {
        let found = match Found::read(io, &name).await {
            Ok(found) => found,
            // It went away, or is not to be read now: the next run sees.
            Err(failure) => {
                unread.get_or_insert(failure);
                continue;
            }
        };
        let (mut reading, bytes, how) = match found.is_whole(&name) || still.contains(&name) {
            true => found.understand(&name, tables),
            false => (Reading::default(), 0, How::Unfinished),
        };
        let entry = entry(&Seen { digest: found.digest(), how, name });
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

/// What became of the files that the last run saw.
#[derive(Default)]
struct Settled {
    /// Their names.
    put_away: Vec<String>,
    /// Those that it left to be written to their end, and that nobody has changed since.
    still: Vec<String>,
}

/// Puts away what the last run read and nobody has changed since. If some of it was not understood, that goes to quarantine and the
/// run ends with what is wrong; the rest is put away by the next one.
async fn settle<T>(
    io: &Io,
    names: &[String],
    cursor: &str,
    tables: &impl Tables<T>,
) -> Result<Settled, RunError> {
    let mut settled = Settled::default();
    let mut wrong = Vec::new();
    for seen in seen(cursor).into_iter().filter(|seen| names.contains(&seen.name)) {
        let Ok(found) = Found::read(io, &seen.name).await else { continue };
        if found.digest() != seen.digest {
            continue;
        }
        match seen.how {
            How::Understood => settled.put_away.push(seen.name),
            How::Unfinished => settled.still.push(seen.name),
            How::Wrong => {
                io.move_file(seen.name.as_str(), Shelf::Quarantine).await?;
                wrong.push(said(&seen.name, &found.understand(&seen.name, tables).0.wrong));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(RunError::never(format!("in quarantine now: {}", wrong.join("; "))));
    }
    for name in &settled.put_away {
        io.move_file(name.as_str(), Shelf::Archive).await?;
    }
    Ok(settled)
}

/// What is wrong with a file: each reason once, with the first of its rows.
fn said(name: &str, wrong: &[Wrong]) -> String {
    let one = |Wrong { rows, why }: &Wrong| {
        let named: Vec<String> = rows.iter().take(NAMED_ROWS_MAX).map(usize::to_string).collect();
        let more = rows.len().saturating_sub(NAMED_ROWS_MAX);
        match rows.len() {
            0 => why.clone(),
            1 => format!("row {}: {why}", named.concat()),
            _ if more == 0 => format!("rows {}: {why}", named.join(", ")),
            _ => format!("rows {} and {more} more: {why}", named.join(", ")),
        }
    };
    format!("`{name}`: {}", wrong.iter().map(one).collect::<Vec<_>>().join("; "))
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

/// A file in a cursor: `name:digest`, `!` if it was not understood, `?` if it was not read.
fn entry(seen: &Seen) -> String {
    format!("{}:{}{} ", seen.name, seen.digest, seen.how.mark())
}

fn seen(cursor: &str) -> Vec<Seen> {
    let one = |entry: &str| {
        let (name, digest) = entry.split_once(':')?;
        let marked = [How::Wrong, How::Unfinished]
            .into_iter()
            .find_map(|how| Some((digest.strip_suffix(how.mark())?, how)));
        let (digest, how) = marked.unwrap_or((digest, How::Understood));
        Some(Seen { name: name.to_owned(), digest: digest.to_owned(), how })
    };
    cursor.split(' ').filter_map(one).collect()
}
