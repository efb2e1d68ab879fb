//! What is published of a fund year.

use linli_core::fund::{FundReport, FundYear, LineTakings, Published, publish};
use linli_core::id::{RecordId, Subject};
use linli_core::kind::{Department, ServiceKind};
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_store::PAGE_MAX;

use super::hand;
use crate::app::contest::{contended, won};
use crate::app::site::{fresh, next_version};
use crate::app::work::Touches;
use crate::app::{Answer, App, Page, PageRequest, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result};
use crate::name::{self, InSite};

impl App {
    /// Publishes what was paid, as far as it can be shown, and records that it was published: that is what the standard
    /// `fund.publish` asks for.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagMismatch`], [`Error::Denied`].
    pub async fn publish_report(
        &self,
        call: &Call,
        repeat: Repeat<FundReport>,
        at: InSite<FundYear>,
    ) -> Result<Answer<FundReport>> {
        contended(|| self.try_publish(call, &repeat, &at)).await
    }

    async fn try_publish(
        &self,
        call: &Call,
        repeat: &Repeat<FundReport>,
        at: &InSite<FundYear>,
    ) -> Result<Option<Answer<FundReport>>> {
        let work = self.begin(call, Some(&at.site)).await?;
        if let Some(answer) = work.repeated(repeat).await? {
            return Ok(Some(Answer::Repeated(answer)));
        }
        let mut fund = self.load_fund(at).await?;
        let before = match fund.reports {
            0 => None,
            last => self.store.fund_reports(&at.site, at.id, last.saturating_sub(1), 1).await?.pop(),
        };
        let before = before.map(|report| report.shown);
        let shown = self.shown(at, before.as_ref()).await?;
        let published = hand(&work);
        let record = ServiceRecord {
            site: at.site.clone(),
            id: fresh(RecordId::new(&work.new_id()))?,
            version: 1,
            kind: ServiceKind::Publication,
            occurred_at: work.now,
            recorded_at: work.now,
            performer: published.by.clone(),
            department: Department::Finance,
            subjects: vec![SubjectOutcome {
                subject: Subject::Site,
                outcome: Outcome::Done,
                answers: Vec::new(),
                content: None,
            }],
            voided: false,
            correction_reason: None,
        };
        fund.version = next_version(fund.version, None)?;
        fund.reports = fund.reports.saturating_add(1);
        let report = FundReport {
            site: at.site.clone(),
            year: at.id,
            number: fund.reports,
            published,
            record: record.id.clone(),
            shown,
        };
        let resource = name::fund_report(&at.site, at.id, report.number);
        let mut changes = work.changes(&Touches::resource(&resource));
        changes.event("fund.published", resource);
        changes.event("record.created", name::record(&at.site, &record.id));
        changes.put_fund(fund).add_fund_report(report.clone()).add_record(record);
        won(work.commit("fund.publish", changes, repeat, report).await)
    }

    /// What can be shown now of everything that was paid, after what was shown `before`.
    async fn shown(&self, at: &InSite<FundYear>, before: Option<&Published>) -> Result<Published> {
        let mut takings = Vec::new();
        for line in self.store.budget_lines(&at.site, at.id).await? {
            let mut taking = LineTakings::new(&line, before);
            let (mut after, to) = taking.wanted();
            while after < to {
                let place = Some((&line.id, after));
                let entries =
                    self.store.ledger_entries(&at.site, at.id, Some(&line.id), place, PAGE_MAX).await?;
                let Some(last) = entries.last() else { break };
                after = last.number;
                entries.iter().for_each(|entry| taking.add(entry));
            }
            takings.push(taking);
        }
        Ok(publish(before, takings))
    }

    /// The publications of a fund year, the first one first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PageToken`], [`Error::Denied`].
    pub async fn fund_reports(
        &self,
        call: &Call,
        at: &InSite<FundYear>,
        page: PageRequest,
    ) -> Result<Page<FundReport>> {
        self.begin(call, Some(&at.site)).await?;
        self.load_fund(at).await?;
        let after = page.after.as_deref().map(str::parse::<u64>).transpose().map_err(|_| Error::PageToken)?;
        let limit = u64::from(page.size) + 1;
        let found = self.store.fund_reports(&at.site, at.id, after.unwrap_or_default(), limit).await?;
        Ok(Page::cut(found, page.size, |report| report.number.to_string()))
    }
}
