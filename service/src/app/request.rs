//! Requests and emergencies: taking down, looking up. Their steps stand in `step`, their list in `list`.
//!
//! Where a request stands is clear; what is said of it lies sealed, under the key of the resident whom it is about.

mod list;
mod step;

use linli_core::event::CareEvent;
use linli_core::id::{EventId, RecordId, RequestId, ResidentId, SiteId, StaffId, Subject};
use linli_core::invalid::Invalid;
use linli_core::kind::{Department, EventKind, ServiceKind};
use linli_core::obligation::ObligationStatus;
use linli_core::record::{Outcome, ServiceRecord, SubjectOutcome};
use linli_core::request::{
    Notice, NoticeParty, Request, RequestKind, RequestPart, RequestState, RequestUrgency, RequestWords,
    StepTaken, urgency,
};
use linli_core::resident::{FieldClass, FileState};
use linli_core::text::Paragraph;
use linli_core::time::{CivilDate, DateRange, Instant};
use linli_store::{ChangeSet, ResidentHead};

pub use self::list::RequestFilter;
pub use self::step::{NewStep, Step};
use super::estate::{Estate, Owed};
use super::file::{require_active, violation};
use super::record::{department_of, is_hidden, resident, word};
use super::site::{fresh, invalid};
use super::work::{Touches, Work};
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::error::{Error, Result, Thing};
use crate::name::{self, InSite};

const CARE: &[FieldClass] = &[FieldClass::Care];

/// Something that is asked for.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// What.
    pub kind: RequestKind,
    /// How pressing; `None`: what is due.
    pub urgency: Option<RequestUrgency>,
    /// Whom or what it is about.
    pub subject: Subject,
    /// In words.
    pub description: Paragraph,
    /// When; `None`: now.
    pub asked_at: Option<Instant>,
}

/// An emergency.
#[derive(Debug, Clone)]
pub struct NewEmergency {
    /// Who has to come, as a kind of request.
    pub kind: RequestKind,
    /// Whom or what it is about.
    pub subject: Subject,
    /// What happened.
    pub description: Paragraph,
    /// When; `None`: now.
    pub occurred_at: Option<Instant>,
    /// Who has been told already.
    pub notices: Vec<NewNotice>,
}

/// Word that was given of an emergency.
#[derive(Debug, Clone, Copy)]
pub struct NewNotice {
    /// To whom.
    pub party: NoticeParty,
    /// When; `None`: now.
    pub at: Option<Instant>,
}

/// Where somebody has to go.
#[derive(Debug, Clone)]
pub struct Door {
    /// In one line.
    pub title: String,
    /// The building, where it lies in one.
    pub building: Option<String>,
}

/// A request as an answer shows it.
#[derive(Debug, Clone)]
pub struct RequestView {
    /// The request.
    pub request: Request,
    /// Where to go.
    pub place: String,
    /// When the next step is due, where an answer says so.
    pub due: Option<Instant>,
    /// Whether a step is late.
    pub overdue: bool,
    /// What was said; only where words are shown.
    pub words: Words,
}

/// What was said of a request.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// What is asked for.
    pub description: Option<Paragraph>,
    /// What a deputy found.
    pub finding: Option<Paragraph>,
    /// Why it was cancelled.
    pub cancellation: Option<Paragraph>,
    /// What whoever asked thought of it.
    pub comment: Option<Paragraph>,
}

impl App {
    /// Takes down what is asked for. Whoever is a member of a care group is served before others.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the site, [`Error::Invalid`], [`Error::State`], [`Error::Denied`].
    pub async fn submit_request(
        &self,
        call: &Call,
        repeat: Repeat<RequestView>,
        site: SiteId,
        new: NewRequest,
    ) -> Result<Answer<RequestView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let asked_at = new.asked_at.unwrap_or(work.now);
        let paths = Paths { subject: "request.subject", at: "request.submit_time" };
        let is_member = self.check_subject(&work, &site, &new.subject, asked_at, paths).await?;
        let urgency = urgency(new.urgency, is_member);
        let submitted = Submitted { kind: new.kind, urgency, subject: new.subject, at: asked_at };
        let (request, mut changes) = self.submitted(&work, &site, submitted, new.description)?;
        let view = self.written(&work, request.clone()).await?;
        changes.put_request(request);
        work.commit("request.submit", changes, &repeat, view).await
    }

    /// Takes down an emergency, with those who were told of it.
    ///
    /// # Errors
    /// As [`App::submit_request`].
    pub async fn report_emergency(
        &self,
        call: &Call,
        repeat: Repeat<RequestView>,
        site: SiteId,
        new: NewEmergency,
    ) -> Result<Answer<RequestView>> {
        let work = self.begin(call, Some(&site)).await?;
        if let Some(answer) = work.repeated(&repeat).await? {
            return Ok(Answer::Repeated(answer));
        }
        let at = new.occurred_at.unwrap_or(work.now);
        let mut violations = Vec::new();
        for (place, notice) in new.notices.iter().enumerate() {
            if let Some(why) = notice.at.and_then(|told| outside(told, at, work.now)) {
                violations.push(violation(format!("notices[{place}].occur_time"), why));
            }
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let paths = Paths { subject: "subject", at: "occur_time" };
        self.check_subject(&work, &site, &new.subject, at, paths).await?;
        let urgency = RequestUrgency::Emergency;
        let submitted = Submitted { kind: new.kind, urgency, subject: new.subject, at };
        let (mut request, mut changes) = self.submitted(&work, &site, submitted, new.description)?;
        for notice in new.notices {
            self.told(&work, &mut request, &mut changes, notice).await?;
        }
        let view = self.written(&work, request.clone()).await?;
        changes.put_request(request);
        work.commit("request.report_emergency", changes, &repeat, view).await
    }

    /// A request; with its words only for a purpose, to those who may see what is said about residents and to whom it was
    /// given.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PurposeRequired`], [`Error::Denied`], [`Error::RevealLimit`].
    pub async fn request(&self, call: &Call, at: &InSite<RequestId>, full: bool) -> Result<RequestView> {
        let work = self.begin_on_request(call, &at.site, &at.id).await?;
        if full {
            let resource = name::request(&at.site, &at.id);
            self.may_reveal(&work, &Touches::files(resource, Vec::new(), CARE)).await?;
        }
        let request = self.load_request(&work, at).await?;
        if full {
            work.reveal_children(&touches(&request)).await?;
        }
        let today = work.today();
        let days = DateRange::new(today, today.plus_days(1));
        let estate = Estate::open(self, work.site()?, work.now, days, work.sight().clone()).await?;
        let owed = estate.of_requests(std::slice::from_ref(&request)).await?;
        let (due, overdue) = owed.first().map(standing).unwrap_or_default();
        let words = if full { self.words_of(&work, &request).await? } else { Words::default() };
        Ok(RequestView { due, overdue, words, ..self.written(&work, request).await? })
    }

    /// What was said of a request, under an audit entry; nothing of whose file is put away.
    async fn words_of(&self, work: &Work<'_>, request: &Request) -> Result<Words> {
        if let Subject::Resident(id) = &request.subject {
            let head = self.store.resident_heads(&request.site, std::slice::from_ref(id)).await?.pop();
            if head.is_none_or(|head| head.state == FileState::Sealed) {
                return Ok(Words::default());
            }
        }
        let receipt = work.disclose(&touches(request)).await?;
        let opener = self.store.opener(&receipt).await?;
        let mut words = Words::default();
        for (part, sealed) in self.store.request_words(&request.site, &request.id).await? {
            let said = word(&opener, Some(&sealed))?;
            match part {
                RequestPart::Description => words.description = said,
                RequestPart::Finding => words.finding = said,
                RequestPart::Cancellation => words.cancellation = said,
            }
        }
        if let Some(record) = request.step_to(RequestState::Done).and_then(|step| step.record.as_ref()) {
            let subjects = [request.subject.clone(), Subject::Request(request.id.clone())];
            let evaluations = self.store.evaluations(&request.site, record).await?;
            let own = evaluations.iter().find(|known| subjects.contains(&known.evaluation.subject));
            words.comment = word(&opener, own.and_then(|known| known.comment.as_ref()))?;
        }
        Ok(words)
    }

    async fn load_request(&self, work: &Work<'_>, at: &InSite<RequestId>) -> Result<Request> {
        let found = self.store.request(&at.site, &at.id).await?;
        found.filter(|found| !is_hidden(work, &found.subject)).ok_or(Error::NotFound(Thing::Request))
    }

    /// A request as the answer to a command shows it.
    pub(super) async fn written(&self, work: &Work<'_>, request: Request) -> Result<RequestView> {
        let mut doors = self.doors(&work.site()?, vec![&request.subject]).await?;
        let place = doors.remove(&request.subject).map(|door| door.title).unwrap_or_default();
        Ok(RequestView { request, place, due: None, overdue: false, words: Words::default() })
    }

    /// Whether the subject of a request is there, and the time possible; answers whether it is, or shelters, a member of a care
    /// group.
    async fn check_subject(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        subject: &Subject,
        at: Instant,
        paths: Paths,
    ) -> Result<bool> {
        if at > work.now {
            return Err(invalid(paths.at, Invalid::Future));
        }
        let unknown = || invalid(paths.subject, Invalid::Unknown);
        match subject {
            Subject::Resident(id) => {
                let head = self.store.resident_heads(site, std::slice::from_ref(id)).await?.pop();
                let head = head.filter(|head| super::record::exists(head) && !work.hides(id));
                let head = head.ok_or_else(unknown)?;
                require_active(&head)?;
                if let Some(why) = super::record::outside_tenure(&head, work.zone().date_of(at)) {
                    return Err(invalid(paths.at, why));
                }
                self.is_any_member(site, std::slice::from_ref(id), work.today()).await
            }
            Subject::Dwelling(id) => {
                let ids = std::slice::from_ref(id);
                if self.store.dwellings_by_id(site, ids).await?.is_empty() {
                    return Err(unknown());
                }
                let heads = self.store.residents_of_dwellings(site, ids).await?;
                // Whom the caller may not know of does not make their neighbours' requests more urgent.
                let counts = |head: &ResidentHead| require_active(head).is_ok() && !work.hides(&head.id);
                let active = heads.into_iter().filter(counts);
                let residents: Vec<ResidentId> = active.map(|head| head.id).collect();
                self.is_any_member(site, &residents, work.today()).await
            }
            Subject::Area(id) => self.store.area(site, id).await?.map(|_| false).ok_or_else(unknown),
            Subject::Site => Ok(false),
            Subject::Facility(_) | Subject::Request(_) => Err(invalid(paths.subject, Invalid::NotAllowed)),
        }
    }

    /// Whether one of these residents belongs to a care group on a day.
    async fn is_any_member(&self, site: &SiteId, residents: &[ResidentId], day: CivilDate) -> Result<bool> {
        if residents.is_empty() {
            return Ok(false);
        }
        let memberships = self.store.memberships(site, residents).await?;
        Ok(memberships.iter().any(|stored| stored.membership.holds_on(day)))
    }

    /// A request that comes to be, with the change set of its description and its first event.
    pub(super) fn submitted(
        &self,
        work: &Work<'_>,
        site: &SiteId,
        new: Submitted,
        description: Paragraph,
    ) -> Result<(Request, ChangeSet)> {
        let Submitted { kind, urgency, subject, at } = new;
        let id = fresh(RequestId::new(&work.new_id()))?;
        let mut request = Request {
            site: site.clone(),
            id: id.clone(),
            kind,
            urgency,
            state: RequestState::Submitted,
            subject: subject.clone(),
            department: kind.department(),
            assignee: None,
            steps: Vec::new(),
            notices: Vec::new(),
            satisfaction: None,
            created_at: work.now,
            settled_at: None,
            version: 1,
        };
        let mut changes = work.changes(&touches(&request));
        let event = start_clock(work, &request, EventKind::RequestSubmitted, at, &mut changes)?;
        request.steps.push(StepTaken {
            state: RequestState::Submitted,
            at,
            recorded_at: work.now,
            by: work.permit().principal().staff.clone(),
            event: Some(event),
            record: None,
        });
        changes.require_site(site);
        if let Subject::Resident(resident) = &subject {
            changes.require_resident(site, resident, None);
        }
        changes.add_request_words(RequestWords {
            site: site.clone(),
            request: id.clone(),
            subject,
            part: RequestPart::Description,
            words: description,
        });
        changes.event("request.submitted", name::request(site, &id));
        Ok((request, changes))
    }

    /// Notes that somebody was told of an emergency, and records it: also in the file of the resident whom it is about.
    async fn told(
        &self,
        work: &Work<'_>,
        request: &mut Request,
        changes: &mut ChangeSet,
        notice: NewNotice,
    ) -> Result<()> {
        let at = notice.at.unwrap_or(work.now);
        let by = work.permit().principal().staff.clone();
        let mut subjects = vec![done(Subject::Request(request.id.clone()), Vec::new(), None)];
        if notice.party != NoticeParty::Supervisor {
            let about = self.recordable(request, work.zone().date_of(at)).await?;
            subjects.extend(about.map(|about| done(about, Vec::new(), None)));
        }
        let kind = notice.party.service();
        let record = NewStepRecord { kind, department: Department::Security, at, by: by.clone(), subjects };
        record.put(work, &request.site, changes)?;
        request.notices.push(Notice { party: notice.party, at, by });
        Ok(())
    }

    /// What a record of a request may be about beside the request: the resident, where their file takes records of that
    /// day, or the place.
    async fn recordable(&self, request: &Request, day: CivilDate) -> Result<Option<Subject>> {
        match &request.subject {
            Subject::Resident(id) => {
                let head = self.store.resident_heads(&request.site, std::slice::from_ref(id)).await?.pop();
                let fits = head.is_some_and(|head| {
                    super::estate::in_use(&head) && super::record::outside_tenure(&head, day).is_none()
                });
                Ok(fits.then(|| request.subject.clone()))
            }
            Subject::Dwelling(_) | Subject::Area(_) | Subject::Facility(_) => {
                Ok(Some(request.subject.clone()))
            }
            Subject::Request(_) | Subject::Site => Ok(None),
        }
    }
}

/// The fields of a request that a check may refuse.
#[derive(Clone, Copy)]
struct Paths {
    subject: &'static str,
    at: &'static str,
}

/// What a request is when it comes to be.
pub(super) struct Submitted {
    pub(super) kind: RequestKind,
    pub(super) urgency: RequestUrgency,
    pub(super) subject: Subject,
    pub(super) at: Instant,
}

/// A record that a step leaves.
struct NewStepRecord {
    kind: ServiceKind,
    department: Department,
    at: Instant,
    by: StaffId,
    subjects: Vec<SubjectOutcome>,
}

impl NewStepRecord {
    fn put(self, work: &Work<'_>, site: &SiteId, changes: &mut ChangeSet) -> Result<RecordId> {
        let record = ServiceRecord {
            site: site.clone(),
            id: fresh(RecordId::new(&work.new_id()))?,
            version: 1,
            kind: self.kind,
            occurred_at: self.at,
            recorded_at: work.now,
            performer: self.by,
            department: self.department,
            subjects: self.subjects,
            voided: false,
            correction_reason: None,
        };
        let id = record.id.clone();
        changes.event("record.created", name::record(site, &id));
        changes.add_record(record);
        Ok(id)
    }
}

/// An event of a request.
fn start_clock(
    work: &Work<'_>,
    request: &Request,
    kind: EventKind,
    at: Instant,
    changes: &mut ChangeSet,
) -> Result<EventId> {
    let id = fresh(EventId::new(&work.new_id()))?;
    changes.add_care_event(CareEvent {
        site: request.site.clone(),
        id: id.clone(),
        kind,
        subject: Subject::Request(request.id.clone()),
        occurred_at: at,
        recorded_at: work.now,
        aspect: None,
        note: None,
    });
    Ok(id)
}

/// What was done for a subject.
fn done(subject: Subject, answers: Vec<EventId>, content: Option<Paragraph>) -> SubjectOutcome {
    SubjectOutcome { subject, outcome: Outcome::Done, answers, content }
}

/// Why something cannot have happened at `at`, after `since` and by now.
fn outside(at: Instant, since: Instant, now: Instant) -> Option<Invalid> {
    if at > now {
        Some(Invalid::Future)
    } else if at < since {
        Some(Invalid::EndsBeforeStart)
    } else {
        None
    }
}

/// When the next step is due, and whether one is late.
fn standing(owed: &Owed) -> (Option<Instant>, bool) {
    let open = || owed.obligations.iter().filter(|obligation| obligation.is_open());
    let late = open().any(|obligation| obligation.status == ObligationStatus::Missed);
    (open().map(|obligation| obligation.due).min(), late)
}

/// What an audit entry says of a call about a request.
fn touches<'a>(request: &Request) -> Touches<'a> {
    let resource = name::request(&request.site, &request.id);
    Touches::files(resource, resident(&request.subject).into_iter().collect(), CARE)
}
