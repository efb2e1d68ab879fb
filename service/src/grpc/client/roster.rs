//! Importing rosters.

use std::collections::BTreeMap;

use linli_core::id::{FieldCode, SiteId};
use linli_core::resident::{EmergencyContact, FactValue};
use linli_core::text::Language;
use linli_proto::v1;
use v1::plugin_service_client::PluginServiceClient;
use v1::resident_service_client::ResidentServiceClient;

use super::{Client, ClientError, Result, patiently};
use crate::grpc::convert::{Listed, date};
use crate::roster::RosterRow;
use crate::roster::column::{DeclaredColumn, FactKind};

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// A file was opened.
    Created,
    /// A file was changed.
    Updated,
    /// The file said so already.
    Unchanged,
    /// Nothing was written.
    Refused {
        /// Why, one text per field.
        why: Vec<String>,
        /// Who may be the same person, where that is why.
        candidates: Vec<Candidate>,
    },
}

/// Who may be the same person as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file's name; `None` for a row of the same roster.
    pub resident: Option<String>,
    /// The row's line, where it is one.
    pub line: i64,
    /// How much is alike, 60 to 100.
    pub score: i32,
    /// What is alike, in the client's language.
    pub signs: Vec<String>,
}

/// How rows are taken.
#[derive(Debug, Clone, Default)]
pub struct Taking {
    /// Whether to add dwellings that the site does not have.
    pub create_dwellings: bool,
    /// Whether to write nothing, and to say what would become of each row.
    pub validate_only: bool,
    /// Lines of which somebody knows that they are nobody else's file.
    pub not_duplicates: std::collections::BTreeSet<u32>,
}

/// The type of a field that a plugin declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactType {
    /// Yes or no.
    Flag,
    /// A whole number.
    Number,
    /// A day.
    Date,
    /// A short text.
    Text,
    /// One of these codes.
    Code(Vec<String>),
}

impl Client {
    /// The fields that the server's plugins read.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn fact_types(&self) -> Result<BTreeMap<FieldCode, FactType>> {
        let mut types = BTreeMap::new();
        for (code, field) in self.fields().await? {
            let fact_type = match field.r#type() {
                v1::ValueType::Flag => FactType::Flag,
                v1::ValueType::Number => FactType::Number,
                v1::ValueType::Date => FactType::Date,
                v1::ValueType::Text => FactType::Text,
                v1::ValueType::Code => FactType::Code(field.options),
                v1::ValueType::Unspecified => continue,
            };
            types.insert(code, fact_type);
        }
        Ok(types)
    }

    /// The fields that the server's plugins read, as columns of a roster.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn fact_columns(&self) -> Result<Vec<DeclaredColumn>> {
        let column = |(code, field): (FieldCode, v1::PluginField)| {
            let kind = match field.r#type() {
                v1::ValueType::Flag => FactKind::Bool,
                v1::ValueType::Number => FactKind::Integer,
                v1::ValueType::Date => FactKind::Date,
                v1::ValueType::Text => FactKind::Text,
                v1::ValueType::Code => FactKind::FreeCode,
                v1::ValueType::Unspecified => return None,
            };
            let both = |text: Option<v1::LocalizedText>| text.map(|text| [text.zh, text.en]);
            let titles = both(field.title).into_iter().flatten().chain([code.as_str().to_owned()]).collect();
            let words = field.option_texts.into_iter().flat_map(|option| {
                let words = both(option.text).into_iter().flatten();
                let code = option.code;
                words.map(move |word| (word, code.clone()))
            });
            Some(DeclaredColumn { field: code, kind, titles, words: words.collect() })
        };
        Ok(self.fields().await?.into_iter().filter_map(column).collect())
    }

    /// What the server's plugins read beyond the file itself, each field once.
    async fn fields(&self) -> Result<BTreeMap<FieldCode, v1::PluginField>> {
        let mut fields = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let page = patiently(|| {
                let message = v1::ListPluginsRequest { page_size: 0, page_token: page_token.clone() };
                let request = self.request(message);
                let mut service = PluginServiceClient::new(self.channel.clone());
                async move { service.list_plugins(request).await }
            })
            .await?;
            for field in page.plugins.into_iter().flat_map(|plugin| plugin.fields) {
                let code = FieldCode::new(&field.field).map_err(|_| ClientError::Answer)?;
                fields.insert(code, field);
            }
            if page.next_page_token.is_empty() {
                return Ok(fields);
            }
            page_token = page.next_page_token;
        }
    }

    /// Sends rows and returns what became of each, in their order. The same `request_id` with the same rows gives
    /// the same answer again, so that a call can be repeated after a break.
    ///
    /// # Errors
    /// What the server refused as a whole; then nothing was written.
    pub async fn import(
        &self,
        site: &SiteId,
        rows: &[RosterRow],
        taking: &Taking,
        request_id: &str,
    ) -> Result<Vec<RowOutcome>> {
        let header = v1::ImportHeader {
            parent: format!("sites/{site}"),
            create_dwellings: taking.create_dwellings,
            request_id: request_id.to_owned(),
            validate_only: taking.validate_only,
        };
        let part = |part| v1::ImportResidentsRequest { part: Some(part) };
        let messages: Vec<_> = std::iter::once(part(v1::import_residents_request::Part::Header(header)))
            .chain(rows.iter().map(|row| {
                let confirmed_not_duplicate = taking.not_duplicates.contains(&row.line);
                let row = v1::ImportRow { confirmed_not_duplicate, ..import_row(row) };
                part(v1::import_residents_request::Part::Row(row))
            }))
            .collect();
        let answer = patiently(|| {
            let request = self.request(tokio_stream::iter(messages.clone()));
            let mut service = ResidentServiceClient::new(self.channel.clone());
            async move { service.import_residents(request).await }
        })
        .await?;
        if answer.results.len() != rows.len() {
            return Err(ClientError::Answer);
        }
        answer.results.into_iter().map(|result| outcome(result, self.language)).collect()
    }
}

fn outcome(result: v1::ImportRowResult, language: Language) -> Result<RowOutcome> {
    match result.outcome() {
        v1::ImportOutcome::Created => Ok(RowOutcome::Created),
        v1::ImportOutcome::Updated => Ok(RowOutcome::Updated),
        v1::ImportOutcome::Unchanged => Ok(RowOutcome::Unchanged),
        v1::ImportOutcome::Failed => {
            let mut why: Vec<String> =
                result.violations.iter().map(|v| format!("`{}` {}", v.field, v.description)).collect();
            if why.is_empty() {
                why.push(crate::grpc::status::reason_name(result.reason()).to_owned());
            }
            let candidate = |candidate: v1::ImportCandidate| Candidate {
                resident: Some(candidate.resident).filter(|name| !name.is_empty()),
                line: candidate.line,
                score: candidate.score,
                signs: candidate.signs.into_iter().filter_map(|sign| said(sign.text, language)).collect(),
            };
            let candidates = result.candidates.into_iter().map(candidate).collect();
            Ok(RowOutcome::Refused { why, candidates })
        }
        v1::ImportOutcome::Unspecified => Err(ClientError::Answer),
    }
}

fn said(text: Option<v1::LocalizedText>, language: Language) -> Option<String> {
    text.map(|text| match language {
        Language::Zh => text.zh,
        Language::En => text.en,
    })
}

fn import_row(row: &RosterRow) -> v1::ImportRow {
    let resident = v1::Resident {
        full_name: row.name.reveal().to_owned(),
        phone: row.phone.as_ref().map(|phone| phone.reveal().to_owned()).unwrap_or_default(),
        identity_number: row.identity_number.as_ref().map(|n| n.reveal().to_owned()).unwrap_or_default(),
        birth_date: date(row.birth_date),
        sex: row.sex.map(Listed::number).unwrap_or_default(),
        move_in_date: date(row.moved_in),
        emergency_contacts: row.emergency.iter().map(contact).collect(),
        needs: row.needs.iter().map(|need| need.number()).collect(),
        family_note: row.family.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
        health_note: row.health.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
        status_note: row.status.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
        facts: row.facts.iter().map(|(field, value)| fact(row, field, value)).collect(),
        ..v1::Resident::default()
    };
    let dwelling = v1::Dwelling {
        building: row.place.building.clone(),
        unit: row.place.unit.clone(),
        room: row.place.room.clone(),
        ..v1::Dwelling::default()
    };
    v1::ImportRow {
        line: i64::from(row.line),
        resident: Some(resident),
        dwelling: Some(dwelling),
        care_groups: Vec::new(),
        confirmed_not_duplicate: false,
    }
}

fn contact(contact: &EmergencyContact) -> v1::EmergencyContact {
    v1::EmergencyContact {
        full_name: contact.name.reveal().to_owned(),
        phone: contact.phone.reveal().to_owned(),
        relation: contact.relation.as_ref().map(|relation| relation.as_str().to_owned()).unwrap_or_default(),
    }
}

fn fact(row: &RosterRow, field: &FieldCode, value: &FactValue) -> v1::Fact {
    use v1::value::Kind;
    let kind = match value {
        FactValue::Bool(flag) => Kind::Flag(*flag),
        FactValue::Integer(number) => Kind::Number(*number),
        FactValue::Date(date) => Kind::Date(date.to_string()),
        FactValue::Code(code) => Kind::Code(code.clone()),
        FactValue::Text(text) => Kind::Text(text.clone()),
    };
    v1::Fact {
        field: field.as_str().to_owned(),
        value: Some(v1::Value { kind: Some(kind) }),
        true_from_date: date(row.surveyed_on),
        record_time: None,
    }
}
