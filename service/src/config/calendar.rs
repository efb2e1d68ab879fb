//! The yearly files of public holidays: read once, at start, and checked like everything else in the configuration.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use linli_core::calendar::PublicYear;
use linli_core::text::Language;

use super::layers::{Origin, Problem};

/// Largest file, in bytes: a year has 366 days, an entry a line.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Reads every `YEAR.txt` of a folder, ascending; files of other names are somebody else's. Returns the years and what
/// is wrong with them, by file and line.
///
/// # Errors
/// Why the folder cannot be read.
pub(super) fn years(folder: &Path) -> Result<(Vec<PublicYear>, Vec<Problem>), String> {
    let shown = folder.display();
    let entries = fs::read_dir(folder).map_err(|err| format!("`{shown}` cannot be read: {err}"))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(|err| format!("`{shown}` cannot be read: {err}"))?.file_name();
        let year = name.to_str().and_then(|name| name.strip_suffix(".txt")).and_then(four_digits);
        names.extend(year.map(|year| (year, name)));
    }
    let (mut years, mut problems) = (Vec::new(), Vec::new());
    for (named, name) in names {
        let path = folder.join(name);
        let at = |line| Origin::File { path: path.display().to_string(), line };
        match read(&path).map(|text| PublicYear::parse(&text)) {
            Ok(Ok(year)) if year.year() == named => years.push(year),
            Ok(Ok(year)) => problems.push(Problem {
                origin: at(1),
                message: format!("holds the year {}; its name says {named}", year.year()),
            }),
            Ok(Err(errors)) => problems.extend(errors.into_iter().map(|error| Problem {
                origin: at(error.line.max(1)),
                message: format!("the entry {}", error.why.message(Language::En)),
            })),
            Err(why) => problems.push(Problem { origin: at(1), message: why }),
        }
    }
    Ok((years, problems))
}

fn four_digits(text: &str) -> Option<i32> {
    (text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |err: std::io::Error| format!("cannot be read: {err}");
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_MAX_BYTES {
        return Err(format!("is larger than {FILE_MAX_BYTES} bytes"));
    }
    fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The years and the problems of a folder with these files.
    fn check(name: &str, files: &[(&str, &str)], expect: &[i32], wrong: &[&str]) {
        let folder = std::env::temp_dir().join(format!("linli-calendar-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        let (found, problems) = years(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.iter().map(PublicYear::year).collect::<Vec<_>>(), expect);
        let inside = format!("{}/", folder.display());
        let problems: Vec<String> = problems.iter().map(|p| p.to_string().replace(&inside, "")).collect();
        assert_eq!(problems, wrong);
    }

    #[test]
    fn years_are_read_in_order_and_every_problem_is_named() {
        let year = |year: i32| format!("year {year}\noff {year}-01-01\n");
        check("good", &[("2028.txt", &year(2028)), ("2027.txt", &year(2027))], &[2027, 2028], &[]);
        check("others", &[("README.txt", "x"), ("2027.bak", "x"), ("2027.txt", &year(2027))], &[2027], &[]);
        check(
            "bad",
            &[
                ("2026.txt", ""),
                ("2027.txt", "year 2027\nrest 2027-01-01\noff 2028-01-01\n"),
                ("2028.txt", &year(2029)),
                ("2030.txt", &year(2030)),
            ],
            &[2030],
            &[
                "2026.txt:1: the entry is required",
                "2027.txt:2: the entry is not a known value",
                "2027.txt:3: the entry does not lie in the year 2027",
                "2028.txt:1: holds the year 2029; its name says 2028",
            ],
        );
        let absent = years(Path::new("/nonexistent/calendar"));
        assert!(absent.is_err_and(|why| why.contains("cannot be read")));
    }
}
