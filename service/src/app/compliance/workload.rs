//! How much work each post had.

use std::collections::BTreeMap;

use linli_core::compliance::Workload;
use linli_core::id::{PostId, SiteId};
use linli_core::kind::Department;
use linli_core::site::Post;
use linli_core::standard::Period;
use linli_core::time::{CivilDate, DateRange};
use linli_store::Sight;

use super::count::{Count, Serving, period_of};
use super::periods;
use crate::app::App;
use crate::app::estate::{Estate, Owed, of_department};
use crate::auth::Call;
use crate::error::{Error, Result};

/// Whose work is wanted.
#[derive(Debug, Clone)]
pub struct WorkloadRequest {
    /// The site.
    pub site: SiteId,
    /// By which periods.
    pub period: Period,
    /// A day of the first period; `None`: the present one.
    pub from: Option<CivilDate>,
    /// A day of the last period; `None`: that of `from`.
    pub to: Option<CivilDate>,
    /// Only the posts of this department.
    pub department: Option<Department>,
}

/// The work of one post in one period.
#[derive(Debug, Clone)]
pub struct WorkloadRow {
    /// The site.
    pub site: SiteId,
    /// The post and what people call it; `None`: no post has to do it.
    pub post: Option<(PostId, String)>,
    /// The department.
    pub department: Department,
    /// The days of the period.
    pub days: DateRange,
    /// The work.
    pub work: Workload,
}

/// Work by period, post (none at last) and department.
#[derive(Debug, Default)]
pub(super) struct Workloads(BTreeMap<(usize, bool, Option<PostId>, Department), Workload>);

impl Workloads {
    /// Counts what is owed to a subject, for each post that has to do it.
    pub(super) fn add(&mut self, owed: &Owed, serving: &Serving, periods: &[DateRange]) {
        let posts = serving.of(owed);
        for obligation in &owed.obligations {
            let Some(at) = period_of(periods, obligation.last_day()) else { continue };
            let department = obligation.standard.department;
            let own = |post: &&&Post| post.department == department;
            let mut own: Vec<Option<PostId>> =
                posts.iter().filter(own).map(|post| Some(post.id.clone())).collect();
            if own.is_empty() {
                own.push(None);
            }
            for post in own {
                self.0.entry((at, post.is_none(), post, department)).or_default().add(obligation);
            }
        }
    }

    /// The rows, with what people call the posts.
    pub(super) fn rows(self, site: &SiteId, serving: &Serving, periods: &[DateRange]) -> Vec<WorkloadRow> {
        let named = |id: PostId| {
            let post = serving.posts.iter().find(|post| post.id == id);
            let title = post.map(|post| post.title.as_str().to_owned()).unwrap_or_default();
            (id, title)
        };
        let mut rows = Vec::with_capacity(self.0.len());
        for ((at, _, post, department), work) in self.0 {
            let Some(days) = periods.get(at).copied() else { continue };
            rows.push(WorkloadRow { site: site.clone(), post: post.map(named), department, days, work });
        }
        rows
    }
}

impl App {
    /// The work of the posts of a site, by period and post.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::CalendarYearMissing`], [`Error::Denied`].
    pub async fn workload(&self, call: &Call, wanted: &WorkloadRequest) -> Result<Vec<WorkloadRow>> {
        let work = self.begin(call, Some(&wanted.site)).await?;
        let periods = periods(wanted.period, (wanted.from, wanted.to), work.today())?;
        let (Some(first), Some(last)) = (periods.first(), periods.last()) else {
            return Err(Error::Internal("work of no period".into()));
        };
        let range = DateRange::new(first.start(), last.end());
        let estate = Estate::open(self, work.site()?, work.now, range, Sight::All).await?;
        let serving = Serving::load(self, &estate).await?;
        let mut workloads = Workloads::default();
        let count = Count { estate: &estate, periods: &[], serving: None };
        let walked = count.run(
            |standard| of_department(standard, wanted.department),
            |owed| workloads.add(owed, &serving, &periods),
        );
        walked.await?;
        let mut rows = workloads.rows(&wanted.site, &serving, &periods);
        rows.retain(|row| wanted.department.is_none_or(|department| row.department == department));
        Ok(rows)
    }
}
