//! `FindDuplicates`, and the words for what is alike.

use linli_core::duplicate::Sign;
use linli_core::id::SiteId;
use linli_core::text::Label;
use linli_proto::v1;

use super::check::Check;
use super::convert::{Shows, ToWire, label};
use super::resident;
use crate::app::duplicate::{About, Duplicate};
use crate::error::Result;
use crate::name;

/// Whose duplicates are asked for.
pub(super) fn about(message: &v1::FindDuplicatesRequest) -> Result<(SiteId, About)> {
    use v1::find_duplicates_request::About as Wire;
    let mut check = Check::new();
    let site = check.take("parent", name::parse_site(&message.parent));
    let about = match &message.about {
        None => Some(About::Everybody),
        Some(Wire::Name(text)) => {
            let named = check.take("name", name::parse_resident(text));
            if let (Some(site), Some(named)) = (&site, &named) {
                check.same_site("name", site, &named.site);
            }
            named.map(|named| About::File(named.id))
        }
        Some(Wire::Resident(described)) => resident::described(&mut check, site.as_ref(), described)
            .map(|new| About::Somebody(Box::new(new))),
    };
    check.finish(site.zip(about))
}

impl Shows<Duplicate> for v1::Duplicate {
    fn shows(duplicate: &Duplicate) -> Self {
        Self {
            resident: Some(duplicate.file.to_wire()),
            other: duplicate.other.as_ref().map(ToWire::to_wire),
            score: duplicate.likeness.score.into(),
            signs: duplicate.likeness.signs.iter().map(ToWire::to_wire).collect(),
        }
    }
}

impl Shows<Sign> for v1::CodedText {
    fn shows(sign: &Sign) -> Self {
        Self {
            code: sign.code().to_owned(),
            text: label(&Label::new(sign.zh(), sign.en())),
            plugin: String::new(),
        }
    }
}
