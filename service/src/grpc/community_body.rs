//! Community bodies on the wire.

use linli_core::community_body::{Agreement, CommunityBody};
use linli_core::consent::DisclosurePurpose;
use linli_core::id::{BodyId, ChannelName, SiteId};
use linli_core::invalid::Invalid;
use linli_core::referral::DisclosedField;
use linli_core::text::{Label, Line};
use linli_core::time::{CivilDate, DateRange};
use linli_proto::v1;

use super::check::{Check, timestamp};
use super::convert::{Listed, Shows, ToWire, date, etag, label, parse_etag};
use super::request::{mask, required_date, text};
use crate::app::community_body::{BodyFilter, BodyUpdate, BodyView, NewBody};
use crate::error::Result;
use crate::name;

pub(super) fn new_body(message: &v1::CreateBodyRequest) -> Result<NewBody> {
    let mut check = Check::new();
    let id = check.optional("body_id", &message.body_id, BodyId::new);
    let Some(body) = &message.body else {
        check.refuse("body", Invalid::Missing);
        return check.finish(None);
    };
    let kind = check.take("body.kind", Listed::listed(body.kind));
    let title = check.take("body.display_name", Line::new(&body.display_name));
    let title_en = check.take("body.display_name_en", Line::optional(&body.display_name_en));
    let contacts = contacts(&mut check, &body.contacts);
    let sites = sites(&mut check, &body.sites);
    let channel = check.optional("body.channel", &body.channel, ChannelName::new);
    let agreement = agreement(&mut check, body.agreement.as_ref());
    let what = id.zip(kind).zip(title.zip(title_en));
    let how = contacts.zip(sites).zip(channel.zip(agreement));
    let (((id, kind), (title, title_en)), ((contacts, sites), (channel, agreement))) =
        check.finish(what.zip(how))?;
    let enabled = body.enabled;
    Ok(NewBody { id, kind, title, title_en, contacts, sites, channel, agreement, enabled })
}

/// The fields that an update may name.
const CHANGEABLE: [&str; 8] =
    ["kind", "display_name", "display_name_en", "contacts", "sites", "channel", "agreement", "enabled"];

pub(super) fn body_update(message: &v1::UpdateBodyRequest) -> Result<((BodyId, Option<u64>), BodyUpdate)> {
    let mut check = Check::new();
    let mask = mask(&mut check, message.update_mask.as_ref(), &CHANGEABLE, "body");
    let Some(body) = &message.body else {
        check.refuse("body", Invalid::Missing);
        return check.finish(None);
    };
    let id = check.take("body.name", name::parse_body(&body.name));
    let version = check.take("body.etag", parse_etag(&body.etag));
    let kind = mask.taken(&mut check, "kind", "body", || Listed::listed(body.kind));
    let title = mask.taken(&mut check, "display_name", "body", || Line::new(&body.display_name));
    let title_en =
        mask.taken(&mut check, "display_name_en", "body", || Line::optional(&body.display_name_en));
    let contacts =
        if mask.holds("contacts") { contacts(&mut check, &body.contacts).map(Some) } else { Some(None) };
    let sites = if mask.holds("sites") { sites(&mut check, &body.sites).map(Some) } else { Some(None) };
    let channel = if mask.holds("channel") {
        check.optional("body.channel", &body.channel, ChannelName::new).map(Some)
    } else {
        Some(None)
    };
    let agreement = if mask.holds("agreement") {
        agreement(&mut check, body.agreement.as_ref()).map(Some)
    } else {
        Some(None)
    };
    let enabled = mask.holds("enabled").then_some(body.enabled);
    let what = id.zip(version).zip(kind.zip(title)).zip(title_en);
    let how = contacts.zip(sites).zip(channel.zip(agreement));
    let (((target, (kind, title)), title_en), ((contacts, sites), (channel, agreement))) =
        check.finish(what.zip(how))?;
    Ok((target, BodyUpdate { kind, title, title_en, contacts, sites, channel, agreement, enabled }))
}

pub(super) fn body_filter(message: &v1::ListBodiesRequest) -> Result<BodyFilter> {
    let mut check = Check::new();
    let site = check.optional("site", &message.site, name::parse_site);
    let kind = check.take("kind", Listed::optional(message.kind));
    let (site, kind) = check.finish(site.zip(kind))?;
    Ok(BodyFilter { site, kind })
}

fn contacts(check: &mut Check, lines: &[String]) -> Option<Vec<Line>> {
    let mut parsed = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        // One is a line, also where it is kept.
        let one = if line.contains('\n') { Err(Invalid::ControlCharacter) } else { Line::new(line) };
        parsed.push(check.take(format!("body.contacts[{at}]"), one));
    }
    parsed.into_iter().collect()
}

fn sites(check: &mut Check, names: &[String]) -> Option<Vec<SiteId>> {
    let parsed = names.iter().map(|site| name::parse_site(site)).collect::<Vec<_>>();
    each_once(check, "body.sites", parsed)
}

fn agreement(check: &mut Check, message: Option<&v1::BodyAgreement>) -> Option<Option<Agreement>> {
    let Some(agreed) = message else { return Some(None) };
    let number = check.take("body.agreement.number", Line::new(&agreed.number));
    let fields = fields(check, "body.agreement.fields", &agreed.fields);
    let purposes = agreed.purposes.iter().map(|number| DisclosurePurpose::listed(*number)).collect();
    let purposes = some(check, "body.agreement.purposes", purposes);
    let from = check.take("body.agreement.start_date", required_date(&agreed.start_date));
    let until = check.date("body.agreement.end_date", &agreed.end_date);
    let ((number, fields), (purposes, (from, until))) =
        number.zip(fields).zip(purposes.zip(from.zip(until)))?;
    let days = DateRange::new(from, until.unwrap_or(CivilDate::MAX));
    Some(Some(Agreement { number, fields, purposes, days }))
}

/// Fields, at least one, each once.
pub(super) fn fields(check: &mut Check, path: &str, numbers: &[i32]) -> Option<Vec<DisclosedField>> {
    some(check, path, numbers.iter().map(|number| DisclosedField::listed(*number)).collect())
}

/// Values of which there must be one, each once.
fn some<T: PartialEq>(
    check: &mut Check,
    path: &str,
    values: Vec<std::result::Result<T, Invalid>>,
) -> Option<Vec<T>> {
    if values.is_empty() {
        check.refuse(path, Invalid::Missing);
        return None;
    }
    each_once(check, path, values)
}

fn each_once<T: PartialEq>(
    check: &mut Check,
    path: &str,
    values: Vec<std::result::Result<T, Invalid>>,
) -> Option<Vec<T>> {
    let mut found: Vec<T> = Vec::with_capacity(values.len());
    let mut is_whole = true;
    for (at, value) in values.into_iter().enumerate() {
        let fresh =
            value.and_then(|value| if found.contains(&value) { Err(Invalid::Duplicate) } else { Ok(value) });
        match check.take(format!("{path}[{at}]"), fresh) {
            Some(value) => found.push(value),
            None => is_whole = false,
        }
    }
    is_whole.then_some(found)
}

impl Shows<BodyView> for v1::CommunityBody {
    fn shows(view: &BodyView) -> Self {
        let body: &CommunityBody = &view.body;
        Self {
            name: name::body(&body.id),
            etag: etag(body.version),
            kind: body.kind.number(),
            display_name: body.title.as_str().to_owned(),
            display_name_en: text(body.title_en.as_ref()),
            contacts: body.contacts.iter().map(|line| line.as_str().to_owned()).collect(),
            sites: body.sites.iter().map(name::site).collect(),
            channel: body.channel.as_ref().map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
            agreement: body.agreement.as_ref().map(ToWire::to_wire),
            enabled: body.enabled,
            create_time: Some(timestamp(body.created_at)),
            kind_name: label(&Label::new(body.kind.zh(), body.kind.en())),
            agreement_in_force: view.agreement_holds,
        }
    }
}

impl Shows<Agreement> for v1::BodyAgreement {
    fn shows(agreement: &Agreement) -> Self {
        Self {
            number: agreement.number.as_str().to_owned(),
            fields: agreement.fields.iter().map(|field| field.number()).collect(),
            purposes: agreement.purposes.iter().map(|purpose| purpose.number()).collect(),
            start_date: agreement.days.start().to_string(),
            end_date: date(agreement.ends_on()),
        }
    }
}
