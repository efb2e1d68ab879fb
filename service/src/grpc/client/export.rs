//! Exporting care files.

use linli_core::id::SiteId;
use linli_core::resident::{FieldClass, Need, Sex};
use linli_core::text::Language;
use linli_proto::v1;
use v1::resident_service_client::ResidentServiceClient;

use super::{Client, ClientError, Result, refused};
use crate::grpc::convert::Listed;

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The site.
    pub site: SiteId,
    /// The classes, in clear.
    pub classes: Vec<FieldClass>,
    /// Members of this group only; empty: everybody.
    pub group: String,
    /// The purpose as the server takes it, `FILE_MAINTENANCE; yearly list`.
    pub purpose: String,
}

/// One file as a line of a table. Personal: never printed.
#[derive(Clone)]
pub struct Exported {
    /// The file's name.
    pub name: String,
    /// What the columns of the file itself say, in their order: see [`Client::export`].
    pub columns: Vec<String>,
    /// Facts by field, as text.
    pub facts: Vec<(String, String)>,
}

impl std::fmt::Debug for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exported({})", self.name)
    }
}

/// The titles of [`Exported::columns`] in Chinese and English; those of a roster, which can be imported again.
pub const TITLES: [(&str, &str); 15] = [
    ("姓名", "name"),
    ("住址", "address"),
    ("身份证号", "identity number"),
    ("出生日期", "date of birth"),
    ("性别", "sex"),
    ("联系电话", "phone"),
    ("入住日期", "moved in"),
    ("紧急联系人", "emergency contact"),
    ("紧急联系人电话", "emergency phone"),
    ("与紧急联系人关系", "relationship"),
    ("身体状况", "health"),
    ("家庭情况", "family situation"),
    ("特殊困难", "difficulties"),
    ("需求", "needs"),
    ("关怀群体", "care groups"),
];

impl Client {
    /// Every file, page by page, to `each`.
    ///
    /// # Errors
    /// What the server refused, also in the middle; what came before was disclosed.
    pub async fn export(&self, wanted: &Wanted, mut each: impl FnMut(Exported)) -> Result<()> {
        let mut request = self.request(v1::ExportResidentsRequest {
            parent: format!("sites/{}", wanted.site),
            classes: wanted.classes.iter().map(|class| class.number()).collect(),
            care_group: wanted.group.clone(),
            state: v1::FileState::Unspecified.into(),
        });
        let purpose = wanted.purpose.parse().map_err(|_| ClientError::Purpose)?;
        request.metadata_mut().insert("x-purpose", purpose);
        let mut service = ResidentServiceClient::new(self.channel.clone());
        let mut pages =
            service.export_residents(request).await.map_err(|status| refused(&status))?.into_inner();
        while let Some(page) = pages.message().await.map_err(|status| refused(&status))? {
            for resident in page.residents {
                each(line(resident, self.language)?);
            }
        }
        Ok(())
    }
}

fn line(file: v1::Resident, language: Language) -> Result<Exported> {
    let word = |zh: &str, en: &str| match language {
        Language::Zh => zh.to_owned(),
        Language::En => en.to_owned(),
    };
    let sex = Sex::optional(file.sex).map_err(|_| ClientError::Answer)?;
    let mut needs = Vec::new();
    for number in &file.needs {
        let need = Need::listed(*number).map_err(|_| ClientError::Answer)?;
        needs.push(word(need.zh(), need.en()));
    }
    let contact = file.emergency_contacts.into_iter().next().unwrap_or_default();
    let columns = vec![
        if file.full_name.is_empty() { file.display_name } else { file.full_name },
        file.dwelling_display_name,
        file.identity_number,
        file.birth_date,
        sex.map(|sex| word(sex.zh(), sex.en())).unwrap_or_default(),
        file.phone,
        file.move_in_date,
        contact.full_name,
        contact.phone,
        contact.relation,
        file.health_note,
        file.family_note,
        file.status_note,
        needs.join("、"),
        file.groups.join("、"),
    ];
    let fact = |fact: v1::Fact| Some((fact.field, value(fact.value?.kind?)));
    Ok(Exported { name: file.name, columns, facts: file.facts.into_iter().filter_map(fact).collect() })
}

fn value(value: v1::value::Kind) -> String {
    use v1::value::Kind;
    match value {
        Kind::Flag(true) => "是".to_owned(),
        Kind::Flag(false) => "否".to_owned(),
        Kind::Number(number) => number.to_string(),
        Kind::Text(text) | Kind::Date(text) | Kind::Code(text) => text,
    }
}
