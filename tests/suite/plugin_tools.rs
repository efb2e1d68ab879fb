//! `linli plugin …` as somebody types it: from an empty folder to duties on a running server, in Rust and in C, without
//! a line of core or service.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linli_proto::v1;
use tonic::Code;

use crate::built::{self, Tool};
use crate::harness::estate::flag;
use crate::harness::server::{Child, Data, Server};

/// Runs a program in a folder: its exit code, and everything that it said.
fn run(folder: &Path, program: &Path, arguments: &[&str]) -> (i32, String) {
    // Cargo builds what is new into a folder of its own: the suite's programs stay as they are.
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

fn target() -> PathBuf {
    built::folder().join("plugin-tools")
}

#[track_caller]
fn succeeds(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    let (code, said) = run(folder, program, arguments);
    assert_eq!(code, 0, "{} {arguments:?}: {said}", program.display());
    said
}

fn linli() -> PathBuf {
    built::program("linli-runner");
    built::program("linli")
}

/// An empty folder for plugins, of which the server is told.
fn installed() -> (Data, PathBuf) {
    let data = Data::sqlite();
    let folder = data.folder().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    let data = data.with(&format!("plugins.folders = [\"{}\"]", folder.display()));
    (data, folder)
}

/// The plugin of these tests, signed with a fresh key that the server trusts.
fn signed(data: Data, folder: &Path) -> Data {
    let key = data.folder().join("vendor.key");
    let key = key.to_str().unwrap();
    let said = succeeds(folder, &linli(), &["plugin", "keygen", "--out", key]);
    let (_, lines) = said.split_once("\n\n").unwrap();
    let trust = data.folder().join("trust.toml");
    fs::write(&trust, format!("format = 1\n{lines}")).unwrap();
    let again = run(folder, &linli(), &["plugin", "keygen", "--out", key]);
    assert!(again.0 == 1 && again.1.contains("exists and stays as it is"), "{again:?}");
    let inspect = ["plugin", "inspect", "--trust-store", trust.to_str().unwrap(), "."];
    assert!(succeeds(folder, &linli(), &inspect).contains("trust\n  unsigned"));
    let said = succeeds(folder, &linli(), &["plugin", "sign", "--key", key, "."]);
    assert!(said.contains("signed cn.example.tea-masters 0.1.0 with the key"), "{said}");
    assert!(succeeds(folder, &linli(), &inspect).contains("trust\n  signed by your name"));
    data.with(&format!("plugins.trust_store = \"{}\"", trust.display()))
}

/// The duties of somebody whose one fact is that a group was confirmed. The plugin is put into its folder, previewed and
/// loaded while the server runs.
async fn duties(data: Data, folder: &Path, field: &str) -> Vec<String> {
    let aside = data.folder().join("aside");
    fs::rename(folder, &aside).unwrap();
    let server = Server::on(data).await;
    let client = server.client();
    let name = "plugins/cn.example.tea-masters".to_owned();
    let known = client.ask(v1::GetPluginRequest { name: name.clone() }).await;
    assert_eq!(known.unwrap_err().code(), Code::NotFound);
    fs::rename(aside, folder).unwrap();
    let preview = v1::PreviewPluginRequest { name: name.clone(), ..Default::default() };
    let digest = client.ask(preview).await.unwrap().candidate.unwrap().digest;
    let load = v1::LoadPluginRequest { name: name.clone(), digest, ..Default::default() };
    let loaded = client.ask(load).await.unwrap();
    assert_eq!(loaded.state(), v1::PluginState::Ready, "{loaded:?}");
    let site = client.site("tea").await;
    let dwelling = client.dwelling(&site, "501").await;
    let resident = v1::Resident {
        full_name: "秦安然".to_owned(),
        dwelling,
        move_in_date: "2020-01-01".to_owned(),
        birth_date: "1990-05-01".to_owned(),
        facts: vec![flag(field, true)],
        ..v1::Resident::default()
    };
    let resident = client.resident(resident).await;
    assert_eq!(resident.groups.len(), 1, "{:?}", resident.groups);
    client.advance("2026-04-01T09:00:00+08:00").await;
    client.owed(&resident.name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_in_rust_goes_from_an_empty_folder_to_duties() {
    let (data, plugins) = installed();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk");
    let new = ["plugin", "new", "--group", "tea-masters", "--zh", "茶艺传人", "--sdk", sdk.to_str().unwrap()];
    let said = succeeds(&plugins, &linli(), &[&new[..], &["tea"]].concat());
    assert!(said.contains("made tea/src/lib.rs") && said.contains("cargo build --release"), "{said}");
    let folder = plugins.join("tea");
    let again = run(&plugins, &linli(), &[&new[..], &["tea"]].concat());
    assert!(again.0 == 1 && again.1.contains("nothing was made"), "{again:?}");

    // The versions of this workspace, so that nothing is fetched.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    let cargo = Path::new(env!("CARGO"));
    succeeds(&folder, cargo, &["test", "--quiet"]);
    succeeds(&folder, cargo, &["build", "--quiet"]);
    fs::copy(target().join("debug/libtea_masters.so"), folder.join("libtea_masters.so")).unwrap();
    let said = succeeds(&folder, &linli(), &["plugin", "check", "--quick", "--seed", "3", "."]);
    assert!(said.contains(" 0 broken, 0 not looked at") && said.contains("seed 3"), "{said}");

    let data = signed(data, &folder);
    let owed = duties(data, &folder, "tea_masters_confirmed").await;
    assert!(owed.iter().any(|line| line.starts_with("tea_masters.call")), "{owed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_in_c_goes_from_an_empty_folder_to_duties() {
    let (data, plugins) = installed();
    succeeds(&plugins, &linli(), &["plugin", "new", "--group", "tea_masters", "--lang", "c", "tea"]);
    let folder = plugins.join("tea");
    succeeds(&folder, Path::new("sh"), &["build.sh"]);
    let said = succeeds(&folder, &linli(), &["plugin", "check", "--seed", "3", "."]);
    assert!(said.contains(" 0 broken, 0 not looked at"), "{said}");
    let said = succeeds(&folder, &linli(), &["plugin", "bench", "--rows", "2000", "--rounds", "1", "."]);
    let of = |mode: &str| {
        said.lines().any(|line| line.starts_with("cn.example.tea-masters") && line.contains(mode))
    };
    assert!(of("in process") && of("child") && said.contains("encode   call   read"), "{said}");
    let said = succeeds(&folder, &linli(), &["plugin", "inspect", "--lang", "zh", "."]);
    assert!(
        said.contains("信任\n  未签名") && said.contains("确认有效期至") && said.contains("tea_masters.call"),
        "{said}"
    );

    let data = data.with("plugins.unsigned = [\"cn.example.tea-masters\"]");
    let owed = duties(data, &folder, "tea_masters_confirmed").await;
    assert!(owed.iter().any(|line| line.starts_with("tea_masters.call")), "{owed:?}");
}

/// A new connector, built, in a folder of its own in a folder of plugins.
fn hall(plugins: &Path) -> PathBuf {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk");
    let new =
        ["plugin", "new", "--connector", "town-hall", "--zh", "区政务平台", "--sdk", sdk.to_str().unwrap()];
    let said = succeeds(plugins, &linli(), &[&new[..], &["hall"]].concat());
    assert!(said.contains("made hall/settings.json"), "{said}");
    let folder = plugins.join("hall");
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
    let cargo = Path::new(env!("CARGO"));
    succeeds(&folder, cargo, &["test", "--quiet"]);
    succeeds(&folder, cargo, &["build", "--quiet"]);
    fs::copy(target().join("debug/libtown_hall.so"), folder.join("libtown_hall.so")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connector_goes_from_an_empty_folder_to_a_process_of_the_server() {
    let (data, plugins) = installed();
    let folder = hall(&plugins);
    let said = succeeds(&folder, &linli(), &["plugin", "check", "--quick", "--seed", "3", "."]);
    assert!(said.contains(" 0 broken, 0 not looked at") && said.contains("ok      hosted_apart"), "{said}");
    let said = succeeds(&folder, &linli(), &["plugin", "inspect", "--lang", "zh", "."]);
    assert!(said.contains("可披露 (3)") && said.contains("对方接口地址"), "{said}");

    // Whatever the operator says, it has a process of its own; nobody is assessed by it.
    let data = data.with("plugins.unsigned = [\"cn.example.town-hall\"]");
    let server = Server::on(data).await;
    let client = server.client();
    let name = "plugins/cn.example.town-hall".to_owned();
    let plugin = client.ask(v1::GetPluginRequest { name: name.clone() }).await.unwrap();
    assert_eq!((plugin.state(), plugin.mode()), (v1::PluginState::Ready, v1::PluginMode::Child));
    assert_eq!(plugin.interfaces, ["linli.connector/1"]);
    let connector = plugin.connector.unwrap();
    assert_eq!(connector.operations, ["deliver", "probe"]);
    assert_eq!(connector.fields, ["name", "phone", "address"]);
    assert_eq!((connector.http_methods.len(), connector.http_hosts), (2, vec!["*".to_owned()]));
    let preview = v1::PreviewPluginRequest { name, ..Default::default() };
    let preview = client.ask(preview).await.unwrap();
    assert!(preview.sites.iter().all(|site| site.files == 0 && site.unanswered == 0), "{preview:?}");
    let site = client.site("hall").await;
    let dwelling = client.dwelling(&site, "501").await;
    let resident = v1::Resident {
        full_name: "秦安然".to_owned(),
        dwelling,
        move_in_date: "2020-01-01".to_owned(),
        birth_date: "1935-05-01".to_owned(),
        ..v1::Resident::default()
    };
    let resident = client.resident(resident).await;
    assert!(!client.owed(&resident.name).await.is_empty());
    let again = client.ask(v1::GetPluginRequest { name: plugin.name }).await.unwrap();
    assert_eq!(again.figures.unwrap().calls, 0, "nobody asked it about the resident");
}

#[test]
fn the_first_referral_of_a_new_connector_arrives() {
    let (Some(python), Some(grpcurl)) = (Tool::Python.find(), Tool::Grpcurl.find()) else { return };
    let data = Data::sqlite();
    let plugins = data.folder().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    let try_it = hall(&plugins).join("try");
    // What its README has openssl make.
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(try_it.join("receiver.pem"), certified.cert.pem()).unwrap();
    fs::write(try_it.join("receiver.key"), certified.signing_key.serialize_pem()).unwrap();
    let mut receiver = Ends(
        Command::new(python)
            .args(["receiver.py", "0"])
            .current_dir(&try_it)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = BufReader::new(receiver.0.stdout.take().unwrap()).lines();
    let address = said.next().unwrap().unwrap();
    // Where everything lies: the server's data have a folder of their own.
    let read = |name: &str| fs::read_to_string(try_it.join(name)).unwrap();
    let channels = read("channels.toml")
        .replace("https://localhost:8443", &address)
        .replace("localhost:8443", address.strip_prefix("https://").unwrap())
        .replace("\"receiver.", &format!("\"{}/receiver.", try_it.display()));
    fs::write(data.folder().join("channels.toml"), channels).unwrap();
    let config = read("linli.toml").replace("\"plugins\"", &format!("\"{}\"", plugins.display()));
    let (config, named) = config.split_once("community.channels_file").unwrap();
    assert_eq!(named, " = \"channels.toml\"\n");
    let child = Child::start(data.with(config));
    let output = Command::new("sh")
        .args(["refer.sh", child.token(), &child.address])
        .current_dir(&try_it)
        .env("GRPCURL", grpcurl)
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{shown}");
    for words in ["\"well\": true", "REFERRAL_STATE_SENT", "\"R-1\"", "ATTEMPT_OUTCOME_DELIVERED"] {
        assert!(shown.contains(words), "`{words}` in {shown}");
    }
    let taken = said.next().unwrap().unwrap();
    assert!(taken.starts_with("new R-1 {") && taken.contains("\"name\": \"王试用\""), "{taken}");
}

/// A process that ends with the test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_typed_wrong_and_what_is_broken_is_said() {
    let data = Data::sqlite();
    let folder = data.folder();
    let says = |arguments: &[&str], code: i32, words: &str| {
        let (ended, said) = run(folder, &linli(), &[&["plugin"], arguments].concat());
        assert!(ended == code && said.contains(words), "{arguments:?}: {ended}, `{words}` in {said}");
    };
    says(&["check", "nowhere"], 2, "`nowhere` does not exist");
    says(&["check", "."], 2, "build the plugin first");
    says(&["inspect", "."], 2, "build the plugin first");
    says(&["check-rule", "--", "x"], 2, "this is for `linli plugin check` to call");
    says(&["new", "--group", "2", "x"], 2, "such as `chronic-illness`, not `2`");
    says(&["new", "x"], 2, "--group <GROUP>|--connector <NAME>");
    says(&["new", "--connector", "2", "x"], 2, "such as `town-hall`, not `2`");
    says(&["new", "--group", "tea", "--sdk", "nowhere", "x"], 2, "`--sdk`: `nowhere` is neither a version");
    for command in ["new", "check", "bench", "inspect", "sign", "keygen"] {
        says(&[command, "--help"], 0, "Example");
    }
    // A broken one: its rules do not agree with its table.
    succeeds(folder, &linli(), &["plugin", "new", "--group", "tea", "--lang", "c", "tea"]);
    let table = folder.join("tea/scenarios.txt");
    let changed = fs::read_to_string(&table).unwrap().replace("2026-06-16", "2026-06-15");
    fs::write(&table, changed).unwrap();
    succeeds(folder, Path::new("sh"), &["tea/build.sh"]);
    says(&["check", "--quick", "tea"], 1, "breaks rules of the plugin interface: scenarios");
}
