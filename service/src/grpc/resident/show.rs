//! How care files are shown: from the words of the use cases to messages.

use linli_core::id::FieldCode;
use linli_core::identity::IdentityNumber;
use linli_core::resident::{EmergencyContact, FieldClass, FileState, Phone};
use linli_proto::v1;

use crate::app::assessment::{AssessmentView, Coded};
use crate::app::change::Applied;
use crate::app::history::HistoryEntry;
use crate::app::resident::{FileView, Shown, View};
use crate::app::tenure::MovedIn;
use crate::grpc::check::timestamp;
use crate::grpc::convert::{Listed, Shows, ToWire, date, etag, label};
use crate::grpc::request::text;
use crate::name;

impl Shows<FileView> for v1::Resident {
    fn shows(file: &FileView) -> Self {
        let resident = &file.resident;
        let Shown { view, opened, clear } = file.shown;
        let [contact, identified, health, family, status] = [
            FieldClass::Contact,
            FieldClass::Identity,
            FieldClass::Health,
            FieldClass::Family,
            FieldClass::Status,
        ]
        .map(|class| clear.contains(class));
        let shown = |show: bool, value: &str| if show { value.to_owned() } else { String::new() };
        let identity = resident.identity.number.as_ref();
        let phone = resident.contact.phone.as_ref();
        Self {
            name: name::resident(&resident.site, &resident.id),
            etag: etag(resident.version),
            state: resident.state.number(),
            view: match view {
                View::Masked => v1::View::Masked.into(),
                View::Basic => v1::View::Basic.into(),
                View::Full => v1::View::Full.into(),
            },
            display_name: if opened.contains(FieldClass::Contact) {
                resident.contact.name.masked()
            } else {
                String::new()
            },
            masked_phone: phone.map(Phone::masked).unwrap_or_default(),
            masked_identity_number: identity
                .filter(|_| opened.contains(FieldClass::Identity))
                .map(IdentityNumber::masked)
                .unwrap_or_default(),
            full_name: shown(contact, resident.contact.name.reveal()),
            phone: shown(contact, phone.map(Phone::reveal).unwrap_or_default()),
            identity_number: shown(identified, identity.map(IdentityNumber::reveal).unwrap_or_default()),
            birth_date: if identified { date(resident.identity.birth_date) } else { String::new() },
            sex: resident.identity.sex.filter(|_| identified).map(Listed::number).unwrap_or_default(),
            dwelling: match resident.state {
                FileState::Active | FileState::Left | FileState::Sealed => {
                    name::dwelling(&resident.site, &resident.dwelling)
                }
                FileState::Erased => String::new(),
            },
            dwelling_display_name: file.dwelling_name.clone(),
            move_in_date: date(Some(resident.tenure.moved_in)),
            move_out_date: date(resident.tenure.moved_out),
            death_date: date(resident.died_on),
            emergency_contacts: if contact {
                resident.contact.emergency.iter().map(ToWire::to_wire).collect()
            } else {
                Vec::new()
            },
            needs: if status {
                resident.needs.iter().map(|need| need.number()).collect()
            } else {
                Vec::new()
            },
            family_note: shown(family, &text(resident.family.as_ref())),
            health_note: shown(health, &text(resident.health.as_ref())),
            status_note: shown(status, &text(resident.status.as_ref())),
            facts: file.facts.iter().map(ToWire::to_wire).collect(),
            tier: file.tier.map(Listed::number).unwrap_or_default(),
            proposed_tier: file.proposed_tier.map(Listed::number).unwrap_or_default(),
            groups: file.groups.iter().map(|group| group.as_str().to_owned()).collect(),
            tags: file.tags.iter().map(ToWire::to_wire).collect(),
            cautions: file.cautions.iter().map(ToWire::to_wire).collect(),
            assess_time: file.assessed_at.map(timestamp),
            assessment_stale: file.stale,
            needs_manual_assessment: file.manual,
            legal_hold: resident.held,
            guardian_consent: None,
            merged_residents: file.merged.iter().map(|id| name::resident(&resident.site, id)).collect(),
            revealed_classes: clear.iter().map(Listed::number).collect(),
            protected_for: resident.protected_for.iter().flatten().map(name::staff).collect(),
            create_time: Some(timestamp(resident.created_at)),
            update_time: Some(timestamp(resident.updated_at)),
        }
    }
}

impl Shows<EmergencyContact> for v1::EmergencyContact {
    fn shows(contact: &EmergencyContact) -> Self {
        Self {
            full_name: contact.name.reveal().to_owned(),
            phone: contact.phone.reveal().to_owned(),
            relation: text(contact.relation.as_ref()),
        }
    }
}

impl Shows<linli_core::resident::Fact> for v1::Fact {
    fn shows(fact: &linli_core::resident::Fact) -> Self {
        Self {
            field: fact.field.as_str().to_owned(),
            value: fact.value.as_ref().map(ToWire::to_wire),
            true_from_date: date(Some(fact.true_from)),
            record_time: Some(timestamp(fact.recorded_at)),
        }
    }
}

impl Shows<Coded> for v1::CodedText {
    fn shows(coded: &Coded) -> Self {
        Self {
            code: coded.code.clone(),
            text: label(&coded.text),
            plugin: coded.plugin.as_ref().map(name::plugin).unwrap_or_default(),
        }
    }
}

impl Shows<AssessmentView> for v1::Assessment {
    fn shows(assessment: &AssessmentView) -> Self {
        let issue = |issue: &(FieldCode, Coded)| v1::FactIssue {
            field: issue.0.as_str().to_owned(),
            reason: Some(issue.1.to_wire()),
        };
        Self {
            resident: name::resident(&assessment.site, &assessment.resident),
            assess_time: Some(timestamp(assessment.assessed_at)),
            tier: assessment.tier.number(),
            tier_reasons: assessment.tier_reasons.iter().map(ToWire::to_wire).collect(),
            tags: assessment.tags.iter().map(ToWire::to_wire).collect(),
            cautions: assessment.cautions.iter().map(ToWire::to_wire).collect(),
            issues: assessment.issues.iter().map(issue).collect(),
            valid_until_date: date(assessment.valid_until),
            plugins: assessment.plugins.iter().map(ToWire::to_wire).collect(),
            missing_plugins: assessment.missing.iter().map(name::plugin).collect(),
            manual_plugins: assessment.manual.iter().map(name::plugin).collect(),
        }
    }
}

impl Shows<linli_core::assessment::PluginStamp> for v1::PluginStamp {
    fn shows(stamp: &linli_core::assessment::PluginStamp) -> Self {
        Self { plugin: name::plugin(&stamp.id), version: stamp.version.clone(), digest: stamp.digest.clone() }
    }
}

impl Shows<Applied> for v1::ApplyChangeResponse {
    fn shows(applied: &Applied) -> Self {
        Self { resident: Some(applied.file.to_wire()), record: Some(applied.record.to_wire()) }
    }
}

impl Shows<MovedIn> for v1::RecordMoveInResponse {
    fn shows(moved_in: &MovedIn) -> Self {
        Self {
            resident: moved_in.file.as_ref().map(ToWire::to_wire),
            event: moved_in.event.as_ref().map(ToWire::to_wire),
        }
    }
}

impl Shows<HistoryEntry> for v1::HistoryEntry {
    fn shows(entry: &HistoryEntry) -> Self {
        Self {
            revision: i64::try_from(entry.revision).unwrap_or(i64::MAX),
            change_time: Some(timestamp(entry.changed_at)),
            principal: name::staff(&entry.author),
            fields: entry.fields.clone(),
        }
    }
}
