//! Bodies' lists of people: fetched, compared with the files of a site, proposed entry by entry; nothing is written until a person
//! confirms.

use linli_core::time::CivilDate;
use linli_proto::v1;
use linli_proto::v1::{
    MembershipState, RosterProposal as Proposal, SurveyChannel, SurveyKind, SurveyOutcome,
};
use linli_service::roster::write::{Value as Cell, workbook};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::community_body::{enter, station};
use crate::delivery::receivers::{Place, folder, webhook};
use crate::delivery::with_channels;
use crate::harness::client::Client;
use crate::harness::estate::{elder, identity_number, mask};
use crate::harness::issuer::{Issuer, grant};
use crate::harness::server::{Child, Data, Server};
use crate::harness::{holds, invalid, refused};
use crate::survey::{answering, covered, opening};

/// The list of a body, for the files of the site `s1`.
fn list_of(body: &str, cursor: &str) -> v1::PullRosterRequest {
    v1::PullRosterRequest {
        parent: "sites/s1".to_owned(),
        body: body.to_owned(),
        cursor: cursor.to_owned(),
        ..Default::default()
    }
}

/// Everything that a body's list comes to, which must end with its summary.
async fn pull(
    client: &Client,
    request: v1::PullRosterRequest,
) -> Result<(Vec<v1::RosterEntry>, v1::RosterSummary), Status> {
    let (mut told, refusal) = client.told(request).await;
    if let Some(status) = refusal {
        assert!(told.iter().all(|part| part.summary.is_none()), "{told:?}");
        return Err(status);
    }
    let summary = told.last_mut().and_then(|last| last.summary.take()).expect("a summary at the end");
    assert!(told.iter().all(|part| part.summary.is_none() && part.entries.len() <= 100), "{told:?}");
    let entries: Vec<_> = told.into_iter().flat_map(|part| part.entries).collect();
    assert_eq!(summary.entry_count, i64::try_from(entries.len()).unwrap());
    for count in &summary.counts {
        let of = entries.iter().filter(|entry| entry.proposal == count.proposal).count();
        assert_eq!(count.count, i64::try_from(of).unwrap(), "{count:?}");
    }
    Ok((entries, summary))
}

fn word(proposal: Proposal) -> String {
    proposal.as_str_name().trim_start_matches("ROSTER_PROPOSAL_").to_lowercase()
}

/// `line proposal !violations | candidate signs state | ~earlier line`.
fn line(entry: &v1::RosterEntry) -> String {
    let mut text = format!("{} {}", entry.line, word(entry.proposal()));
    for wrong in &entry.violations {
        text.push_str(&format!(" !{}", wrong.field));
    }
    let codes = |signs: &[v1::CodedText]| -> String {
        signs.iter().map(|sign| sign.code.as_str()).collect::<Vec<_>>().join("+")
    };
    for found in &entry.candidates {
        let state =
            found.membership_state().as_str_name().trim_start_matches("MEMBERSHIP_STATE_").to_lowercase();
        text.push_str(&format!(" | {} {} {state}", found.display_name, codes(&found.signs)));
    }
    for before in &entry.repetitions {
        text.push_str(&format!(" ~{}", before.line));
    }
    text
}

fn lines(entries: &[v1::RosterEntry]) -> Vec<String> {
    entries.iter().map(line).collect()
}

/// What a site holds, as far as pulling a list might change it: files, memberships, surveys, and how many changes there were.
async fn held(client: &Client) -> (usize, usize, usize, usize) {
    let site = "sites/s1".to_owned();
    let page_size = 200;
    let residents = v1::ListResidentsRequest { parent: site.clone(), page_size, ..Default::default() };
    let parent = format!("{site}/residents/-");
    let memberships = v1::ListMembershipsRequest { parent, page_size, ..Default::default() };
    let surveys = v1::ListSurveysRequest { parent: site.clone(), page_size, ..Default::default() };
    let events = v1::ListEventsRequest { parent: site, page_size, ..Default::default() };
    (
        client.ask(residents).await.unwrap().residents.len(),
        client.ask(memberships).await.unwrap().memberships.len(),
        client.ask(surveys).await.unwrap().surveys.len(),
        client.ask(events).await.unwrap().events.len(),
    )
}

/// Names and numbers of people on the lists, none of whom exists.
const KNOWN: &str = "霜降白鹭";
const UNKNOWN: &str = "墨染青梧";
const HIDDEN: &str = "鲸落海棠";

fn known_number() -> String {
    identity_number("19410602", 81)
}

fn unknown_number() -> String {
    identity_number("19420703", 82)
}

/// A committee's list: everything that can be said of an entry.
fn committee_list() -> Vec<Value> {
    vec![
        json!({"name": "秦安然", "birth_date": "1940-05-01", "address": "幸福里3号楼2单元501室", "group": "living_alone"}),
        json!({"name": KNOWN, "identity_number": known_number(), "group": "subsistence_allowance",
               "certificate": "低保 2026-11", "valid_until": "2026-12-31"}),
        json!({"name": "秦安然", "birth_date": "1940-05-01", "group": "subsistence_allowance"}),
        json!({"name": UNKNOWN, "identity_number": unknown_number(), "phone": "13900006172",
               "address": "3-2-502", "group": "disabled", "certificate": "残 43"}),
        json!({"name": "某某", "identity_number": "110105194912310021", "group": "disabled"}),
        json!({"name": UNKNOWN, "identity_number": unknown_number(), "group": "disabled"}),
        json!({"name": KNOWN, "identity_number": known_number(), "group": "veterans", "phone": "没有"}),
        json!({"name": KNOWN, "identity_number": known_number(), "group": "disabled", "valid_until": "2026-03-15"}),
        json!({"identity_number": known_number(), "group": "advanced_age"}),
        // A row has slipped: the number is another's.
        json!({"name": "某某", "identity_number": known_number(), "address": "别处9-9-9", "group": "disabled"}),
        json!({"name": "某\u{7}某", "birth_date": "1942-02-30", "group": "disabled"}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_compared_and_a_person_confirms() {
    for data in [Some(Data::sqlite()), Data::postgres().await].into_iter().flatten() {
        confirmed(data).await;
    }
}

#[allow(clippy::too_many_lines, reason = "the way of a list from its pulling to the last confirmation")]
async fn confirmed(data: Data) {
    let place_folder = data.folder().join("committee");
    let Some(place) = Place::https(&place_folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("committee", &place_folder, receiver.port, "poll_minutes = 0");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    let (site, dwelling, first) = client.estate("s1").await;
    let second_home = client.dwelling(&site, "502").await;
    let known = v1::Resident { identity_number: known_number(), ..elder(&dwelling, KNOWN) };
    let known = client.resident(v1::Resident { birth_date: String::new(), ..known }).await.name;
    let body = v1::CommunityBody {
        kind: v1::BodyKind::NeighbourhoodCommittee.into(),
        channel: "committee".to_owned(),
        sites: vec![site.clone()],
        ..station()
    };
    let body = enter(&client, "committee", body).await;
    receiver.keep(&committee_list());

    let before = held(&client).await;
    let (entries, summary) = pull(&client, list_of(&body, "")).await.unwrap();
    let twin = "秦** same_name+same_birth_date";
    let numbered = "霜** same_number+same_name+same_birth_date";
    assert_eq!(
        lines(&entries),
        [
            format!("1 already_member | {twin}+same_dwelling active"),
            format!("2 add_membership | {numbered} unspecified"),
            format!("3 compare | {twin} unspecified ~1"),
            "4 open_file".to_owned(),
            "5 ask_body !identity_number".to_owned(),
            "6 repeated ~4".to_owned(),
            format!("7 ask_body !phone !group | {numbered} unspecified ~2"),
            format!("8 ask_body !valid_until | {numbered} unspecified ~2 ~7"),
            "9 already_member | 霜** same_number+same_birth_date active ~2 ~7 ~8".to_owned(),
            "10 compare !address | 霜** same_number+same_birth_date unspecified ~2 ~7 ~8 ~9".to_owned(),
            "11 ask_body !name !birth_date".to_owned(),
        ]
    );
    assert_eq!(held(&client).await, before, "nothing was written");
    assert_eq!(summary.next_cursor, "", "the list is at its end");
    let counts: Vec<(String, i64)> =
        summary.counts.iter().map(|count| (word(count.proposal()), count.count)).collect();
    let expect = [
        ("already_member", 2),
        ("add_membership", 1),
        ("compare", 2),
        ("open_file", 1),
        ("ask_body", 4),
        ("repeated", 1),
    ];
    assert_eq!(counts, expect.map(|(word, count)| (word.to_owned(), count)));

    // Masked: who they are cannot be read, where they live and what they are entitled to can.
    let shown = &entries[3];
    assert_eq!((shown.display_name.as_str(), shown.masked_phone.as_str()), ("墨**", "139****6172"));
    assert_eq!((&*shown.dwelling, &*shown.dwelling_display_name), (&*second_home, "3栋2单元502"));
    assert_eq!(shown.care_group, "careGroups/disabled");
    assert_eq!(shown.care_group_name.as_ref().unwrap().zh, "残疾人");
    assert!(!shown.masked_identity_number.is_empty() && entries[1].valid_until_date == "2026-12-31");
    for entry in &entries {
        assert!(!entry.in_clear, "{entry:?}");
        let bytes = prost::Message::encode_to_vec(entry);
        for value in
            [KNOWN, UNKNOWN, "秦安然", "13900006172", "1940-05-01", "3-2-502", "残 43", &unknown_number()]
        {
            assert!(!holds(&bytes, value), "{value} in {entry:?}");
        }
    }
    // In clear, for a purpose; said in the caller's language.
    let full = v1::PullRosterRequest { view: v1::View::Full.into(), ..list_of(&body, "") };
    refused(pull(&client, full.clone()).await, "PURPOSE_REQUIRED");
    let (clear, _) = pull(&client.purposeful().with("accept-language", "zh"), full).await.unwrap();
    assert_eq!(lines(&clear), lines(&entries));
    let all = &clear[3];
    assert_eq!(
        [&all.full_name, &all.identity_number, &all.birth_date, &all.phone, &all.address, &all.certificate],
        [UNKNOWN, &unknown_number(), "1942-07-03", "13900006172", "3-2-502", "残 43"]
    );
    assert_eq!(clear[4].violations[0].description, "校验码不符,可能有一位输入错误");
    assert_eq!(held(&client).await, before, "nothing was written");

    // Who asked whom, and whose files were compared, is on record; of nobody else on the list anything.
    let entries_of =
        v1::ListAuditEntriesRequest { parent: site.clone(), page_size: 200, ..Default::default() };
    let log = client.ask(entries_of).await.unwrap().entries;
    let mut pulls = log.iter().filter(|entry| entry.method == "linli.v1.CommunityService/PullRoster");
    let asked = pulls.next().unwrap();
    assert_eq!((&*asked.resource, asked.residents.len(), &*asked.purpose), (&*body, 0, ""));
    let compared = pulls.next().unwrap();
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    assert_eq!((&compared.resource, compared.residents.contains(&id(&known))), (&body, true), "{compared:?}");
    assert!(
        log.iter()
            .any(|entry| entry.method.ends_with("PullRoster") && entry.purpose.starts_with("routine_care;"))
    );
    assert!(
        log.iter().filter(|entry| entry.method.ends_with("PullRoster")).all(|entry| entry.resource == body)
    );

    // A person looks, and confirms with what there is for it.
    let declare = |resident: &str, group: &str, evidence: &str| v1::DeclareMembershipRequest {
        parent: resident.to_owned(),
        group: group.to_owned(),
        basis: v1::MembershipBasis::Certificate.into(),
        evidence: evidence.to_owned(),
        ..Default::default()
    };
    client.ask(declare(&known, &clear[1].care_group, "居委会名单,低保 2026-11")).await.unwrap();
    client.ask(declare(&first, &clear[2].care_group, "居委会名单,经电话核实")).await.unwrap();
    let new = v1::Resident {
        full_name: all.full_name.clone(),
        identity_number: all.identity_number.clone(),
        phone: all.phone.clone(),
        dwelling: all.dwelling.clone(),
        move_in_date: "2026-03-01".to_owned(),
        ..Default::default()
    };
    let new = v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(new),
        confirmed_not_duplicate: true,
        ..Default::default()
    };
    let new = client.ask(new).await.unwrap().name;
    client.ask(declare(&new, &all.care_group, "居委会名单,残 43")).await.unwrap();
    // The survey by community linkage: what the body said of a dwelling is an answer like one from the door.
    let survey = client.ask(opening(&site, SurveyKind::Full)).await.unwrap().name;
    let people = vec![v1::SurveyedPerson { resident: new.clone(), ..Default::default() }];
    let mut answer =
        answering(&survey, &second_home, SurveyOutcome::Surveyed, "2026-03-16T08:30:00+08:00", people);
    if let Some(answer) = &mut answer.answer {
        answer.channel = SurveyChannel::Community.into();
    }
    assert_eq!(client.ask(answer).await.unwrap().channel(), SurveyChannel::Community);
    assert_eq!(covered(&client, &survey).await.surveyed_count, 1);

    let (again, _) = pull(&client, list_of(&body, "")).await.unwrap();
    let words: Vec<String> = again.iter().map(|entry| word(entry.proposal())).collect();
    assert_eq!(
        words,
        [
            "already_member",
            "already_member",
            "compare",
            "already_member",
            "ask_body",
            "already_member",
            "ask_body",
            "ask_body",
            "already_member",
            "compare",
            "ask_body"
        ]
    );
    // Of the namesake nobody is sure, but where their membership stands is there to see.
    assert_eq!(again[2].candidates[0].membership_state(), MembershipState::Active);
    assert_eq!(again[3].candidates[0].resident, new);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_in_a_folder_are_read_and_put_away_once_they_were_dealt_with() {
    let data = Data::sqlite();
    let place = data.folder().join("committee");
    let channels = folder("committee", &place).replace(
        "[channel.committee.folder]",
        "settings = { group = \"subsistence_allowance\" }\n[channel.committee.folder]",
    );
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    client.estate("s1").await;
    let body = v1::CommunityBody { channel: "committee".to_owned(), ..station() };
    let body = enter(&client, "committee", body).await;
    let inbox = place.join("in");

    let (nobody, end) = pull(&client, list_of(&body, "")).await.unwrap();
    assert_eq!((nobody.len(), end.next_cursor.as_str()), (0, ""), "no list is an empty list");

    // As Excel saves it, and as a program does.
    let csv = format!(
        "幸福里社区低保名单\n姓名,身份证号,住址,有效期至\n{KNOWN},{},3-2-501,2026/12/31\n\u{202e}{UNKNOWN}\u{1b},,3-2-501,\n{},,,\n",
        known_number(),
        "长".repeat(60)
    );
    std::fs::write(inbox.join("roster-1.csv"), csv).unwrap();
    let text = |text: &str| Cell::Text(text.to_owned());
    let sheet = [
        vec![text("姓名"), text("出生日期"), text("群体")],
        vec![text("秦安然"), Cell::Date(CivilDate::parse("1940-05-01").unwrap()), text("独居老人")],
    ];
    std::fs::write(inbox.join("roster-2.xlsx"), workbook("名单", &sheet, &[]).unwrap()).unwrap();
    let (entries, first) = pull(&client, list_of(&body, "")).await.unwrap();
    assert_eq!(
        lines(&entries),
        [
            "1 open_file",
            "2 open_file", // what turns text, or a screen would obey, went on the way
            "3 ask_body !name",
            "4 compare | 秦** same_name+same_birth_date active",
        ]
    );
    assert_eq!(entries[0].care_group, "careGroups/subsistence_allowance", "of the channel's settings");
    assert_eq!(entries[3].care_group, "careGroups/living_alone");
    assert_eq!(entries[0].dwelling_display_name, "3栋2单元501");
    // As long as nobody goes on from there, the tables lie where they were.
    let (same, _) = pull(&client, list_of(&body, "")).await.unwrap();
    assert_eq!(same, entries);
    assert!(inbox.join("roster-1.csv").is_file() && !inbox.join("archive/roster-1.csv").exists());

    // Dealt with. One that nobody understands comes with the next: what is in it counts, and it is set apart.
    std::fs::write(
        inbox.join("roster-3.csv"),
        format!("姓名,出生日期\n{KNOWN},不详\n{UNKNOWN},1942-07-03\n"),
    )
    .unwrap();
    let (entries, second) = pull(&client, list_of(&body, &first.next_cursor)).await.unwrap();
    assert!(inbox.join("archive/roster-1.csv").is_file() && inbox.join("archive/roster-2.xlsx").is_file());
    assert_eq!(lines(&entries), ["1 open_file"]);
    let refusal = refused(pull(&client, list_of(&body, &second.next_cursor)).await, "BODY_REFUSED");
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert!(refusal.message.contains("roster-3.csv") && refusal.message.contains("row 2"), "{refusal:?}");
    assert!(refusal.metadata[0].0 == "trouble" && !format!("{refusal:?}").contains(KNOWN), "{refusal:?}");
    assert!(inbox.join("quarantine/roster-3.csv").is_file());
    let (nobody, end) = pull(&client, list_of(&body, &second.next_cursor)).await.unwrap();
    assert_eq!((nobody.len(), end.next_cursor.as_str()), (0, ""));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_goes_on_where_it_broke_off_and_leaves_no_trace() {
    let data = Data::sqlite().with("log.level = \"debug\"");
    let place_folder = data.folder().join("committee");
    let Some(place) = Place::https(&place_folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("committee", &place_folder, receiver.port, "poll_minutes = 0\nrun_s = 10");
    let server = Child::start(with_channels(data, &channels));
    let client = server.client();
    client.estate("s1").await;
    let body = v1::CommunityBody { channel: "committee".to_owned(), ..station() };
    let body = enter(&client, "committee", body).await;
    let name = |number: u32| format!("{UNKNOWN}{number}");
    let people: Vec<Value> = (0..430)
        .map(|number| {
            json!({"name": name(number), "identity_number": identity_number("19420703", number), "group": "disabled"})
        })
        .collect();
    receiver.keep(&people);

    // Down: nothing came, and it says when to try again.
    receiver.suffer("refuse");
    let refusal = refused(pull(&client, list_of(&body, "")).await, "BODY_UNREACHABLE");
    assert!((refusal.code, refusal.retry) == (Code::Unavailable, true), "{refusal:?}");
    receiver.suffer("status 503:7");
    let (told, status) = client.told(list_of(&body, "")).await;
    let retry = tonic_types::StatusExt::get_error_details(&status.unwrap()).retry_info().unwrap().retry_delay;
    assert_eq!((told.len(), retry.unwrap().as_secs()), (0, 7), "as long as it asks");
    receiver.suffer("status 403");
    refused(pull(&client, list_of(&body, "")).await, "BODY_REFUSED");

    // Up again, and down once more in the middle: what came counts, and the rest follows.
    receiver.suffer("pass\npass\npass\nstatus 500");
    let (first, part) = pull(&client, list_of(&body, "")).await.unwrap();
    assert_eq!(first.len(), 300);
    refused(pull(&client, list_of("bodies/other", &part.next_cursor)).await, "PAGE_TOKEN_INVALID");
    let (second, end) = pull(&client, list_of(&body, &part.next_cursor)).await.unwrap();
    assert_eq!((second.len(), second[0].line, end.next_cursor.as_str()), (130, 1, ""));
    let all = || first.iter().chain(&second);
    assert!(all().all(|entry| entry.proposal() == Proposal::OpenFile && entry.repetitions.is_empty()));
    let (whole, _) = pull(&client, list_of(&body, "")).await.unwrap();
    assert_eq!(whole.len(), 430);

    // A caller who goes away ends the run, and the next one is answered.
    receiver.suffer("hang 600");
    let hasty = client.with("grpc-timeout", "300m");
    assert!(pull(&hasty, list_of(&body, "")).await.is_err());
    assert_eq!(pull(&client, list_of(&body, "")).await.unwrap().0.len(), 430);

    let said = server.said();
    assert!(said.contains("PullRoster"), "the log is as talkative as it gets");
    let data = server.kill();
    for file in ["linli.db", "linli.db-wal"] {
        let bytes = std::fs::read(data.folder().join(file)).unwrap();
        assert!(!holds(&bytes, UNKNOWN) && !holds(&bytes, identity_number("19420703", 7)), "{file}");
    }
    assert!(!said.contains(UNKNOWN) && !said.contains(&identity_number("19420703", 7)), "in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_know_of_somebody_is_told_what_they_would_be_of_nobody() {
    let data = Data::sqlite();
    let place_folder = data.folder().join("committee");
    let Some(place) = Place::https(&place_folder) else { return };
    let receiver = place.start(0);
    let channels = webhook("committee", &place_folder, receiver.port, "poll_minutes = 0");
    let issuer = Issuer::new();
    let server = Server::on(issuer.trusted(with_channels(data, &channels))).await;
    let client = server.client();
    let (site, dwelling, neighbour) = client.estate("s1").await;
    client.site("s2").await;
    let body = v1::CommunityBody { channel: "committee".to_owned(), ..station() };
    let body = enter(&client, "committee", body).await;
    use v1::StaffRole::{Auditor, Deputy, Finance, Integration, Member, Volunteer};
    let staff = async |id: &str, role, site: &str| {
        issuer.enter(&server, id, vec![grant(role, &[site])]).await.purposeful()
    };
    let (lin, li) = (staff("lin", Deputy, "s1").await, staff("li", Member, "s1").await);

    let number = identity_number("19430804", 83);
    receiver.keep(&[
        json!({"name": HIDDEN, "identity_number": number, "phone": "13900004321", "address": "3-2-501", "group": "disabled"}),
        json!({"name": "秦安然", "birth_date": "1940-05-01", "address": "3-2-501", "group": "living_alone"}),
    ]);
    let full = v1::PullRosterRequest { view: v1::View::Full.into(), ..list_of(&body, "") };
    let absent = [pull(&li, list_of(&body, "")).await.unwrap(), pull(&li, full.clone()).await.unwrap()];
    assert_eq!(
        lines(&absent[0].0),
        ["1 open_file", "2 already_member | 秦** same_name+same_birth_date+same_dwelling active"]
    );
    let person = v1::Resident {
        identity_number: number,
        phone: "13900004321".to_owned(),
        birth_date: String::new(),
        ..elder(&dwelling, HIDDEN)
    };
    let person = client.resident(person).await.name;
    let seen = pull(&li, list_of(&body, "")).await.unwrap().0;
    assert_eq!(word(seen[0].proposal()), "add_membership");
    let protect = v1::SetProtectedRequest {
        name: person.clone(),
        protected_for: vec!["staff/lin".to_owned()],
        ..Default::default()
    };
    client.ask(protect).await.unwrap();
    let hidden = [pull(&li, list_of(&body, "")).await.unwrap(), pull(&li, full.clone()).await.unwrap()];
    assert_eq!(hidden, absent, "as of somebody who has no file");
    let named = pull(&lin, list_of(&body, "")).await.unwrap().0;
    assert_eq!(named[0].candidates[0].resident, person, "whoever is named sees it");
    // Who moved away and is on the list all the same is looked at; a file that was sealed is there for nobody.
    let leave = v1::RecordMoveOutRequest {
        name: neighbour.clone(),
        move_out_date: "2026-03-16".to_owned(),
        ..Default::default()
    };
    client.ask(leave).await.unwrap();
    let left = pull(&li, list_of(&body, "")).await.unwrap().0;
    let state = left[1].candidates[0].state();
    assert_eq!((word(left[1].proposal()), state), ("compare".to_owned(), v1::FileState::Left));
    client.ask(v1::SealFileRequest { name: neighbour, ..Default::default() }).await.unwrap();
    assert_eq!(line(&pull(&lin, list_of(&body, "")).await.unwrap().0[1]), "2 open_file");

    // A child's values stay masked for whom nobody approved for children.
    receiver.keep(&[
        json!({"name": "小满", "birth_date": "2016-05-20", "group": "child_in_difficulty"}),
        json!({"name": "立夏", "birth_date": "2000-05-05", "group": "disabled"}),
    ]);
    let of = |entries: Vec<v1::RosterEntry>| -> Vec<(bool, String)> {
        entries.into_iter().map(|entry| (entry.in_clear, entry.full_name)).collect()
    };
    let steward = of(pull(&li, full.clone()).await.unwrap().0);
    assert_eq!(steward, [(false, String::new()), (true, "立夏".to_owned())]);
    let leader = of(pull(&client.purposeful(), full.clone()).await.unwrap().0);
    assert_eq!(leader, [(true, "小满".to_owned()), (true, "立夏".to_owned())]);

    // Nobody else, and nobody without end.
    for (id, role, at) in [
        ("mo", Auditor, "s1"),
        ("system", Integration, "s1"),
        ("fang", Finance, "s1"),
        ("helper", Volunteer, "s1"),
        ("far", Deputy, "s2"),
    ] {
        let other = staff(id, role, at).await;
        refused(pull(&other, list_of(&body, "")).await, "PERMISSION_DENIED");
    }
    let guard = v1::StaffGrant { department: v1::Department::Security.into(), ..grant(Member, &["s1"]) };
    let guard = issuer.enter(&server, "wu", vec![guard]).await;
    refused(pull(&guard, list_of(&body, "")).await, "PERMISSION_DENIED");
    let limit = async {
        for _ in 0..linli_service::app::reveal::EXPORTS_MAX {
            if let Err(status) = pull(&lin, full.clone()).await {
                return status;
            }
        }
        pull(&lin, full.clone()).await.unwrap_err()
    };
    refused::<()>(Err(limit.await), "REVEAL_LIMIT");
    pull(&lin, list_of(&body, "")).await.expect("masked as often as one likes");
    assert_eq!(site, "sites/s1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_asked_is_told_in_words() {
    let data = Data::sqlite();
    let (place, place_folder) = (data.folder().join("committee"), data.folder().join("clinic"));
    let mut channels = folder("committee", &place);
    if let Some(smtp) = Place::smtp(&place_folder) {
        let receiver = smtp.start(0);
        channels += &crate::delivery::receivers::mail("letters", &place_folder, receiver.port, "");
    }
    let has_mail = channels.contains("letters");
    let server = Server::on(with_channels(data, &channels)).await;
    let client = server.client();
    client.site("s1").await;
    client.site("s2").await;
    let with = async |id: &str, change: &dyn Fn(&mut v1::CommunityBody)| {
        let mut body = v1::CommunityBody { channel: "committee".to_owned(), ..station() };
        change(&mut body);
        enter(&client, id, body).await
    };
    let check = async |body: &str, reason: &str, en: &str, zh: &str| {
        let refusal = refused(pull(&client, list_of(body, "")).await, reason);
        assert!(refusal.message.contains(en), "{refusal:?}");
        let chinese = client.with("accept-language", "zh");
        let refusal = refused(pull(&chinese, list_of(body, "")).await, reason);
        assert!(refusal.message.contains(zh), "{refusal:?}");
    };
    let paper = with("paper", &|body| body.channel.clear()).await;
    check(&paper, "BODY_STATE", "no channel", "没有对接通道").await;
    let rests = with("rests", &|body| body.enabled = false).await;
    check(&rests, "BODY_STATE", "not enabled", "已停用").await;
    let far = with("far", &|body| body.sites = vec!["sites/s2".to_owned()]).await;
    check(&far, "BODY_STATE", "does not serve this site", "不服务于本项目").await;
    if has_mail {
        let letters = with("letters", &|body| body.channel = "letters".to_owned()).await;
        check(&letters, "BODY_STATE", "fetches no lists", "不能获取名单").await;
    }
    check("bodies/nobody", "NOT_FOUND", "no such community body", "没有此社区单位").await;

    let hall = with("hall", &|_| {}).await;
    let empty = v1::PullRosterRequest { view: 9, ..Default::default() };
    invalid(pull(&client, empty).await, &["parent", "body", "view"]);
    for cursor in ["AAAA", "不是游标", &"A".repeat(3_000)] {
        refused(pull(&client, list_of(&hall, cursor)).await, "PAGE_TOKEN_INVALID");
    }
    let nowhere = v1::PullRosterRequest { parent: "sites/none".to_owned(), ..list_of(&hall, "") };
    refused(pull(&client, nowhere).await, "NOT_FOUND");
    pull(&client, list_of(&hall, "")).await.expect("the folder is empty");
    // No folder any more: the channel's trouble is told, and the next try works.
    std::fs::rename(place.join("in"), place.join("away")).unwrap();
    let trouble = pull(&client, list_of(&hall, "")).await.unwrap_err();
    assert!(matches!(trouble.code(), Code::Unavailable | Code::FailedPrecondition), "{trouble:?}");
    std::fs::rename(place.join("away"), place.join("in")).unwrap();
    pull(&client, list_of(&hall, "")).await.expect("it is there again");
    let disable = v1::UpdateBodyRequest {
        body: Some(v1::CommunityBody { name: hall.clone(), ..Default::default() }),
        update_mask: mask(&["enabled"]),
        ..Default::default()
    };
    client.ask(disable).await.unwrap();
    refused(pull(&client, list_of(&hall, "")).await, "BODY_STATE");
    server.stop().await;
}
