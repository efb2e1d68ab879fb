//! `new`: the folder that an author begins from builds as it is, and keeps every rule. And the bundled plugins and the
//! examples keep them too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use linli_core::text::Language;
use linli_plugin_host::tools::inspect;
use linli_plugin_host::tools::new::{self, NewError, Sdk, Wanted, Written};
use linli_plugin_host::tools::place::Place;

use crate::check::check;
use crate::{build, scenarios};

fn wanted(folder: PathBuf, written: Written) -> Wanted {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    let sdk = Sdk::nearest(&[here]);
    Wanted { name: "tea-masters".into(), zh: Some("茶艺传人".into()), en: None, folder, written, sdk }
}

/// Runs a command in a folder, which must succeed.
fn run(folder: &Path, program: &str, arguments: &[&str]) {
    run_in(folder, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-target"), program, arguments);
}

/// Runs a command in a folder, which must succeed; cargo builds into another one.
fn run_in(folder: &Path, target: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[track_caller]
fn passes(folder: &Path) {
    let (code, text, broken) = check(folder);
    assert_eq!((code, broken.as_slice()), (0, [].as_slice()), "{text}");
    assert!(!text.contains("not looked at: "), "{text}");
}

#[test]
fn a_new_plugin_in_c_builds_and_passes() {
    let folder = build::scratch("new-c").join("tea");
    let (made, next) = new::make(&wanted(folder.clone(), Written::C)).unwrap();
    assert!(made.contains(&folder.join("linli_plugin.h")));
    assert_eq!(next[1..], ["sh build.sh", "linli plugin check ."]);
    run(&folder, "sh", &["build.sh"]);
    passes(&folder);
}

#[test]
fn a_new_plugin_in_rust_builds_passes_its_test_and_passes() {
    let folder = build::scratch("new-rust").join("tea");
    let (made, next) = new::make(&wanted(folder.clone(), Written::Rust)).unwrap();
    assert!(made.contains(&folder.join("src/lib.rs")));
    assert_eq!(next[1], "cargo test && cargo build --release");
    // The versions of this workspace, so that nothing is fetched.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    run(&folder, env!("CARGO"), &["test", "--offline", "--quiet"]);
    run(&folder, env!("CARGO"), &["build", "--offline", "--quiet"]);
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-target/debug/libtea_masters.so");
    fs::create_dir_all(folder.join("target/debug")).unwrap();
    fs::copy(built, folder.join("target/debug/libtea_masters.so")).unwrap();
    passes(&folder);
}

#[test]
fn a_new_connector_builds_passes_its_tests_and_passes() {
    let folder = build::scratch("new-connector").join("tea");
    let (made, next) = new::make(&wanted(folder.clone(), Written::Connector)).unwrap();
    assert!(made.contains(&folder.join("settings.json")));
    assert_eq!(next[1], "cargo test && cargo build --release");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-connector-target");
    for command in ["test", "build"] {
        run_in(&folder, &target, env!("CARGO"), &[command, "--offline", "--quiet"]);
    }
    fs::create_dir_all(folder.join("target/debug")).unwrap();
    fs::copy(target.join("debug/libtea_masters.so"), folder.join("target/debug/libtea_masters.so")).unwrap();
    passes(&folder);
    let inspected = inspect::inspect(&Place::find(&folder).unwrap(), Language::Zh).unwrap();
    for words in ["茶艺传人", "操作 (2)", "可披露 (3)", "`POST`", "retry_minutes"] {
        assert!(inspected.contains(words), "`{words}` in {inspected}");
    }
}

#[test]
fn what_cannot_be_made_is_said_and_nothing_is_touched() {
    let folder = build::scratch("new-taken");
    fs::write(folder.join("plugin.toml"), "mine").unwrap();
    let error = new::make(&wanted(folder.clone(), Written::C)).unwrap_err();
    assert!(matches!(&error, NewError::Taken(path) if *path == folder), "{error}");
    assert!(error.to_string().contains("nothing was made"));
    assert_eq!(fs::read_to_string(folder.join("plugin.toml")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

    let unfit = |change: fn(&mut Wanted), words: &str| {
        let mut wanted = wanted(build::scratch("new-unfit").join("x"), Written::Rust);
        change(&mut wanted);
        let error = new::make(&wanted).unwrap_err().to_string();
        assert!(error.contains(words), "`{words}` in {error}");
        assert!(!wanted.folder.exists());
    };
    unfit(
        |wanted| wanted.name = "2 teas".into(),
        "begins with a letter, such as `chronic-illness`, not `2 teas`",
    );
    unfit(|wanted| wanted.name = "茶".into(), "not `茶`");
    unfit(|wanted| wanted.zh = Some("茶\"艺".into()), "holds a quotation mark");
    unfit(|wanted| wanted.sdk = None, "no SDK is found from here");
    assert!(Sdk::parse("nowhere/at/all").unwrap_err().contains("neither a version nor a folder"));
    assert_eq!(Sdk::parse("0.1"), Ok(Sdk::Version("0.1".into())));
}

#[test]
fn the_bundled_plugins_and_the_examples_keep_every_rule() {
    let groups = &Mutex::new(scenarios::GROUPS.iter());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((package, folder, _)) = { groups.lock().unwrap().next() } {
                    let (library, manifest) = build::group(package, folder);
                    let place = build::scratch(&format!("kept-{package}"));
                    fs::copy(library, place.join("libplugin.so")).unwrap();
                    for name in ["plugin.toml", "scenarios.txt"] {
                        fs::copy(manifest.with_file_name(name), place.join(name)).unwrap();
                    }
                    passes(&place);
                }
            });
        }
    });
    passes(&convalescent());
}

#[test]
fn the_bundled_connectors_keep_every_rule() {
    for folder in ["webhook", "email", "file-drop"] {
        let (library, manifest) = build::group(&format!("linli-plugin-{folder}"), folder);
        let place = build::scratch(&format!("kept-{folder}"));
        fs::copy(library, place.join("libplugin.so")).unwrap();
        for name in ["plugin.toml", "settings.json"] {
            fs::copy(manifest.with_file_name(name), place.join(name)).unwrap();
        }
        passes(&place);
    }
}

/// The example in C, built in a folder of the test from the header alone.
pub(crate) fn convalescent() -> PathBuf {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let place = build::scratch("convalescent").join("examples/convalescent-c");
    fs::create_dir_all(&place).unwrap();
    for name in ["plugin.c", "plugin.toml", "scenarios.txt", "build.sh"] {
        fs::copy(plugins.join("examples/convalescent-c").join(name), place.join(name)).unwrap();
    }
    let include = place.join("../../abi/include");
    fs::create_dir_all(&include).unwrap();
    for name in ["linli_plugin.h", "linli_rules.h"] {
        fs::copy(plugins.join("abi/include").join(name), include.join(name)).unwrap();
    }
    run(&place, "sh", &["build.sh"]);
    place
}

#[test]
fn inspect_tells_everything_without_running_anything() {
    let place = Place::find(&convalescent()).unwrap();
    let english = inspect::inspect(&place, Language::En).unwrap();
    let expected = [
        "cn.example.convalescent 0.1.0  Care after coming home from hospital",
        "date, health, sensitive personal information",
        "code family | paid | nobody, care",
        "weeks of recovery = 6 [default of this example, I]",
        "call before a visit and keep it short; give no medical advice",
        "two visits a week where nobody helps at home",
        "exports linli_plugin_entry_v1",
        "needs libc.so.6",
    ];
    for words in expected {
        assert!(english.contains(words), "`{words}` in {english}");
    }
    let chinese = inspect::inspect(&place, Language::Zh).unwrap();
    for words in ["出院康复期关怀", "敏感个人信息", "群体 (1)", "先电话约好再上门"] {
        assert!(chinese.contains(words), "`{words}` in {chinese}");
    }
    let digest = english.lines().find(|line| line.contains("libconvalescent.so")).unwrap();
    assert_eq!(digest.split("sha256 ").nth(1).map(str::len), Some(64), "{digest}");
}
