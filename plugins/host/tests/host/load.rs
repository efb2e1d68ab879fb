//! Loading: what is accepted, and what each kind of bad file leads to.

use std::fs;

use linli_core::standard::Origin;
use linli_plugin_host::manifest::Isolation;
use linli_plugin_host::{LoadCause, LoadFailure, Mode, Registry, Sources};

use crate::build;

fn the_elderly_plugin_loads_with_everything_it_declares(mode: Mode) {
    let registry = build::loaded_in(mode, &format!("{mode:?}-elderly"), build::elderly());
    let plugin = registry.plugin("cn.linli.elderly").unwrap();
    assert_eq!(plugin.mode(), mode);
    assert_eq!(plugin.confinement().is_some(), mode == Mode::Child);
    assert_eq!(plugin.abi(), (1, 0));
    assert!(plugin.build_info().starts_with("linli-plugin-sdk "), "{}", plugin.build_info());
    assert_eq!(plugin.stamp().digest.len(), 64);
    let groups: Vec<&str> = registry.groups().map(|group| group.code.as_str()).collect();
    assert_eq!(groups, ["living_alone", "empty_nest", "advanced_age"]);
    assert_eq!(registry.group_owner("empty_nest").unwrap().stamp(), plugin.stamp());
    assert!(registry.field("birth_date").unwrap().required);
    for standard in registry.standards() {
        let Origin::Plugin { id, version, digest } = &standard.origin else {
            panic!("{}: no plugin", standard.code)
        };
        assert_eq!(
            (id, version, digest),
            (&plugin.stamp().id, &plugin.stamp().version, &plugin.stamp().digest)
        );
    }
}

#[test]
fn a_development_build_finds_the_plugins_beside_the_program() {
    build::elderly();
    let registry = Registry::load(&Sources { development: true, ..Sources::default() });
    let failures: Vec<&LoadFailure> = registry
        .failures()
        .iter()
        .filter(|failure| failure.path.ends_with("liblinli_plugin_elderly.so"))
        .collect();
    assert_eq!(failures, [] as [&LoadFailure; 0]);
    assert!(registry.plugin("cn.linli.elderly").is_some());
}

fn a_plugin_written_in_c_loads(mode: Mode) {
    let registry = build::load_in(
        mode,
        build::folder(
            &format!("{mode:?}-c"),
            &[("liar", &compiled(&format!("{mode:?}-c"), &[]), build::LIAR)],
        ),
    );
    assert_eq!(registry.failures(), &[] as &[LoadFailure]);
    assert_eq!(registry.plugin("cn.example.liar").unwrap().build_info(), "cc");
}

#[test]
fn another_version_is_loaded_beside_the_old_one() {
    let newer = build::LIAR.replacen("version = \"0", "version = \"9", 1);
    let other = build::LIAR.replace("cn.example.liar", "cn.example.other");
    let library = |name: &str, manifest: &str| fs::read(build::liar(name, &[], manifest)).unwrap();
    let old = library("upgrade-old", build::LIAR);
    let folder = build::folder("upgrade", &[("liar", &old, build::LIAR)]);
    let sources = build::sources(folder.clone(), Mode::InProcess);
    let registry = Registry::load(&sources);
    let loaded = registry.plugin("cn.example.liar").unwrap();
    let put = |library: &[u8], manifest: &str| {
        fs::write(folder.join("liar/libplugin.so"), library).unwrap();
        fs::write(folder.join("liar/plugin.toml"), manifest).unwrap();
        build::sign(&folder.join("liar"), &build::key());
    };
    // The same file is not loaded again.
    let known = std::slice::from_ref(loaded);
    assert!(std::sync::Arc::ptr_eq(&registry.find("cn.example.liar", &sources, known).unwrap(), loaded));
    // A folder with half of a new version is refused, and nothing changes.
    put(&old, &newer);
    let failure = registry.find("cn.example.liar", &sources, known).unwrap_err();
    assert_eq!(failure.cause, LoadCause::ManifestMismatch);
    put(&library("upgrade-new", &newer), &newer);
    let found = registry.find("cn.example.liar", &sources, known).unwrap();
    assert!(found.stamp().version.starts_with("9.") && found.stamp().digest != loaded.stamp().digest);
    let upgraded = registry.with(std::sync::Arc::clone(&found));
    assert_eq!(
        upgraded.plugins().iter().map(|p| p.stamp().version.as_str()).collect::<Vec<_>>(),
        [found.stamp().version.as_str()]
    );
    assert_eq!(registry.plugin("cn.example.liar").unwrap().stamp(), loaded.stamp());
    assert_eq!(upgraded.without("cn.example.liar").plugins().len(), 0);
    // What is not there under the id is missing; what another id claims stays with it.
    put(&library("upgrade-other", &other), &other);
    let failure = registry.find("cn.example.liar", &sources, &[]).unwrap_err();
    assert_eq!((failure.cause, failure.plugin.as_deref()), (LoadCause::Missing, Some("cn.example.liar")));
    let failure = registry.find("cn.example.other", &sources, &[]).unwrap_err();
    assert_eq!(failure.cause, LoadCause::Duplicate, "{failure}");
}

#[test]
fn the_library_for_this_machine_is_found_in_its_sub_folder() {
    let folder = build::folder("machine", &[("liar", &compiled("machine", &[]), build::LIAR)]);
    let machine = folder.join("liar").join(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS));
    fs::create_dir(&machine).unwrap();
    fs::rename(folder.join("liar/libplugin.so"), machine.join("libliar.so")).unwrap();
    build::sign(&folder.join("liar"), &build::key());
    let registry = build::load(folder);
    assert_eq!(registry.plugins().len(), 1, "{:?}", registry.failures());
}

#[test]
fn where_a_plugin_runs_is_the_operators_and_its_own_to_say() {
    let wishing = build::LIAR.replacen("\"in_process\"", "\"child\"", 1);
    let check = |name: &str, definitions: &[&str], manifest: &str, operator: Option<Isolation>, expected| {
        let name = format!("place-{name}");
        let library = fs::read(build::liar(&name, definitions, manifest)).unwrap();
        let isolation =
            operator.map(|operator| ("cn.example.liar".to_owned(), operator)).into_iter().collect();
        let folders = vec![build::folder(&name, &[("liar", &library, manifest)])];
        let trust = build::trusting();
        let registry = Registry::load(&Sources { folders, isolation, trust, ..Sources::default() });
        assert_eq!(registry.failures(), &[] as &[LoadFailure], "{name}");
        assert_eq!(registry.plugins()[0].mode(), expected, "{name}");
    };
    let (here, own) = (Some(Isolation::InProcess), Some(Isolation::Child));
    check("nobody", &[], build::LIAR, None, Mode::InProcess);
    check("operator-here", &[], build::LIAR, here, Mode::InProcess);
    check("operator-own", &[], build::LIAR, own, Mode::Child);
    check("manifest", &[], &wishing, here, Mode::Child);
    check("library", &["-DFLAGS=1"], build::LIAR, here, Mode::Child);
}

#[test]
fn without_the_runner_only_those_are_refused_that_need_it() {
    let folder = build::folder("no-runner", &[("liar", &compiled("no-runner", &[]), build::LIAR)]);
    let runner = Some(folder.join("linli-runner"));
    for mode in build::MODES {
        let sources = Sources { runner: runner.clone(), ..build::sources(folder.clone(), mode) };
        let registry = Registry::load(&sources);
        assert_eq!(registry.plugins().len(), usize::from(mode == Mode::InProcess));
        if let [failure] = registry.failures() {
            assert_eq!(failure.cause, LoadCause::NoRunner);
            let told = failure.to_string();
            assert!(told.contains("linli-runner") && told.contains("beside the program"), "{told}");
        }
    }
    // Another program in its place says nothing that can be understood.
    let runner = Some("/bin/true".into());
    let registry = Registry::load(&Sources { runner, ..build::sources(folder, Mode::Child) });
    let failure = &registry.failures()[0];
    assert_eq!(failure.cause, LoadCause::Ended);
    assert!(failure.reason.contains("exit code 0"), "{failure}");
}

#[test]
fn a_damaged_file_is_refused_before_the_linker_sees_it() {
    let library = compiled("damaged", &[]);
    let check = |name: &str, file: &[u8], words: &[&str]| {
        refused(name, file, build::LIAR, LoadCause::Damaged, words);
    };
    check("empty", b"", &["not a shared library"]);
    check("text", b"<html>404 Not Found</html>", &["not a shared library"]);
    check("cut-header", &library[..40], &["ends inside its ELF header"]);
    check("cut-half", &library[..library.len() / 2], &["but its headers speak of"]);
    check("cut-last-byte", &library[..library.len() - 1], &["but its headers speak of"]);
    let mut program = library.clone();
    program[16] = 1; // relocatable object
    check("object", &program, &["not a shared library"]);
}

#[test]
fn a_library_for_another_machine_is_refused_with_both_names() {
    let library = compiled("machine-other", &[]);
    let here = std::env::consts::ARCH;
    let check = |name: &str, at: usize, byte: u8, has: &str| {
        let mut file = library.clone();
        file[at] = byte;
        let built = format!("is built for {has}; this program runs on {here}");
        refused(
            name,
            &file,
            build::LIAR,
            LoadCause::WrongArchitecture,
            &[&built, "use the plugin's library for"],
        );
    };
    let other = if here == "aarch64" { (62, "x86_64") } else { (183, "aarch64") };
    check("other-machine", 18, other.0, other.1);
    check("32-bit", 4, 1, &format!("{here} (32 bit)"));
    check("big-endian", 5, 2, &format!("{here} (big endian)"));
}

#[test]
fn a_folder_without_its_parts_is_refused() {
    let folder =
        build::folder("parts", &[("liar", b"", build::LIAR), ("two", b"", build::LIAR), ("bare", b"", "")]);
    fs::remove_file(folder.join("liar/libplugin.so")).unwrap();
    fs::write(folder.join("two/libother.so"), b"").unwrap();
    fs::remove_file(folder.join("bare/plugin.toml")).unwrap();
    let registry = build::load(folder.clone());
    let told: Vec<String> = registry.failures().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3);
    assert!(told[0].contains("bare") && told[0].contains("`plugin.toml` cannot be read"), "{}", told[0]);
    assert!(
        told[1].contains("`cn.example.liar`") && told[1].contains("no library (`.so`) lies beside"),
        "{}",
        told[1]
    );
    assert!(told[2].contains("2 libraries lie in"), "{}", told[2]);

    let nowhere = Registry::load(&Sources { folders: vec![folder.join("nowhere")], ..Sources::default() });
    assert_eq!(nowhere.failures()[0].cause, LoadCause::Missing);
}

#[test]
fn manifest_and_library_must_be_of_one_build() {
    let beside = build::LIAR.replace("en = \"second\"", "en = \"edited\"");
    let line = build::LIAR.lines().position(|line| line == "en = \"second\"").unwrap() + 1;
    let words = format!("first at line {line}");
    refused("mismatch", &compiled("mismatch", &[]), &beside, LoadCause::ManifestMismatch, &[&words]);
    let longer = format!("{}\n# more\n", build::LIAR);
    refused(
        "longer",
        &compiled("longer", &[]),
        &longer,
        LoadCause::ManifestMismatch,
        &["differs from the manifest"],
    );
}

#[test]
fn a_manifest_may_ask_for_what_this_version_lacks_and_is_refused() {
    let check = |name: &str, from: &str, to: &str, cause, words: &[&str]| {
        let manifest = build::LIAR.replacen(from, to, 1);
        refused(name, &fs::read(build::liar(name, &[], &manifest)).unwrap(), &manifest, cause, words);
    };
    check("newer", "abi = \"1.0\"", "abi = \"1.7\"", LoadCause::WrongAbi, &["asks for plugin ABI 1.7"]);
    check("older", "abi = \"1.0\"", "abi = \"0.9\"", LoadCause::WrongAbi, &["asks for plugin ABI 0.9"]);
    check(
        "connector",
        "linli.rules/1",
        "linli.connector/1",
        LoadCause::Manifest,
        &["`connector` is required", "`group` is for rules"],
    );
    check(
        "broken",
        "version = \"0.1.0\"",
        "version = \"first\"",
        LoadCause::Manifest,
        &["line 3: `plugin.version`"],
    );
}

#[test]
fn of_two_plugins_that_claim_the_same_the_first_stays() {
    let elderly = fs::read(build::elderly().0).unwrap();
    let manifest = fs::read_to_string(build::elderly().1).unwrap();
    let second = |name: &str, text: &str| fs::read(build::liar(name, &[], text)).unwrap();
    let check = |name: &str, library: &[u8], text: &str, words: &str| {
        let folder = build::folder(name, &[("a-elderly", &elderly, &manifest), ("b-other", library, text)]);
        let registry = build::load(folder);
        assert_eq!(registry.plugins().len(), 1);
        assert_eq!(registry.plugins()[0].stamp().id.as_str(), "cn.linli.elderly");
        let failure = &registry.failures()[0];
        assert_eq!(failure.cause, LoadCause::Duplicate);
        assert!(failure.reason.contains(words), "{failure}");
        assert!(failure.reason.contains("`cn.linli.elderly`"), "{failure}");
    };
    check("same-id", &elderly, &manifest, "the id `cn.linli.elderly`");
    let group = build::LIAR.replace("code = \"second\"", "code = \"empty_nest\"");
    check("same-group", &second("same-group", &group), &group, "the group `empty_nest`");
    let field = build::LIAR.replace("code = \"shift\"", "code = \"lives_alone\"");
    check("same-field", &second("same-field", &field), &field, "the field `lives_alone`, with another type");
    let standard = format!("{}{STANDARD}", build::LIAR);
    check("same-standard", &second("same-standard", &standard), &standard, "the standard `elder.visit`");
}

#[test]
fn a_standard_of_the_catalogue_cannot_be_claimed() {
    let text = format!("{}{}", build::LIAR, STANDARD.replace("elder.visit", "survey.review"));
    let library = fs::read(build::liar("catalogue", &[], &text)).unwrap();
    let words = "the standard `survey.review` belongs to the built-in catalogue";
    refused("catalogue", &library, &text, LoadCause::Duplicate, &[words]);
}

const STANDARD: &str = r#"
[[standard]]
code = "elder.visit"
zh = "走访"
en = "visit"
citation = { in = "own", confidence = "I" }
applies_to = { any_group = ["first"] }
recurring = { at_least = 1, per = "month" }
accepts = ["home_visit"]
department = "customer_service"
pausable = true
"#;

pub(crate) fn compiled(name: &str, definitions: &[&str]) -> Vec<u8> {
    fs::read(build::liar(name, definitions, build::LIAR)).unwrap()
}

/// Both in this process and in one of its own, with the same words.
pub(crate) fn refused(name: &str, library: &[u8], manifest: &str, cause: LoadCause, words: &[&str]) {
    let folder = build::folder(&format!("refused-{name}"), &[("bad", library, manifest)]);
    for mode in build::MODES {
        let registry = build::load_in(mode, folder.clone());
        assert_eq!(registry.plugins().len(), 0, "{name} is refused");
        let [failure] = registry.failures() else { panic!("{name}: {:?}", registry.failures()) };
        let told = failure.to_string();
        assert_eq!(failure.cause, cause, "{told}");
        assert!(!failure.help.is_empty(), "{told}");
        assert!(told.contains("bad"), "the message names the file: {told}");
        for word in words {
            assert!(told.contains(word), "`{word}` in: {told}");
        }
    }
}

build::in_both_modes!(the_elderly_plugin_loads_with_everything_it_declares, a_plugin_written_in_c_loads);
