//! The audit log: who reads it, what its anchors prove, and every way of forging it, which two verifiers find.

use std::path::{Path, PathBuf};
use std::process::Command;

use linli_proto::v1;

use crate::built;
use crate::harness::client::Rpc;
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{invalid, refused};

fn run(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap_or(-1), text)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The files that a verifier needs, in a folder of their own.
struct Files {
    folder: PathBuf,
    key: String,
}

impl Files {
    fn database(&self) -> PathBuf {
        self.folder.join("linli.db")
    }

    fn anchors(&self) -> PathBuf {
        self.folder.join("audit.anchors")
    }

    fn old(&self) -> PathBuf {
        self.folder.join("old.db")
    }

    fn copy(&self, name: &str) -> Self {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let copy = Self { folder, key: self.key.clone() };
        for (from, to) in [(self.database(), copy.database()), (self.anchors(), copy.anchors())] {
            std::fs::copy(from, to).unwrap();
        }
        copy
    }

    fn forge(&self, way: &str, old: &Path) {
        let mut command = Command::new("python3");
        command.arg(fixture("audit_forge.py")).arg(way).arg(self.database()).arg(self.anchors());
        let (code, said) = run(command.args(["s1", "s2"]).arg(old));
        assert_eq!(code, 0, "{way}: {said}");
    }

    /// What the two verifiers say, each with its exit code.
    fn verify(&self) -> [(i32, String); 2] {
        let mut rust = Command::new(built::program("linli"));
        rust.args(["audit", "verify", "--key", &self.key]).arg("--database").arg(self.database());
        rust.arg("--anchors").arg(self.anchors());
        [run(&mut rust), self.verify_in_python(&self.database())]
    }

    fn verify_in_python(&self, database: &Path) -> (i32, String) {
        let mut python = Command::new("python3");
        python.arg(fixture("audit_verify.py")).arg(database).arg(self.anchors()).arg(&self.key);
        run(&mut python)
    }
}

/// A log of two sites with anchors after entries 4, 8 and 12 of `s1`, its older copy, and the data.
async fn log() -> (Data, Files) {
    let mut data = Data::sqlite();
    let mut key = String::new();
    let old = data.folder().join("old.db");
    for round in 0..3 {
        let server = Server::on(data).await;
        let client = server.client();
        for site in ["s1", "s2"] {
            if round == 0 {
                client.site(site).await;
            }
            for room in 0..3 {
                client.dwelling(&format!("sites/{site}"), &format!("{round}0{room}")).await;
            }
        }
        let checkpoint = client.ask(v1::GetCheckpointRequest { parent: "sites/s1".into() }).await.unwrap();
        key = checkpoint.public_key;
        data = server.stop().await;
        if round == 1 {
            std::fs::copy(data.database(), &old).unwrap();
        }
    }
    let files = Files { folder: data.folder().to_owned(), key };
    (data, files)
}

/// Ways of forging, and the place of the first flaw that both verifiers name. The classes are numbered as in the threat model;
/// further ways of one class follow it.
const FORGERIES: &[(&str, &str)] = &[
    // 1. A field is edited.
    ("edit", "entry 4 of `s1`: its hash"),
    // 2. Deleted from the middle.
    ("delete middle", "entry 4 of `s1`: is missing: 5 follows"),
    // 3. Deleted from the end, also with the head.
    ("delete tail", "entry 11 of `s1`: is missing: anchor"),
    ("delete tail and head", "entry 11 of `s1`: is missing: anchor"),
    // 4. Two are swapped.
    ("swap", "entry 4 of `s1`: is an entry of another place"),
    // 5. One is doubled, also with a chain made anew.
    ("duplicate", "entry 5 of `s1`: is an entry of another place"),
    ("duplicate and recompute", "entries 5 to 8 of `s1`: not what anchor"),
    // 6. One is inserted, or added at the end.
    ("insert", "entry 5 of `s1`: its hash"),
    ("append", "entry 13 of `s1`: lies beyond the head"),
    // 7. Numbers are changed.
    ("renumber", "entry 4 of `s1`: is missing: 5 follows"),
    // 8. All that follows is replaced, with the chain made anew: it needs no key.
    ("replace suffix", "entries 1 to 4 of `s1`: not what anchor 1 says"),
    // 9. The same with all that the database holds, and the old anchors.
    ("replace suffix and memory", "entries 1 to 4 of `s1`: not what anchor 1 says"),
    // 10. An older database is put back.
    ("restore", "is missing: anchor"),
    // 11. A piece of another site's log is put in.
    ("splice", "entry 4 of `s1`: is an entry of another place"),
    // 12. One bit is another, in a hash or in the file of anchors; anchors are dropped.
    ("flip a hash", "entry 4 of `s1`: its hash"),
    ("flip a signature", "anchor 1: "),
    ("flip a root", "anchor 1: "),
    ("flip a head", "anchor 1: "),
    ("cut anchors", "is missing: the database remembers"),
    ("drop an anchor", "anchor 1: does not follow"),
    ("no anchors", "anchor 1: is missing"),
];

#[tokio::test(flavor = "multi_thread")]
async fn both_verifiers_find_every_forgery_and_where_it_begins() {
    let (data, files) = log().await;
    for (code, said) in files.verify() {
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with("intact"), "{said}");
    }
    for (way, expect) in FORGERIES {
        let forged = files.copy(way);
        forged.forge(way, &files.old());
        let [rust, python] = forged.verify();
        for (code, said) in [&rust, &python] {
            assert_eq!(*code, 1, "{way}: {said}");
            assert!(said.contains(expect), "{way}: no `{expect}` in {said}");
        }
        assert!(rust.1.trim_end().ends_with(python.1.trim_end()), "{way}: {} and {}", rust.1, python.1);
    }

    // The exported log alone is verified, too; and found forged.
    let edited = files.copy("edited");
    edited.forge("edit", &files.old());
    for (files, expect) in [(&files, 0), (&edited, 1)] {
        let mut export = Command::new(built::program("linli"));
        let (code, lines) = run(export.args(["audit", "export", "--database"]).arg(files.database()));
        assert_eq!(code, 0, "{lines}");
        let path = files.folder.join("log.jsonl");
        std::fs::write(&path, lines).unwrap();
        let (code, said) = files.verify_in_python(&path);
        assert_eq!(code, expect, "{said}");
    }

    // A server does not start on an older database, nor on one whose end was replaced.
    std::fs::copy(files.old(), files.database()).unwrap();
    let said = Child::try_start(data).err().unwrap();
    assert!(said.contains("the audit log: entry ") && said.contains("is missing: anchor"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_was_kept_elsewhere_is_asked_for() {
    let (data, files) = log().await;
    let kept = std::fs::read_to_string(files.anchors()).unwrap();
    let root = kept.lines().next().unwrap().split("\"root\":\"").nth(1).unwrap().split('"').next().unwrap();
    let check = |known: &str, code: i32| {
        let mut verify = Command::new(built::program("linli"));
        verify.args(["audit", "verify", "--key", &files.key, "--known", known]);
        verify.arg("--database").arg(data.database()).arg("--anchors").arg(files.anchors());
        let (found, said) = run(&mut verify);
        assert_eq!(found, code, "{known}: {said}");
    };
    check(&format!("1:{root}"), 0);
    check(&format!("2:{root}"), 1);
    check(&format!("99:{root}"), 1);
    check(root, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_read_the_log_and_no_file() {
    let issuer = Issuer::new();
    let server = issuer.server().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    client.site("s2").await;
    let auditor =
        issuer.enter(&server, "auditor", vec![grant(v1::StaffRole::Auditor, &["s1"])]).await.purposeful();
    refused(
        auditor.ask(v1::GetResidentRequest { name: resident.clone(), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    let list = |parent: &str| v1::ListAuditEntriesRequest { parent: parent.into(), ..Default::default() };
    refused(auditor.ask(list("sites/s2")).await, "PERMISSION_DENIED");
    refused(auditor.ask(list("")).await, "PERMISSION_DENIED");

    // The refusal is in the log, and so is each reading of it.
    let mine = v1::ListAuditEntriesRequest { principal: "staff/auditor".into(), ..list(&site) };
    let entries = auditor.ask(mine.clone()).await.unwrap().entries;
    let told: Vec<_> = entries.iter().map(|entry| (entry.method.as_str(), entry.decision())).collect();
    assert_eq!(told, [(v1::GetResidentRequest::PATH, v1::AuditDecision::Denied)]);
    let entries = auditor.ask(mine).await.unwrap().entries;
    let last = entries.last().unwrap();
    assert_eq!((entries.len(), last.method.as_str()), (2, v1::ListAuditEntriesRequest::PATH));
    assert_eq!(last.resource, "sites/s1/auditEntries");

    // Pages follow one another without a gap; filters hold what they say.
    let mut page = v1::ListAuditEntriesRequest { page_size: 2, ..list(&site) };
    let mut numbers = Vec::new();
    for _ in 0..4 {
        let answer = auditor.ask(page.clone()).await.unwrap();
        numbers.extend(answer.entries.iter().map(|entry| entry.number));
        page.page_token = answer.next_page_token;
    }
    assert_eq!(numbers, (1..=8).collect::<Vec<i64>>());
    let about = v1::ListAuditEntriesRequest { resident: resident.clone(), ..list(&site) };
    let entries = auditor.ask(about).await.unwrap().entries;
    assert!(!entries.is_empty());
    let id = resident.rsplit('/').next().unwrap();
    assert!(entries.iter().all(|entry| entry.residents.iter().any(|found| found == id)), "{entries:?}");
    let future = Some(prost_types::Timestamp { seconds: 7_000_000_000, nanos: 0 });
    let none = v1::ListAuditEntriesRequest { start_time: future, ..list(&site) };
    assert!(auditor.ask(none).await.unwrap().entries.is_empty());
    let foreign = v1::ListAuditEntriesRequest { resident, ..list("sites/s2") };
    invalid(client.ask(foreign).await, &["resident"]);

    // What the server proves of itself.
    let checkpoint = auditor.ask(v1::GetCheckpointRequest { parent: site.clone() }).await.unwrap();
    assert_eq!((checkpoint.site.as_str(), checkpoint.anchor_number), ("sites/s1", 1));
    assert_eq!(checkpoint.leaf_count, 3, "two sites and the server's own log");
    assert!(!checkpoint.proof.is_empty());
    let verified = auditor.ask(v1::VerifyAuditRequest { parent: site.clone() }).await.unwrap();
    assert!(verified.intact && verified.anchored_number == checkpoint.entry_number, "{verified:?}");
    assert!(client.ask(v1::VerifyAuditRequest::default()).await.unwrap().intact);

    // And of a forged log.
    server.app.store.unguard().await;
    server.app.store.tamper("DELETE FROM audit_entry WHERE site = 's1' AND seq = 2").await;
    let verified = auditor.ask(v1::VerifyAuditRequest { parent: site }).await.unwrap();
    assert!(!verified.intact);
    assert_eq!(verified.flaw, "entry 2 of `s1`: is missing: 3 follows");
    server.stop().await;
}
