//! `ResidentService`: care files. Memberships and pauses have conversions of their own beside this file.

mod read;
mod show;

use linli_core::invalid::Invalid;
use linli_core::kind::Tier;
use linli_core::text::{Line, Paragraph};
use linli_proto::v1;
use tonic::{Request, Response, Status, Streaming};

use super::Face;
use super::check::Check;
use super::convert::{Listed, ToWire, parse_etag};
use super::page::Binding;
use super::request::{Mask, mask, next, one, required_date, wanted};
use crate::app::change::ChangeReport;
use crate::app::site::Update;
use crate::app::tenure::MoveIn;
use crate::app::tier::LowerTier;
use crate::name;

use read::{batch, file_change, filter, new_file, reported_kind, staff, view};
pub(super) use read::{change_aspect, classes, described, needs, personal};

type Answer<M> = std::result::Result<Response<M>, Status>;

/// Fields of a file that an update may name.
const UPDATABLE: &[&str] = &[
    "full_name",
    "phone",
    "identity_number",
    "birth_date",
    "sex",
    "emergency_contacts",
    "needs",
    "family_note",
    "health_note",
    "status_note",
    "facts",
];
/// Most reported changes that one update answers.
const ANSWERS_MAX: usize = 50;

#[tonic::async_trait]
impl v1::resident_service_server::ResidentService for Face {
    async fn create_resident(&self, request: Request<v1::CreateResidentRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let resident = message.resident.clone().unwrap_or_default();
            let file = new_file(&mut check, "resident", site.as_ref(), &resident);
            let (site, file) = check.finish(site.zip(file))?;
            app.create_resident(&call, repeat, site, file, message.confirmed_not_duplicate).await
        })
        .await
    }

    async fn get_resident(&self, request: Request<v1::GetResidentRequest>) -> Answer<v1::Resident> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let view = check.take("view", view(message.view));
            let (at, view) = check.finish(at.zip(view))?;
            app.resident(&call, &at.site, &at.id, view).await.map(|file| file.to_wire())
        })
        .await
    }

    async fn batch_get_residents(
        &self,
        request: Request<v1::BatchGetResidentsRequest>,
    ) -> Answer<v1::BatchGetResidentsResponse> {
        self.read(request, |app, call, message| async move {
            let (site, ids, view) = batch(&message)?;
            let files = app.residents_by_name(&call, &site, &ids, view).await?;
            Ok(v1::BatchGetResidentsResponse { residents: files.iter().map(ToWire::to_wire).collect() })
        })
        .await
    }

    async fn find_duplicates(
        &self,
        request: Request<v1::FindDuplicatesRequest>,
    ) -> Answer<v1::FindDuplicatesResponse> {
        self.read(request, |app, call, message| async move {
            let (site, about) = super::duplicate::about(&message)?;
            let asked =
                v1::FindDuplicatesRequest { page_size: 0, page_token: String::new(), ..message.clone() };
            let binding = Binding::new(&call, &[&prost::Message::encode_to_vec(&asked)]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.duplicates(&call, &site, about, wanted).await?;
            Ok(v1::FindDuplicatesResponse {
                duplicates: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn merge_residents(&self, request: Request<v1::MergeResidentsRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let merge = super::merge::merge(&message)?;
            app.merge_residents(&call, repeat, merge).await
        })
        .await
    }

    async fn unmerge_residents(
        &self,
        request: Request<v1::UnmergeResidentsRequest>,
    ) -> Answer<v1::UnmergeResidentsResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let part = super::merge::part(&message)?;
            app.unmerge_residents(&call, repeat, part).await
        })
        .await
    }

    async fn reveal_resident(&self, request: Request<v1::RevealResidentRequest>) -> Answer<v1::Resident> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let classes = classes(&mut check, "classes", &message.classes);
            let (at, classes) = check.finish(at.zip(classes))?;
            app.reveal_resident(&call, &at.site, &at.id, &classes).await.map(|file| file.to_wire())
        })
        .await
    }

    async fn list_residents(
        &self,
        request: Request<v1::ListResidentsRequest>,
    ) -> Answer<v1::ListResidentsResponse> {
        self.read(request, |app, call, message| async move {
            let filter = filter(&message)?;
            let query: [&[u8]; 8] = [
                &[u8::from(message.needs_manual_assessment)],
                message.parent.as_bytes(),
                message.care_group.as_bytes(),
                &message.min_tier.to_be_bytes(),
                &message.state.to_be_bytes(),
                message.dwelling.as_bytes(),
                message.identity_number.as_bytes(),
                message.phone.as_bytes(),
            ];
            let binding = Binding::new(&call, &query);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.residents(&call, &filter, wanted).await?;
            Ok(v1::ListResidentsResponse {
                residents: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn update_resident(&self, request: Request<v1::UpdateResidentRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let resident = message.resident.clone().unwrap_or_default();
            let at = check.take("resident.name", name::parse_resident(&resident.name));
            let version = check.take("resident.etag", parse_etag(&resident.etag));
            let mask = mask(&mut check, message.update_mask.as_ref(), UPDATABLE, "resident");
            let change = file_change(&mut check, &mask, &resident);
            let ((at, version), change) = check.finish(at.zip(version).zip(change))?;
            app.update_resident(&call, repeat, Update { site: at.site, id: at.id, version, change }).await
        })
        .await
    }

    async fn import_residents(
        &self,
        request: Request<Streaming<v1::ImportResidentsRequest>>,
    ) -> Answer<v1::ImportResidentsResponse> {
        self.carry_out(request, super::import::import).await
    }

    async fn export_own_file(&self, request: Request<v1::ExportOwnFileRequest>) -> Answer<v1::OwnFile> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_resident(&message.name))?;
            app.own_file(&call, &at.site, &at.id).await.map(|file| file.to_wire())
        })
        .await
    }

    type ExportResidentsStream = super::export::Pages;

    async fn export_residents(
        &self,
        request: Request<v1::ExportResidentsRequest>,
    ) -> Answer<Self::ExportResidentsStream> {
        self.read(request, super::export::pages).await
    }

    async fn report_change(&self, request: Request<v1::ReportChangeRequest>) -> Answer<v1::CareEvent> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let aspect = check.take("kind", change_aspect(message.kind));
            let note = check.take("description", Paragraph::optional(&message.description));
            let time = match &message.report_time {
                Some(_) => check.instant("report_time", message.report_time.as_ref()).map(Some),
                None => Some(None),
            };
            let kind = check.take("event_kind", reported_kind(message.event_kind));
            let parsed = at.zip(aspect).zip(note.zip(time)).zip(kind);
            let (((at, aspect), (note, reported_at)), reported) = check.finish(parsed)?;
            let report = ChangeReport { reported, aspect, note, reported_at };
            app.report_change(&call, repeat, at.site, at.id, report).await
        })
        .await
    }

    async fn apply_change(
        &self,
        request: Request<v1::ApplyChangeRequest>,
    ) -> Answer<v1::ApplyChangeResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let resident = message.resident.clone().unwrap_or_default();
            let at = check.take("resident.name", name::parse_resident(&resident.name));
            let version = check.take("resident.etag", parse_etag(&resident.etag));
            let named = message.update_mask.as_ref().filter(|mask| !mask.paths.is_empty());
            let mask = match named {
                Some(_) => mask(&mut check, named, UPDATABLE, "resident"),
                None => Mask::empty(),
            };
            let change = file_change(&mut check, &mask, &resident);
            let performer = check.optional("performer", &message.performer, name::parse_staff);
            if message.answers.is_empty() {
                check.refuse("answers", Invalid::Missing);
            }
            if message.answers.len() > ANSWERS_MAX {
                check.refuse("answers", Invalid::TooMany { max: ANSWERS_MAX });
            }
            let mut answers = Vec::new();
            for (index, answer) in message.answers.iter().enumerate() {
                let event = check.take(format!("answers[{index}]"), name::parse_event(answer));
                if let (Some(event), Some(at)) = (event, &at) {
                    check.same_site(format!("answers[{index}]"), &at.site, &event.site);
                    answers.push(event.id);
                }
            }
            let parsed = at.zip(version).zip(change.zip(performer));
            let ((at, version), (change, performer)) = check.finish(parsed)?;
            let update = Update { site: at.site, id: at.id, version, change };
            app.apply_change(&call, repeat, update, answers, performer).await
        })
        .await
    }

    async fn record_move_in(
        &self,
        request: Request<v1::RecordMoveInRequest>,
    ) -> Answer<v1::RecordMoveInResponse> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let site = check.take("parent", name::parse_site(&message.parent));
            let dwelling = check.take("dwelling", name::parse_dwelling(&message.dwelling));
            let on = check.take("move_in_date", required_date(&message.move_in_date));
            let resident = check.optional("resident", &message.resident, name::parse_resident);
            let version = check.take("etag", parse_etag(&message.etag));
            if let Some(site) = &site {
                if let Some(dwelling) = &dwelling {
                    check.same_site("dwelling", site, &dwelling.site);
                }
                if let Some(Some(resident)) = &resident {
                    check.same_site("resident", site, &resident.site);
                }
            }
            let parsed = site.zip(dwelling).zip(on.zip(resident).zip(version));
            let ((site, dwelling), ((on, resident), version)) = check.finish(parsed)?;
            let resident = resident.map(|resident| resident.id);
            let new_household = message.new_household || resident.is_none();
            let move_in = MoveIn { dwelling: dwelling.id, on, resident, new_household, version };
            app.record_move_in(&call, repeat, site, move_in).await
        })
        .await
    }

    async fn record_move_out(&self, request: Request<v1::RecordMoveOutRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let on = check.take("move_out_date", required_date(&message.move_out_date));
            let reason = check.take("reason", Line::optional(&message.reason));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), (on, reason)) = check.finish(at.zip(version).zip(on.zip(reason)))?;
            let update = Update { site: at.site, id: at.id, version, change: (on, reason) };
            app.record_move_out(&call, repeat, update).await
        })
        .await
    }

    async fn record_death(&self, request: Request<v1::RecordDeathRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let on = check.take("death_date", required_date(&message.death_date));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), on) = check.finish(at.zip(version).zip(on))?;
            app.record_death(&call, repeat, Update { site: at.site, id: at.id, version, change: on }).await
        })
        .await
    }

    async fn hold_file(&self, request: Request<v1::HoldFileRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let Update { site, id, version, change } =
                super::erasure::reasoned(&message.name, &message.etag, &message.reason)?;
            let update = Update { site, id, version, change: (message.hold, change) };
            app.hold_file(&call, repeat, update).await
        })
        .await
    }

    async fn seal_file(&self, request: Request<v1::SealFileRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            app.seal_file(&call, repeat, super::erasure::file(&message.name, &message.etag)?).await
        })
        .await
    }

    async fn unseal_file(&self, request: Request<v1::UnsealFileRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let update = super::erasure::reasoned(&message.name, &message.etag, &message.reason)?;
            app.unseal_file(&call, repeat, update).await
        })
        .await
    }

    async fn erase_file(&self, request: Request<v1::EraseFileRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            app.erase_file(&call, repeat, super::erasure::file(&message.name, &message.etag)?).await
        })
        .await
    }

    async fn get_erasure_certificate(
        &self,
        request: Request<v1::GetErasureCertificateRequest>,
    ) -> Answer<v1::ErasureCertificate> {
        self.read(request, |app, call, message| async move {
            let at = one("name", name::parse_resident(&message.name))?;
            app.erasure_certificate(&call, &at.site, &at.id).await.map(|certificate| certificate.to_wire())
        })
        .await
    }

    async fn assess_resident(&self, request: Request<v1::AssessResidentRequest>) -> Answer<v1::Assessment> {
        self.write(request, |app, call, repeat, message| async move {
            let at = one("name", name::parse_resident(&message.name))?;
            app.assess_resident(&call, repeat, at.site, at.id).await
        })
        .await
    }

    async fn declare_membership(
        &self,
        request: Request<v1::DeclareMembershipRequest>,
    ) -> Answer<v1::Membership> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, resident, declaration) = super::membership::declaration(&message)?;
            app.declare_membership(&call, repeat, site, resident, declaration).await
        })
        .await
    }

    async fn confirm_tier(&self, request: Request<v1::ConfirmTierRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let tier = check.take("tier", Tier::listed(message.tier));
            let reason = check.take("reason", Line::new(&message.reason));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), (tier, reason)) = check.finish(at.zip(version).zip(tier.zip(reason)))?;
            let change = LowerTier { tier, reason };
            app.confirm_tier(&call, repeat, Update { site: at.site, id: at.id, version, change }).await
        })
        .await
    }

    async fn confirm_exit(&self, request: Request<v1::ConfirmExitRequest>) -> Answer<v1::Membership> {
        self.write(request, |app, call, repeat, message| async move {
            let (update, resident) = super::membership::exit(&message)?;
            app.confirm_exit(&call, repeat, resident, update).await
        })
        .await
    }

    async fn list_memberships(
        &self,
        request: Request<v1::ListMembershipsRequest>,
    ) -> Answer<v1::ListMembershipsResponse> {
        self.read(request, |app, call, message| async move {
            let mut check = Check::new();
            let parent = check.take("parent", name::parse_residents(&message.parent));
            let state = check.take("state", super::membership::state(message.state));
            let (parent, state) = check.finish(parent.zip(state))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &message.state.to_be_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.memberships(&call, &parent.site, parent.id.as_ref(), state, wanted).await?;
            Ok(v1::ListMembershipsResponse {
                memberships: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let (site, resident, pause) = super::pause::new_pause(&message)?;
            app.pause(&call, repeat, site, resident, pause).await
        })
        .await
    }

    async fn end_pause(&self, request: Request<v1::EndPauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_pause(&message.name));
            let on = check.take("return_date", required_date(&message.return_date));
            let version = check.take("etag", parse_etag(&message.etag));
            let ((at, version), on) = check.finish(at.zip(version).zip(on))?;
            let update = Update { site: at.site, id: at.id, version, change: on };
            app.end_pause(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn confirm_pause(&self, request: Request<v1::ConfirmPauseRequest>) -> Answer<v1::Pause> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_pause(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let (at, version) = check.finish(at.zip(version))?;
            let update = Update { site: at.site, id: at.id, version, change: () };
            app.confirm_pause(&call, repeat, at.resident, update).await
        })
        .await
    }

    async fn list_pauses(&self, request: Request<v1::ListPausesRequest>) -> Answer<v1::ListPausesResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_residents(&message.parent))?;
            let awaiting = message.awaiting_confirmation;
            let binding = Binding::new(&call, &[message.parent.as_bytes(), &[u8::from(awaiting)]]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.pauses(&call, &parent.site, parent.id.as_ref(), awaiting, wanted).await?;
            Ok(v1::ListPausesResponse {
                pauses: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }

    async fn set_protected(&self, request: Request<v1::SetProtectedRequest>) -> Answer<v1::Resident> {
        self.write(request, |app, call, repeat, message| async move {
            let mut check = Check::new();
            let at = check.take("name", name::parse_resident(&message.name));
            let version = check.take("etag", parse_etag(&message.etag));
            let named = staff(&mut check, "protected_for", &message.protected_for);
            let ((at, version), named) = check.finish(at.zip(version).zip(named))?;
            let update = Update { site: at.site, id: at.id, version, change: named };
            app.set_protected(&call, repeat, update).await
        })
        .await
    }

    async fn list_history(
        &self,
        request: Request<v1::ListHistoryRequest>,
    ) -> Answer<v1::ListHistoryResponse> {
        self.read(request, |app, call, message| async move {
            let parent = one("parent", name::parse_resident(&message.parent))?;
            let binding = Binding::new(&call, &[message.parent.as_bytes()]);
            let wanted = wanted(&binding, message.page_size, &message.page_token)?;
            let page = app.history(&call, &parent.site, &parent.id, wanted).await?;
            Ok(v1::ListHistoryResponse {
                entries: page.items.iter().map(ToWire::to_wire).collect(),
                next_page_token: next(&binding, page.next),
            })
        })
        .await
    }
}
