//! `linli export`: the care files of a site into a file that only its passphrase opens. A client like any other: what it
//! gets is audited page by page, with the purpose.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use linli_core::id::SiteId;
use linli_core::resident::FieldClass;
use linli_core::text::Language;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::connect::{Connect, refused};
use super::output::Lang;
use super::report::Kind;
use super::sealed_file::{self, COST};
use super::{Failure, say};
use crate::grpc::client::{Exported, TITLES, Wanted};
use crate::server::assemble::OsRandom;

/// Write the care files of a site into a sealed file, or open one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct Export {
    #[command(subcommand)]
    open: Option<Open>,
    #[command(flatten)]
    write: Write,
}

/// What to export, and where to.
#[derive(Debug, Args)]
struct Write {
    /// The site, `sites/xingfuli` or `xingfuli`.
    #[arg(long, value_name = "SITE", required = true)]
    site: Option<String>,
    /// The file to write; it must not exist. What is in it when it is opened says `--as`.
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    /// Why: one of the purposes and, if wanted, words, `FILE_MAINTENANCE; yearly list`. It is kept in the audit trail.
    #[arg(long, value_name = "PURPOSE", required = true)]
    purpose: Option<String>,
    /// The classes of fields to write in clear; names of other classes are masked.
    #[arg(long, value_name = "CLASSES", value_delimiter = ',', default_value = "contact,identity")]
    classes: Vec<String>,
    /// Only members of this care group, `living_alone`.
    #[arg(long, value_name = "GROUP", default_value = "")]
    group: String,
    /// What the file holds when it is opened: `xlsx` or `csv`.
    #[arg(long = "as", value_name = "KIND", default_value = "xlsx")]
    kind: String,
    /// A file that holds the passphrase, 12 characters at least; without it `LINLI_EXPORT_PASSPHRASE` is read.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write the file in clear. Who has it then has everything that is in it.
    #[arg(long, conflicts_with = "passphrase_file")]
    clear: bool,
    #[command(flatten)]
    connect: Connect,
    /// Language of titles and messages; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

#[derive(Debug, Subcommand)]
enum Open {
    /// Open a sealed file; no server is asked.
    Open(OpenFile),
}

#[derive(Debug, Args)]
struct OpenFile {
    /// The sealed file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write what is in it, in clear; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A file that holds the passphrase; without it `LINLI_EXPORT_PASSPHRASE` is read.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  linli export --site xingfuli --out list.xlsx.sealed --purpose 'FILE_MAINTENANCE; yearly list' --passphrase-file words
  linli export open list.xlsx.sealed --out list.xlsx --passphrase-file words

Classes: contact identity health family status care. Each must be yours to see; every file on every page is written to the
audit trail before it is sent. Send file and passphrase on different ways.";

impl Export {
    /// Exports, or opens.
    ///
    /// # Errors
    /// An option or a passphrase that is wrong, a server that refuses, a file that cannot be written.
    pub async fn run(self) -> Result<(), Failure> {
        match self.open {
            Some(Open::Open(open)) => open.run(),
            None => self.write.run().await,
        }
    }
}

impl Write {
    async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let (Some(site), Some(out), Some(purpose)) = (self.site, self.out, self.purpose) else {
            return Err(Failure::Usage("`--site`, `--out` and `--purpose` are needed".into()));
        };
        let site = SiteId::new(site.strip_prefix("sites/").unwrap_or(&site))
            .map_err(|why| Failure::Usage(format!("`--site` {}", why.message(language))))?;
        let kind = match self.kind.as_str() {
            "xlsx" => Kind::Workbook,
            "csv" => Kind::Text,
            _ => return Err(Failure::Usage("`--as` is `xlsx` or `csv`".into())),
        };
        let mut classes = Vec::new();
        for code in &self.classes {
            let class = FieldClass::from_code(code)
                .map_err(|_| Failure::Usage(format!("`{code}` is not a class of fields")))?;
            classes.push(class);
        }
        // Before anybody's file is read: a passphrase that will not do.
        let passphrase = if self.clear { None } else { Some(passphrase(self.passphrase_file.as_deref())?) };
        let group = match self.group.as_str() {
            "" => String::new(),
            group => format!("careGroups/{}", group.strip_prefix("careGroups/").unwrap_or(group)),
        };
        let client = self.connect.client(language).await?;
        let wanted = Wanted { site, classes, group, purpose };
        let mut files = Vec::new();
        client.export(&wanted, |file| files.push(file)).await.map_err(|err| refused(&err, language))?;
        let plain = Zeroizing::new(table(kind, &files, language).map_err(Failure::Failed)?);
        let bytes = match &passphrase {
            Some(passphrase) => sealed_file::seal(&plain, passphrase, COST, &OsRandom)
                .map(Zeroizing::new)
                .map_err(|err| Failure::Failed(err.to_string()))?,
            None => plain,
        };
        write_new(&out, &bytes)?;
        let count = files.len();
        match language {
            Language::Zh => say(format_args!("{count} 份档案已写入 `{}`", out.display())),
            Language::En => say(format_args!("{count} files written to `{}`", out.display())),
        }
        Ok(())
    }
}

impl OpenFile {
    fn run(self) -> Result<(), Failure> {
        let passphrase = passphrase(self.passphrase_file.as_deref())?;
        let sealed = std::fs::read(&self.file)
            .map_err(|err| Failure::Usage(format!("`{}` cannot be read: {err}", self.file.display())))?;
        let plain =
            sealed_file::open(&sealed, &passphrase).map_err(|err| Failure::Failed(err.to_string()))?;
        write_new(&self.out, &plain)?;
        say(format_args!("opened into `{}`", self.out.display()));
        Ok(())
    }
}

/// The files as a table: the columns of a roster, and one for every fact that somebody has.
fn table(kind: Kind, files: &[Exported], language: Language) -> Result<Vec<u8>, String> {
    let mut fields: Vec<&str> =
        files.iter().flat_map(|file| file.facts.iter().map(|(field, _)| field.as_str())).collect();
    fields.sort_unstable();
    fields.dedup();
    let title = |(zh, en): &(&str, &str)| match language {
        Language::Zh => (*zh).to_owned(),
        Language::En => (*en).to_owned(),
    };
    let number = match language {
        Language::Zh => "档案",
        Language::En => "file",
    };
    let titles: Vec<String> = TITLES
        .iter()
        .map(title)
        .chain(fields.iter().map(|field| (*field).to_owned()))
        .chain([number.to_owned()])
        .collect();
    let row = |file: &Exported| {
        let fact = |field: &&str| {
            let found = file.facts.iter().find(|(known, _)| known == field);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        file.columns
            .iter()
            .cloned()
            .chain(fields.iter().map(fact))
            .chain([file.name.clone()])
            .collect::<Vec<String>>()
    };
    kind.table("linli", std::iter::once(titles).chain(files.iter().map(row)))
}

fn passphrase(file: Option<&Path>) -> Result<SecretString, Failure> {
    let text = match file {
        Some(path) => Zeroizing::new(
            std::fs::read_to_string(path)
                .map_err(|err| Failure::Usage(format!("`{}` cannot be read: {err}", path.display())))?,
        ),
        None => Zeroizing::new(std::env::var("LINLI_EXPORT_PASSPHRASE").map_err(|_| {
            Failure::Usage(
                "no passphrase: give `--passphrase-file`, or set the variable `LINLI_EXPORT_PASSPHRASE`"
                    .into(),
            )
        })?),
    };
    let passphrase = text.trim();
    if passphrase.chars().count() < sealed_file::PASSPHRASE_MIN {
        return Err(Failure::Usage(sealed_file::SealedFileError::Short.to_string()));
    }
    Ok(SecretString::from(passphrase.to_owned()))
}

/// Writes a file that did not exist, for its owner alone.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|err| Failure::Failed(format!("`{}` cannot be written: {err}", path.display())))
}
