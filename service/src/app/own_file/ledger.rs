//! What left the company about a person, by whose leave, and what was asked of bodies for them.

use linli_core::referral::ReferralPart;
use linli_core::resident::FieldClass;
use linli_core::text::Label;
use linli_core::time::SiteZone;
use linli_store::{FieldClasses, Opener, PAGE_MAX, Page, ReferralFilter, ResidentHead, Sites};

use super::{Entry, Section};
use crate::app::App;
use crate::error::Result;

impl App {
    /// What was said about handing values on, and what went out.
    pub(super) async fn own_ledgers(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        known: FieldClasses,
        zone: SiteZone,
    ) -> Result<[Section; 2]> {
        let (mut consents, mut disclosures) = (Vec::new(), Vec::new());
        for stored in self.store.consents(&head.site, &head.files()).await? {
            let consent = match known.contains(FieldClass::Family) {
                true => stored.open(opener)?,
                false => stored.consent,
            };
            let decision = match consent.granted {
                true => Label::new("同意", "given"),
                false => Label::new("拒绝", "refused"),
            };
            let entry = Entry::of(zone)
                .both("决定", "decision", Some(decision))
                .both("提供给", "to", Some(Label::new(consent.body.zh(), consent.body.en())))
                .both("目的", "purpose", Some(Label::new(consent.purpose.zh(), consent.purpose.en())))
                .both("内容", "classes", Some(named(&consent.classes)))
                .both(
                    "签署人身份",
                    "who spoke",
                    Some(Label::new(consent.signatory.zh(), consent.signatory.en())),
                )
                .text("签署人", "signed by", consent.signed_by.map(|line| line.as_str().to_owned()))
                .text("文本", "text", Some(consent.form.as_str()))
                .time("签署时间", "signed", Some(consent.given_at))
                .time("有效期至", "until", consent.expires_at)
                .time("撤回时间", "taken back", consent.withdrawn.map(|withdrawal| withdrawal.at));
            consents.push(entry.items);
        }
        for disclosure in self.store.disclosures(&head.site, &head.files()).await? {
            let entry = Entry::of(zone)
                .text("接收方", "to", Some(disclosure.recipient.as_str()))
                .both("接收方类型", "kind", Some(Label::new(disclosure.body.zh(), disclosure.body.en())))
                .both("目的", "purpose", Some(Label::new(disclosure.purpose.zh(), disclosure.purpose.en())))
                .both("依据", "ground", Some(Label::new(disclosure.basis.zh(), disclosure.basis.en())))
                .both("内容", "classes", Some(named(&disclosure.classes)))
                .time("时间", "time", Some(disclosure.disclosed_at));
            disclosures.push(entry.items);
        }
        Ok([
            Section { code: "consents", title: Label::new("同意与拒绝", "consents"), entries: consents },
            Section {
                code: "disclosures",
                title: Label::new("对外提供", "disclosures"),
                entries: disclosures,
            },
        ])
    }

    /// What was handed to bodies, with what was said, as far as each class is shown.
    pub(super) async fn own_referrals(
        &self,
        head: &ResidentHead,
        opener: &Opener<'_>,
        known: FieldClasses,
        zone: SiteZone,
    ) -> Result<Section> {
        let mut entries = Vec::new();
        let filter = ReferralFilter { residents: Some(head.files()), ..ReferralFilter::default() };
        let sites = Sites::One(head.site.clone());
        let mut page = Page::first(PAGE_MAX);
        loop {
            let batch = self.store.referrals(&sites, &filter, &page).await?;
            let Some(last) = batch.last() else { break };
            page = Page::after(head.site.as_str(), last.id.as_str(), PAGE_MAX);
            for referral in batch {
                let body = self.store.body(&referral.body).await?;
                let (matter, state) = (referral.matter, referral.state);
                let answer = referral.answer.as_ref();
                let mut entry = Entry::of(zone)
                    .text("接收方", "to", body.as_ref().map(|body| body.title.as_str()))
                    .both("事项", "matter", Some(Label::new(matter.zh(), matter.en())))
                    .both("状态", "state", Some(Label::new(state.zh(), state.en())))
                    .time("提出时间", "asked for", Some(referral.created_at))
                    .time("送达时间", "sent", referral.sent_at)
                    .both(
                        "答复",
                        "answer",
                        answer.map(|answer| Label::new(answer.decision.zh(), answer.decision.en())),
                    );
                for (part, sealed) in self.store.referral_words(&head.site, &referral.id).await? {
                    if !known.contains(sealed.class()) {
                        continue;
                    }
                    let (zh, en) = match part {
                        ReferralPart::Field(field) => (field.zh(), field.en()),
                        ReferralPart::Note => ("说明", "note"),
                        ReferralPart::Reason => ("理由", "reason"),
                        ReferralPart::Remark => ("答复内容", "words of the answer"),
                        ReferralPart::Finding => ("复核意见", "finding"),
                    };
                    let words = opener.open(&sealed)?;
                    entry = entry.text(zh, en, Some(words.as_str()));
                }
                entries.push(entry.items);
            }
        }
        Ok(Section { code: "referrals", title: Label::new("转介", "referrals"), entries })
    }
}

/// The names of classes.
fn named(classes: &[FieldClass]) -> Label {
    let zh: Vec<&str> = classes.iter().map(|class| class.zh()).collect();
    let en: Vec<&str> = classes.iter().map(|class| class.en()).collect();
    Label::new(zh.join("、"), en.join(", "))
}
