//! Yearly files of public holidays: what they answer, and what is said without them.

use std::process::Command;

use linli_proto::v1;

use crate::built;
use crate::harness::client::Client;
use crate::harness::estate::line;
use crate::harness::refused;
use crate::harness::server::{Data, Server};

const YEAR: &str = "year 2027\noff 2027-03-03\nwork 2027-03-06\nterm 2027-02-22..2027-07-09\n";

/// Data with the public holidays of 2027, at the beginning of March of that year.
fn data(files: &[(&str, &str)]) -> Data {
    let data = Data::sqlite().at("2027-03-01T07:00:00+08:00");
    let folder = data.folder().join("calendar");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    data.with(&format!("calendar.folder = \"{}\"", folder.display()))
}

/// A site with the gate of a school.
async fn gate(client: &Client) -> v1::ListObligationsRequest {
    let site = client.site("s1").await;
    let gate =
        v1::Area { kind: v1::AreaKind::Gate.into(), display_name: "东门".to_owned(), ..Default::default() };
    client
        .ask(v1::CreateAreaRequest { parent: site.clone(), area: Some(gate), ..Default::default() })
        .await
        .unwrap();
    v1::ListObligationsRequest {
        parent: site,
        standard: "standards/schoolrun.post".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_gate_is_watched_in_a_year_that_a_file_brings() {
    let server = Server::on(data(&[("2027.txt", YEAR)])).await;
    let client = server.client();
    let week = gate(&client).await;
    let owed = client.ask(week).await.unwrap().obligations;
    let days: Vec<(String, String)> =
        owed.iter().map(|owed| (owed.window_start_date.clone(), line(owed))).collect();
    let expect = |day: &str, status: &str| (format!("2027-03-{day}"), format!("schoolrun.post {status} 0/2"));
    // Monday to Friday without the day off, and the Saturday that is worked.
    let mut wanted = vec![expect("01", "open")];
    wanted.extend(["02", "04", "05", "06"].map(|day| expect(day, "upcoming")));
    assert_eq!(days, wanted);
    let info = client.ask(v1::GetServerInfoRequest {}).await.unwrap();
    assert_eq!(info.calendar_years, [2025, 2026, 2027]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_file_or_its_terms_the_answer_says_what_to_do() {
    for files in [&[][..], &[("2027.txt", "year 2027\noff 2027-03-03\n")][..]] {
        let server = Server::on(data(files)).await;
        let client = server.client();
        let week = gate(&client).await;
        let missing = refused(client.ask(week).await, "CALENDAR_YEAR_MISSING");
        assert_eq!(missing.metadata, [("year".to_owned(), "2027".to_owned())]);
        let does = ["`2027.txt`", "`calendar.folder`", "school terms"];
        assert!(does.iter().all(|word| missing.message.contains(word)), "{}", missing.message);
    }
}

#[test]
fn the_check_of_the_configuration_names_every_wrong_line_of_the_files() {
    built::plugins();
    let data = data(&[
        ("2027.txt", "year 2027\nholiday 2027-01-01\noff 2027-02-29\n"),
        ("2028.txt", "off 2028-01-01\n"),
    ]);
    let config = data.folder().join("linli.toml");
    let folder = data.folder().join("calendar");
    let text = format!("calendar.folder = \"{}\"\nserver.limits.calls = 0\n", folder.display());
    std::fs::write(&config, text).unwrap();
    let check = || {
        let mut command = Command::new(built::program("linli"));
        let output = command.args(["config", "check", "--config"]).arg(&config).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, said) = check();
    assert_eq!(code, Some(2), "{said}");
    for part in ["2027.txt:2: ", "2027.txt:3: ", "2028.txt:1: ", "server.limits.calls"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    std::fs::write(folder.join("2027.txt"), YEAR).unwrap();
    std::fs::remove_file(folder.join("2028.txt")).unwrap();
    std::fs::write(&config, format!("calendar.folder = \"{}\"\n", folder.display())).unwrap();
    let (code, said) = check();
    assert!(code == Some(0) && said.contains("2025, 2026, 2027"), "{said}");
}
