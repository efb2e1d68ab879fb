//! Chapter 3, 信息摸排与档案管理: how people are found, and how long their files are kept. (A6.3's clocks, A7.2 and A7.3 stand with
//! the daily work in the module above.)

use linli_proto::v1::{KeyPersonFlag, Need, SurveyChannel, SurveyKind, SurveyOutcome};

use super::*;
use crate::harness::estate::{flag, shown};
use crate::survey::{answering, covered, opening, somebody};

impl Estate {
    /// A campaign of March that a deputy opened.
    async fn campaign(&self, kind: SurveyKind) -> String {
        self.all.ask(opening(&self.site, kind)).await.unwrap().name
    }
}

/// A6.1: people are found at the door, by telephone, through the community and because they say so themselves; all four answers
/// count alike, and each says how it was come by.
#[tokio::test(flavor = "multi_thread")]
async fn a6_1_people_are_found_on_four_ways() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let channels = [
        SurveyChannel::HomeVisit,
        SurveyChannel::Phone,
        SurveyChannel::Community,
        SurveyChannel::SelfDeclared,
    ];
    let mut homes = Vec::new();
    for room in ["501", "502", "503", "504"] {
        homes.push(estate.all.dwelling(&estate.site, room).await);
    }
    let survey = estate.campaign(SurveyKind::Full).await;
    estate.all.advance("2026-03-17T09:00:00+08:00").await;
    for (channel, home) in channels.iter().zip(&homes) {
        let time = "2026-03-16T15:00:00+08:00";
        let mut request = answering(&survey, home, SurveyOutcome::Surveyed, time, Vec::new());
        request.answer.as_mut().unwrap().channel = (*channel).into();
        steward.ask(request).await.unwrap();
    }
    let list = v1::ListSurveyAnswersRequest { parent: survey.clone(), ..Default::default() };
    let answers = steward.ask(list).await.unwrap().answers;
    let said: Vec<SurveyChannel> = answers.iter().map(v1::SurveyAnswer::channel).collect();
    assert_eq!(said, channels);
    assert!(answers.iter().all(|answer| answer.performer == "staff/customer-service"));
    assert!(covered(&steward, &survey).await.complete);
    let owed = estate.places(Department::CustomerService, "2026-03-16", "2026-03-16").await;
    let yearly = owed.iter().filter(|line| line.contains("survey.full met 1/1"));
    assert_eq!(yearly.count(), 4, "{owed:?}");
    estate.stop().await;
}

/// A6.2: a survey asks for what the article lists, marks who lives alone, cannot care for themselves or is seriously ill, and keeps
/// it from whoever has no reason to see it.
#[tokio::test(flavor = "multi_thread")]
async fn a6_2_surveys_hold_what_the_article_lists_and_mark_key_persons() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let guard = estate.of(Department::Security).await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let home = estate.all.dwelling(&estate.site, "501").await;
    let survey = estate.campaign(SurveyKind::Full).await;
    let flags = [KeyPersonFlag::LivingAlone, KeyPersonFlag::Disabled, KeyPersonFlag::SeriouslyIll];
    let person = v1::SurveyedPerson {
        phone: "13812345678".to_owned(),
        family_note: "独女在外地".to_owned(),
        health_note: "中风后卧床".to_owned(),
        flags: flags.map(i32::from).to_vec(),
        needs: [Need::LivingCare, Need::Medical, Need::Companionship, Need::Convenience]
            .map(i32::from)
            .to_vec(),
        status_note: "低保,无力支付护理费".to_owned(),
        ..somebody("秦安然", "1940-05-01")
    };
    let time = "2026-03-16T09:00:00+08:00";
    let request = answering(&survey, &home, SurveyOutcome::Surveyed, time, vec![person.clone()]);
    let answer = steward.ask(request).await.unwrap();
    assert_eq!(answer.people, [v1::SurveyedPerson::default()], "the answer repeats nothing");
    let get = v1::GetSurveyAnswerRequest { name: answer.name, view: v1::View::Full.into() };
    refused(guard.purposeful().ask(get.clone()).await, "PERMISSION_DENIED");
    let seen = deputy.purposeful().ask(get).await.unwrap();
    assert_eq!(seen.people, [person], "name, age, contact, family, health, needs, difficulties");
    assert_eq!(seen.dwelling, home, "and where they live");
    estate.stop().await;
}

/// A6.3, once a year: every dwelling of the register, nobody left out and nobody counted twice, and the proof of it; what has changed
/// meanwhile is in the file within a day.
#[tokio::test(flavor = "multi_thread")]
async fn a6_3_the_yearly_survey_proves_that_nobody_is_left_out_or_counted_twice() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let qin = estate.elder("501", "秦安然").await;
    let homes = [format!("{}/dwellings/d501", estate.site), estate.all.dwelling(&estate.site, "502").await];
    estate.all.dwelling(&estate.site, "503").await;
    let survey = deputy.ask(opening(&estate.site, SurveyKind::Full)).await.unwrap().name;
    estate.all.advance("2026-03-18T18:00:00+08:00").await;
    let changed = v1::SurveyedPerson {
        resident: qin.clone(),
        flags: vec![KeyPersonFlag::LivingAlone.into()],
        change: Some(v1::SurveyedChange {
            kind: v1::ChangeKind::Health.into(),
            description: "新近跌倒".to_owned(),
        }),
        ..Default::default()
    };
    let visit = |home: &str, time: &str, people: Vec<v1::SurveyedPerson>| {
        answering(&survey, home, SurveyOutcome::Surveyed, time, people)
    };
    let first = steward.ask(visit(&homes[0], "2026-03-18T09:00:00+08:00", vec![changed])).await.unwrap();
    let one = steward.ask(visit(&homes[1], "2026-03-18T10:00:00+08:00", Vec::new())).await.unwrap();
    let two = steward.ask(visit(&homes[1], "2026-03-18T16:00:00+08:00", Vec::new())).await.unwrap();
    let coverage = covered(&deputy, &survey).await;
    assert_eq!((coverage.registered_count, coverage.surveyed_count), (3, 2), "nobody is counted twice");
    let left_out: Vec<&str> =
        coverage.omissions.iter().map(|left| left.dwelling_display_name.as_str()).collect();
    assert_eq!(left_out, ["3栋2单元503"]);
    let twice: Vec<&[String]> = coverage.duplicates.iter().map(|twice| &*twice.answers).collect();
    assert_eq!(twice, [&[one.name, two.name.clone()][..]]);

    let withdraw =
        v1::WithdrawSurveyAnswerRequest { name: two.name, reason: "重复".to_owned(), ..Default::default() };
    steward.ask(withdraw).await.unwrap();
    let empty = answering(
        &survey,
        &format!("{}/dwellings/d503", estate.site),
        SurveyOutcome::Vacant,
        "2026-03-18T17:00:00+08:00",
        Vec::new(),
    );
    steward.ask(empty).await.unwrap();
    refused(
        steward.ask(v1::CloseSurveyRequest { name: survey.clone(), ..Default::default() }).await,
        "PERMISSION_DENIED",
    );
    deputy.ask(v1::CloseSurveyRequest { name: survey.clone(), ..Default::default() }).await.unwrap();
    let proof = covered(&deputy, &survey).await;
    assert!(proof.complete && proof.vacant_count == 1, "{proof:?}");
    assert_eq!(shown(proof.as_of_time.as_ref()), "2026-03-18T18:00");
    let owed = estate.places(Department::CustomerService, "2026-03-18", "2026-03-18").await;
    let yearly = owed.iter().filter(|line| line.contains("survey.full met"));
    assert_eq!(yearly.count(), 3, "{owed:?}");
    // What was found reviews the file, and opens the clock of what has changed.
    let file = steward.owed(&qin).await;
    assert!(file.contains(&"survey.review met 1/1".to_owned()), "{file:?}");
    let update = steward.obligations(&qin, "", "").await;
    let update = update.iter().find(|owed| owed.standard == "standards/file.update").unwrap();
    assert_eq!(update.event, first.people[0].change_event);
    assert_eq!(shown(update.due_time.as_ref()), "2026-03-19T09:00");
    estate.stop().await;
}

/// A7.1, 一人一档: whoever has a file does not get another one unasked; two files of one person are shown, united and, where that was
/// wrong, parted again. The file holds what surveys found, what was done, what people thought of it and what has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a7_1_one_person_has_one_file_that_holds_everything() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let qin = estate.elder("501", "秦安然").await;
    let second = estate.all.dwelling(&estate.site, "502").await;
    let open = |confirmed_not_duplicate| v1::CreateResidentRequest {
        parent: estate.site.clone(),
        resident: Some(elder(&second, "秦 安然")),
        confirmed_not_duplicate,
        ..Default::default()
    };
    let refusal = refused(steward.ask(open(false)).await, "POSSIBLE_DUPLICATE");
    assert_eq!(refusal.metadata, [("candidates".to_owned(), qin.clone())]);
    let other = steward.ask(open(true)).await.unwrap().name;
    let find = v1::FindDuplicatesRequest { parent: estate.site.clone(), ..Default::default() };
    let pairs = async || steward.ask(find.clone()).await.unwrap().duplicates.len();
    assert_eq!(pairs().await, 1, "both are shown");

    estate.all.advance("2026-03-17T12:00:00+08:00").await;
    let survey = estate.campaign(SurveyKind::Review).await;
    let found = v1::SurveyedPerson {
        resident: other.clone(),
        health_note: "近来耳背".to_owned(),
        ..Default::default()
    };
    let time = "2026-03-17T09:00:00+08:00";
    steward.ask(answering(&survey, &second, SurveyOutcome::Surveyed, time, vec![found])).await.unwrap();
    let visit = steward.done(&qin, ServiceKind::HomeVisit, "2026-03-17T10:00:00+08:00").await.name;
    let merge = v1::MergeResidentsRequest {
        name: qin.clone(),
        duplicate: other.clone(),
        reason: "同一人".to_owned(),
        ..Default::default()
    };
    refused(steward.ask(merge.clone()).await, "PERMISSION_DENIED");
    let merged = deputy.ask(merge).await.unwrap();
    assert_eq!((pairs().await, merged.merged_residents), (0, vec![other.clone()]));
    let get = |name: &str| v1::GetResidentRequest { name: name.to_owned(), ..Default::default() };
    assert_eq!(steward.ask(get(&other)).await.unwrap().name, qin, "either name leads to it");

    let evaluate = v1::EvaluateRecordRequest {
        name: visit,
        subject: qin.clone(),
        satisfaction: 5,
        comment: "很满意".to_owned(),
        ..Default::default()
    };
    steward.ask(evaluate).await.unwrap();
    let update = v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: qin.clone(),
            family_note: "女儿每月来一次".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["family_note"]),
        ..Default::default()
    };
    steward.ask(update).await.unwrap();
    let file = deputy.purposeful().ask(v1::ExportOwnFileRequest { name: qin.clone() }).await.unwrap();
    let section = |code: &str| {
        let found = file.sections.iter().find(|section| section.code == code);
        format!("{:?}", found.unwrap_or_else(|| panic!("no section `{code}`")))
    };
    for (code, words) in [
        ("surveys", "近来耳背"),
        ("records", "上门走访"),
        ("records", "很满意"),
        ("changes", "女儿每月来一次"),
    ] {
        assert!(section(code).contains(words), "{code} without {words}");
    }

    let part =
        v1::UnmergeResidentsRequest {
            name: other.clone(), reason: "两人".to_owned(), ..Default::default()
        };
    deputy.ask(part).await.unwrap();
    assert_eq!(steward.ask(get(&other)).await.unwrap().name, other, "and they are two again");
    estate.stop().await;
}

/// A7.4: a file is kept while the person lives here; afterwards it is archived read-only, later sealed and at last erased, unless the
/// law holds it.
#[tokio::test(flavor = "multi_thread")]
async fn a7_4_files_are_kept_archived_sealed_and_erased_unless_held() {
    let estate = Estate::start().await;
    let steward = estate.of(Department::CustomerService).await;
    let deputy = estate.enter("lin", StaffRole::Deputy).await;
    let leader = estate.enter("wang", StaffRole::Leader).await;
    let dwelling = estate.all.dwelling(&estate.site, "501").await;
    let mut person = elder(&dwelling, "秦安然");
    person.facts.push(flag("dementia", true));
    let qin = estate.all.resident(person).await.name;
    let seal = v1::SealFileRequest { name: qin.clone(), ..Default::default() };
    let erase = v1::EraseFileRequest { name: qin.clone(), ..Default::default() };
    // While they live here nobody puts the file away.
    refused(deputy.ask(seal.clone()).await, "FILE_STATE");

    estate.all.advance("2026-03-20T09:00:00+08:00").await;
    let leave = v1::RecordMoveOutRequest {
        name: qin.clone(),
        move_out_date: "2026-03-19".to_owned(),
        ..Default::default()
    };
    assert_eq!(steward.ask(leave).await.unwrap().state(), v1::FileState::Left);
    let update = v1::UpdateResidentRequest {
        resident: Some(v1::Resident {
            name: qin.clone(),
            health_note: "新情况".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["health_note"]),
        ..Default::default()
    };
    refused(steward.ask(update).await, "FILE_STATE");
    // It can be looked up, and takes what was done before.
    assert_eq!(estate.all.full(&qin).await.full_name, "秦安然");
    steward.done(&qin, ServiceKind::HomeVisit, "2026-03-19T10:00:00+08:00").await;
    let later = contact(&qin, ServiceKind::HomeVisit, "2026-03-20T08:00:00+08:00", Outcome::Done);
    let later =
        v1::RecordServiceRequest { parent: estate.site.clone(), records: vec![later], ..Default::default() };
    invalid(steward.ask(later).await, &["records[0].occur_time"]);

    let hold = |hold| v1::HoldFileRequest {
        name: qin.clone(),
        hold,
        reason: "案号 2026-17".to_owned(),
        ..Default::default()
    };
    deputy.ask(hold(true)).await.unwrap();
    refused(leader.ask(erase.clone()).await, "FILE_STATE");
    deputy.ask(hold(false)).await.unwrap();

    let sealed = deputy.ask(seal).await.unwrap();
    assert_eq!((sealed.state(), sealed.display_name.as_str()), (v1::FileState::Sealed, ""));
    let full = v1::GetResidentRequest { name: qin.clone(), view: v1::View::Full.into() };
    refused(leader.purposeful().ask(full.clone()).await, "FILE_STATE");

    refused(deputy.ask(erase.clone()).await, "PERMISSION_DENIED");
    assert_eq!(leader.ask(erase).await.unwrap().state(), v1::FileState::Erased);
    refused(leader.purposeful().ask(full).await, "FILE_STATE");
    let certificate = leader.ask(v1::GetErasureCertificateRequest { name: qin }).await.unwrap();
    assert!(certificate.erase_time.is_some(), "{certificate:?}");
    estate.stop().await;
}
