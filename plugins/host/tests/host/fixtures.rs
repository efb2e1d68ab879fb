//! Built plugins of earlier versions: each must load and answer as it did, for ever.
//!
//! A fixture is a folder as an operator installs it, with the scenario table of its time and `SOURCE`, which says what it was
//! built from. A new version of the interface adds a fixture and changes none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linli_plugin_host::tools::scenario;
use linli_plugin_host::{LoadFailure, Registry};

use crate::build;

const DEADLINE: Duration = Duration::from_secs(20);

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    fixtures.sort();
    fixtures
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn plugins_built_in_the_past_load_and_answer_as_they_did() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    for mode in build::MODES {
        for fixture in &fixtures {
            // Permissions are those of an installation, whatever the checkout has.
            let place =
                build::scratch(&format!("fixture-{mode:?}-{}", fixture.file_name().unwrap().display()));
            let only = place.join("only/x86_64-linux");
            fs::create_dir_all(&only).unwrap();
            fs::copy(fixture.join("plugin.toml"), place.join("only/plugin.toml")).unwrap();
            fs::copy(fixture.join("x86_64-linux/plugin.so"), only.join("plugin.so")).unwrap();
            build::sign(&place.join("only"), &build::key());
            let registry = Registry::load(&build::sources(place, mode));
            assert_eq!(registry.failures(), &[] as &[LoadFailure], "{}", fixture.display());
            let [plugin] = registry.plugins() else { panic!("one plugin in {}", fixture.display()) };
            assert_eq!(plugin.mode(), mode);
            let source = fs::read_to_string(fixture.join("SOURCE")).unwrap();
            assert!(source.contains(&plugin.stamp().digest), "`SOURCE` names the library's digest");
            let table = fs::read_to_string(fixture.join("scenarios.txt")).unwrap();
            let cases = scenario::run(plugin, &table, DEADLINE).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert!(cases >= 25, "{cases}");
        }
    }
}

#[test]
fn what_is_kept_is_small_and_tells_nothing_of_the_machine_that_built_it() {
    for fixture in fixtures() {
        let library = fs::read(fixture.join("x86_64-linux/plugin.so")).unwrap();
        assert!(library.len() < 1024 * 1024, "{} bytes", library.len());
        for words in [concat!("/ro", "ot"), "/tmp/", concat!("/wo", "rk/"), concat!("/ho", "me/"), ".cargo"] {
            let found = library.windows(words.len()).any(|bytes| bytes == words.as_bytes());
            assert!(!found, "`{words}` in the library of {}", fixture.display());
        }
    }
}
