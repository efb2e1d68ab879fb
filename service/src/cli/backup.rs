//! `linli backup`: has a server make a backup. A client like any other; the file lies on the server's machine.

use clap::Args;
use linli_core::text::Language;
use linli_core::time::Clock as _;

use super::connect::{Connect, refused};
use super::output::Lang;
use super::{Failure, say};
use crate::time::{IdSource as _, RandomIds, SystemClock};

/// Have a server make a backup of its database and keys while it serves.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Backup {
    #[command(flatten)]
    connect: Connect,
    /// Language of messages; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

const EXAMPLES: &str = "\
The file lies in `backup.folder` on the server's machine, encrypted under the root key. Copy it to another machine, together with
the anchors and the ledger of erasures, and keep the root key elsewhere: whoever has both has everything. The caller needs the
leader's role for every site. On PostgreSQL the server refuses: use pg_basebackup for the database and for that of the keys.

Exit code: 0 it was made, 1 the server refused or cannot be reached, 2 an option is wrong.";

impl Backup {
    /// Asks for the backup, and says where it is.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let client = self.connect.client(language).await?;
        let request_id = RandomIds::new().next(SystemClock.now());
        let made = client.backup(&request_id).await.map_err(|err| refused(&err, language))?;
        let (path, bytes, sha256) = (made.path, made.bytes, made.sha256);
        say(match language {
            Language::Zh => format!("已备份:`{path}`,{bytes} 字节,SHA-256 {sha256}"),
            Language::En => format!("made `{path}`: {bytes} bytes, SHA-256 {sha256}"),
        });
        Ok(())
    }
}
