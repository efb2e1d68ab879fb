//! What no file may say: work left undone, tests switched off, places that only one machine knows.

use super::Violation;
use super::scan::Source;
use super::tree::File;

/// Marks of work left undone.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNDONE: &str = "what is left undone is an issue, not a comment";

/// Tokens that switch a test off or turn it round, or stand for missing code.
const SWITCHED_OFF: &[(&[&str], &str)] = &[
    (&["#", "[", "ignore"], "a test that does not run is none"),
    (&["#", "[", "should_panic"], "a panic is no result: return the error and compare it"),
    (&["todo", "!"], UNDONE),
    (&["unimplemented", "!"], UNDONE),
];

/// Folders that exist on one machine only.
const FOLDERS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Hosts that a package manager knows by itself.
const HOSTS: &[&str] = &[
    concat!("py", "pi.org"),
    concat!("pythonhos", "ted.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("static.cr", "ates.io"),
    concat!("index.cr", "ates.io"),
    concat!("proxy.go", "lang.org"),
    concat!("deb.deb", "ian.org"),
    concat!("arti", "factory"),
    concat!("--index", "-url"),
    concat!("--regis", "try"),
];
const ANYWHERE: &str = "the repository is built anywhere: ordinary clients know their registries";

/// Each Rust file opens with a `//!` comment, each shell script with a comment under its `#!`.
pub(super) fn opening(files: &[File]) -> Vec<Violation> {
    const REASON: &str = "a file opens with what it is for and where it stands";
    let mut violations = Vec::new();
    for file in files {
        let opens = if file.path.ends_with(".rs") {
            file.text.starts_with("//! ")
        } else if file.path.ends_with(".sh") {
            file.text.lines().nth(1).is_some_and(|line| line.starts_with("# "))
        } else {
            true
        };
        if !opens {
            violations.push(Violation::new(&file.path, 1, "does not open with what it is for", REASON));
        }
    }
    violations
}

/// Marks in comments and texts; switched-off tests and missing code in sources.
pub(super) fn leftovers(files: &[File], sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut look = |path: &str, line: usize, text: &str| {
        for mark in MARKS {
            let is_mark = |(at, _): (usize, &str)| {
                let joined =
                    |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric() || next == '_');
                let before = text.get(..at).and_then(|before| before.chars().next_back());
                let after = text.get(at + mark.len()..).and_then(|after| after.chars().next());
                !joined(before) && !joined(after)
            };
            if text.match_indices(mark).any(is_mark) {
                violations.push(Violation::new(path, line, format!("`{mark}`"), UNDONE));
            }
        }
    };
    for source in sources {
        for (line, comment) in &source.comments {
            look(&source.path, *line, comment);
        }
    }
    for file in files.iter().filter(|file| !file.path.ends_with(".rs") && file.path != "Cargo.lock") {
        for (index, line) in file.text.lines().enumerate() {
            look(&file.path, index + 1, line);
        }
    }
    for source in sources {
        for index in 0..source.tokens.len() {
            for (words, reason) in SWITCHED_OFF {
                if source.is_at(index, words) {
                    let line = source.tokens[index].line;
                    violations.push(Violation::new(
                        &source.path,
                        line,
                        format!("`{}`", words.concat()),
                        reason,
                    ));
                }
            }
        }
    }
    violations
}

/// Folders of one machine and hosts of registries, in any file.
pub(super) fn places(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.path != "LICENSE") {
        for (index, line) in file.text.lines().enumerate() {
            for place in FOLDERS {
                // In the middle of a longer path it is another folder's name.
                let begins = line.match_indices(place).any(|(at, _)| {
                    let before = line.get(..at).and_then(|before| before.chars().next_back());
                    !before.is_some_and(|before| before.is_alphanumeric() || "._-}{*".contains(before))
                });
                if begins {
                    let what = format!("the machine's folder `{place}`");
                    violations.push(Violation::new(&file.path, index + 1, what, ANYWHERE));
                }
            }
            for host in HOSTS {
                if line.contains(host) {
                    let what = format!("the registry `{host}`");
                    violations.push(Violation::new(&file.path, index + 1, what, ANYWHERE));
                }
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn a_file_that_does_not_introduce_itself_is_found() {
        found(
            opening(&[
                File::new("a.rs", "//! What it is for.\n"),
                File::new("b.rs", "use std::fs;\n"),
                File::new("c.sh", "#!/usr/bin/env bash\nset -e\n"),
                File::new("d.sh", "#!/usr/bin/env bash\n# What it is for.\n"),
            ]),
            &["b.rs:1: does not open with what it is for", "c.sh:1: does not open with what it is for"],
        );
    }

    #[test]
    fn leftovers_are_found() {
        let text = format!("// {}: later\nlet a = \"{}\";\n", MARKS[0], MARKS[1]);
        let rust = Source::new("a.rs", &(text + "#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() }\n"));
        let readme = File::new("README.md", &format!("fine\n{} this\n{}S are words\n", MARKS[1], MARKS[0]));
        found(
            leftovers(&[readme], &[rust]),
            &[
                &format!("README.md:2: `{}`", MARKS[1]),
                &format!("a.rs:1: `{}`", MARKS[0]),
                "a.rs:4: `#[ignore`",
                "a.rs:5: `todo!`",
            ],
        );
    }

    #[test]
    fn machines_and_registries_are_found() {
        let text = format!("see {}x\n\"target{}x\"\ncurl https://{}/x\n", FOLDERS[0], FOLDERS[0], HOSTS[0]);
        found(
            places(&[File::new(".ci/run", &text)]),
            &[
                &format!(".ci/run:1: the machine's folder `{}`", FOLDERS[0]),
                &format!(".ci/run:3: the registry `{}`", HOSTS[0]),
            ],
        );
    }
}
