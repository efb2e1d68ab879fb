//! `linli demo`: the story that the README's first command tells, and what the README says about it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::built::{self, Tool};
use crate::harness::until;

fn demo(arguments: &[&str]) -> Output {
    built::plugins();
    Command::new(built::program("linli")).arg("demo").args(arguments).output().unwrap()
}

fn file(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// The lines of a story without those that name a folder of this run.
fn story(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| !line.contains("/linli-demo-")).map(str::to_owned).collect()
}

/// The commands that a text shows, each in one line.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.lines().map(words).filter(|line| line.starts_with("grpcurl ") && line.contains(" -d ")).collect()
}

#[test]
fn the_story_is_told_to_the_end() {
    let told = demo(&["--lang", "en"]);
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{said}{}", String::from_utf8_lossy(&told.stderr));
    let check = |expect: &str| assert!(said.contains(expect), "the story lacks `{expect}`:\n{said}");
    check("162 rows: 160 created, 0 updated, 0 unchanged, 2 refused");
    check("line 165: `身份证号` was kept as a number");
    check("160 people in care");
    check("it is now the morning of 2026-03-26");
    check("what the steward of building 4 has left this week");
    check("nothing was recorded");
    check("two calls on one day count once");
    check("call to the emergency contact");
    check("excused: away");
    check("written down more than 24 hours after the week");
    assert_eq!(commands(&said).len(), 5);
    // A name of the roster is a surname and one or two more characters; here it is masked.
    let people = said.lines().filter(|line| line.contains("栋") && line.contains("单元"));
    for line in people.clone() {
        assert!(line.contains("**"), "not masked: {line}");
    }
    assert!(people.count() > 20, "{said}");

    // The same seed, the same story; in Chinese too.
    assert_eq!(story(&demo(&["--lang", "en"])), story(&told));
    let chinese = demo(&["--lang", "zh", "--seed", "7"]);
    let said = String::from_utf8_lossy(&chinese.stdout);
    assert!(chinese.status.success() && said.contains("谁被遗漏了,为什么"), "{said}");
}

/// What the README lets its reader type while the demo runs: the shell blocks of one section.
fn typed(section: &str) -> String {
    let readme = file("README.md");
    let (_, rest) = readme.split_once(&format!("\n## {section}\n")).expect("the README has the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().join("\n")
}

/// A demo that goes on serving until it is dropped.
struct Kept {
    process: Child,
    /// Where it answers, and the token that it printed.
    address: String,
    token: String,
}

impl Kept {
    fn start() -> Self {
        built::plugins();
        let mut command = Command::new(built::program("linli"));
        command.args(["demo", "--lang", "en", "--keep-running", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |start: &str| {
            let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(start));
            line.unwrap_or_else(|| panic!("the demo says `{start}`"))
        };
        let token = after("export LINLI_TOKEN=").trim().trim_start_matches("export LINLI_TOKEN=").to_owned();
        let command = after("127.0.0.1:");
        let address =
            command.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap().to_owned();
        // What it says on is read, so that it can go on.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, token }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Interrupted, it removes its folder.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        until("the demo to end", || self.process.try_wait().unwrap());
    }
}

#[test]
fn a_day_on_the_estate_can_be_typed() {
    let Some(grpcurl) = Tool::Grpcurl.find() else { return };
    let demo = Kept::start();
    let script = typed("A day on the estate");
    // Another address and token than the README's, and every command shown before its answer.
    let script = script.replace("127.0.0.1:50051", &demo.address);
    let script = script.replacen("LINLI_TOKEN=...", &format!("LINLI_TOKEN={}", demo.token), 1);
    let (path, folder) = (std::env::var("PATH").unwrap_or_default(), grpcurl.parent().unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euxo", "pipefail", "-c", &script]).env("PATH", format!("{}:{path}", folder.display()));
    let Output { status, stdout, stderr } = bash.output().unwrap();
    let (said, traced) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{traced}\n{said}");
    for expect in [
        "SERVICE_KIND_HOME_VISIT",
        "FILE_UPDATE",
        "REQUEST_STATE_CLOSED",
        "SPENDING_STATE_DISBURSED",
        "nobody has consented",
        "REFERRAL_STATE_ACCEPTED",
        "DISCLOSURE_BASIS_CONSENT",
        "referral.accepted",
        "not for finance",
        "OBLIGATION_STATUS_MISSED",
        "linli.v1.ResidentService/RevealResident",
        "\"intact\": true",
    ] {
        assert!(said.contains(expect), "nobody sees `{expect}`:\n{said}");
    }
}

#[test]
fn the_demo_leaves_somebody_elses_folder_alone() {
    let folder = std::env::temp_dir();
    let refused = demo(&["--lang", "en", "--data", &folder.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be made"));
}

#[test]
fn the_readme_shows_what_is_there() {
    let readme = file("README.md");
    // Its commands are those that the demo prints.
    let told = demo(&["--lang", "en"]);
    let mut shown = commands(&readme);
    for command in commands(&String::from_utf8_lossy(&told.stdout)) {
        let at = shown.iter().position(|shown| *shown == command);
        shown.remove(at.unwrap_or_else(|| panic!("the README lacks `{command}`")));
    }
    // Its example is the one that is compiled.
    let example = file("plugins/host/examples/assess.rs");
    let lines =
        example.split("// [shown]\n").nth(1).and_then(|rest| rest.split("    // [end]").next()).unwrap();
    let lines: Vec<&str> = lines.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    assert!(lines.len() >= 10 && readme.contains(&lines.join("\n")), "the README's example is another one");
    // Its links lead somewhere.
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.clone().filter(|link| !link.contains("://")) {
        let path = format!("{}/../{link}", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&path).exists(), "the README links to `{link}`, which is not there");
    }
    assert!(links.count() >= 10);
}
