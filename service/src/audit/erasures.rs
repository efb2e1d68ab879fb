//! The ledger of erasures outside the database: a line for everybody who was erased, so that who puts an older database back
//! erases them again.
//!
//! ```text
//! {"site":"xingfuli","resident":"0198…","time":1790000000000000,"cause":"request","by":"wang"}
//! ```
//!
//! `time` is the system clock in microseconds since 1970. A line may be there twice. It holds no personal value: the id leads to
//! nothing once the person is erased.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use linli_core::id::{ResidentId, SiteId, StaffId};
use linli_core::retention::ErasureCause;
use linli_core::time::Instant;
use serde_json::Value;

use super::AuditError;

/// Somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// When (system clock).
    pub at: Instant,
    /// Why.
    pub cause: ErasureCause,
    /// Who decided.
    pub by: StaffId,
}

impl Erased {
    fn line(&self) -> String {
        let Self { site, resident, at, cause, by } = self;
        let (time, cause) = (at.micros(), cause.code());
        format!(
            "{{\"site\":\"{site}\",\"resident\":\"{resident}\",\"time\":{time},\"cause\":\"{cause}\",\"by\":\"{by}\"}}\n"
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(Self {
            site: SiteId::new(value.get("site")?.as_str()?).ok()?,
            resident: ResidentId::new(value.get("resident")?.as_str()?).ok()?,
            at: Instant::from_micros(value.get("time")?.as_i64()?).ok()?,
            cause: ErasureCause::from_code(value.get("cause")?.as_str()?).ok()?,
            by: StaffId::new(value.get("by")?.as_str()?).ok()?,
        })
    }
}

/// The ledger's file, to be appended to.
#[derive(Debug)]
pub struct ErasureFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl ErasureFile {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// [`AuditError::File`].
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(|err| AuditError::file(path, err))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Adds somebody; durable when it returns.
    ///
    /// # Errors
    /// [`AuditError::File`].
    pub fn append(&self, erased: &Erased) -> Result<(), AuditError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(erased.line().as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|err| AuditError::file(&self.path, err))
    }
}

/// Everybody in a ledger; nobody where there is no such file.
///
/// # Errors
/// [`AuditError::File`] where it cannot be read, or holds a line that is none: the last one apart, which a crash may have cut
/// before anything was erased for it.
pub fn read(path: &Path) -> Result<Vec<Erased>, AuditError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(AuditError::file(path, err)),
    };
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let lines = whole.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| {
            Erased::parse(line)
                .ok_or_else(|| AuditError::file(path, format!("line {} is not one of its own", at + 1)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_added_is_read_and_a_cut_line_is_nobody() {
        let path = std::env::temp_dir().join(format!("linli-erasures-{}", std::process::id()));
        assert_eq!(read(&path).unwrap(), []);
        let erased = |id: &str| Erased {
            site: SiteId::new("a").unwrap(),
            resident: ResidentId::new(id).unwrap(),
            at: Instant::from_micros(1_790_000_000_000_000).unwrap(),
            cause: ErasureCause::Request,
            by: StaffId::new("wang").unwrap(),
        };
        ErasureFile::open(&path).unwrap().append(&erased("r1")).unwrap();
        ErasureFile::open(&path).unwrap().append(&erased("r2")).unwrap();
        assert_eq!(read(&path).unwrap(), [erased("r1"), erased("r2")]);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"site\":\"a\",\"resi")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
        std::fs::write(&path, format!("nonsense\n{text}")).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
        std::fs::remove_file(&path).unwrap();
    }
}
