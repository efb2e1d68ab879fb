//! The right of access: everything that is held about one person in one answer, in words that need no other document.
//!
//! What the policies do not show the caller is left out, and said to be. The answer is on record: an audit entry with every
//! class that it holds, and an event.

mod ledger;

use linli_core::event::CareEvent;
use linli_core::id::{AnswerId, EventId, ResidentId, SiteId, Subject, SurveyId};
use linli_core::identity::IdentityNumber;
use linli_core::record::Outcome;
use linli_core::resident::{FactValue, FieldClass, PersonName, Phone, Resident};
use linli_core::survey::PersonFindings;
use linli_core::text::{Label, Paragraph};
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{CareRange, FieldClasses, Opener, PAGE_MAX, ResidentHead, SealError, StoredRecord};

use super::App;
use super::file::touches_files;
use super::resident::{FILE, may_open};
use super::work::Work;
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name;

/// Everything that is held about one person.
#[derive(Debug, Clone)]
pub struct OwnFile {
    /// The site.
    pub site: SiteId,
    /// The file.
    pub id: ResidentId,
    /// When it was asked for (care clock).
    pub as_of: Instant,
    /// The classes that it holds.
    pub classes: FieldClasses,
    /// What is said of the person, by where it is kept.
    pub sections: Vec<Section>,
}

/// What is kept in one place.
#[derive(Debug, Clone)]
pub struct Section {
    /// A stable code.
    pub code: &'static str,
    /// What it is.
    pub title: Label,
    /// The entries, in order.
    pub entries: Vec<Vec<Item>>,
}

/// One thing that is said.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub label: Label,
    /// What it says.
    pub value: Label,
}

/// Collects the items of an entry; what is not known is left out.
struct Entry {
    zone: SiteZone,
    items: Vec<Item>,
}

impl Entry {
    fn of(zone: SiteZone) -> Self {
        Self { zone, items: Vec::new() }
    }

    fn both(mut self, zh: &str, en: &str, value: Option<Label>) -> Self {
        if let Some(value) = value.filter(|value| !value.zh.is_empty()) {
            self.items.push(Item { label: Label::new(zh, en), value });
        }
        self
    }

    fn text(self, zh: &str, en: &str, value: Option<impl Into<String>>) -> Self {
        let value = value.map(Into::into);
        self.both(zh, en, value.map(|value| Label::new(value.clone(), value)))
    }

    fn day(self, zh: &str, en: &str, value: Option<CivilDate>) -> Self {
        self.text(zh, en, value.map(|day| day.to_string()))
    }

    fn time(self, zh: &str, en: &str, value: Option<Instant>) -> Self {
        let zone = self.zone;
        self.text(zh, en, value.map(|instant| zone.shown(instant)))
    }
}

impl App {
    /// Everything that is held about one person, as far as the caller may see it.
    ///
    /// # Errors
    /// [`Error::PurposeRequired`], [`Error::Denied`] where no class is the caller's, [`Error::RevealLimit`],
    /// [`Error::NotFound`].
    pub async fn own_file(&self, call: &Call, site: &SiteId, id: &ResidentId) -> Result<OwnFile> {
        let work = self.begin_file(call, site, id).await?;
        let head = self.load_head(&work, site, id).await?;
        may_open(&head)?;
        let allowed = |class: &&FieldClass| work.may_see(**class);
        let classes: Vec<FieldClass> = FILE.iter().filter(allowed).copied().collect();
        let asked = if classes.is_empty() { FILE } else { classes.as_slice() };
        let touches = touches_files(&head, asked);
        self.may_reveal(&work, &touches).await?;
        let known = FieldClasses::of(&classes);
        let sealed = self.store.residents_by_id(site, &head.files(), known).await?;
        let receipt =
            work.disclose_told(&touches, "resident.file_given", name::resident(site, &head.id)).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut sections = Vec::new();
        for sealed in sealed {
            let door = self.store.dwelling(site, &sealed.head.dwelling).await?;
            let door = door.map(|door| door.display_name()).unwrap_or_default();
            let resident = super::resident::opened(&opener, &sealed)?;
            sections.extend(person(&resident, &sealed.head, &door, known, work.zone()));
        }
        if sections.is_empty() {
            return Err(Error::NotFound(Thing::Resident));
        }
        sections.push(self.own_facts(&head, &opener, known, work.zone()).await?);
        if known.contains(FieldClass::Status) {
            sections.push(self.own_memberships(&head, &opener, work.zone()).await?);
        }
        sections.push(self.own_attention(&head, work.zone()).await?);
        if known.contains(FieldClass::Care) {
            sections.push(self.own_pauses(&head, &opener, work.zone()).await?);
            sections.extend(self.own_plans(&head, &opener, work.zone()).await?);
            sections.extend(self.own_care(&work, &head, &opener).await?);
        }
        sections.push(self.own_surveys(&head, &opener, known, work.zone()).await?);
        sections.extend(self.own_ledgers(&head, &opener, known, work.zone()).await?);
        sections.push(self.own_referrals(&head, &opener, known, work.zone()).await?);
        sections.push(self.own_changes(&head, &opener, known, work.zone()).await?);
        sections.retain(|section| !section.entries.is_empty());
        Ok(OwnFile { site: site.clone(), id: head.id, as_of: work.now, classes: known, sections })
    }

    async fn own_facts(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        known: FieldClasses,
        zone: SiteZone,
    ) -> Result<Section> {
        let mut entries = Vec::new();
        let deployed = self.deployed();
        for sealed in self.store.facts(&head.site, &head.files()).await? {
            if !known.contains(sealed.class) {
                continue;
            }
            let fact = sealed.open(opener)?;
            let field = deployed.field(&fact.field);
            let title = field.map(|field| field.title.clone());
            let title = title.unwrap_or_else(|| Label::new(fact.field.as_str(), fact.field.as_str()));
            let value = match &fact.value {
                None => Label::new("不再适用", "no longer so"),
                Some(FactValue::Bool(true)) => Label::new("是", "yes"),
                Some(FactValue::Bool(false)) => Label::new("否", "no"),
                Some(FactValue::Integer(number)) => Label::new(number.to_string(), number.to_string()),
                Some(FactValue::Date(day)) => Label::new(day.to_string(), day.to_string()),
                Some(FactValue::Text(text)) => Label::new(text.clone(), text.clone()),
                Some(FactValue::Code(code)) => field
                    .and_then(|field| field.values.iter().find(|known| known.code == *code))
                    .map_or_else(|| Label::new(code.clone(), code.clone()), |known| known.title.clone()),
            };
            let entry = Entry::of(zone)
                .both("信息", "fact", Some(title))
                .both("内容", "value", Some(value))
                .day("自", "true from", Some(fact.true_from))
                .time("记录时间", "recorded", Some(fact.recorded_at));
            entries.push(entry.items);
        }
        Ok(Section { code: "facts", title: Label::new("关怀信息", "facts for the care rules"), entries })
    }

    async fn own_memberships(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        zone: SiteZone,
    ) -> Result<Section> {
        let mut entries = Vec::new();
        for stored in self.store.memberships(&head.site, &head.files()).await? {
            let membership = &stored.membership;
            let group = self.deployed().catalogue.group(&membership.group).map(|group| group.title.clone());
            let group =
                group.unwrap_or_else(|| Label::new(membership.group.as_str(), membership.group.as_str()));
            let reason = membership.reason.as_ref();
            let reason = reason.and_then(|reason| self.coded_reason(&membership.group, reason));
            let evidence = opener.open_option(stored.evidence.as_ref())?;
            let entry = Entry::of(zone)
                .both("群体", "care group", Some(group))
                .both("依据", "basis", Some(Label::new(membership.basis.zh(), membership.basis.en())))
                .both("原因", "reason", reason.map(|coded| coded.text))
                .text("凭据", "evidence", evidence.map(|text| text.as_str().to_owned()))
                .day("自", "from", Some(membership.start))
                .day("至(不含)", "until, not included", membership.end)
                .time("记录时间", "recorded", Some(membership.recorded_at));
            entries.push(entry.items);
        }
        Ok(Section { code: "memberships", title: Label::new("纳入的群体", "care groups"), entries })
    }

    async fn own_attention(&self, head: &ResidentHead, zone: SiteZone) -> Result<Section> {
        let mut entries = Vec::new();
        for (_, attention) in self.store.attentions(&head.site, &head.files()).await? {
            let tags: Vec<&str> = attention.tags.iter().map(|tag| tag.as_str()).collect();
            let entry = Entry::of(zone)
                .day("自", "from", Some(attention.from))
                .both("关注等级", "tier", Some(Label::new(attention.tier.zh(), attention.tier.en())))
                .text("标签", "tags", Some(tags.join(", ")));
            entries.push(entry.items);
        }
        Ok(Section { code: "attention", title: Label::new("关注等级", "tier of attention"), entries })
    }

    async fn own_pauses(&self, head: &ResidentHead, opener: &Opener<'_>, zone: SiteZone) -> Result<Section> {
        let mut entries = Vec::new();
        for stored in self.store.pauses(&head.site, &head.files()).await? {
            let pause = &stored.pause;
            let remark = opener.open_option(stored.remark.as_ref())?;
            let entry = Entry::of(zone)
                .both("原因", "reason", Some(Label::new(pause.reason.zh(), pause.reason.en())))
                .text("备注", "remark", remark.map(|text| text.as_str().to_owned()))
                .day("离开", "left", Some(pause.left_on))
                .day("预计返回", "expected back", Some(pause.expected_return))
                .day("返回", "returned", pause.ended.map(|end| end.returned_on));
            entries.push(entry.items);
        }
        Ok(Section { code: "pauses", title: Label::new("暂停", "pauses"), entries })
    }

    /// Care plans and what was waived, with why.
    async fn own_plans(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        zone: SiteZone,
    ) -> Result<[Section; 2]> {
        let (mut plans, mut waivers) = (Vec::new(), Vec::new());
        for stored in self.store.plans(&head.site, &head.files()).await? {
            let (plan, words) = (&stored.plan, opener.open(&stored.words)?);
            let decided = plan.decision.as_ref().map(|decision| {
                if decision.approved {
                    Label::new("已批准", "approved")
                } else {
                    Label::new("未批准", "rejected")
                }
            });
            let mut entry = Entry::of(zone)
                .text("版次", "revision", Some(plan.revision.to_string()))
                .day("自", "from", Some(plan.from))
                .text("提出人", "submitted by", Some(plan.submitted.by.as_str()))
                .both("决定", "decision", decided);
            for (at, item) in plan.items.iter().enumerate() {
                let reason = words.reasons.get(at).map(|reason| reason.as_str()).unwrap_or_default();
                let line = format!("{}: {reason}", item.standard);
                entry = entry.text("服务标准", "standard", Some(line));
            }
            for caution in &words.cautions {
                entry = entry.text("注意事项", "caution", Some(caution.as_str()));
            }
            let reason = opener.open_option(stored.decision_reason.as_ref())?;
            entry = entry.text("备注", "remark", words.note.as_ref().map(|note| note.as_str())).text(
                "决定理由",
                "reason of the decision",
                reason.map(|reason| reason.as_str().to_owned()),
            );
            plans.push(entry.items);
        }
        for stored in self.store.waivers(&head.site, &head.files()).await? {
            let waiver = &stored.waiver;
            let reason = opener.open_option(stored.reason.as_ref())?;
            let entry = Entry::of(zone)
                .text("服务标准", "standard", Some(waiver.standard.as_str()))
                .both("原因", "cause", Some(Label::new(waiver.cause.zh(), waiver.cause.en())))
                .text("理由", "reason", reason.map(|reason| reason.as_str().to_owned()))
                .day("自", "from", Some(waiver.from))
                .day("至(不含)", "until, not included", Some(waiver.until));
            waivers.push(entry.items);
        }
        Ok([
            Section { code: "plans", title: Label::new("关怀方案", "care plans"), entries: plans },
            Section { code: "waivers", title: Label::new("豁免", "waivers"), entries: waivers },
        ])
    }

    /// Services and events, with what was said.
    async fn own_care(
        &self,
        work: &Work<'_>,
        head: &ResidentHead,
        opener: &Opener<'_>,
    ) -> Result<[Section; 2]> {
        let zone = work.zone();
        let (mut records, mut events) = (Vec::new(), Vec::new());
        for id in head.files() {
            let subject = Subject::Resident(id.clone());
            let mut before: Option<(Instant, linli_core::id::RecordId)> = None;
            loop {
                let place = before.as_ref().map(|(at, id)| (*at, id));
                let batch = self
                    .store
                    .records_of(&head.site, &subject, Instant::MIN, Instant::MAX, place, PAGE_MAX)
                    .await?;
                let Some(last) = batch.last() else { break };
                before = Some((last.record.occurred_at, last.record.id.clone()));
                for stored in &batch {
                    records.push(self.own_service(stored, &subject, opener, zone).await?);
                }
            }
            let range = CareRange { from: Instant::MIN, to: Instant::MAX };
            let care = self.store.care_of(&head.site, std::slice::from_ref(&id), range).await?;
            let ids: Vec<EventId> =
                care.into_iter().flat_map(|care| care.events).map(|event| event.id).collect();
            for stored in self.store.care_events_by_id(&head.site, &ids).await? {
                let CareEvent { kind, occurred_at, aspect, .. } = stored.event;
                let note = opener.open_option(stored.note.as_ref())?;
                let entry = Entry::of(zone)
                    .both("事件", "event", Some(Label::new(kind.zh(), kind.en())))
                    .both("内容", "about", aspect.map(|aspect| Label::new(aspect.zh(), aspect.en())))
                    .time("时间", "time", Some(occurred_at))
                    .text("说明", "in words", note.map(|text| text.as_str().to_owned()));
                events.push(entry.items);
            }
        }
        Ok([
            Section { code: "records", title: Label::new("服务记录", "services"), entries: records },
            Section { code: "events", title: Label::new("事件", "events"), entries: events },
        ])
    }

    async fn own_service(
        &self,
        stored: &StoredRecord,
        subject: &Subject,
        opener: &Opener<'_>,
        zone: SiteZone,
    ) -> Result<Vec<Item>> {
        let record = &stored.record;
        let at = record.subjects.iter().position(|known| known.subject == *subject);
        let outcome = at.and_then(|at| record.subjects.get(at)).map(|known| known.outcome);
        let content = match at.and_then(|at| stored.content.get(at)).and_then(Option::as_ref) {
            Some(sealed) => opener.open(sealed).map(Some),
            None => Ok(None),
        };
        let mut entry = Entry::of(zone)
            .time("时间", "time", Some(record.occurred_at))
            .both("服务", "service", Some(Label::new(record.kind.zh(), record.kind.en())))
            .both("结果", "outcome", outcome.map(|outcome: Outcome| Label::new(outcome.zh(), outcome.en())))
            .text("服务人员", "by", Some(record.performer.as_str()))
            .both("部门", "department", Some(Label::new(record.department.zh(), record.department.en())))
            .time("记录时间", "recorded", Some(stored.first_recorded_at))
            .text("内容", "in words", word(content)?.map(|text| text.as_str().to_owned()))
            .both("状态", "state", record.voided.then(|| Label::new("已作废", "withdrawn")));
        for known in self.store.evaluations(&record.site, &record.id).await? {
            if known.evaluation.subject == *subject {
                let comment = match &known.comment {
                    Some(sealed) => opener.open(sealed).map(Some),
                    None => Ok(None),
                };
                entry = entry
                    .text("满意度", "satisfaction", Some(known.evaluation.satisfaction.to_string()))
                    .text("评价", "comment", word(comment)?.map(|text| text.as_str().to_owned()));
            }
        }
        Ok(entry.items)
    }

    /// What surveys found, as far as each class is shown.
    async fn own_surveys(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        known: FieldClasses,
        zone: SiteZone,
    ) -> Result<Section> {
        let mut found: Vec<((SurveyId, AnswerId), PersonFindings)> = Vec::new();
        for (survey, answer, sealed) in self.store.survey_findings_of(&head.site, &head.files()).await? {
            if !known.contains(sealed.class()) {
                continue;
            }
            let part = opener.open(&sealed)?;
            let place = (survey, answer);
            match found.last_mut() {
                Some((last, findings)) if *last == place => findings.absorb(part),
                Some(_) | None => found.push((place, part)),
            }
        }
        let mut entries = Vec::new();
        for ((survey, answer), findings) in found {
            let answer = self.store.survey_answer(&head.site, &survey, &answer).await?;
            let survey = self.store.survey(&head.site, &survey).await?;
            let answer = answer.as_ref();
            let text = |text: &Option<Paragraph>| text.as_ref().map(|text| text.as_str().to_owned());
            let mut entry = Entry::of(zone)
                .text("摸排", "survey", survey.as_ref().map(|survey| survey.title.as_str()))
                .time("时间", "time", answer.map(|answer| answer.occurred_at))
                .both("方式", "channel", answer.map(|a| Label::new(a.channel.zh(), a.channel.en())))
                .both(
                    "状态",
                    "state",
                    answer
                        .and_then(|answer| answer.withdrawn.as_ref())
                        .map(|_| Label::new("已撤回", "withdrawn")),
                )
                .text("姓名", "name", findings.name.as_ref().map(PersonName::reveal))
                .text("电话", "phone", findings.phone.as_ref().map(Phone::reveal))
                .day("出生日期", "birth date", findings.birth_date)
                .text("家庭情况", "family", text(&findings.family))
                .text("身体状况", "health", text(&findings.health))
                .text("特殊困难", "difficulties", text(&findings.difficulties));
            for flag in &findings.flags {
                entry = entry.both("重点关怀", "needs attention", Some(Label::new(flag.zh(), flag.en())));
            }
            for need in &findings.needs {
                entry = entry.both("需求", "need", Some(Label::new(need.zh(), need.en())));
            }
            entries.push(entry.items);
        }
        Ok(Section { code: "surveys", title: Label::new("摸排信息", "surveys"), entries })
    }

    /// Who changed what of the file, and from what to what.
    async fn own_changes(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        known: FieldClasses,
        zone: SiteZone,
    ) -> Result<Section> {
        let mut entries = Vec::new();
        for id in head.files() {
            let mut after: Option<String> = None;
            loop {
                let batch = self.store.history(&head.site, &id, after.as_deref(), PAGE_MAX).await?;
                let Some(last) = batch.last() else { break };
                after = Some(last.id.clone());
                for stored in batch.iter().filter(|stored| known.contains(stored.class)) {
                    let (old, new) =
                        (opener.open_option(stored.old.as_ref())?, opener.open_option(stored.new.as_ref())?);
                    let entry = Entry::of(zone)
                        .time("时间", "time", Some(stored.recorded_at))
                        .text("字段", "field", Some(stored.field.as_str()))
                        .text("修改人", "by", Some(stored.author.as_str()))
                        .text("原值", "was", old.map(|text| text.as_str().to_owned()))
                        .text("新值", "became", new.map(|text| text.as_str().to_owned()));
                    entries.push(entry.items);
                }
            }
        }
        Ok(Section { code: "changes", title: Label::new("变更记录", "changes of the file"), entries })
    }
}

/// Words that may have gone with the key of somebody else.
fn word<T>(opened: std::result::Result<Option<T>, SealError>) -> Result<Option<T>> {
    match opened {
        Ok(word) => Ok(word),
        Err(SealError::NoKey) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The person, and what is said of them in words, as far as each class is shown.
fn person(
    resident: &Resident,
    head: &ResidentHead,
    door: &str,
    known: FieldClasses,
    zone: SiteZone,
) -> [Section; 2] {
    let mut person = Entry::of(zone)
        .text("档案", "file", Some(name::resident(&resident.site, &resident.id)))
        .both("状态", "state", Some(Label::new(resident.state.zh(), resident.state.en())))
        .text("住址", "dwelling", Some(door))
        .day("入住", "moved in", Some(resident.tenure.moved_in))
        .day("迁离", "moved out", resident.tenure.moved_out)
        .day("身故", "died", resident.died_on)
        .text("并入", "merged into", head.merged_into.as_ref().map(|id| name::resident(&resident.site, id)))
        .time("建档", "file opened", Some(resident.created_at));
    if known.contains(FieldClass::Contact) {
        let contact = &resident.contact;
        person = person.text("姓名", "name", Some(contact.name.reveal())).text(
            "电话",
            "phone",
            contact.phone.as_ref().map(Phone::reveal),
        );
        for other in &contact.emergency {
            let relation = other.relation.as_ref().map(|text| text.as_str()).unwrap_or_default();
            let line = format!("{} {} {relation}", other.name.reveal(), other.phone.reveal());
            person = person.text("紧急联系人", "emergency contact", Some(line.trim_end()));
        }
    }
    if known.contains(FieldClass::Identity) {
        let identity = &resident.identity;
        person = person
            .text("身份号码", "identity number", identity.number.as_ref().map(IdentityNumber::reveal))
            .day("出生日期", "birth date", identity.birth_date)
            .both("性别", "sex", identity.sex.map(|sex| Label::new(sex.zh(), sex.en())));
    }
    let mut words = Entry::of(zone);
    let shown = |class, text: &Option<linli_core::text::Paragraph>| {
        text.as_ref().filter(|_| known.contains(class)).map(|text| text.as_str().to_owned())
    };
    words = words
        .text("身体状况", "health", shown(FieldClass::Health, &resident.health))
        .text("家庭情况", "family", shown(FieldClass::Family, &resident.family))
        .text("特殊困难", "difficulties", shown(FieldClass::Status, &resident.status));
    for need in resident.needs.iter().filter(|_| known.contains(FieldClass::Status)) {
        words = words.both("需求", "need", Some(Label::new(need.zh(), need.en())));
    }
    let entries = |items: Vec<Item>| if items.is_empty() { Vec::new() } else { vec![items] };
    [
        Section {
            code: "person", title: Label::new("个人信息", "person"), entries: entries(person.items)
        },
        Section {
            code: "situation",
            title: Label::new("情况说明", "situation"),
            entries: entries(words.items),
        },
    ]
}
