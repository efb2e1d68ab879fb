//! `ExportOwnFile`, and `ExportResidents`: a stream of pages, one ahead of the reader at most.

use std::pin::Pin;
use std::sync::Arc;

use linli_core::invalid::Invalid;
use linli_core::resident::{FieldClass, FileState};
use linli_proto::v1;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, label};
use super::{resident, status};
use crate::app::App;
use crate::app::export::{Export, ExportPage};
use crate::app::own_file::{Item, OwnFile, Section};
use crate::auth::Call;
use crate::error::Result;
use crate::name;

/// The pages of an export as they are sent.
pub(super) type Pages =
    Pin<Box<dyn Stream<Item = std::result::Result<v1::ExportResidentsResponse, Status>> + Send>>;

/// The first page, so that a refusal is an answer, and the rest as the caller takes it.
pub(super) async fn pages(app: Arc<App>, call: Call, message: v1::ExportResidentsRequest) -> Result<Pages> {
    let export = export(&message)?;
    let ExportPage { files, mut next } = app.export_page(&call, &export, None).await?;
    // What was read is in the audit trail: a reader who is slow, or goes away, has no more than one page too many there.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let answer =
        |files: &[_]| v1::ExportResidentsResponse { residents: files.iter().map(ToWire::to_wire).collect() };
    let first = answer(&files);
    tokio::spawn(async move {
        if sender.send(Ok(first)).await.is_err() {
            return;
        }
        while let Some(after) = next.take() {
            let page = match app.export_page(&call, &export, Some(&after)).await {
                Ok(page) => {
                    next = page.next;
                    Ok(answer(&page.files))
                }
                Err(error) => Err(status::status(&error, call.language, &call.request_id)),
            };
            if sender.send(page).await.is_err() {
                return;
            }
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

impl Shows<OwnFile> for v1::OwnFile {
    fn shows(file: &OwnFile) -> Self {
        let withheld = FieldClass::ALL.iter().filter(|class| !file.classes.contains(**class));
        Self {
            name: name::resident(&file.site, &file.id),
            as_of_time: Some(timestamp(file.as_of)),
            classes: file.classes.iter().map(Listed::number).collect(),
            withheld_classes: withheld.map(|class| class.number()).collect(),
            sections: file.sections.iter().map(ToWire::to_wire).collect(),
        }
    }
}

impl Shows<Section> for v1::OwnFileSection {
    fn shows(section: &Section) -> Self {
        let item = |item: &Item| v1::OwnFileItem { label: label(&item.label), value: label(&item.value) };
        let entry = |items: &Vec<Item>| v1::OwnFileEntry { items: items.iter().map(item).collect() };
        Self {
            code: section.code.to_owned(),
            title: label(&section.title),
            entries: section.entries.iter().map(entry).collect(),
        }
    }
}

fn export(message: &v1::ExportResidentsRequest) -> Result<Export> {
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let classes = resident::classes(&mut check, "classes", &message.classes);
    let group = check.optional("care_group", &message.care_group, name::parse_care_group);
    let state = match check.take("state", FileState::optional(message.state)) {
        Some(Some(FileState::Sealed | FileState::Erased)) => {
            check.refuse("state", Invalid::NotAllowed);
            None
        }
        other => other,
    };
    let ((site, classes), (group, state)) = check.finish(site.zip(classes).zip(group.zip(state)))?;
    Ok(Export { site, classes, group, state: state.unwrap_or(FileState::Active) })
}
