//! Trust: what each state of a plugin's folder leads to, whether it loads, and what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use linli_core::id::PluginId;
use linli_core::time::CivilDate;
use linli_plugin_host::manifest::Isolation;
use linli_plugin_host::trust::{self, TrustState, TrustStore, inspect};
use linli_plugin_host::{LoadCause, LoadFailure, Mode, Registry, Sources};

use crate::build;

const ID: &str = "cn.example.liar";

fn library(name: &str) -> Vec<u8> {
    fs::read(build::liar(&format!("trust-{name}"), &[], build::LIAR)).unwrap()
}

/// A signed plugin in the folder `liar` of a folder of plugins.
fn signed(name: &str) -> (PathBuf, Sources) {
    let folder = build::folder(&format!("trust-{name}"), &[("liar", &library(name), build::LIAR)]);
    let mode = fs::Permissions::from_mode(0o755);
    for path in [&folder, &folder.join("liar")] {
        fs::set_permissions(path, mode.clone()).unwrap();
    }
    let sources = build::sources(folder.clone(), Mode::InProcess);
    (folder.join("liar"), Sources { today: day("2026-03-16"), ..sources })
}

/// The trust store of the tests with one line of its key replaced, or with lines added.
fn store(from: &str, to: &str) -> TrustStore {
    let text = format!(
        "format = 1\n[[key]]\nowner = \"Example Ltd\"\npublic = \"{}\"\nplugins = [\"cn.example.*\"]\n\
         interfaces = [\"linli.rules/1\"]\nin_process = true\n",
        build::key().public().to_base64()
    );
    let changed = if from.is_empty() { format!("{text}{to}\n") } else { text.replace(from, to) };
    assert_ne!(text, changed, "the store is changed");
    TrustStore::parse(&changed).unwrap()
}

fn day(text: &str) -> CivilDate {
    CivilDate::parse(text).unwrap()
}

/// A signed plugin after a change is refused for this cause, in these words; `inspect` sees this state.
fn check(
    name: &str,
    change: impl FnOnce(&Path, &mut Sources),
    cause: LoadCause,
    state: Option<&str>,
    words: &[&str],
) {
    let (folder, mut sources) = signed(name);
    change(&folder, &mut sources);
    let registry = Registry::load(&sources);
    let [failure] = registry.failures() else { panic!("{name}: {:?}", registry.failures()) };
    let told = failure.to_string();
    assert_eq!((registry.plugins().len(), failure.cause), (0, cause), "{name}: {told}");
    for word in words {
        assert!(told.contains(word), "{name}: `{word}` in: {told}");
    }
    let found = inspect(&folder, &sources.trust, sources.today);
    let found = found.as_ref().ok().and_then(|found| found.state.as_ref());
    assert_eq!(found.map(TrustState::code), state, "{name}");
}

#[test]
fn a_signed_plugin_loads_where_its_key_lets_it() {
    let (folder, sources) = signed("ok");
    let registry = Registry::load(&sources);
    assert_eq!(registry.failures(), &[] as &[LoadFailure]);
    let plugin = registry.plugin(ID).unwrap();
    let state = TrustState::Signed { key: build::key().public().id(), owner: "Tests".into() };
    assert_eq!(plugin.trust(), &state);
    assert_eq!(plugin.verdict().isolation_allowed, Isolation::InProcess);

    let found = inspect(&folder, &sources.trust, sources.today).unwrap();
    assert_eq!(
        (found.state, found.isolation_allowed, found.problem),
        (Some(state), Some(Isolation::InProcess), None)
    );
    assert_eq!(found.manifest.as_ref(), Some(&manifest()));
    let files: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["libplugin.so", "plugin.toml"]);
    assert!(found.files.iter().all(|file| file.digest.is_some() && file.digest == file.locked));
    assert_eq!(found.files[0].digest.as_ref(), Some(&plugin.stamp().digest));
}

fn manifest() -> linli_plugin_host::Manifest {
    linli_plugin_host::Manifest::parse(build::LIAR).unwrap()
}

fn edit(path: PathBuf, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_not_what_was_signed_never_loads() {
    let check = |name: &str, change: fn(&Path), words: &[&str]| {
        let words = [words, &["not what was signed", "fetch the whole folder again"]].concat();
        let every = |folder: &Path, sources: &mut Sources| {
            change(folder);
            // Nothing that lets an unsigned plugin load helps a modified one.
            sources.development = false;
            sources.unsigned = BTreeSet::from([PluginId::new(ID).unwrap()]);
        };
        check(name, every, LoadCause::Modified, Some("modified"), &words);
    };
    check("library", |f| edit(f.join("libplugin.so"), |b| *b.last_mut().unwrap() ^= 1), &["`libplugin.so`"]);
    check("cut", |f| edit(f.join("libplugin.so"), |b| b.truncate(b.len() / 2)), &["`libplugin.so`"]);
    check("emptied", |f| edit(f.join("libplugin.so"), |b| b.clear()), &["`libplugin.so`"]);
    check("manifest", |f| edit(f.join("plugin.toml"), |b| b.extend(b"# more\n")), &["`plugin.toml`"]);
    check("manifest-broken", |f| edit(f.join("plugin.toml"), |b| b.extend(b"[[\n")), &["`plugin.toml`"]);
    check("lock", |f| edit(f.join("plugin.lock"), |b| b.extend(b"# more\n")), &["`plugin.lock`"]);
    check("lock-gone", |f| fs::remove_file(f.join("plugin.lock")).unwrap(), &["`plugin.lock`"]);
    check("lock-cut", |f| edit(f.join("plugin.lock"), |b| b.truncate(40)), &["`plugin.lock`"]);
    check("lock-empty", |f| edit(f.join("plugin.lock"), |b| b.clear()), &["`plugin.lock`"]);
    check("sig-trailing", |f| edit(f.join("plugin.lock.sig"), |b| b.extend(b" ")), &["`plugin.lock.sig`"]);
    check("sig-line", |f| edit(f.join("plugin.lock.sig"), |b| b.extend(b"\n")), &["`plugin.lock.sig`"]);
    check("sig-cut", |f| edit(f.join("plugin.lock.sig"), |b| b.truncate(100)), &["`plugin.lock.sig`"]);
    check("sig-empty", |f| edit(f.join("plugin.lock.sig"), |b| b.clear()), &["`plugin.lock.sig`"]);
    check("sig-binary", |f| edit(f.join("plugin.lock.sig"), |b| b.fill(0xff)), &["`plugin.lock.sig`"]);
    // A signature of the right key over something else.
    let other = |f: &Path| {
        let text = trust::sign(b"format = 1\n", &build::key()).to_string();
        fs::write(f.join("plugin.lock.sig"), text).unwrap();
    };
    check("sig-other", other, &["`plugin.lock`"]);
    // Changed after the signature was taken away: the lock alone tells it.
    let unsigned = |f: &Path| {
        fs::remove_file(f.join("plugin.lock.sig")).unwrap();
        fs::write(f.join("libplugin.so"), b"other").unwrap();
    };
    check("lock-alone", unsigned, &["`libplugin.so`"]);
}

#[test]
fn a_signature_counts_for_as_much_as_the_trust_store_grants() {
    let owner = format!("signed by Example Ltd (key {})", build::key().public().id());
    let check = |name: &str, trust: TrustStore, cause, state: &str, words: &[&str]| {
        check(name, |_, sources| sources.trust = trust, cause, Some(state), words);
    };
    let unknown = ["which is not in the trust store", "ask the vendor for the public key"];
    check("nobody", TrustStore::default(), LoadCause::UnknownKey, "unknown_key", &unknown);
    let public = format!("public = \"{}\"", build::key().public().to_base64());
    let other = format!("public = \"{}\"", trust::generate([8; 32]).public().to_base64());
    check("other-key", store(&public, &other), LoadCause::UnknownKey, "unknown_key", &unknown);
    let dates = |first: &str, last: &str| {
        store("in_process", &format!("not_before = \"{first}\"\nnot_after = \"{last}\"\nin_process"))
    };
    let today =
        ["by Example Ltd with the key", "not trusted today", "have it signed with the owner's present key"];
    check("expired", dates("2025-01-01", "2026-03-15"), LoadCause::ExpiredKey, "expired_key", &today);
    check("early", dates("2026-03-17", "2027-01-01"), LoadCause::ExpiredKey, "expired_key", &today);
    check(
        "other-id",
        store("cn.example.*", "cn.other.*"),
        LoadCause::NotGranted,
        "not_granted",
        &[&owner, "the id `cn.example.liar`", "grant it to the key"],
    );
    check("near-id", store("cn.example.*", "cn.exam"), LoadCause::NotGranted, "not_granted", &["the id"]);
    check("below-id", store("cn.example.*", "cn.example.liar.*"), LoadCause::NotGranted, "not_granted", &[]);
    check(
        "other-interface",
        store("linli.rules/1", "linli.connector/1"),
        LoadCause::NotGranted,
        "not_granted",
        &[&owner, "the interface `linli.rules/1`"],
    );
    // Granted, but not for this process: whatever the operator's configuration says besides.
    let (_, sources) = signed("child");
    let trust = store("in_process = true", "in_process = false");
    let registry = Registry::load(&Sources { trust, ..sources });
    assert_eq!(registry.failures(), &[] as &[LoadFailure]);
    assert_eq!(registry.plugin(ID).unwrap().mode(), Mode::Child);
    // On the first and the last day, and by an exact id, it loads.
    for (name, trust) in [
        ("first-day", dates("2026-03-16", "2027-01-01")),
        ("last-day", dates("2025-01-01", "2026-03-16")),
        ("exact", store("cn.example.*", ID)),
    ] {
        let (_, sources) = signed(name);
        let registry = Registry::load(&Sources { trust, ..sources });
        assert_eq!(registry.failures(), &[] as &[LoadFailure], "{name}");
    }
    // Without a day, a key that ends has ended.
    let (_, sources) = signed("no-day");
    let trust = dates("2025-01-01", "2030-01-01");
    let sources = Sources { trust, today: Sources::default().today, ..sources };
    assert_eq!(Registry::load(&sources).failures()[0].cause, LoadCause::ExpiredKey);
}

#[test]
fn what_is_revoked_never_loads() {
    for file in ["libplugin.so", "plugin.toml", "plugin.lock"] {
        let revoke = |folder: &Path, sources: &mut Sources| {
            let bytes = fs::read(folder.join(file)).unwrap();
            let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            sources.trust = store("", &format!("[revoked]\ndigests = [\"{digest}\"]"));
        };
        let words = [&format!("`{file}` was revoked by the operator"), "install a version"];
        check(&format!("revoked-{file}"), revoke, LoadCause::Revoked, Some("revoked"), &words);
    }
}

#[test]
fn unsigned_plugins_are_for_development_and_never_in_process() {
    let unsign = |folder: &Path| {
        fs::remove_file(folder.join("plugin.lock.sig")).unwrap();
        fs::remove_file(folder.join("plugin.lock")).unwrap();
    };
    let named = || BTreeSet::from([PluginId::new(ID).unwrap()]);
    let check = |name: &str, development: bool, unsigned: BTreeSet<PluginId>, cause, words: &[&str]| {
        let (folder, sources) = signed(name);
        unsign(&folder);
        let registry = Registry::load(&Sources { development, unsigned, ..sources });
        assert!(registry.plugin(ID).is_none(), "{name}");
        let failure =
            registry.failures().iter().find(|failure| failure.plugin.as_deref() == Some(ID)).unwrap();
        let told = failure.to_string();
        assert_eq!(failure.cause, cause, "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} in: {told}");
    };
    let production = ["unsigned; have it signed", "in production nothing unsigned runs"];
    check("production", false, BTreeSet::new(), LoadCause::Unsigned, &production);
    check("production-named", false, named(), LoadCause::Unsigned, &production);
    check("development", true, BTreeSet::new(), LoadCause::Unsigned, &["`plugins.unsigned`"]);
    // By name in development: in a process of its own, whatever it or the operator would rather have.
    let (folder, sources) = signed("development-named");
    unsign(&folder);
    let here = BTreeMap::from([(ID.to_owned(), Isolation::InProcess)]);
    let sources = Sources { development: true, unsigned: named(), isolation: here, ..sources };
    let registry = Registry::load(&sources);
    let plugin = registry.plugin(ID).unwrap();
    assert_eq!((plugin.mode(), plugin.trust()), (Mode::Child, &TrustState::Unsigned));

    // Once signed, never unsigned again while the process lives, not even in development and by name.
    let (folder, sources) = signed("one-way");
    let sources = Sources { unsigned: named(), development: true, ..sources };
    assert!(Registry::load(&sources).plugin(ID).is_some());
    unsign(&folder);
    let registry = Registry::load(&sources);
    let told: Vec<String> = registry.failures().iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|told| told.contains("it was loaded signed since the program started")),
        "{told:?}"
    );
}

#[test]
fn of_plugins_that_claim_the_same_the_signed_one_stays() {
    // The unsigned one comes first by name, and by its id it is another plugin with the same groups.
    let other = build::LIAR.replace(ID, "cn.example.other");
    let unsigned = fs::read(build::liar("trust-claim-other", &[], &other)).unwrap();
    let parts: [(&str, &[u8], &str); 2] =
        [("a-unsigned", &unsigned, &other), ("b-signed", &library("claim"), build::LIAR)];
    let folder = build::folder("trust-claim", &parts);
    for file in ["plugin.lock", "plugin.lock.sig"] {
        fs::remove_file(folder.join("a-unsigned").join(file)).unwrap();
    }
    let unsigned = BTreeSet::from([PluginId::new("cn.example.other").unwrap()]);
    let sources = Sources { development: true, unsigned, ..build::sources(folder, Mode::InProcess) };
    let registry = Registry::load(&sources);
    assert!(registry.plugin(ID).is_some(), "{:?}", registry.failures());
    let failure =
        registry.failures().iter().find(|failure| failure.plugin.as_deref() == Some("cn.example.other"));
    let failure = failure.unwrap();
    assert_eq!(failure.cause, LoadCause::Duplicate, "{failure}");
    assert!(failure.reason.contains("the group `first` belongs to `cn.example.liar`"), "{failure}");

    // The build's own plugin gives way to an installed one that is signed.
    let (elderly, manifest) = build::elderly();
    let manifest = fs::read_to_string(manifest).unwrap();
    let folder = build::folder("trust-built", &[("elderly", &fs::read(elderly).unwrap(), &manifest)]);
    let registry = Registry::load(&Sources { development: true, ..build::sources(folder, Mode::InProcess) });
    let plugin = registry.plugin("cn.linli.elderly").unwrap();
    assert_eq!(plugin.trust().code(), "signed");
    let registry = Registry::load(&Sources { development: true, ..Sources::default() });
    assert_eq!(registry.plugin("cn.linli.elderly").unwrap().trust(), &TrustState::Development);
}

#[test]
fn files_that_others_could_change_are_not_read() {
    let check = |name: &str, change: &dyn Fn(&Path), state: Option<&str>, words: &[&str]| {
        check(name, |folder, _| change(folder), LoadCause::Unsafe, state, words);
    };
    let mode = |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let everybody = ["may be changed by everybody", "`chmod go-w`"];
    let group = ["may be changed by its group"];
    let is_signed = Some("signed");
    check("mode-library", &|f| mode(f.join("libplugin.so"), 0o666), is_signed, &everybody);
    check("mode-manifest", &|f| mode(f.join("plugin.toml"), 0o664), is_signed, &group);
    check("mode-lock", &|f| mode(f.join("plugin.lock"), 0o646), is_signed, &everybody);
    check("mode-sig", &|f| mode(f.join("plugin.lock.sig"), 0o622), is_signed, &everybody);
    check("mode-folder", &|f| mode(f.to_owned(), 0o777), is_signed, &everybody);
    check("mode-group-folder", &|f| mode(f.to_owned(), 0o775), is_signed, &group);
    check("mode-parent", &|f| mode(f.parent().unwrap().to_owned(), 0o777), is_signed, &everybody);

    let moved = |f: &Path, name: &str| {
        let away = f.parent().unwrap().with_extension(format!("away-{name}"));
        let _ = fs::remove_dir_all(&away);
        let _ = fs::remove_file(&away);
        let from = if name.is_empty() { f.to_owned() } else { f.join(name) };
        fs::rename(&from, &away).unwrap();
        symlink(&away, &from).unwrap();
    };
    let link = ["is a symbolic link, which is not followed", "install the files themselves"];
    check("link-library", &|f| moved(f, "libplugin.so"), None, &link);
    check("link-manifest", &|f| moved(f, "plugin.toml"), None, &link);
    check("link-lock", &|f| moved(f, "plugin.lock"), None, &link);
    check("link-sig", &|f| moved(f, "plugin.lock.sig"), None, &link);
    check("link-folder", &|f| moved(f, ""), None, &link);
    let folder = |f: &Path| {
        fs::remove_file(f.join("libplugin.so")).unwrap();
        fs::create_dir(f.join("libplugin.so")).unwrap();
    };
    check("no-file", &folder, None, &["is not a regular file"]);

    // In a sticky folder nobody can exchange what belongs to another.
    let (folder, sources) = signed("sticky");
    mode(folder.parent().unwrap().to_owned(), 0o1777);
    assert_eq!(Registry::load(&sources).failures(), &[] as &[LoadFailure]);

    // Another owner takes root's rights to set up.
    if rustix::process::geteuid().is_root() {
        for part in ["libplugin.so", "plugin.toml", "plugin.lock", "plugin.lock.sig", ""] {
            let give = |f: &Path| chown(f.join(part), Some(4242), None).unwrap();
            let words = ["belongs to the user 4242", "`chown root`"];
            check(&format!("owner-{part}"), &give, is_signed, &words);
        }
    }
}

#[test]
fn what_was_hashed_is_what_runs() {
    let built = |info: &str| {
        let definition = format!("-DBUILD_INFO=\"{info}\"");
        fs::read(build::liar(&format!("trust-race-{info}"), &[&definition], build::LIAR)).unwrap()
    };
    let (good, evil) = (built("good"), built("evil"));
    let folder = build::folder("trust-race", &[("liar", &good, build::LIAR)]);
    let sources = build::sources(folder.clone(), Mode::InProcess);
    let digest = Registry::load(&sources).plugin(ID).unwrap().stamp().digest.clone();
    // The other library would run under its own signature and say so: the test can tell the two.
    let other = build::folder("trust-race-other", &[("liar", &evil, build::LIAR)]);
    assert_eq!(build::load(other).plugin(ID).unwrap().build_info(), "evil");

    let (stop, path) = (AtomicBool::new(false), folder.join("liar/libplugin.so"));
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let fresh = path.with_extension("new");
            while !stop.load(Ordering::Relaxed) {
                for library in [&evil, &good] {
                    // Once as another file under the same name, once within the file that may be open.
                    fs::write(&fresh, library).unwrap();
                    fs::rename(&fresh, &path).unwrap();
                    std::thread::yield_now();
                }
                for library in [&evil, &good] {
                    fs::write(&path, library).unwrap();
                }
            }
        });
        for _ in 0..3_000 {
            let registry = Registry::load(&sources);
            match (registry.plugin(ID), registry.failures()) {
                (Some(plugin), []) => {
                    assert_eq!((plugin.build_info(), &plugin.stamp().digest), ("good", &digest));
                    loaded += 1;
                }
                (None, [failure]) => {
                    assert_eq!(failure.cause, LoadCause::Modified, "{failure}");
                    refused += 1;
                }
                (plugin, failures) => panic!("{plugin:?}: {failures:?}"),
            }
            if loaded >= 20 && refused >= 20 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(loaded > 0 && refused > 0, "both were seen: {loaded} loaded, {refused} refused");
}
