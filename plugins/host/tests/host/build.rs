//! Building the libraries that the tests load, in the target folder and profile of the tests themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use linli_core::assessment::Findings;
use linli_plugin_host::manifest::Isolation;
use linli_plugin_host::trust::{self, SecretKey, TrustStore};
use linli_plugin_host::{Answer, Limits, LoadFailure, Manifest, Mode, Registry, Sources};

/// The elderly plugin's library and manifest.
pub(crate) fn elderly() -> (PathBuf, PathBuf) {
    group("linli-plugin-elderly", "elderly")
}

/// The library and manifest of the package of a group, in its folder among the plugins.
pub(crate) fn group(package: &str, folder: &str) -> (PathBuf, PathBuf) {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.insert(package.to_owned()) {
        cargo(&["-p", package, "--lib"]);
    }
    let library = profile().join(format!("lib{}.so", package.replace('-', "_")));
    (library, plugins().join(folder).join("plugin.toml"))
}

/// The plugin that misbehaves as its facts say.
pub(crate) fn faulty() -> (PathBuf, PathBuf) {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        cargo(&["-p", "linli-plugin-sdk", "--example", "faulty"]);
        profile().join("examples/libfaulty.so")
    });
    (library.clone(), plugins().join("sdk/examples/faulty.toml"))
}

/// The connector that misbehaves as its settings say.
pub(crate) fn faulty_connector() -> (PathBuf, PathBuf) {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        cargo(&["-p", "linli-plugin-sdk", "--example", "faulty_connector"]);
        profile().join("examples/libfaulty_connector.so")
    });
    (library.clone(), plugins().join("sdk/examples/faulty_connector.toml"))
}

/// The C plugin of `liar.c`, compiled with definitions such as `-DMAJOR=2`, with a manifest inside.
pub(crate) fn liar(name: &str, definitions: &[&str], manifest: &str) -> PathBuf {
    compile("liar.c", &scratch(&format!("liar-{name}")), manifest, definitions)
}

/// Compiles a plugin in C with a manifest inside; its library in the folder.
pub(crate) fn compile(
    source: &str,
    folder: &Path,
    manifest: &str,
    definitions: &[impl AsRef<std::ffi::OsStr>],
) -> PathBuf {
    let bytes: Vec<String> = manifest.bytes().map(|byte| byte.to_string()).collect();
    let embedded = format!("static const unsigned char MANIFEST[] = {{{}}};\n", bytes.join(","));
    fs::write(folder.join("manifest.h"), embedded).unwrap();
    let library = folder.join("libplugin.so");
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-shared", "-fPIC", "-I"])
        .arg(folder)
        .arg("-I")
        .arg(plugins().join("abi/include"))
        .args(definitions)
        .arg("-o")
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host").join(source))
        .status()
        .expect("`cc` runs: a C compiler is needed for the tests");
    assert!(status.success(), "{source} compiles");
    library
}

/// An example of the host, which is a program.
pub(crate) fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| cargo(&["-p", "linli-plugin-host", "--example", name]));
    profile().join("examples").join(name)
}

/// The manifest of the C plugin.
pub(crate) const LIAR: &str = include_str!("liar.toml");

/// An empty folder of a test's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The key that signs the plugins of the tests.
pub(crate) fn key() -> SecretKey {
    trust::generate([7; 32])
}

/// A trust store that lets everything run in process that [`key`] signed.
pub(crate) fn trusting() -> TrustStore {
    let text = format!(
        "format = 1\n[[key]]\nowner = \"Tests\"\npublic = \"{}\"\nplugins = [\"cn.*\"]\n\
         interfaces = [\"linli.rules/1\", \"linli.connector/1\"]\nin_process = true\n",
        key().public().to_base64()
    );
    TrustStore::parse(&text).unwrap()
}

/// Locks and signs a plugin's folder.
pub(crate) fn sign(folder: &Path, key: &SecretKey) {
    let lock = trust::lock_folder(folder).unwrap().to_string();
    fs::write(folder.join("plugin.lock"), &lock).unwrap();
    fs::write(folder.join("plugin.lock.sig"), trust::sign(lock.as_bytes(), key).to_string()).unwrap();
}

/// A folder of plugins, each with the library's bytes and the manifest's text; signed, unless it is too bad for that.
pub(crate) fn folder(name: &str, plugins: &[(&str, &[u8], &str)]) -> PathBuf {
    let folder = scratch(name);
    for (plugin, library, manifest) in plugins {
        fs::create_dir(folder.join(plugin)).unwrap();
        fs::write(folder.join(plugin).join("plugin.toml"), manifest).unwrap();
        fs::write(folder.join(plugin).join("libplugin.so"), library).unwrap();
        if trust::lock_folder(&folder.join(plugin)).is_ok() {
            sign(&folder.join(plugin), &key());
        }
    }
    folder
}

/// Both places where a plugin may run.
pub(crate) const MODES: [Mode; 2] = [Mode::InProcess, Mode::Child];

/// Makes two tests of each function: one with the plugin in this process, one with it in a process of its own.
macro_rules! in_both_modes {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[test] fn $name() { super::$name(linli_plugin_host::Mode::InProcess) })*
        }
        mod child {
            $(#[test] fn $name() { super::$name(linli_plugin_host::Mode::Child) })*
        }
    };
}
pub(crate) use in_both_modes;

/// The sources of a folder whose plugins all run in one place.
pub(crate) fn sources(folder: PathBuf, mode: Mode) -> Sources {
    let isolation = match mode {
        Mode::InProcess => Isolation::InProcess,
        Mode::Child => Isolation::Child,
    };
    let id = |text: &str| Some(Manifest::parse(text).ok()?.id.as_str().to_owned());
    let isolation = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("plugin.toml")).ok())
        .filter_map(|text| Some((id(&text)?, isolation)))
        .collect();
    Sources { folders: vec![folder], isolation, trust: trusting(), ..Sources::default() }
}

/// Loads a folder whose plugins all run in one place.
pub(crate) fn load_in(mode: Mode, folder: PathBuf) -> Registry {
    Registry::load(&sources(folder, mode))
}

/// Loads a folder whose plugins run in this process.
pub(crate) fn load(folder: PathBuf) -> Registry {
    load_in(Mode::InProcess, folder)
}

/// Loads one plugin that must load, in this process.
pub(crate) fn loaded(name: &str, plugin: (PathBuf, PathBuf)) -> Registry {
    loaded_in(Mode::InProcess, name, plugin)
}

/// Loads one plugin that must load.
pub(crate) fn loaded_in(mode: Mode, name: &str, plugin: (PathBuf, PathBuf)) -> Registry {
    loaded_as(name, plugin, |folder| sources(folder, mode))
}

/// Loads one plugin that must load, in this process, with nowhere to go when a call does not return.
pub(crate) fn loaded_within(name: &str, plugin: (PathBuf, PathBuf), limits: Limits) -> Registry {
    let nowhere = Some("/nowhere/linli-runner".into());
    loaded_as(name, plugin, |folder| Sources { limits, runner: nowhere, ..sources(folder, Mode::InProcess) })
}

pub(crate) fn loaded_as(
    name: &str,
    (library, manifest): (PathBuf, PathBuf),
    sources: impl FnOnce(PathBuf) -> Sources,
) -> Registry {
    let manifest = fs::read_to_string(manifest).unwrap();
    let folder = folder(name, &[("only", &fs::read(library).unwrap(), &manifest)]);
    let registry = Registry::load(&sources(folder));
    assert_eq!(registry.failures(), &[] as &[LoadFailure]);
    registry
}

/// What an answer says, row by row.
pub(crate) fn findings(answer: &Answer) -> Vec<Findings> {
    answer.rows().map(|(_, row)| row.to_findings()).collect()
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `target/<profile>`: two levels above the running test.
fn profile() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn cargo(arguments: &[&str]) {
    let profile = profile();
    let name = profile.file_name().unwrap().to_str().unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", if name == "debug" { "dev" } else { name }, "--target-dir"])
        .arg(profile.parent().unwrap())
        .args(arguments)
        .current_dir(plugins())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo build: {}", String::from_utf8_lossy(&output.stderr));
}
