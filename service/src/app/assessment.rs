//! Assessment: facts go to the rule plugins, findings become memberships, tier, tags and cautions.
//!
//! A plugin that fails, hangs or is missing leaves its last answer in force, marked stale; it never makes a duty
//! disappear. What was assessed and what follows from it is committed together with the facts.

mod ask;

use std::collections::HashMap;
use std::sync::Arc;

use linli_core::assessment::{Assessment, Attention, Findings, PluginStamp, merge_attention};
use linli_core::id::{FieldCode, GroupCode, MembershipId, PluginId, ReasonCode, ResidentId, SiteId};
use linli_core::kind::Tier;
use linli_core::membership::{self, Basis, Membership, MembershipChange, Reassessment};
use linli_core::merge::unite_attention;
use linli_core::resident::{Fact, FactValue, Resident};
use linli_core::text::Label;
use linli_core::time::{CivilDate, Instant};
use linli_plugin_host::Manifest;
use linli_store::{ChangeSet, ResidentHead, StoredAssessment, StoredFile};

use ask::DEADLINE;
pub(super) use ask::{PluginAnswer, Row, ask_one};

use super::file::{OpenedFile, current_facts, require_active, touches_file};
use super::site::fresh;
use super::work::Work;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::Result;
use crate::name;

/// A code of a plugin's tables with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// The code.
    pub code: String,
    /// The words.
    pub text: Label,
    /// The plugin whose table it is.
    pub plugin: Option<PluginId>,
}

/// What the plugins concluded from one file.
#[derive(Debug, Clone)]
pub struct AssessmentView {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// When.
    pub assessed_at: Instant,
    /// The tier that the rules find, before any confirmation that lowering it needs.
    pub tier: Tier,
    /// Why that tier.
    pub tier_reasons: Vec<Coded>,
    /// Tags.
    pub tags: Vec<Coded>,
    /// Cautions.
    pub cautions: Vec<Coded>,
    /// What is wrong with the facts.
    pub issues: Vec<(FieldCode, Coded)>,
    /// The first day on which the answer may differ.
    pub valid_until: Option<CivilDate>,
    /// The plugins that answered.
    pub plugins: Vec<PluginStamp>,
    /// Plugins that should have answered and did not.
    pub missing: Vec<PluginId>,
    /// Plugins that cannot be asked about this resident: a person must decide.
    pub manual: Vec<PluginId>,
}

/// What is known of a file beside the file: memberships, tier and tags over time, the last answers of the plugins.
#[derive(Debug, Clone, Default)]
pub(super) struct FileState {
    pub(super) memberships: Vec<Membership>,
    pub(super) attention: Vec<Attention>,
    pub(super) assessments: Vec<StoredAssessment>,
    /// Plugins that did not answer when last asked.
    pub(super) missing: Vec<PluginId>,
    /// The files that were merged into it, of which all this is known, too.
    pub(super) merged: Vec<ResidentId>,
}

impl FileState {
    /// What was read with a file; it is taken out of it.
    pub(super) fn of(file: &mut StoredFile) -> Self {
        let memberships = std::mem::take(&mut file.memberships);
        Self {
            memberships: memberships.into_iter().map(|stored| stored.membership).collect(),
            attention: std::mem::take(&mut file.attention),
            assessments: std::mem::take(&mut file.assessments),
            missing: Vec::new(),
            merged: Vec::new(),
        }
    }

    /// Whether the resident belongs to `group` on a day.
    pub(super) fn is_member(&self, group: &GroupCode, day: CivilDate) -> bool {
        self.memberships.iter().any(|membership| membership.group == *group && membership.holds_on(day))
    }

    /// The groups of a day, sorted.
    pub(super) fn groups(&self, day: CivilDate) -> Vec<GroupCode> {
        let holding = self.memberships.iter().filter(|membership| membership.holds_on(day));
        let mut groups: Vec<GroupCode> = holding.map(|membership| membership.group.clone()).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The tier in force on a day; `None` where nobody has assessed the file.
    pub(super) fn tier(&self, day: CivilDate) -> Option<Tier> {
        let attention = self.attention_on(day).map(|attention| attention.tier);
        attention.or_else(|| (!self.assessments.is_empty()).then_some(Tier::General))
    }

    /// The tier that the last answers ask for.
    pub(super) fn found_tier(&self) -> Option<Tier> {
        let asked = self.assessments.iter().flat_map(|stored| &stored.assessment.findings.tiers);
        (!self.assessments.is_empty()).then(|| asked.map(|found| found.tier).max().unwrap_or(Tier::General))
    }

    /// When a plugin last answered.
    pub(super) fn assessed_at(&self) -> Option<Instant> {
        self.assessments.iter().map(|stored| stored.assessment.assessed_at).max()
    }

    /// Whether an answer has outlived its validity or is missing.
    pub(super) fn is_stale(&self, today: CivilDate) -> bool {
        let expired = |stored: &StoredAssessment| {
            stored.stale || stored.assessment.findings.valid_until.is_some_and(|until| until <= today)
        };
        !self.missing.is_empty() || self.assessments.iter().any(expired)
    }

    /// Plugins that cannot be asked about this resident: a person must decide.
    pub(super) fn manual(&self) -> Vec<PluginId> {
        let manual = self.assessments.iter().filter(|stored| stored.manual);
        manual.map(|stored| stored.assessment.plugin.id.clone()).collect()
    }

    pub(super) fn attention_on(&self, day: CivilDate) -> Option<&Attention> {
        self.attention.iter().filter(|attention| attention.from <= day).max_by_key(|attention| attention.from)
    }
}

impl App {
    /// Runs the rule plugins over a file now.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`], [`crate::error::Error::State`], [`crate::error::Error::Denied`].
    pub async fn assess_resident(
        &self,
        call: &Call,
        repeat: Repeat<AssessmentView>,
        site: SiteId,
        id: ResidentId,
    ) -> Result<Answer<AssessmentView>> {
        let work = self.begin_file(call, &site, &id).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let opened = self.open_file(&work, &site, &id).await?;
        require_active(&opened.head)?;
        let id = opened.head.id.clone();
        let today = work.today();
        let mut changes = work.changes(&touches_file(&site, &id));
        changes.require_resident(&site, &id, Some(opened.head.version));
        let OpenedFile { resident, facts, state, .. } = opened;
        let issues = self.issues(&site, &self.row(&resident, &facts, &work, (today, None)), today).await?;
        let state = self.reassess(&work, &mut changes, &resident, &facts, state, None).await?;
        changes.event("resident.assessed", name::resident(&site, &id));
        let view = self.assessment_view(&resident, &state, issues, work.now, today);
        work.commit("resident.assess", changes, &repeat, view).await
    }

    /// Assesses one file and adds what follows to the changes; `identified` as in [`App::row`].
    pub(super) async fn reassess(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        resident: &Resident,
        facts: &[Fact],
        state: FileState,
        identified: Option<CivilDate>,
    ) -> Result<FileState> {
        let today = work.today();
        let row = self.row(resident, facts, work, (today, identified));
        let answers = self.ask(&resident.site, today, std::slice::from_ref(&row)).await?;
        self.absorb(work, changes, resident, facts, state, (&answers, 0), today).await
    }

    /// What the plugins read of a file.
    ///
    /// Birth date and sex count from `identified`, the day on which this command records them; `None`: from the day
    /// the file was opened, or a membership that begins with them stands already.
    pub(super) fn row(
        &self,
        resident: &Resident,
        facts: &[Fact],
        work: &Work<'_>,
        (today, identified): (CivilDate, Option<CivilDate>),
    ) -> Row {
        let mut row = Vec::new();
        let mut common = |code: &str, value: Option<FactValue>| {
            if let (Ok(code), Some(value)) = (FieldCode::new(code), value) {
                row.push((code, value, identified));
            }
        };
        common("birth_date", resident.identity.birth_date.map(FactValue::Date));
        common("sex", resident.identity.sex.map(|sex| FactValue::Code(sex.code().to_owned())));
        let zone_date = |instant: Instant| work.zone().date_of(instant);
        for fact in current_facts(facts, today) {
            if let Some(value) = &fact.value {
                let since = fact.true_from.max(zone_date(fact.recorded_at));
                row.push((fact.field.clone(), value.clone(), Some(since)));
            }
        }
        Row { facts: row }
    }

    /// Asks every rule plugin about files of one site. A plugin that fails answers with nothing.
    pub(super) async fn ask(
        &self,
        site: &SiteId,
        today: CivilDate,
        rows: &[Row],
    ) -> Result<Vec<PluginAnswer>> {
        let parameters = self.store.plugin_parameters(site).await?;
        let mut answers = Vec::new();
        for plugin in self.deployed().registry.rules() {
            answers.push(ask_one(plugin, &parameters, today, rows).await);
        }
        Ok(answers)
    }

    /// Turns answers into changes: memberships, tier and tags, the answers themselves.
    #[expect(
        clippy::too_many_arguments,
        reason = "one file's worth of everything; each caller has it at hand"
    )]
    pub(super) async fn absorb(
        &self,
        work: &Work<'_>,
        changes: &mut ChangeSet,
        resident: &Resident,
        facts: &[Fact],
        mut state: FileState,
        (answers, at): (&[PluginAnswer], usize),
        today: CivilDate,
    ) -> Result<FileState> {
        let zone = work.zone();
        state.missing.clear();
        for answer in answers {
            let stamp = answer.plugin.stamp();
            let known = state.assessments.iter().position(|stored| stored.assessment.plugin.id == stamp.id);
            let previous = known.and_then(|known| state.assessments.get(known)).cloned();
            let Some(findings) = answer.about(at) else {
                let manual = answer.is_manual(at);
                if !manual {
                    state.missing.push(stamp.id.clone());
                }
                // Its last answer stays in force; upkeep finds it by its day and asks again. Of a file that it never
                // saw, an empty answer says so.
                let unseen = || StoredAssessment {
                    assessment: Assessment {
                        site: resident.site.clone(),
                        resident: resident.id.clone(),
                        plugin: stamp.clone(),
                        assessed_at: work.now,
                        findings: Findings::default(),
                    },
                    stale: false,
                    manual: false,
                    version: 0,
                };
                let mut stale = previous.unwrap_or_else(unseen);
                if manual {
                    // It ends over these facts: somebody must decide, and it is not asked again before they change.
                    if !stale.manual {
                        (stale.stale, stale.manual) = (true, true);
                        stale.version += 1;
                        changes.put_assessment(stale.clone());
                        replace(&mut state.assessments, stale);
                    }
                } else if !stale.stale {
                    stale.stale = true;
                    stale.version += 1;
                    let due = stale.assessment.findings.valid_until.map_or(today, |until| until.min(today));
                    stale.assessment.findings.valid_until = Some(due);
                    changes.put_assessment(stale.clone());
                    replace(&mut state.assessments, stale);
                }
                continue;
            };
            let manifest = answer.plugin.manifest();
            let groups: Vec<GroupCode> = manifest.groups.iter().map(|group| group.code.clone()).collect();
            let read: Vec<Fact> =
                facts.iter().filter(|fact| manifest.field(fact.field.as_str()).is_some()).cloned().collect();
            let existing = state.memberships.clone();
            let steps = membership::merge(&Reassessment {
                found: &findings.memberships,
                groups: &groups,
                existing: &existing,
                facts: &read,
                ends_at_once: &manifest.ends_at_once,
                file_opened_at: resident.created_at,
                previous: previous.as_ref().map(|p| (&p.assessment.plugin, p.assessment.assessed_at)),
                previous_valid_until: previous.as_ref().and_then(|p| p.assessment.findings.valid_until),
                parameters_at: answer.parameters_at,
                plugin: stamp,
                assessed_at: work.now,
                zone,
            });
            for step in steps {
                let changed = self.step(work, resident, &mut state, step)?;
                changes.put_membership(changed);
            }
            let stored = StoredAssessment {
                assessment: Assessment {
                    site: resident.site.clone(),
                    resident: resident.id.clone(),
                    plugin: stamp.clone(),
                    assessed_at: work.now,
                    findings,
                },
                stale: false,
                manual: false,
                version: previous.map_or(1, |previous| previous.version + 1),
            };
            changes.put_assessment(stored.clone());
            replace(&mut state.assessments, stored);
        }
        // What a plugin said that is away stays in force, and is known to be old.
        let asked = |id: &PluginId| answers.iter().any(|answer| answer.plugin.stamp().id == *id);
        for absent in self.deployed().absent.iter().filter(|absent| !asked(&absent.id)) {
            state.missing.push(absent.id.clone());
            let said =
                state.assessments.iter().find(|stored| stored.assessment.plugin.id == absent.id).cloned();
            if let Some(mut stale) = said.filter(|stored| !stored.stale) {
                stale.stale = true;
                stale.version += 1;
                changes.put_assessment(stale.clone());
                replace(&mut state.assessments, stale);
            }
        }
        let in_force = state.assessments.iter().map(|stored| &stored.assessment.findings);
        let change = merge_attention(state.attention_on(today), in_force, today);
        if let Some(next) = change.next {
            state.attention.retain(|attention| attention.from != next.from);
            changes.put_attention(&resident.site, &resident.id, next.clone());
            state.attention.push(next);
        }
        Ok(state)
    }

    /// The membership that one step of a merge makes.
    fn step(
        &self,
        work: &Work<'_>,
        resident: &Resident,
        state: &mut FileState,
        step: MembershipChange,
    ) -> Result<Membership> {
        let mut change = |id: &MembershipId, apply: &dyn Fn(&mut Membership)| {
            let found = state.memberships.iter_mut().find(|membership| membership.id == *id);
            let membership = found.ok_or_else(|| {
                crate::error::Error::Internal("an assessment changes a membership that is not there".into())
            })?;
            membership.version += 1;
            apply(membership);
            Ok(membership.clone())
        };
        match step {
            MembershipChange::Start { group, reason, start, end } => {
                let membership = Membership {
                    site: resident.site.clone(),
                    resident: resident.id.clone(),
                    id: fresh(MembershipId::new(&work.new_id()))?,
                    group,
                    basis: Basis::Rule,
                    reason: Some(reason),
                    evidence: None,
                    start,
                    end,
                    proposed_exit: None,
                    recorded_at: work.now,
                    version: 1,
                };
                state.memberships.push(membership.clone());
                Ok(membership)
            }
            MembershipChange::ChangeEnd { id, end } => change(&id, &|membership| membership.end = end),
            MembershipChange::ProposeExit { id, exit } => {
                change(&id, &|membership| membership.proposed_exit = Some(exit.clone()))
            }
            MembershipChange::WithdrawExit { id } => {
                change(&id, &|membership| membership.proposed_exit = None)
            }
            MembershipChange::EndAtOnce { id, end } => change(&id, &|membership| {
                membership.end = Some(end);
                membership.proposed_exit = None;
            }),
        }
    }

    /// What is known of a file beside the file.
    pub(super) async fn file_state(&self, head: &ResidentHead) -> Result<FileState> {
        let mut states = self.file_states(&head.site, &[head]).await?;
        Ok(states.remove(&head.id).unwrap_or_default())
    }

    /// As [`App::file_state`] for several files of a site, in a constant number of statements. What was known of files that
    /// were merged into them is known of them, but for the plugins' answers: those are about facts of all of them.
    pub(super) async fn file_states(
        &self,
        site: &SiteId,
        heads: &[&ResidentHead],
    ) -> Result<HashMap<ResidentId, FileState>> {
        let mut states: HashMap<ResidentId, FileState> = HashMap::with_capacity(heads.len());
        if heads.is_empty() {
            return Ok(states);
        }
        let own: Vec<ResidentId> = heads.iter().map(|head| head.id.clone()).collect();
        let ids: Vec<ResidentId> = heads.iter().flat_map(|head| head.files()).collect();
        let survivor: HashMap<&ResidentId, &ResidentHead> =
            heads.iter().flat_map(|head| head.merged.iter().map(|merged| (&merged.id, *head))).collect();
        let owner = |id: &ResidentId| survivor.get(id).map_or(id, |head| &head.id).clone();
        let (memberships, attentions, assessments) = tokio::try_join!(
            self.store.memberships(site, &ids),
            self.store.attentions(site, &ids),
            self.store.assessments(site, &own),
        )?;
        for stored in memberships {
            let membership = stored.membership;
            states.entry(owner(&membership.resident)).or_default().memberships.push(membership);
        }
        let mut of_merged: HashMap<ResidentId, Vec<Attention>> = HashMap::new();
        for (resident, attention) in attentions {
            if survivor.contains_key(&resident) {
                of_merged.entry(resident).or_default().push(attention);
            } else {
                states.entry(resident).or_default().attention.push(attention);
            }
        }
        for head in heads.iter().filter(|head| !head.merged.is_empty()) {
            let state = states.entry(head.id.clone()).or_default();
            let mut timelines = vec![(std::mem::take(&mut state.attention), None)];
            for merged in &head.merged {
                timelines.push((of_merged.remove(&merged.id).unwrap_or_default(), Some(merged.since)));
            }
            state.attention = unite_attention(&timelines);
            state.merged = head.merged.iter().map(|merged| merged.id.clone()).collect();
        }
        for stored in assessments {
            states.entry(stored.assessment.resident.clone()).or_default().assessments.push(stored);
        }
        Ok(states)
    }

    /// The words of a rule's reason for a group.
    pub(super) fn coded_reason(&self, group: &GroupCode, reason: &ReasonCode) -> Option<Coded> {
        let deployed = self.deployed();
        let manifest = deployed.manifests().find(|manifest| manifest.group(group.as_str()).is_some())?;
        reason_of(manifest, reason)
    }

    /// The tags of a day with their words.
    pub(super) fn coded_tags(&self, state: &FileState, today: CivilDate) -> Vec<Coded> {
        let Some(attention) = state.attention_on(today) else { return Vec::new() };
        let deployed = self.deployed();
        attention
            .tags
            .iter()
            .map(|tag| {
                let found = deployed.manifests().find_map(|manifest| {
                    manifest.tag(tag.as_str()).map(|known| (known.title.clone(), manifest.id.clone()))
                });
                let (text, plugin) = found.unzip();
                let text = text.unwrap_or_else(|| Label::new(tag.as_str(), tag.as_str()));
                Coded { code: tag.as_str().to_owned(), text, plugin }
            })
            .collect()
    }

    /// The cautions of the last answers with their words, each once.
    pub(super) fn coded_cautions(&self, state: &FileState) -> Vec<Coded> {
        let mut cautions: Vec<Coded> = Vec::new();
        let deployed = self.deployed();
        for stored in &state.assessments {
            let id = &stored.assessment.plugin.id;
            for found in &stored.assessment.findings.cautions {
                let code = found.caution.as_str();
                if cautions.iter().any(|caution| caution.code == code) {
                    continue;
                }
                let manifest = deployed.manifests().find(|manifest| manifest.id == *id);
                let known = manifest.and_then(|manifest| manifest.caution(code));
                let text = known.map_or_else(|| Label::new(code, code), |caution| caution.text.clone());
                cautions.push(Coded { code: code.to_owned(), text, plugin: Some(id.clone()) });
            }
        }
        cautions
    }

    fn assessment_view(
        &self,
        resident: &Resident,
        state: &FileState,
        issues: Vec<(FieldCode, Coded)>,
        now: Instant,
        today: CivilDate,
    ) -> AssessmentView {
        let tier = state.found_tier().unwrap_or(Tier::General);
        let deployed = self.deployed();
        let reasons = state.assessments.iter().flat_map(|stored| {
            let manifest = deployed.manifests().find(|manifest| manifest.id == stored.assessment.plugin.id);
            let asked = stored.assessment.findings.tiers.iter().filter(move |found| found.tier == tier);
            asked.filter_map(move |found| reason_of(manifest?, &found.reason))
        });
        let answered =
            state.assessments.iter().filter(|stored| stored.assessment.assessed_at == now && !stored.stale);
        AssessmentView {
            site: resident.site.clone(),
            resident: resident.id.clone(),
            assessed_at: now,
            tier,
            tier_reasons: reasons.collect(),
            tags: self.coded_tags(state, today),
            cautions: self.coded_cautions(state),
            issues,
            valid_until: state
                .assessments
                .iter()
                .filter_map(|stored| stored.assessment.findings.valid_until)
                .min(),
            plugins: answered.map(|stored| stored.assessment.plugin.clone()).collect(),
            missing: state.missing.clone(),
            manual: state.manual(),
        }
    }

    /// What the plugins say is wrong with a file's facts. One that cannot be asked says nothing.
    async fn issues(&self, site: &SiteId, row: &Row, today: CivilDate) -> Result<Vec<(FieldCode, Coded)>> {
        let mut issues = Vec::new();
        let parameters = self.store.plugin_parameters(site).await?;
        for plugin in self.deployed().registry.rules() {
            let set = parameters.iter().find(|set| set.plugin == plugin.stamp().id);
            let set =
                set.map(|set| set.values.iter().map(|(k, v)| (k.as_str().to_owned(), v.clone())).collect());
            let mut batch = plugin.batch();
            if batch.parameters(&set.unwrap_or_default()).is_err() || batch.push(today, row.facts()).is_err()
            {
                continue;
            }
            let (plugin, batch) = (Arc::clone(plugin), batch.finish());
            let asked = Arc::clone(&plugin);
            let found = tokio::task::spawn_blocking(move || asked.validate(batch, DEADLINE)).await;
            let Ok(Ok(found)) = found else { continue };
            for issue in found.into_iter().flatten() {
                if let Some(reason) = reason_of(plugin.manifest(), &issue.reason) {
                    issues.push((issue.field, reason));
                }
            }
        }
        Ok(issues)
    }
}

fn reason_of(manifest: &Manifest, reason: &ReasonCode) -> Option<Coded> {
    let known = manifest.reason(reason.as_str())?;
    Some(Coded {
        code: reason.as_str().to_owned(),
        text: known.text.clone(),
        plugin: Some(manifest.id.clone()),
    })
}

fn replace(assessments: &mut Vec<StoredAssessment>, stored: StoredAssessment) {
    match assessments.iter_mut().find(|held| held.assessment.plugin.id == stored.assessment.plugin.id) {
        Some(held) => *held = stored,
        None => assessments.push(stored),
    }
}
