//! One request for every RPC, in an order in which all of them succeed.
//!
//! What holds for every call (authorisation, privacy) is shown on this story.

use linli_proto::v1;
use prost::Message;

use super::client::{Client, Rpc};
use super::estate::{at, elder, flag, identity_number, mask};
use super::issuer::{Issuer, by_token, grant};
use super::server::{Data, EXCHANGE, UNREACHABLE};

/// The personal words of the story: every one is planted, so that it can be looked for.
#[derive(Debug, Clone)]
pub struct Words {
    pub names: [String; 4],
    pub phones: [String; 4],
    pub numbers: [String; 3],
    /// Notes, evidence, reasons: everything that is said about somebody.
    pub notes: Vec<String>,
}

impl Words {
    /// Recognisable values. No number belongs to anybody: its region does not exist.
    pub fn planted() -> Self {
        let names = ["鲸落海棠", "墨染青梧", "霜降白鹭", "Zzyzx Quillfeather"];
        let notes = [
            "家中暗语是紫罗兰七号",
            "左膝旧伤每逢阴雨发作",
            "欠债缘由只对管家说过",
            "canary-update-Qx7vT2mLp",
            "canary-report-Hs4kW9bNd",
            "canary-apply-Jf6yR1cZg",
            "canary-evidence-Pw3uE8xKa",
            "canary-exit-Vn5tM0qSo",
            "canary-visit-Bl2iG7hYe",
            "canary-correct-Dc9rF4jUw",
            "canary-comment-Xa1zO6vTk",
            "canary-round-Ny8mQ3pLs",
            "canary-safety-Ge5wI2bHr",
            "canary-pause-Uk7cJ9fZd",
            "canary-late-pause-So0nX4tVa",
            "canary-move-out-Ty6qB1eKm",
            "canary-roster-Fh3pW8gRl",
            "canary-purpose-Mi2sD7yJc",
            "canary-hold-Rz4vL8sTq",
            "canary-unseal-Ow6jC3nBe",
            "canary-plan-Lr9vB3kQe",
            "canary-reject-Az5nT8cWu",
            "canary-waiver-Ou1xG6hPi",
            "canary-request-Lk4vN8xTa",
            "canary-done-Wb6hZ1cRq",
            "canary-opinion-Ej9uF3dMs",
            "canary-finding-Yo2pG7kVi",
            "canary-emergency-Ct5wX0nBl",
            "canary-cancel-Rm8aQ4zHf",
            "canary-defect-Pq9eU2fKj",
            "canary-merge-Rk8tE3bWo",
            "canary-unmerge-Lc1vN6gHq",
            "canary-signatory-Hv3pD7yGm",
            "canary-access-Wq5zL8eRv",
            "canary-verdict-Ab9kN2sTx",
            "canary-survey-found-Pj7nE3kXw",
            "canary-survey-change-Zb4uM9fRt",
            "canary-survey-withdraw-Gd8oC2hVs",
            "canary-referral-note-Kw2pX7mLd",
            "canary-referral-reason-Ux5tB9qFz",
            "canary-referral-remark-Nh1vC6jEs",
            "canary-referral-finding-Tg8yR3kWo",
        ];
        Self {
            names: names.map(str::to_owned),
            phones: ["13900007391", "13900007392", "13900007393", "13900007394"].map(str::to_owned),
            numbers: [
                identity_number("19400501", 771),
                identity_number("19410602", 772),
                identity_number("19420703", 773),
            ],
            notes: notes.map(str::to_owned).to_vec(),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<&str> {
        let texts = self.names.iter().chain(&self.phones).chain(&self.numbers).chain(&self.notes);
        texts.map(String::as_str).collect()
    }
}

/// One call of the story.
#[derive(Debug, Clone)]
pub struct Step {
    pub path: &'static str,
    pub request: Vec<u8>,
    pub answer: Vec<u8>,
}

/// The id of the story's site.
pub const SITE: &str = "story";
/// Another id of the same length, which no site has.
pub const NO_SITE: &str = "stray";

impl Step {
    /// The same call about a site that does not exist.
    pub fn elsewhere(&self) -> Vec<u8> {
        let (from, to) = (SITE.as_bytes(), NO_SITE.as_bytes());
        let mut bytes = self.request.clone();
        let places: Vec<_> =
            bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    }
}

/// The leader who approves what others ask for.
const SECOND: &str = "second";

/// These data, of a server to which the story can be told, and the token of its second leader.
pub fn staged(data: Data) -> (Data, String) {
    let issuer = Issuer::new();
    (issuer.trusted(data), issuer.token(SECOND))
}

struct Teller<'a> {
    client: &'a Client,
    second: Client,
    steps: Vec<Step>,
    /// What becomes of a request before it is sent.
    change: &'a Change<'a>,
}

/// A path and the bytes of a request for it, and the bytes that are sent in its place.
pub type Change<'a> = dyn Fn(&str, Vec<u8>) -> Vec<u8> + Sync + 'a;

impl Teller<'_> {
    async fn ask<Q: Rpc>(&mut self, request: Q) -> Q::Answer {
        self.told(request, self.client).await
    }

    /// As the second leader.
    async fn countersign<Q: Rpc>(&mut self, request: Q) -> Q::Answer {
        let second = self.second.clone();
        self.told(request, &second).await
    }

    async fn told<Q: Rpc>(&mut self, request: Q, by: &Client) -> Q::Answer {
        let bytes = (self.change)(Q::PATH, request.encode_to_vec());
        let request = Q::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{}: {error}", Q::PATH));
        let answer = by.ask(request).await.unwrap_or_else(|status| panic!("{}: {status:?}", Q::PATH));
        self.steps.push(Step { path: Q::PATH, request: bytes, answer: answer.encode_to_vec() });
        answer
    }
}

/// Tells the story to a server whose clock stands at the harness's Monday; every call must succeed. `second` is the token of its
/// second leader, of an issuer whom the server trusts. Returns the calls.
pub async fn tell(client: &Client, second: &str, words: &Words) -> Vec<Step> {
    tell_changed(client, second, words, &|_, request| request).await
}

/// As [`tell`], with every request changed before it is sent.
#[allow(clippy::too_many_lines, reason = "one call after the other")]
pub async fn tell_changed(client: &Client, second: &str, words: &Words, change: &Change<'_>) -> Vec<Step> {
    let client = client.with("x-purpose", &format!("ROUTINE_CARE; {}", words.notes[17]));
    let mut t = Teller { client: &client, second: client.token(second), steps: Vec::new(), change };
    let site = estate(&mut t).await;
    let dwelling = format!("{site}/dwellings/d1");
    server(&mut t).await;
    staff(&mut t, &site).await;

    // A file: opened, read, corrected, changed.
    let note = |at: usize| words.notes[at].clone();
    let first = v1::Resident {
        phone: words.phones[0].clone(),
        identity_number: words.numbers[0].clone(),
        emergency_contacts: vec![v1::EmergencyContact {
            full_name: words.names[1].clone(),
            phone: words.phones[1].clone(),
            relation: "女儿".to_owned(),
        }],
        family_note: note(0),
        health_note: note(1),
        status_note: note(2),
        needs: vec![v1::Need::Companionship.into()],
        ..elder(&dwelling, &words.names[0])
    };
    let opened = t.ask(v1::CreateResidentRequest {
        parent: site.clone(),
        resident: Some(first),
        ..Default::default()
    });
    let resident = opened.await.name;
    t.ask(v1::GetResidentRequest { name: resident.clone(), view: v1::View::Basic.into() }).await;
    let names = vec![resident.clone()];
    t.ask(v1::BatchGetResidentsRequest { parent: site.clone(), names, view: v1::View::Basic.into() }).await;
    t.ask(v1::FindDuplicatesRequest { parent: site.clone(), ..Default::default() }).await;
    let classes = vec![v1::FieldClass::Contact.into(), v1::FieldClass::Health.into()];
    t.ask(v1::ExportResidentsRequest { parent: site.clone(), classes, ..Default::default() }).await;
    let classes = vec![v1::FieldClass::Contact.into(), v1::FieldClass::Identity.into()];
    t.ask(v1::RevealResidentRequest { name: resident.clone(), classes }).await;
    t.ask(v1::ListResidentsRequest {
        parent: site.clone(),
        identity_number: words.numbers[0].clone(),
        phone: words.phones[0].clone(),
        ..Default::default()
    })
    .await;
    let changed = |field: &str, change: v1::Resident| {
        (Some(v1::Resident { name: resident.clone(), ..change }), mask(&[field]))
    };
    let (changed_resident, update_mask) =
        changed("family_note", v1::Resident { family_note: note(3), ..Default::default() });
    t.ask(v1::UpdateResidentRequest { resident: changed_resident, update_mask, ..Default::default() }).await;
    let reported = t.ask(v1::ReportChangeRequest {
        name: resident.clone(),
        kind: v1::ChangeKind::Health.into(),
        description: note(4),
        ..Default::default()
    });
    let event = reported.await.name;
    let (changed_resident, update_mask) =
        changed("health_note", v1::Resident { health_note: note(5), ..Default::default() });
    t.ask(v1::ApplyChangeRequest {
        resident: changed_resident,
        update_mask,
        answers: vec![event],
        ..Default::default()
    })
    .await;
    t.ask(v1::AssessResidentRequest { name: resident.clone(), ..Default::default() }).await;
    memberships(&mut t, &site, words).await;
    ending(&mut t, &site, words).await;
    care(&mut t, &site, &resident, words).await;
    pauses(&mut t, &resident, words).await;
    requests(&mut t, &site, &resident, words).await;
    facilities(&mut t, &site, words).await;
    surveys(&mut t, &site, &resident, words).await;
    activities(&mut t, &site, &resident).await;
    overrides(&mut t, &site).await;
    plans(&mut t, &resident, words).await;
    waivers(&mut t, &resident, words).await;
    access(&mut t, &site, &resident, words).await;
    ledgers(&mut t, &resident, words).await;

    merges(&mut t, &site, &resident, words).await;
    fund(&mut t, &site).await;

    // What follows from it.
    t.ask(v1::ListObligationsRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::GetStandingRequest { name: resident.clone() }).await;
    t.ask(v1::ExportOwnFileRequest { name: resident.clone() }).await;
    t.ask(v1::ListWorklistRequest { parent: format!("{site}/posts/p1"), ..Default::default() }).await;
    t.ask(v1::WatchWorklistRequest {
        parent: format!("{site}/posts/p1"),
        update_limit: 1,
        ..Default::default()
    })
    .await;
    t.ask(v1::ListEventsRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::WatchRequest { parent: site.clone(), answer_limit: 1, ..Default::default() }).await;
    t.ask(v1::GetComplianceReportRequest {
        parent: site.clone(),
        period: v1::PeriodUnit::Week.into(),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetVisitRateRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::GetWorkloadRequest {
        parent: site.clone(),
        period: v1::PeriodUnit::Month.into(),
        ..Default::default()
    })
    .await;
    let period = format!("{site}/periods/2026-02");
    t.ask(v1::ClosePeriodRequest { name: period.clone(), ..Default::default() }).await;
    t.ask(v1::GetPeriodRequest { name: period.clone() }).await;
    t.ask(v1::ListCorrectionsRequest { parent: period.clone(), ..Default::default() }).await;
    t.ask(v1::RenderReportRequest { name: period, ..Default::default() }).await;
    t.ask(v1::ListAuditEntriesRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::GetCheckpointRequest { parent: site.clone() }).await;
    t.ask(v1::VerifyAuditRequest { parent: site.clone() }).await;

    // The end of it.
    t.ask(v1::RecordMoveOutRequest {
        name: resident.clone(),
        move_out_date: "2026-03-15".to_owned(),
        reason: note(15),
        ..Default::default()
    })
    .await;
    t.ask(v1::RecordMoveInRequest {
        parent: site.clone(),
        dwelling: dwelling.clone(),
        move_in_date: "2026-03-16".to_owned(),
        resident: resident.clone(),
        ..Default::default()
    })
    .await;
    t.ask(v1::RecordDeathRequest {
        name: resident.clone(),
        death_date: "2026-03-16".to_owned(),
        ..Default::default()
    })
    .await;
    t.ask(v1::ListHistoryRequest { parent: resident, ..Default::default() }).await;
    roster(&mut t, &site, words).await;
    t.steps
}

/// Site, dwellings, area, post, parameters.
async fn estate(t: &mut Teller<'_>) -> String {
    let titled = v1::Site { display_name: "清河苑".to_owned(), ..Default::default() };
    let made =
        t.ask(v1::CreateSiteRequest { site: Some(titled), site_id: SITE.to_owned(), ..Default::default() });
    let site = made.await.name;
    t.ask(v1::GetSiteRequest { name: site.clone() }).await;
    t.ask(v1::ListSitesRequest::default()).await;
    let renamed =
        v1::Site { name: site.clone(), display_name: "清河苑一期".to_owned(), ..Default::default() };
    t.ask(v1::UpdateSiteRequest {
        site: Some(renamed),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    })
    .await;
    let door = |room: &str| v1::Dwelling {
        building: "3".to_owned(),
        unit: "2".to_owned(),
        room: room.to_owned(),
        ..Default::default()
    };
    let made = t.ask(v1::CreateDwellingRequest {
        parent: site.clone(),
        dwelling: Some(door("501")),
        dwelling_id: "d1".to_owned(),
        ..Default::default()
    });
    let dwelling = made.await.name;
    t.ask(v1::GetDwellingRequest { name: dwelling.clone() }).await;
    t.ask(v1::ListDwellingsRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::UpdateDwellingRequest {
        dwelling: Some(v1::Dwelling { name: dwelling, ..door("502") }),
        update_mask: mask(&["room"]),
        ..Default::default()
    })
    .await;
    let gate = |title: &str| v1::Area {
        kind: v1::AreaKind::Gate.into(),
        display_name: title.to_owned(),
        ..Default::default()
    };
    let made = t.ask(v1::CreateAreaRequest {
        parent: site.clone(),
        area: Some(gate("东门")),
        area_id: "a1".to_owned(),
        ..Default::default()
    });
    let area = made.await.name;
    t.ask(v1::GetAreaRequest { name: area.clone() }).await;
    t.ask(v1::ListAreasRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::UpdateAreaRequest {
        area: Some(v1::Area { name: area, ..gate("正门") }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    })
    .await;
    let steward = |title: &str| v1::Post {
        display_name: title.to_owned(),
        department: v1::Department::CustomerService.into(),
        ..Default::default()
    };
    let made = t.ask(v1::CreatePostRequest {
        parent: site.clone(),
        post: Some(steward("3栋管家")),
        post_id: "p1".to_owned(),
        ..Default::default()
    });
    let post = made.await.name;
    t.ask(v1::GetPostRequest { name: post.clone() }).await;
    t.ask(v1::ListPostsRequest { parent: site.clone(), ..Default::default() }).await;
    t.ask(v1::UpdatePostRequest {
        post: Some(v1::Post { name: post.clone(), ..steward("3栋楼栋管家") }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    })
    .await;
    let holder = v1::PostHolder {
        staff: "staff/wang".to_owned(),
        start_date: "2026-03-01".to_owned(),
        ..Default::default()
    };
    t.ask(v1::AddPostHolderRequest { name: post.clone(), holder: Some(holder), ..Default::default() }).await;
    t.ask(v1::EndPostHolderRequest {
        name: post,
        staff: "staff/wang".to_owned(),
        start_date: "2026-03-01".to_owned(),
        end_date: "2026-03-31".to_owned(),
        ..Default::default()
    })
    .await;
    let parameters = format!("{site}/pluginParameters/cn.linli.elderly");
    t.ask(v1::GetPluginParametersRequest { name: parameters.clone() }).await;
    let seventy = v1::PluginParameter {
        field: "advanced_age_years".to_owned(),
        value: Some(v1::Value { kind: Some(v1::value::Kind::Number(70)) }),
        ..Default::default()
    };
    t.ask(v1::ReportWeatherRequest { name: site.clone(), ..Default::default() }).await;
    t.ask(v1::SetPluginParametersRequest {
        name: parameters,
        parameters: vec![seventy],
        ..Default::default()
    })
    .await;
    site
}

/// Catalogue, plugins, the server itself.
async fn server(t: &mut Teller<'_>) {
    t.ask(v1::GetCareGroupRequest { name: "careGroups/living_alone".to_owned() }).await;
    t.ask(v1::ListCareGroupsRequest::default()).await;
    t.ask(v1::GetStandardRequest { name: "standards/elder.visit".to_owned() }).await;
    t.ask(v1::ListStandardsRequest::default()).await;
    t.ask(v1::GetPluginRequest { name: "plugins/cn.linli.elderly".to_owned() }).await;
    t.ask(v1::ListPluginsRequest::default()).await;
    plugins(t).await;
    let info = t.ask(v1::GetServerInfoRequest::default()).await;
    if info.store_backend == "sqlite" {
        t.ask(v1::BackupRequest::default()).await;
    }
    t.ask(v1::RotateKeysRequest::default()).await;
    t.ask(v1::GetKeyRotationRequest::default()).await;
    let minute = prost_types::Duration { seconds: 60, nanos: 0 };
    t.ask(v1::AdvanceClockRequest {
        target: Some(v1::advance_clock_request::Target::By(minute)),
        ..Default::default()
    })
    .await;
}

/// A plugin: looked at, taken away, loaded again.
async fn plugins(t: &mut Teller<'_>) {
    let name = "plugins/cn.linli.military".to_owned();
    let seen = t.ask(v1::PreviewPluginRequest { name: name.clone(), ..Default::default() }).await;
    let digest = seen.candidate.unwrap().digest;
    t.ask(v1::ListPluginDifferencesRequest {
        name: name.clone(),
        digest: digest.clone(),
        ..Default::default()
    })
    .await;
    t.ask(v1::DrainPluginRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::LoadPluginRequest { name, digest, ..Default::default() }).await;
}

/// The working group.
async fn staff(t: &mut Teller<'_>, site: &str) {
    let name = "staff/chen".to_owned();
    let cleans = v1::StaffGrant {
        role: v1::StaffRole::Member.into(),
        department: v1::Department::Cleaning.into(),
        sites: vec![site.to_owned()],
        ..Default::default()
    };
    let chen = v1::Staff { display_name: "保洁员".to_owned(), grants: vec![cleans], ..Default::default() };
    t.ask(v1::CreateStaffRequest { staff: Some(chen), staff_id: "chen".to_owned(), ..Default::default() })
        .await;
    t.ask(v1::GetStaffRequest { name: name.clone() }).await;
    t.ask(v1::ListStaffRequest::default()).await;
    let renamed =
        v1::Staff { name: name.clone(), display_name: "保洁组长".to_owned(), ..Default::default() };
    t.ask(v1::UpdateStaffRequest {
        staff: Some(renamed),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    })
    .await;
    t.ask(v1::DeactivateStaffRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::ReactivateStaffRequest { name, ..Default::default() }).await;
    let second = v1::Staff {
        display_name: "副组长转组长".to_owned(),
        grants: vec![grant(v1::StaffRole::Leader, &[SITE])],
        credentials: vec![by_token(SECOND)],
        ..Default::default()
    };
    t.ask(v1::CreateStaffRequest { staff: Some(second), staff_id: SECOND.to_owned(), ..Default::default() })
        .await;
}

/// A looser standard, asked for, approved and taken back.
async fn overrides(t: &mut Teller<'_>, site: &str) {
    let once =
        v1::RecurringDuty { at_least: 1, per: v1::PeriodUnit::Week.into(), ..v1::RecurringDuty::default() };
    let asked = v1::StandardOverride {
        standard: "standards/elder.call".to_owned(),
        numbers: Some(v1::StandardNumbers {
            duty: Some(v1::standard_numbers::Duty::Recurring(once)),
            ..Default::default()
        }),
        reason: "志愿者每周另打一次电话".to_owned(),
        end_date: "2026-06-30".to_owned(),
        ..Default::default()
    };
    let request = v1::OverrideStandardRequest {
        parent: site.to_owned(),
        standard_override: Some(asked),
        ..Default::default()
    };
    let asked = request.standard_override.clone().unwrap();
    t.ask(v1::SimulateStandardsRequest {
        parent: site.to_owned(),
        standard: asked.standard,
        numbers: asked.numbers,
        start_date: "2026-03-02".to_owned(),
        end_date: "2026-03-15".to_owned(),
        ..Default::default()
    })
    .await;
    let name = t.ask(request).await.name;
    t.countersign(v1::ApproveOverrideRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::RetireOverrideRequest { name, ..Default::default() }).await;
    t.ask(v1::ListOverridesRequest { parent: site.to_owned(), ..Default::default() }).await;
}

/// Two revisions of a plan, drafted, submitted, rejected and approved.
async fn plans(t: &mut Teller<'_>, resident: &str, words: &Words) {
    let mut plan = t.ask(v1::DraftPlanRequest { parent: resident.to_owned() }).await;
    plan.cautions.push(words.notes[20].clone());
    plan.note.clone_from(&words.notes[20]);
    let submit =
        v1::SubmitPlanRequest { parent: resident.to_owned(), plan: Some(plan), ..Default::default() };
    let first = t.ask(submit.clone()).await.name;
    let reject = v1::RejectPlanRequest { name: first, reason: words.notes[21].clone(), ..Default::default() };
    t.countersign(reject).await;
    let name = t.ask(submit).await.name;
    t.countersign(v1::ApprovePlanRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::GetPlanRequest { name, view: v1::View::Full.into() }).await;
    t.ask(v1::ListPlansRequest { parent: resident.to_owned(), ..Default::default() }).await;
}

/// A waiver, approved and ended.
async fn waivers(t: &mut Teller<'_>, resident: &str, words: &Words) {
    let waiver = v1::Waiver {
        standard: "standards/elder.visit".to_owned(),
        cause: v1::WaiverCause::Refused.into(),
        reason: words.notes[22].clone(),
        end_date: "2026-04-30".to_owned(),
        ..Default::default()
    };
    let request =
        v1::WaiveStandardRequest { parent: resident.to_owned(), waiver: Some(waiver), ..Default::default() };
    let name = t.ask(request).await.name;
    t.countersign(v1::ApproveWaiverRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::EndWaiverRequest { name, ..Default::default() }).await;
    t.ask(v1::ListWaiversRequest { parent: resident.to_owned(), ..Default::default() }).await;
}

/// A second file, whose membership is declared and ended.
async fn memberships(t: &mut Teller<'_>, site: &str, words: &Words) {
    let second = v1::Resident {
        identity_number: words.numbers[1].clone(),
        birth_date: String::new(),
        facts: vec![flag("lives_alone", false), flag("seriously_ill", true)],
        ..elder(&format!("{site}/dwellings/d1"), &words.names[2])
    };
    let opened = t.ask(v1::CreateResidentRequest {
        parent: site.to_owned(),
        resident: Some(second),
        ..Default::default()
    });
    let resident = opened.await.name;
    let declared = t.ask(v1::DeclareMembershipRequest {
        parent: resident.clone(),
        group: "careGroups/living_alone".to_owned(),
        basis: v1::MembershipBasis::Declared.into(),
        true_from_date: "2026-03-01".to_owned(),
        evidence: words.notes[6].clone(),
        ..Default::default()
    });
    let membership = declared.await.name;
    let tomorrow = prost_types::Duration { seconds: 86_400, nanos: 0 };
    t.ask(v1::AdvanceClockRequest {
        target: Some(v1::advance_clock_request::Target::By(tomorrow)),
        ..Default::default()
    })
    .await;
    t.ask(v1::ConfirmExitRequest { name: membership, reason: words.notes[7].clone(), ..Default::default() })
        .await;
    let well = v1::Resident {
        name: resident.clone(),
        facts: vec![flag("seriously_ill", false)],
        ..Default::default()
    };
    let well = v1::UpdateResidentRequest {
        resident: Some(well),
        update_mask: mask(&["facts"]),
        ..Default::default()
    };
    let well = t.ask(well).await;
    t.ask(v1::ConfirmTierRequest {
        name: resident.clone(),
        tier: well.proposed_tier,
        reason: words.notes[7].clone(),
        ..Default::default()
    })
    .await;
    t.ask(v1::ListMembershipsRequest { parent: resident, ..Default::default() }).await;
}

/// A third file, to its end.
async fn ending(t: &mut Teller<'_>, site: &str, words: &Words) {
    let third = elder(&format!("{site}/dwellings/d1"), &words.names[3]);
    let opened = t.ask(v1::CreateResidentRequest {
        parent: site.to_owned(),
        resident: Some(third),
        ..Default::default()
    });
    let name = opened.await.name;
    t.ask(v1::RecordMoveOutRequest {
        name: name.clone(),
        move_out_date: "2026-03-16".to_owned(),
        ..Default::default()
    })
    .await;
    for hold in [true, false] {
        let reason = words.notes[18].clone();
        t.ask(v1::HoldFileRequest { name: name.clone(), hold, reason, ..Default::default() }).await;
    }
    t.ask(v1::SealFileRequest { name: name.clone(), ..Default::default() }).await;
    let reason = words.notes[19].clone();
    t.ask(v1::UnsealFileRequest { name: name.clone(), reason, ..Default::default() }).await;
    t.ask(v1::EraseFileRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::GetErasureCertificateRequest { name }).await;
}

/// Records of every sort.
async fn care(t: &mut Teller<'_>, site: &str, resident: &str, words: &Words) {
    let note = |at: usize| words.notes[at].clone();
    let subject = |note: String| v1::RecordSubject {
        subject: resident.to_owned(),
        outcome: v1::Outcome::Done.into(),
        note,
        ..Default::default()
    };
    let visit = v1::Record {
        kind: v1::ServiceKind::HomeVisit.into(),
        occur_time: Some(at("2026-03-16T09:00:30+08:00")),
        subjects: vec![subject(note(8))],
        ..Default::default()
    };
    let recorded = t.ask(v1::RecordServiceRequest {
        parent: site.to_owned(),
        records: vec![visit],
        ..Default::default()
    });
    let record = recorded.await.records[0].name.clone();
    t.ask(v1::GetRecordRequest { name: record.clone(), view: v1::View::Full.into() }).await;
    t.ask(v1::ListRecordsRequest { parent: site.to_owned(), ..Default::default() }).await;
    let corrected = v1::Record { subjects: vec![subject(note(9))], ..Default::default() };
    t.ask(v1::CorrectRecordRequest {
        name: record.clone(),
        correction: Some(v1::correct_record_request::Correction::Record(corrected)),
        update_mask: mask(&["subjects"]),
        reason: note(9),
        ..Default::default()
    })
    .await;
    t.ask(v1::EvaluateRecordRequest {
        name: record,
        subject: resident.to_owned(),
        satisfaction: 5,
        comment: note(10),
        ..Default::default()
    })
    .await;
    let area = format!("{site}/areas/a1");
    t.ask(v1::RecordRoundRequest {
        parent: site.to_owned(),
        kind: v1::ServiceKind::Patrol.into(),
        occur_time: Some(at("2026-03-16T09:00:40+08:00")),
        subjects: vec![area.clone()],
        exceptions: vec![v1::RecordSubject {
            subject: area,
            outcome: v1::Outcome::NotDone.into(),
            note: note(11),
            ..Default::default()
        }],
        ..Default::default()
    })
    .await;
    t.ask(v1::ConfirmSafetyRequest {
        name: resident.to_owned(),
        source: v1::SafetySource::Family.into(),
        note: note(12),
        ..Default::default()
    })
    .await;
}

/// A pause that ends, and one that was recorded too late.
async fn pauses(t: &mut Teller<'_>, resident: &str, words: &Words) {
    let pause = |leave: &str, back: &str, note: &str| {
        Some(v1::Pause {
            reason: v1::PauseReason::Other.into(),
            leave_date: leave.to_owned(),
            expected_return_date: back.to_owned(),
            note: note.to_owned(),
            ..Default::default()
        })
    };
    let begun = t.ask(v1::PauseRequest {
        parent: resident.to_owned(),
        pause: pause("2026-03-16", "2026-03-25", &words.notes[13]),
        ..Default::default()
    });
    let running = begun.await.name;
    t.ask(v1::EndPauseRequest { name: running, return_date: "2026-03-17".to_owned(), ..Default::default() })
        .await;
    let late = t.ask(v1::PauseRequest {
        parent: resident.to_owned(),
        pause: pause("2026-03-02", "2026-03-11", &words.notes[14]),
        ..Default::default()
    });
    let late = late.await.name;
    t.ask(v1::ConfirmPauseRequest { name: late, ..Default::default() }).await;
    t.ask(v1::ListPausesRequest { parent: resident.to_owned(), ..Default::default() }).await;
}

/// A fund year: a spending that is paid, and one that is rejected.
async fn fund(t: &mut Teller<'_>, site: &str) {
    let line = |budget_fen| v1::BudgetLine {
        line: "gifts".to_owned(),
        display_name: "节日慰问".to_owned(),
        purpose: v1::FundPurpose::Festival.into(),
        budget_fen,
        ..Default::default()
    };
    let opened = t.ask(v1::OpenFundYearRequest {
        parent: site.to_owned(),
        year: 2026,
        lines: vec![line(500_000)],
        ..Default::default()
    });
    let fund = opened.await.name;
    t.ask(v1::AmendBudgetRequest {
        name: fund.clone(),
        lines: vec![line(600_000)],
        reason: "追加预算".to_owned(),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetFundRequest { name: fund.clone() }).await;
    let spending = v1::Spending {
        line: "gifts".to_owned(),
        display_name: "中秋慰问品 20 份".to_owned(),
        amount_fen: 120_000,
        people_count: 20,
        ..Default::default()
    };
    let request =
        v1::RequestSpendingRequest { parent: fund.clone(), spending: Some(spending), ..Default::default() };
    let (spending, other) = (t.ask(request.clone()).await.name, t.ask(request).await.name);
    t.countersign(v1::ApproveSpendingRequest { name: spending.clone(), ..Default::default() }).await;
    t.ask(v1::RecordDisbursementRequest {
        name: spending.clone(),
        voucher: "2026-031".to_owned(),
        ..Default::default()
    })
    .await;
    t.ask(v1::RejectSpendingRequest { name: other, reason: "数量有误".to_owned(), ..Default::default() })
        .await;
    t.ask(v1::GetSpendingRequest { name: spending }).await;
    t.ask(v1::ListSpendingRequest { parent: fund.clone(), ..Default::default() }).await;
    t.ask(v1::GetLedgerRequest { name: fund.clone(), ..Default::default() }).await;
    t.ask(v1::PublishReportRequest { name: fund.clone(), ..Default::default() }).await;
    t.ask(v1::ListReportsRequest { parent: fund, ..Default::default() }).await;
}

/// A request from its submission to a deputy's review, an emergency, and what is no longer wanted.
async fn requests(t: &mut Teller<'_>, site: &str, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    let asked = |kind: v1::RequestKind| v1::SubmitRequestRequest {
        parent: site.to_owned(),
        request: Some(v1::Request {
            kind: kind.into(),
            subject: resident.to_owned(),
            description: said("canary-request"),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = t.ask(asked(v1::RequestKind::Repair)).await.name;
    t.ask(v1::AcceptRequestRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::DispatchRequestRequest {
        name: name.clone(),
        assignee: format!("{site}/posts/p1"),
        ..Default::default()
    })
    .await;
    t.ask(v1::ArriveRequestRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::CompleteRequestRequest { name: name.clone(), note: said("canary-done"), ..Default::default() })
        .await;
    t.ask(v1::FollowUpRequestRequest {
        name: name.clone(),
        satisfaction: 2,
        comment: said("canary-opinion"),
        ..Default::default()
    })
    .await;
    t.ask(v1::ReviewRequestRequest {
        name: name.clone(),
        finding: said("canary-finding"),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetRequestRequest { name, ..Default::default() }).await;
    let told = |party: v1::NoticeParty| v1::EmergencyNotice { party: party.into(), ..Default::default() };
    let reported = t.ask(v1::ReportEmergencyRequest {
        parent: site.to_owned(),
        subject: resident.to_owned(),
        description: said("canary-emergency"),
        notices: vec![told(v1::NoticeParty::Ambulance)],
        ..Default::default()
    });
    let name = reported.await.name;
    t.ask(v1::RecordNoticeRequest {
        name,
        notice: Some(told(v1::NoticeParty::Family)),
        ..Default::default()
    })
    .await;
    let name = t.ask(asked(v1::RequestKind::ErrandParcel)).await.name;
    t.ask(v1::CancelRequestRequest { name, reason: said("canary-cancel"), ..Default::default() }).await;
    t.ask(v1::ListRequestsRequest { parent: site.to_owned(), ..Default::default() }).await;
}

/// A facility: registered, inspected, found wanting.
async fn facilities(t: &mut Teller<'_>, site: &str, words: &Words) {
    let ramp = |title: &str| v1::Facility {
        kind: v1::FacilityKind::Ramp.into(),
        display_name: title.to_owned(),
        ..Default::default()
    };
    let made = t.ask(v1::CreateFacilityRequest {
        parent: site.to_owned(),
        facility: Some(ramp("东门坡道")),
        facility_id: "f1".to_owned(),
        ..Default::default()
    });
    let name = made.await.name;
    t.ask(v1::UpdateFacilityRequest {
        facility: Some(v1::Facility { name: name.clone(), ..ramp("正门坡道") }),
        update_mask: mask(&["display_name"]),
        ..Default::default()
    })
    .await;
    t.ask(v1::RecordInspectionRequest {
        parent: site.to_owned(),
        facilities: vec![name.clone()],
        occur_time: Some(at("2026-03-17T09:00:30+08:00")),
        ..Default::default()
    })
    .await;
    t.ask(v1::ReportDefectRequest {
        name: name.clone(),
        description: words.notes.iter().find(|note| note.contains("canary-defect")).unwrap().clone(),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetFacilityRequest { name }).await;
    t.ask(v1::ListFacilitiesRequest { parent: site.to_owned(), ..Default::default() }).await;
}

/// An activity that is held and attended, and one that is cancelled.
async fn activities(t: &mut Teller<'_>, site: &str, resident: &str) {
    let plan = |title: &str| v1::PlanActivityRequest {
        parent: site.to_owned(),
        activity: Some(v1::Activity {
            kind: v1::ActivityKind::Event.into(),
            display_name: title.to_owned(),
            occasion: "qingming".to_owned(),
            date: "2026-03-16".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = t.ask(plan("踏青")).await.name;
    t.ask(v1::UpdateActivityRequest {
        activity: Some(v1::Activity {
            name: name.clone(),
            place: "中心花园".to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["place"]),
        ..Default::default()
    })
    .await;
    t.ask(v1::HoldActivityRequest { name: name.clone(), ..Default::default() }).await;
    t.ask(v1::RecordAttendanceRequest {
        name: name.clone(),
        residents: vec![resident.to_owned()],
        staff: vec!["staff/chen".to_owned()],
        ..Default::default()
    })
    .await;
    t.ask(v1::ListAttendancesRequest { parent: name.clone(), ..Default::default() }).await;
    t.ask(v1::GetActivityRequest { name }).await;
    let name = t.ask(plan("茶话会")).await.name;
    t.ask(v1::CancelActivityRequest { name, reason: "下雨".to_owned(), ..Default::default() }).await;
    t.ask(v1::ListActivitiesRequest { parent: site.to_owned(), ..Default::default() }).await;
}

/// A survey: an answer about a file and about somebody without one, and one that is withdrawn.
async fn surveys(t: &mut Teller<'_>, site: &str, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    let survey = v1::Survey {
        kind: v1::SurveyKind::Full.into(),
        display_name: "2026年度全面摸排".to_owned(),
        start_date: "2026-03-01".to_owned(),
        end_date: "2026-03-31".to_owned(),
        ..Default::default()
    };
    let opened =
        t.ask(v1::OpenSurveyRequest { parent: site.to_owned(), survey: Some(survey), ..Default::default() });
    let survey = opened.await.name;
    t.ask(v1::GetSurveyRequest { name: survey.clone() }).await;
    t.ask(v1::ListSurveysRequest { parent: site.to_owned(), ..Default::default() }).await;
    let found = |person: v1::SurveyedPerson| v1::SurveyedPerson {
        family_note: said("canary-survey-found"),
        health_note: said("canary-survey-found"),
        status_note: said("canary-survey-found"),
        flags: vec![v1::KeyPersonFlag::SeriouslyIll.into()],
        needs: vec![v1::Need::Medical.into()],
        ..person
    };
    let known = v1::SurveyedPerson {
        resident: resident.to_owned(),
        change: Some(v1::SurveyedChange {
            kind: v1::ChangeKind::Health.into(),
            description: said("canary-survey-change"),
        }),
        ..Default::default()
    };
    let unknown = v1::SurveyedPerson {
        full_name: words.names[3].clone(),
        phone: words.phones[3].clone(),
        birth_date: "1950-02-03".to_owned(),
        ..Default::default()
    };
    let answer = v1::SurveyAnswer {
        dwelling: format!("{site}/dwellings/d1"),
        channel: v1::SurveyChannel::HomeVisit.into(),
        outcome: v1::SurveyOutcome::Surveyed.into(),
        occur_time: Some(at("2026-03-16T09:00:50+08:00")),
        household_size: 3,
        household_phone: words.phones[2].clone(),
        people: vec![found(known), found(unknown)],
        ..Default::default()
    };
    let request =
        v1::RecordSurveyRequest { parent: survey.clone(), answer: Some(answer), ..Default::default() };
    let (first, second) = (t.ask(request.clone()).await.name, t.ask(request).await.name);
    t.ask(v1::GetSurveyAnswerRequest { name: first, view: v1::View::Full.into() }).await;
    t.ask(v1::WithdrawSurveyAnswerRequest {
        name: second,
        reason: said("canary-survey-withdraw"),
        ..Default::default()
    })
    .await;
    t.ask(v1::ListSurveyAnswersRequest { parent: survey.clone(), ..Default::default() }).await;
    t.ask(v1::GetCoverageRequest { name: survey.clone(), ..Default::default() }).await;
    t.ask(v1::CloseSurveyRequest { name: survey, ..Default::default() }).await;
}

/// A second file of the same person, merged and parted again.
async fn merges(t: &mut Teller<'_>, site: &str, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    let second = v1::Resident {
        phone: words.phones[1].clone(),
        ..elder(&format!("{site}/dwellings/d1"), &words.names[0])
    };
    let opened = t.ask(v1::CreateResidentRequest {
        parent: site.to_owned(),
        resident: Some(second),
        confirmed_not_duplicate: true,
        ..Default::default()
    });
    let duplicate = opened.await.name;
    t.ask(v1::MergeResidentsRequest {
        name: resident.to_owned(),
        duplicate: duplicate.clone(),
        reason: said("canary-merge"),
        ..Default::default()
    })
    .await;
    t.ask(v1::UnmergeResidentsRequest {
        name: duplicate,
        reason: said("canary-unmerge"),
        ..Default::default()
    })
    .await;
}

/// What was said about handing values on, what went out, and what was taken back.
async fn ledgers(t: &mut Teller<'_>, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    let consent = v1::Consent {
        body: v1::BodyKind::HealthService.into(),
        purpose: v1::DisclosurePurpose::Referral.into(),
        classes: vec![v1::FieldClass::Contact.into()],
        decision: v1::ConsentDecision::Granted.into(),
        signatory: v1::ConsentSignatory::Resident.into(),
        signed_by: said("canary-signatory"),
        form: "健康转介同意书 2026-01".to_owned(),
        expire_time: Some(at("2027-01-01T00:00:00+08:00")),
        ..Default::default()
    };
    let recorded = t.ask(v1::RecordConsentRequest {
        parent: resident.to_owned(),
        consent: Some(consent),
        ..Default::default()
    });
    let name = recorded.await.name;
    t.ask(v1::ListConsentsRequest { parent: resident.to_owned(), ..Default::default() }).await;
    let given = v1::Disclosure {
        body: v1::BodyKind::HealthService.into(),
        recipient: "幸福里社区卫生服务站".to_owned(),
        purpose: v1::DisclosurePurpose::Referral.into(),
        basis: v1::DisclosureBasis::Consent.into(),
        classes: vec![v1::FieldClass::Contact.into()],
        ..Default::default()
    };
    t.ask(v1::RecordDisclosureRequest {
        parent: resident.to_owned(),
        disclosure: Some(given),
        ..Default::default()
    })
    .await;
    t.ask(v1::ListDisclosuresRequest { parent: resident.to_owned(), ..Default::default() }).await;
    referrals(t, resident, words).await;
    t.ask(v1::WithdrawConsentRequest { name, ..Default::default() }).await;
}

/// A body, and matters that were handed to it: one that it took on, one that was taken back, one in a danger.
async fn referrals(t: &mut Teller<'_>, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    let site = resident.split('/').take(2).collect::<Vec<_>>().join("/");
    let agreement = v1::BodyAgreement {
        number: "协议 2026-7".to_owned(),
        fields: vec![v1::DisclosedField::Name.into(), v1::DisclosedField::Phone.into()],
        purposes: vec![v1::DisclosurePurpose::Referral.into()],
        start_date: "2026-01-01".to_owned(),
        end_date: String::new(),
    };
    let clinic = v1::CommunityBody {
        kind: v1::BodyKind::HealthService.into(),
        display_name: "幸福里社区卫生服务站".to_owned(),
        contacts: vec!["前台 010-62345678".to_owned()],
        sites: vec![site.clone()],
        agreement: Some(agreement),
        enabled: true,
        ..Default::default()
    };
    let entered = v1::CreateBodyRequest {
        body: Some(clinic.clone()),
        body_id: "clinic".to_owned(),
        ..Default::default()
    };
    let body = t.ask(entered).await.name;
    t.ask(v1::UpdateBodyRequest {
        body: Some(v1::CommunityBody { name: body.clone(), ..clinic }),
        update_mask: mask(&["contacts"]),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetBodyRequest { name: body.clone() }).await;
    t.ask(v1::ListBodiesRequest::default()).await;
    let matter = v1::Referral {
        resident: resident.to_owned(),
        body,
        purpose: v1::DisclosurePurpose::Referral.into(),
        basis: v1::DisclosureBasis::Consent.into(),
        matter: v1::ReferralMatter::MedicalVisit.into(),
        urgency: v1::RequestUrgency::Routine.into(),
        fields: vec![v1::DisclosedField::Name.into(), v1::DisclosedField::Phone.into()],
        note: said("canary-referral-note"),
        handed_over: true,
        ..Default::default()
    };
    let danger = v1::Referral {
        purpose: v1::DisclosurePurpose::Rescue.into(),
        basis: v1::DisclosureBasis::Danger.into(),
        reason: said("canary-referral-reason"),
        ..matter.clone()
    };
    let hand = |referral: &v1::Referral| v1::CreateReferralRequest {
        parent: site.clone(),
        referral: Some(referral.clone()),
        ..Default::default()
    };
    let taken = t.ask(hand(&matter)).await.name;
    let revoked = t.ask(hand(&matter)).await.name;
    let danger = t.ask(hand(&danger)).await.name;
    t.ask(v1::RecordAcknowledgementRequest {
        name: taken.clone(),
        decision: v1::ReferralDecision::Accepted.into(),
        remark: said("canary-referral-remark"),
        ..Default::default()
    })
    .await;
    t.ask(v1::CloseReferralRequest { name: taken.clone(), ..Default::default() }).await;
    t.ask(v1::RevokeReferralRequest { name: revoked, ..Default::default() }).await;
    t.countersign(v1::ReviewReferralRequest {
        name: danger,
        justified: true,
        finding: said("canary-referral-finding"),
        ..Default::default()
    })
    .await;
    t.ask(v1::GetReferralRequest { name: taken, view: v1::View::Full.into() }).await;
    t.ask(v1::ListReferralsRequest { parent: site.clone(), ..Default::default() }).await;
    // Nobody listens where the channel of the harness leads: what is asked for waits.
    let far = v1::CommunityBody {
        kind: v1::BodyKind::HealthService.into(),
        display_name: "远方卫生服务站".to_owned(),
        channel: UNREACHABLE.to_owned(),
        sites: vec![site.clone()],
        enabled: true,
        ..Default::default()
    };
    let far = v1::CreateBodyRequest { body: Some(far), body_id: "far".to_owned(), ..Default::default() };
    let far = t.ask(far).await.name;
    let waits = v1::Referral { body: far.clone(), handed_over: false, ..matter };
    let waits = t.ask(hand(&waits)).await.name;
    t.ask(v1::RetryReferralRequest { name: waits.clone(), ..Default::default() }).await;
    t.ask(v1::ListDeliveryAttemptsRequest { parent: waits, ..Default::default() }).await;
    t.ask(v1::GetDeliveryRequest { name: far.clone() }).await;
    t.ask(v1::ProbeBodyRequest { name: far }).await;
    // A committee that has left no list in its folder yet.
    let hall = v1::CommunityBody {
        kind: v1::BodyKind::NeighbourhoodCommittee.into(),
        display_name: "幸福里居委会".to_owned(),
        channel: EXCHANGE.to_owned(),
        sites: vec![site.clone()],
        enabled: true,
        ..Default::default()
    };
    let hall = v1::CreateBodyRequest { body: Some(hall), body_id: "hall".to_owned(), ..Default::default() };
    let body = t.ask(hall).await.name;
    t.ask(v1::PullRosterRequest { parent: site, body, view: v1::View::Full.into(), ..Default::default() })
        .await;
}

/// Who may see the file: protection that names nobody, and access in an emergency.
async fn access(t: &mut Teller<'_>, site: &str, resident: &str, words: &Words) {
    let said = |what: &str| words.notes.iter().find(|note| note.contains(what)).unwrap().clone();
    t.ask(v1::SetProtectedRequest { name: resident.to_owned(), ..Default::default() }).await;
    let taken = t.ask(v1::GrantEmergencyAccessRequest {
        resident: resident.to_owned(),
        reason: said("canary-access"),
        ..Default::default()
    });
    let name = taken.await.name;
    t.ask(v1::ListEmergencyAccessesRequest { parent: site.to_owned(), ..Default::default() }).await;
    let review = v1::ReviewEmergencyAccessRequest {
        name,
        verdict: v1::EmergencyVerdict::Justified.into(),
        note: said("canary-verdict"),
        ..Default::default()
    };
    t.countersign(review).await;
}

/// A roster of one.
async fn roster(t: &mut Teller<'_>, site: &str, words: &Words) {
    use v1::import_residents_request::Part;
    let header = v1::ImportHeader { parent: site.to_owned(), create_dwellings: true, ..Default::default() };
    let person = v1::Resident {
        phone: words.phones[3].clone(),
        identity_number: words.numbers[2].clone(),
        birth_date: String::new(),
        move_in_date: String::new(),
        dwelling: String::new(),
        family_note: words.notes[16].clone(),
        emergency_contacts: vec![v1::EmergencyContact {
            full_name: words.names[3].clone(),
            phone: words.phones[2].clone(),
            ..Default::default()
        }],
        ..elder("", &words.names[3])
    };
    let row = v1::ImportRow {
        line: 2,
        resident: Some(person),
        dwelling: Some(v1::Dwelling {
            building: "8".to_owned(),
            room: "101".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let parts: Vec<_> = [Part::Header(header), Part::Row(row)]
        .map(|part| v1::ImportResidentsRequest { part: Some(part) })
        .into();
    let request = parts[0].encode_to_vec();
    let imported = t.client.import(parts).await.unwrap();
    assert_eq!(imported.created_count, 1, "{imported:?}");
    let answer = imported.encode_to_vec();
    t.steps.push(Step { path: v1::ImportResidentsRequest::PATH, request, answer });
}
