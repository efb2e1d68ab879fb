//! The plugin of a release build, signed with a key of this run, in the host's process and in one of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use linli_core::time::CivilDate;
use linli_plugin_host::manifest::Isolation;
use linli_plugin_host::tools::bench::BATCH_ROWS;
use linli_plugin_host::tools::residents::Residents;
use linli_plugin_host::tools::scenario;
use linli_plugin_host::trust::{self, TrustStore};
use linli_plugin_host::{Batch, BatchBuilder, Plugin, Registry, Sources};

/// The plugin whose rules are compared.
pub const ID: &str = "cn.linli.disability";
const LIBRARY: &str = "liblinli_plugin_disability.so";
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../plugins/disability/plugin.toml");
const DEADLINE: Duration = Duration::from_secs(60);

/// Loads it twice.
pub fn load(build: &Path) -> Result<[Registry; 2], Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("linli-compare-rules-{}", std::process::id()));
    let plugin = folder.join("plugins/disability");
    fs::create_dir_all(&plugin)?;
    let library = build.join(LIBRARY);
    fs::copy(&library, plugin.join(LIBRARY)).map_err(|error| {
        format!("{}: {error}; `cargo build --release --workspace` makes it", library.display())
    })?;
    fs::copy(MANIFEST, plugin.join("plugin.toml"))?;
    let key = trust::generate([7; 32]);
    let lock = trust::lock_folder(&plugin)?.to_string();
    fs::write(plugin.join("plugin.lock"), &lock)?;
    fs::write(plugin.join("plugin.lock.sig"), trust::sign(lock.as_bytes(), &key).to_string())?;
    let trust = TrustStore::parse(&format!(
        "format = 1\n[[key]]\nowner = \"This run\"\npublic = \"{}\"\nplugins = [\"cn.linli.*\"]\n\
         interfaces = [\"linli.rules/1\"]\nin_process = true\n",
        key.public().to_base64()
    ))?;
    let registries = [Isolation::InProcess, Isolation::Child].map(|isolation| {
        Registry::load(&Sources {
            folders: vec![folder.join("plugins")],
            trust: trust.clone(),
            isolation: BTreeMap::from([(ID.to_owned(), isolation)]),
            runner: Some(build.join("linli-runner")),
            ..Sources::default()
        })
    });
    fs::remove_dir_all(&folder)?;
    for registry in &registries {
        if let Some(failure) = registry.failures().first() {
            return Err(failure.to_string().into());
        }
    }
    Ok(registries)
}

/// What it says about residents, in the words of the scenario tables.
pub fn answers(plugin: &Plugin, residents: &Residents) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let routes = residents.routes(&[plugin]);
    let mut answers = Vec::with_capacity(residents.len());
    for first in (0..residents.len()).step_by(BATCH_ROWS) {
        let mut batches: Vec<BatchBuilder<'_>> = vec![plugin.batch()];
        residents
            .push(&mut batches, &routes, first, BATCH_ROWS)
            .map_err(|problems| format!("{problems:?}"))?;
        let batch: Batch = batches.pop().map(BatchBuilder::finish).ok_or("a batch")?;
        let answer = plugin.assess(batch, DEADLINE)?;
        answers.extend(scenario::findings(&answer)?.iter().map(|findings| scenario::lines(findings, &[])));
    }
    Ok(answers)
}

/// A day as the tables write it.
pub fn date(days: i32) -> Result<String, String> {
    CivilDate::from_days(days).map(|day| day.to_string()).map_err(|_| format!("{days} is no date"))
}
