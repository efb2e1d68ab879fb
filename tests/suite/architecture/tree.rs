//! The work tree as the checks see it: files, scanned sources, packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::scan::Source;

/// A text file by its path from the root.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// A package of the workspace, from `cargo metadata`.
#[derive(Default)]
pub(super) struct Package {
    pub(super) name: String,
    /// Path of its `Cargo.toml` from the root.
    pub(super) manifest: String,
    /// The manifest's text.
    pub(super) text: String,
    pub(super) dependencies: Vec<Dependency>,
    /// Kind (`lib`, `cdylib`, `bin`, `test`, …) and name of each target.
    pub(super) targets: Vec<(String, String)>,
}

impl Package {
    /// The line of the manifest that names `word` first; 0 if none does.
    pub(super) fn line_of(&self, word: &str) -> usize {
        line_of(&self.text, word)
    }
}

/// A declared dependency.
#[derive(Clone)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// For tests only.
    pub(super) dev: bool,
    pub(super) default_features: bool,
    pub(super) features: Vec<String>,
}

/// Everything that is checked.
pub(super) struct Tree {
    /// All text files that are tracked, or would be.
    pub(super) files: Vec<File>,
    /// The Rust files among them, outside `tests/compare` (a workspace of its own).
    pub(super) sources: Vec<Source>,
    pub(super) packages: Vec<Package>,
}

impl Tree {
    /// The tree around the running test, read once.
    pub(super) fn read() -> &'static Self {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let files = files(&root());
            let sources = files
                .iter()
                .filter(|file| file.path.ends_with(".rs") && !file.path.starts_with("tests/compare/"))
                .map(|file| Source::new(&file.path, &file.text))
                .collect();
            let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
            let packages = packages(&metadata, &files);
            Self { files, sources, packages }
        })
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> String {
        match self.files.iter().find(|file| file.path == path) {
            Some(file) => file.text.clone(),
            None => panic!("`{path}` is missing"),
        }
    }
}

/// From 1; 0 if no line holds `word`.
pub(super) fn line_of(text: &str, word: &str) -> usize {
    text.lines().position(|line| line.contains(word)).map_or(0, |index| index + 1)
}

/// What cargo prints, run at the root without the network and without touching the lock file.
pub(super) fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(program).args(arguments).args(["--offline", "--locked"]).current_dir(root()))
}

/// The workspace's root: the folder above the test's own package.
fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap();
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file() && folder.join("core").is_dir();
    here.ancestors().find(is_root).expect("the tests run inside the workspace").into()
}

/// Tracked files and those that would be if added; of an unpacked archive, what git would not ignore
/// by our own `.gitignore`.
fn files(root: &Path) -> Vec<File> {
    let paths: Vec<String> = if root.join(".git").exists() {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        run(&mut git).split('\0').filter(|path| !path.is_empty()).map(String::from).collect()
    } else {
        let mut paths = Vec::new();
        walk(root, root, &mut paths);
        paths
    };
    let mut files: Vec<File> = paths
        .into_iter()
        .filter_map(|path| {
            // A path that git lists and that is gone is being deleted; what is not text is a fixture.
            let bytes = std::fs::read(root.join(&path)).ok()?;
            Some(File { path, text: String::from_utf8(bytes).ok()? })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(root, &path, paths);
            }
        } else {
            paths.push(path.strip_prefix(root).unwrap().to_str().expect("paths are UTF-8").into());
        }
    }
}

fn packages(metadata: &str, files: &[File]) -> Vec<Package> {
    let metadata: Value = serde_json::from_str(metadata).expect("cargo prints JSON");
    let root = metadata["workspace_root"].as_str().expect("the root is text").to_owned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = text(&package["manifest_path"]);
            let manifest =
                manifest.strip_prefix(&root).unwrap_or(&manifest).trim_start_matches('/').to_owned();
            let dependencies = list(&package["dependencies"])
                .iter()
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    dev: dependency["kind"] == "dev",
                    default_features: dependency["uses_default_features"].as_bool().unwrap_or(true),
                    features: list(&dependency["features"]).iter().map(text).collect(),
                })
                .collect();
            let targets = list(&package["targets"])
                .iter()
                .flat_map(|target| {
                    let name = text(&target["name"]);
                    list(&target["kind"]).into_iter().map(move |kind| (text(&kind), name.clone()))
                })
                .collect();
            Package {
                name: text(&package["name"]),
                text: files
                    .iter()
                    .find(|file| file.path == manifest)
                    .map_or_else(String::new, |f| f.text.clone()),
                manifest,
                dependencies,
                targets,
            }
        })
        .collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}
