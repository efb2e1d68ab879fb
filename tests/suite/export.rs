//! Files that leave the system: a whole site page by page, and everything about one person; each page audited before it is
//! sent, sealed on the disk, with a purpose (mission A7.3; access right).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use linli_core::id::SiteId;
use linli_core::resident::FieldClass;
use linli_proto::v1;
use linli_proto::v1::import_residents_request::Part;
use linli_store::Scope;

use crate::built;
use crate::harness::estate::{elder, identity_number};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{Refusal, holds, invalid, refused};

fn export(site: &str, classes: &[v1::FieldClass]) -> v1::ExportResidentsRequest {
    let classes = classes.iter().map(|&class| class.into()).collect();
    v1::ExportResidentsRequest { parent: site.to_owned(), classes, ..Default::default() }
}

fn roster(site: &str, people: i64) -> Vec<v1::ImportResidentsRequest> {
    let header = v1::ImportHeader { parent: site.to_owned(), create_dwellings: true, ..Default::default() };
    let row = |at: i64| {
        let sequence = u32::try_from(at % 900).unwrap();
        let person = v1::Resident {
            identity_number: identity_number("19400501", sequence),
            birth_date: String::new(),
            phone: "13900001234".to_owned(),
            ..elder("", &format!("某{at}"))
        };
        v1::ImportRow {
            line: at + 1,
            resident: Some(person),
            dwelling: Some(v1::Dwelling {
                building: "3".to_owned(),
                room: format!("{}", 100 + at),
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    std::iter::once(Part::Header(header))
        .chain((1..=people).map(|at| Part::Row(row(at))))
        .map(|part| v1::ImportResidentsRequest { part: Some(part) })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_export_is_audited_with_everybody_on_it() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        let server = Server::on(data).await;
        let client = server.client().purposeful();
        let site = client.site("s1").await;
        let imported = client.import(roster(&site, 230)).await.unwrap();
        assert_eq!(imported.created_count, 230);
        let classes = [v1::FieldClass::Contact, v1::FieldClass::Identity];
        let (pages, refusal) = client.export(export(&site, &classes)).await;
        assert!(refusal.is_none(), "{refusal:?}");
        let sizes: Vec<usize> = pages.iter().map(|page| page.residents.len()).collect();
        assert_eq!(sizes, [100, 100, 30]);
        for file in pages.iter().flat_map(|page| &page.residents) {
            assert!(
                file.full_name.starts_with('某') && file.identity_number.starts_with("990000"),
                "{file:?}"
            );
            assert!(file.facts.is_empty() && file.health_note.is_empty(), "no class that was not asked for");
            assert_eq!(file.revealed_classes.len(), 2);
        }
        // An entry for each page, with exactly those who are on it, the classes and the purpose.
        let scope = Scope::from(&SiteId::new("s1").unwrap());
        let entries = server.app.store.audit_entries(&scope, 0, 1_000).await.unwrap();
        let of_export = |entry: &&linli_store::AuditEntry| entry.draft.method.ends_with("/ExportResidents");
        let entries: Vec<_> = entries.iter().filter(of_export).collect();
        assert_eq!(entries.len(), 3);
        for (entry, page) in entries.iter().zip(&pages) {
            let named: BTreeSet<&str> = entry.draft.subjects.iter().map(String::as_str).collect();
            let sent = page.residents.iter().map(|file| file.name.rsplit('/').next().unwrap());
            assert_eq!(named, sent.collect());
            assert!(entry.draft.purpose.starts_with("routine_care"));
            assert!(entry.draft.classes.contains(FieldClass::Identity));
            assert!(!entry.draft.classes.contains(FieldClass::Health));
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_needs_a_purpose_and_comes_so_often_only() {
    let server = Server::start().await;
    let client = server.client();
    let (site, _, resident) = client.estate("s1").await;
    let contact = [v1::FieldClass::Contact];
    let ended = |(pages, status): (Vec<v1::ExportResidentsResponse>, Option<tonic::Status>)| {
        assert!(pages.is_empty());
        Err::<(), _>(status.expect("a refusal"))
    };
    refused(ended(client.export(export(&site, &contact)).await), "PURPOSE_REQUIRED");
    let client = client.purposeful();
    invalid(ended(client.export(export(&site, &[])).await), &["classes"]);
    let sealed =
        v1::ExportResidentsRequest { state: v1::FileState::Erased.into(), ..export(&site, &contact) };
    invalid(ended(client.export(sealed).await), &["state"]);
    refused(ended(client.export(export("sites/none", &contact)).await), "NOT_FOUND");
    // A group, today.
    let group = v1::ExportResidentsRequest {
        care_group: "careGroups/living_alone".to_owned(),
        ..export(&site, &contact)
    };
    let (pages, _) = client.export(group).await;
    assert_eq!(pages[0].residents.iter().map(|file| &file.name).collect::<Vec<_>>(), [&resident]);
    let group =
        v1::ExportResidentsRequest { care_group: "careGroups/veteran".to_owned(), ..export(&site, &contact) };
    let (pages, refusal) = client.export(group).await;
    assert!(refusal.is_none() && pages.iter().all(|page| page.residents.is_empty()));
    for _ in 2..linli_service::app::reveal::EXPORTS_MAX {
        assert!(client.export(export(&site, &contact)).await.1.is_none());
    }
    let (_, refusal) = client.export(export(&site, &contact)).await;
    let refusal = Refusal::of(&refusal.unwrap());
    assert_eq!((refusal.reason.as_str(), refusal.retry), ("REVEAL_LIMIT", true));
    server.stop().await;
}

fn linli(arguments: &[&str], token: &str) -> Output {
    let mut command = Command::new(built::program("linli"));
    command.args(arguments).env("LINLI_TOKEN", token).env_remove("LINLI_EXPORT_PASSPHRASE");
    command.output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, expect: &[&str]) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for words in expect {
        assert!(said.contains(words), "`{words}` in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_file_opens_with_its_passphrase_and_can_be_imported_again() {
    let server = Child::start(Data::sqlite());
    let client = server.client();
    let site = client.site("s1").await;
    client.import(roster(&site, 3)).await.unwrap();
    let home = client.dwelling(&site, "777").await;
    let odd = v1::Resident { family_note: "=cmd|' /C calc'!A0".to_owned(), ..elder(&home, "鲸落海棠") };
    client.resident(odd).await;
    let path = |name: &str| server.data.folder().join(name).display().to_string();
    std::fs::write(path("words"), "correct horse battery staple\n").unwrap();
    std::fs::write(path("other"), "correct horse battery stable\n").unwrap();
    std::fs::write(path("short"), "short\n").unwrap();
    let endpoint = format!("http://{}", server.address);
    let run = |extra: &[&str]| {
        let base = [
            "export",
            "--lang",
            "zh",
            "--site",
            "s1",
            "--endpoint",
            &endpoint,
            "--purpose",
            "FILE_MAINTENANCE; list",
        ];
        linli(&[&base[..], extra].concat(), server.token())
    };
    let classes = "contact,identity,family,status,health,care";
    let (sealed, words) = (path("list.sealed"), path("words"));
    // A passphrase that will not do costs nobody a look.
    check(&run(&["--out", &sealed, "--passphrase-file", &path("short")]), 2, &["12 characters"]);
    check(&run(&["--out", &sealed]), 2, &["no passphrase"]);
    check(
        &run(&["--out", &sealed, "--classes", "contact,salary", "--passphrase-file", &words]),
        2,
        &["`salary`"],
    );
    check(&run(&["--out", &sealed, "--classes", classes, "--passphrase-file", &words]), 0, &["4 份档案"]);
    let bytes = std::fs::read(&sealed).unwrap();
    assert!(bytes.starts_with(b"LINLI-SEALED-1\n"));
    assert!(!holds(&bytes, "鲸落海棠") && !holds(&bytes, "PK\u{3}\u{4}"));
    assert_eq!(std::fs::metadata(&sealed).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is never overwritten.
    check(&run(&["--out", &sealed, "--passphrase-file", &words]), 1, &["cannot be written"]);

    let plain = path("list.xlsx");
    let open = |words: &str, out: &str| {
        linli(&["export", "open", &sealed, "--out", out, "--passphrase-file", words], "")
    };
    check(&open(&path("other"), &plain), 1, &["the passphrase is wrong"]);
    assert!(!Path::new(&plain).exists());
    check(&open(&words, &plain), 0, &["opened into"]);
    assert!(std::fs::read(&plain).unwrap().starts_with(b"PK"));

    // As text, in clear because somebody said so: nothing in it is carried out by a spreadsheet.
    let text = path("list.csv");
    check(&run(&["--out", &text, "--as", "csv", "--clear", "--classes", classes]), 0, &["4 份档案"]);
    let csv = std::fs::read_to_string(&text).unwrap();
    assert!(csv.contains("'=cmd|") && csv.contains("鲸落海棠"), "{csv}");
    assert!(!csv.contains(",=cmd") && !csv.contains("\"=cmd"), "{csv}");
    // Either can be imported again, and says what the files say.
    for file in [&plain, &text] {
        let again = linli(
            &["import", "--lang", "en", "--site", "s1", "--endpoint", &endpoint, "--dry-run", file],
            server.token(),
        );
        check(&again, 0, &["0 would be created, 0 updated, 4 unchanged, 0 refused"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_one_person_is_given_in_one_answer() {
    let words = crate::harness::story::Words::planted();
    let (data, second) = crate::harness::story::staged(Data::sqlite());
    let server = Server::on(data).await;
    let client = server.client();
    crate::harness::story::tell(&client, &second, &words).await;
    let list = v1::ListResidentsRequest {
        parent: "sites/story".to_owned(),
        state: v1::FileState::Left.into(),
        ..Default::default()
    };
    let name = client.ask(list).await.unwrap().residents.remove(0).name;
    let request = v1::ExportOwnFileRequest { name: name.clone() };
    refused(client.ask(request.clone()).await, "PURPOSE_REQUIRED");
    let client = client.with("x-purpose", "ACCESS_BY_RESIDENT; asked at the desk");
    let file = client.ask(request).await.unwrap();
    assert_eq!((file.name.as_str(), file.classes.len(), file.withheld_classes.len()), (&*name, 6, 0));
    let codes: Vec<&str> = file.sections.iter().map(|section| section.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "person",
            "situation",
            "facts",
            "memberships",
            "attention",
            "pauses",
            "plans",
            "waivers",
            "records",
            "events",
            "surveys",
            "consents",
            "disclosures",
            "referrals",
            "changes"
        ]
    );
    let texts: Vec<String> = file
        .sections
        .iter()
        .flat_map(|section| &section.entries)
        .flat_map(|entry| &entry.items)
        .map(|item| {
            let (label, value) = (item.label.as_ref().unwrap(), item.value.as_ref().unwrap());
            assert!(!label.zh.is_ascii() && label.en.is_ascii(), "{label:?}");
            assert!(!value.zh.is_empty() && !value.en.is_empty(), "{label:?}");
            value.zh.clone()
        })
        .collect();
    // Everything that was said of the person, wherever it was said; nothing that was said of another.
    let of_person = [
        &words.names[0],
        &words.names[1],
        &words.phones[0],
        &words.phones[1],
        &words.numbers[0],
        &words.notes[2],
        &words.notes[3],
        &words.notes[4],
        &words.notes[5],
        &words.notes[9],
        &words.notes[10],
        &words.notes[12],
        &words.notes[13],
        &words.notes[14],
        &words.notes[15],
        &words.notes[20],
        &words.notes[22],
    ];
    let of_referrals = words.notes.iter().filter(|note| note.starts_with("canary-referral-note"));
    for said in of_person.into_iter().chain(of_referrals) {
        assert!(texts.iter().any(|text| text.contains(said.as_str())), "`{said}` is missing");
    }
    for other in [&words.names[2], &words.numbers[1], &words.numbers[2], &words.notes[11]] {
        assert!(!texts.iter().any(|text| text.contains(other.as_str())), "`{other}` is somebody else's");
    }
    // On record, with every class, and told.
    let scope = Scope::from(&SiteId::new("story").unwrap());
    let entries = server.app.store.audit_entries(&scope, 0, 1_000).await.unwrap();
    let given = entries.iter().rfind(|entry| entry.draft.method.ends_with("/ExportOwnFile")).unwrap();
    assert_eq!(given.draft.classes.iter().count(), 6);
    assert!(given.draft.purpose.starts_with("access_by_resident;"));
    let events = server.app.store.outbox_events(&scope, 0, 1_000).await.unwrap();
    let told = events.iter().filter(|event| event.kind == "resident.file_given" && event.resource == name);
    assert!(told.count() >= 1);
    server.stop().await;
}
