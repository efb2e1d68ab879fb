//! `linli report`: what managers read of a month or a quarter, as a page or as a workbook. A client like any other.

use std::path::{Path, PathBuf};

use clap::Args;
use linli_core::compliance::ReportPeriod;
use linli_core::id::SiteId;
use linli_core::text::Language;

use super::connect::{Connect, refused};
use super::output::Lang;
use super::{Failure, say};

/// Write the report of a month or a quarter.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SiteReport {
    /// The site, `sites/xingfuli` or `xingfuli`.
    #[arg(long, value_name = "SITE")]
    site: String,
    /// A month or a quarter, `2026-03` or `2026-q1`.
    #[arg(long, value_name = "PERIOD")]
    period: String,
    /// The file to write; it is replaced. A name that ends in `.xlsx` makes a workbook, any other one a page.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write it in both languages: `report.html` becomes `report.zh.html` and `report.en.html`.
    #[arg(long)]
    both: bool,
    #[command(flatten)]
    connect: Connect,
    /// Language of the report and of messages; without it that of the environment.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

const EXAMPLES: &str = "\
Examples:
  linli report --site xingfuli --period 2026-03 --out march.html --lang zh
  linli report --site xingfuli --period 2026-q1 --out quarter.xlsx --both

The report names nobody and shows nothing about fewer than five people. The page needs no network and no other file.";

impl SiteReport {
    /// Asks the server and writes what it answers.
    ///
    /// # Errors
    /// An option that is wrong, a server that refuses, a file that cannot be written.
    pub async fn run(self) -> Result<(), Failure> {
        let language = Lang::or_of_environment(self.lang);
        let site = SiteId::new(self.site.strip_prefix("sites/").unwrap_or(&self.site))
            .map_err(|why| Failure::Usage(format!("`--site` {}", why.message(language))))?;
        let period = ReportPeriod::new(&self.period).map_err(|_| {
            Failure::Usage("`--period` is a month or a quarter, `2026-03` or `2026-q1`".into())
        })?;
        let is_workbook = self.out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"));
        let files = if self.both {
            vec![(Language::Zh, beside(&self.out, "zh")), (Language::En, beside(&self.out, "en"))]
        } else {
            vec![(language, self.out)]
        };
        let client = self.connect.client(language).await?;
        for (wanted, file) in files {
            let report = client.report(&site, period, is_workbook, wanted).await;
            let report = report.map_err(|err| refused(&err, language))?;
            std::fs::write(&file, report)
                .map_err(|err| Failure::Failed(format!("`{}` cannot be written: {err}", file.display())))?;
            say(file.display());
        }
        Ok(())
    }
}

/// `report.html` → `report.zh.html`.
fn beside(file: &Path, language: &str) -> PathBuf {
    match file.extension() {
        Some(ending) => file.with_extension(format!("{language}.{}", ending.to_string_lossy())),
        None => file.with_extension(language),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_files_of_their_own() {
        for (file, expect) in [
            ("a/report.html", "a/report.zh.html"),
            ("march.2026.xlsx", "march.2026.zh.xlsx"),
            ("report", "report.zh"),
        ] {
            assert_eq!(beside(Path::new(file), "zh"), Path::new(expect));
        }
    }
}
