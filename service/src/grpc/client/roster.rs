//! Importing rosters.

use std::collections::BTreeMap;

use linli_core::id::{FieldCode, SiteId};
use linli_core::resident::{EmergencyContact, FactValue};
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
    /// Nothing was written; why, one text per field.
    Refused(Vec<String>),
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
        create_dwellings: bool,
        request_id: &str,
    ) -> Result<Vec<RowOutcome>> {
        let header = v1::ImportHeader {
            parent: format!("sites/{site}"),
            create_dwellings,
            request_id: request_id.to_owned(),
        };
        let part = |part| v1::ImportResidentsRequest { part: Some(part) };
        let messages: Vec<_> = std::iter::once(part(v1::import_residents_request::Part::Header(header)))
            .chain(rows.iter().map(|row| part(v1::import_residents_request::Part::Row(import_row(row)))))
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
        answer.results.into_iter().map(outcome).collect()
    }
}

fn outcome(result: v1::ImportRowResult) -> Result<RowOutcome> {
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
            Ok(RowOutcome::Refused(why))
        }
        v1::ImportOutcome::Unspecified => Err(ClientError::Answer),
    }
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
