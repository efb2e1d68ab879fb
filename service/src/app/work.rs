//! The frame of every use case: decide, remember who and why, commit with an audit entry.

use std::sync::Arc;

use linli_core::id::{PostId, RequestId, ResidentId, SiteId, StaffId};
use linli_core::request::Assignee;
use linli_core::resident::FieldClass;
use linli_core::site::Site;
use linli_core::staff::Signed;
use linli_core::time::{CivilDate, Instant, SiteZone};
use linli_store::{
    AuditDraft, ChangeSet, CommitError, Committed, Decision, Fault, FieldClasses, ProtectedFile, Receipt,
    RequestDraft, Scope, SealError, Sight, StoreError,
};
use secrecy::{ExposeSecret, SecretSlice};

use super::plugin::Deployed;
use super::{Answer, App, Repeat};
use crate::auth::Call;
use crate::auth::policy::{Facts, Permit};
use crate::auth::rules::FileFacts;
use crate::error::{Error, Result, StateConflict, Thing};

/// A use case that was allowed and is being carried out.
pub(super) struct Work<'a> {
    app: &'a App,
    call: &'a Call,
    permit: Permit,
    scope: Scope,
    site: Option<Site>,
    purpose: String,
    sight: Sight,
    /// The protected files of the site that the caller may not know of, by id.
    hidden: Vec<ResidentId>,
    /// Whether the file opens by emergency access alone.
    in_emergency: bool,
    /// Whether it is about one of the hidden files: then nothing of it was ever answered.
    is_about_hidden: bool,
    /// The plugins when the call began: who replaces them waits for those who began before.
    _deployed: Arc<Deployed>,
    /// The care clock's reading for the whole use case.
    pub(super) now: Instant,
}

/// What an audit entry says beside who and when.
pub(super) struct Touches<'a> {
    /// The resource's name.
    pub(super) resource: String,
    /// The residents whose data the call touches.
    pub(super) subjects: Vec<String>,
    /// The classes of fields it touches.
    pub(super) classes: &'a [FieldClass],
}

impl<'a> Touches<'a> {
    /// A resource that is nobody's file.
    pub(super) fn resource(name: impl Into<String>) -> Self {
        Self { resource: name.into(), subjects: Vec::new(), classes: &[] }
    }

    /// Files of residents.
    pub(super) fn files(name: impl Into<String>, subjects: Vec<String>, classes: &'a [FieldClass]) -> Self {
        Self { resource: name.into(), subjects, classes }
    }
}

/// What a call is about beside its site, where rights may rest on it.
#[derive(Clone, Copy)]
enum About<'a> {
    Nothing,
    Post(&'a PostId),
    Request(&'a RequestId),
    File(&'a ResidentId),
}

impl<'a> About<'a> {
    fn file(self) -> Option<&'a ResidentId> {
        match self {
            Self::File(id) => Some(id),
            Self::Nothing | Self::Post(_) | Self::Request(_) => None,
        }
    }
}

/// What the policies are told of a protected file.
fn protection(file: &ProtectedFile, permit: &Permit) -> FileFacts {
    let named = file.named.contains(&permit.principal().staff);
    FileFacts { protected: true, named, ..permit.file() }
}

impl App {
    /// Decides whether `call` may go on in `site` (`None`: the server, or all sites in scope). A denial is audited.
    pub(super) async fn begin<'a>(&'a self, call: &'a Call, site: Option<&SiteId>) -> Result<Work<'a>> {
        self.begin_about(call, site, About::Nothing).await
    }

    /// As [`App::begin`], for a call that is about what a post has to do.
    pub(super) async fn begin_at_post<'a>(
        &'a self,
        call: &'a Call,
        site: &SiteId,
        post: Option<&PostId>,
    ) -> Result<Work<'a>> {
        self.begin_about(call, Some(site), post.map_or(About::Nothing, About::Post)).await
    }

    /// As [`App::begin`], for a call that is about a request: to whom it was given may see what it asks for.
    pub(super) async fn begin_on_request<'a>(
        &'a self,
        call: &'a Call,
        site: &SiteId,
        request: &RequestId,
    ) -> Result<Work<'a>> {
        self.begin_about(call, Some(site), About::Request(request)).await
    }

    /// As [`App::begin`], for a call that is about one file.
    pub(super) async fn begin_file<'a>(
        &'a self,
        call: &'a Call,
        site: &SiteId,
        resident: &ResidentId,
    ) -> Result<Work<'a>> {
        self.begin_about(call, Some(site), About::File(resident)).await
    }

    async fn begin_about<'a>(
        &'a self,
        call: &'a Call,
        site: Option<&SiteId>,
        about: About<'_>,
    ) -> Result<Work<'a>> {
        let known = match site {
            Some(id) => self.store.site(id).await?,
            None => None,
        };
        let scope = known.as_ref().map_or(Scope::System, |site| Scope::from(&site.id));
        let epoch = self.store.authz_epoch(&scope).await?.unwrap_or_default();
        // Rights and protection are read after the epoch: what changes them later ends this epoch, and with it the decision.
        let principal = self.principal(call).await?;
        let protected = match &known {
            Some(site) => self.store.protected_files(&site.id).await?,
            None => Arc::default(),
        };
        let staff = principal.staff.clone();
        let now = self.now();
        let assigned = match (&known, about) {
            (Some(site), About::Post(post)) => self.is_held(site, post, &staff, now).await?,
            (Some(site), About::Request(request)) => self.is_given(site, request, &staff, now).await?,
            (None, _) | (_, About::Nothing | About::File(_)) => false,
        };
        let file = FileFacts { assigned, ..FileFacts::default() };
        let facts = Facts { site, epoch: u64::try_from(epoch).unwrap_or_default(), file };
        let deployed = self.deployed();
        let mut decided = self.policy.decide(call, principal, facts);
        let mut purpose = self.purpose(call, &scope).await?;
        let mut in_emergency = false;
        if let (Err(_), Some(site), Some(resident)) = (&decided, &known, about.file())
            && let Some(access) = Box::pin(self.emergency_access_of(site, resident, &staff)).await?
        {
            let file = FileFacts { emergency: true, ..file };
            decided = self.policy.decide(call, self.principal(call).await?, Facts { file, ..facts });
            if decided.is_ok() {
                // Whatever is read by it names it.
                purpose.push_str(&format!(";access={access}"));
                in_emergency = true;
            }
        }
        match decided {
            // Only somebody who may act there learns that there is no such site.
            Ok(_) if site.is_some() && known.is_none() => Err(Error::NotFound(Thing::Site)),
            Ok(permit) => {
                let (sight, hidden) = self.sight(call, &permit, &protected);
                let work = Work {
                    app: self,
                    call,
                    permit,
                    scope,
                    site: known,
                    purpose,
                    sight,
                    hidden,
                    in_emergency,
                    is_about_hidden: false,
                    _deployed: deployed,
                    now,
                };
                Ok(match about.file() {
                    Some(resident) => work.about_file(resident, &protected),
                    None => work,
                })
            }
            Err(denied) => {
                let resource = site.map(crate::name::site).unwrap_or_default();
                let mut draft = self.draft(call, &staff, now, &purpose, &Touches::resource(resource));
                draft.decision = Decision::Denied;
                self.store.commit("denied", ChangeSet::new(scope, epoch, draft)).await?;
                Err(denied)
            }
        }
    }

    /// Which of these protected files the caller of a call sees, as the policies say, and the others.
    pub(super) fn sight(
        &self,
        call: &Call,
        permit: &Permit,
        protected: &[ProtectedFile],
    ) -> (Sight, Vec<ResidentId>) {
        let (mut seen, mut hidden) = (Vec::new(), Vec::new());
        for file in protected {
            let facts = protection(file, permit);
            let list = match self.policy.decide_file(call, permit, facts) {
                Ok(_) => &mut seen,
                Err(_) => &mut hidden,
            };
            list.push(file.resident.clone());
        }
        (Sight::Named(seen), hidden)
    }

    /// Whether somebody holds or covers a post today.
    async fn is_held(&self, site: &Site, post: &PostId, staff: &StaffId, now: Instant) -> Result<bool> {
        let today = site.zone.date_of(now);
        let post = self.store.post(&site.id, post).await?;
        Ok(post.is_some_and(|post| {
            post.holders.iter().any(|holder| holder.staff == *staff && super::post::holds_on(holder, today))
        }))
    }

    /// Whether a request was given to somebody, or to a post that they hold or cover today.
    async fn is_given(
        &self,
        site: &Site,
        request: &RequestId,
        staff: &StaffId,
        now: Instant,
    ) -> Result<bool> {
        match self.store.request(&site.id, request).await?.and_then(|request| request.assignee) {
            Some(Assignee::Staff(given)) => Ok(given == *staff),
            Some(Assignee::Post(post)) => self.is_held(site, &post, staff, now).await,
            None => Ok(false),
        }
    }

    /// The zone of a site that must exist.
    pub(super) async fn zone(&self, site: &SiteId) -> Result<SiteZone> {
        Ok(self.load_site(site).await?.zone)
    }

    /// The stated purpose as the audit keeps it: its code and, where words were given, their keyed hash, so that who
    /// knows the words can confirm them and nobody else can read them.
    async fn purpose(&self, call: &Call, scope: &Scope) -> Result<String> {
        let Some(purpose) = &call.purpose else { return Ok(String::new()) };
        let Some(note) = &purpose.note else { return Ok(purpose.kind.code().to_owned()) };
        let hash = self.store.audit_hash(scope, "purpose", note).await?;
        Ok(format!("{};{}", purpose.kind.code(), crate::hex::hex(&hash)))
    }

    fn draft(
        &self,
        call: &Call,
        staff: &StaffId,
        now: Instant,
        purpose: &str,
        touches: &Touches<'_>,
    ) -> AuditDraft {
        AuditDraft {
            principal: staff.as_str().to_owned(),
            method: call.method.path.to_owned(),
            resource: touches.resource.clone(),
            subjects: touches.subjects.clone(),
            classes: FieldClasses::of(touches.classes),
            purpose: purpose.to_owned(),
            decision: Decision::Allowed,
            request_id: call.request_id.clone(),
            care_time: now,
            system_time: self.system_clock.now(),
        }
    }
}

impl<'a> Work<'a> {
    /// The same with what is known of the file that it is about. One that the caller may not know of is met, or rather not met,
    /// where a file that is not there would be.
    fn about_file(self, resident: &ResidentId, protected: &[ProtectedFile]) -> Self {
        let Some(file) = protected.iter().find(|file| file.resident == *resident) else { return self };
        match self.app.policy.decide_file(self.call, &self.permit, protection(file, &self.permit)) {
            Ok(permit) => Work { permit, ..self },
            Err(_) => Work { is_about_hidden: true, ..self },
        }
    }
}

impl Work<'_> {
    /// The proof that the call was allowed.
    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The site that the call is about, as it was when the call was allowed.
    pub(super) fn site(&self) -> Result<Site> {
        self.site.clone().ok_or_else(|| Error::Internal("a call about no site asks for its site".into()))
    }

    /// Which protected files of the site the caller sees.
    pub(super) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Whether there is no such file for the caller, whatever there is.
    pub(super) fn hides(&self, resident: &ResidentId) -> bool {
        self.hidden.contains(resident)
    }

    /// Whether there are files that the caller may not know of.
    pub(super) fn hides_somebody(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Whether the file opens by emergency access alone.
    pub(super) fn is_in_emergency(&self) -> bool {
        self.in_emergency
    }

    /// What is said where there is no such file, or none that the caller may know of: the same, and the log keeps the same of
    /// it, so that neither the answer nor the time it takes tells them apart.
    pub(super) async fn absent(&self, resident: &ResidentId) -> Error {
        let site = self.site.as_ref().map(|site| &site.id);
        let resource = site.map(|site| crate::name::resident(site, resident)).unwrap_or_default();
        let mut draft = self.draft(&Touches::files(resource, vec![resident.as_str().to_owned()], &[]));
        draft.decision = Decision::Denied;
        let epoch = i64::try_from(self.permit.epoch()).unwrap_or(i64::MAX);
        match self.app.store.commit("absent", ChangeSet::new(self.scope.clone(), epoch, draft)).await {
            Ok(_) => Error::NotFound(Thing::Resident),
            Err(error) => error.into(),
        }
    }

    /// The zone of the site that the call is about.
    pub(super) fn zone(&self) -> SiteZone {
        self.site.as_ref().map_or(SiteZone::SHANGHAI, |site| site.zone)
    }

    /// The caller and the present: who asks for or ends something.
    pub(super) fn signed(&self) -> Signed {
        Signed { by: self.permit.principal().staff.clone(), at: self.now }
    }

    /// As [`Work::signed`], of who approves what somebody else asked for.
    pub(super) fn countersigned(&self, asked: &Signed) -> Result<Signed> {
        let signed = self.signed();
        if signed.by == asked.by { Err(Error::State(StateConflict::OwnProposal)) } else { Ok(signed) }
    }

    /// Today in that site.
    pub(super) fn today(&self) -> CivilDate {
        self.zone().date_of(self.now)
    }

    /// A change set that carries this call's audit entry and guards on the decision's epoch.
    pub(super) fn changes(&self, touches: &Touches<'_>) -> ChangeSet {
        self.changes_at(i64::try_from(self.permit.epoch()).unwrap_or(i64::MAX), touches)
    }

    /// As [`Work::changes`], for what must be written although the epoch has ended by what this call itself did.
    pub(super) fn changes_at(&self, epoch: i64, touches: &Touches<'_>) -> ChangeSet {
        ChangeSet::new(self.scope.clone(), epoch, self.draft(touches))
    }

    fn draft(&self, touches: &Touches<'_>) -> AuditDraft {
        let staff = &self.permit.principal().staff;
        self.app.draft(self.call, staff, self.now, &self.purpose, touches)
    }

    /// Whether the caller may see these classes in clear. A refusal is audited with the classes that were asked for.
    pub(super) async fn reveal(&self, touches: &Touches<'_>) -> Result<()> {
        if self.call.purpose.is_none() {
            return Err(Error::PurposeRequired);
        }
        let file = self.permit.file();
        let decided = self.app.policy.decide_classes(self.call, &self.permit, file, touches.classes);
        if decided.is_err() {
            let mut draft = self.draft(touches);
            draft.decision = Decision::Denied;
            let epoch = i64::try_from(self.permit.epoch()).unwrap_or(i64::MAX);
            self.app.store.commit("denied", ChangeSet::new(self.scope.clone(), epoch, draft)).await?;
        }
        decided
    }

    /// As [`Work::reveal`], of what takes an approval of its own where one of the subjects is a child. Whoever learns only later whose
    /// values they are asks again then.
    pub(super) async fn reveal_children(&self, touches: &Touches<'_>) -> Result<()> {
        let Some(site) = self.site.as_ref().filter(|_| !self.sees_children(touches.classes)) else {
            return Ok(());
        };
        let mut heads = Vec::with_capacity(touches.subjects.len());
        for subject in &touches.subjects {
            let Ok(id) = ResidentId::new(subject) else { continue };
            let head = self.app.find_head(&site.id, &id).await?;
            heads.extend(head.filter(|head| !self.hides(&id) && !self.hides(&head.id)));
        }
        if self.app.children(self, &heads).await?.is_empty() {
            return Ok(());
        }
        let mut draft = self.draft(touches);
        draft.decision = Decision::Denied;
        let epoch = i64::try_from(self.permit.epoch()).unwrap_or(i64::MAX);
        self.app.store.commit("denied", ChangeSet::new(self.scope.clone(), epoch, draft)).await?;
        Err(Error::Denied)
    }

    /// Whether the policies let the caller see these classes in clear of a child too.
    pub(super) fn sees_children(&self, classes: &[FieldClass]) -> bool {
        let approved = self.permit.is_approved_for_children();
        let file = FileFacts { minor: true, approved, ..self.permit.file() };
        self.app.policy.decide_classes(self.call, &self.permit, file, classes).is_ok()
    }

    /// Makes a read's audit entry durable; the receipt opens what it covers.
    pub(super) async fn disclose(&self, touches: &Touches<'_>) -> Result<Receipt> {
        self.enter(self.changes(touches)).await
    }

    /// As [`Work::disclose`], with word to others that it happened.
    pub(super) async fn disclose_told(
        &self,
        touches: &Touches<'_>,
        event: &'static str,
        resource: String,
    ) -> Result<Receipt> {
        let mut changes = self.changes(touches);
        changes.event(event, resource);
        self.enter(changes).await
    }

    /// Whether the policies let the caller see a class in clear; where a purpose is missing, none.
    pub(super) fn may_see(&self, class: FieldClass) -> bool {
        self.call.purpose.is_some()
            && self.app.policy.decide_classes(self.call, &self.permit, self.permit.file(), &[class]).is_ok()
    }

    /// As [`Work::disclose`], in the chain of one of the sites that a call across sites covers.
    pub(super) async fn disclose_in(&self, site: &SiteId, touches: &Touches<'_>) -> Result<Receipt> {
        let scope = Scope::from(site);
        if scope == self.scope {
            return self.disclose(touches).await;
        }
        let epoch = self.app.store.authz_epoch(&scope).await?.unwrap_or_default();
        let seen = u64::try_from(epoch).unwrap_or_default();
        let facts = Facts { site: Some(site), epoch: seen, file: FileFacts::default() };
        let permit = self.app.policy.decide(self.call, self.app.principal(self.call).await?, facts)?;
        let protected = self.app.store.protected_files(site).await?;
        let (_, hidden) = self.app.sight(self.call, &permit, &protected);
        if hidden.iter().any(|id| touches.subjects.iter().any(|subject| subject == id.as_str())) {
            // Protected since it was found: the caller asks again, and then it is not there.
            return Err(Error::EtagMismatch);
        }
        let changes = ChangeSet::new(scope, epoch, self.draft(touches));
        self.enter(changes).await
    }

    async fn enter(&self, entry: ChangeSet) -> Result<Receipt> {
        Ok(self.app.entries.enter(&self.app.store, self.call.method.path, entry).await?)
    }

    /// The answer that this command gave before under the same request id.
    pub(super) async fn repeated<T>(&self, repeat: &Repeat<T>) -> Result<Option<Vec<u8>>> {
        let Some(id) = repeat.id.as_ref().filter(|_| !self.is_about_hidden) else { return Ok(None) };
        let principal = self.permit.principal().staff.as_str();
        let request = (self.call.method.path, id.as_str());
        let now = self.app.system_clock.now();
        let kept = self.app.store.kept_answer(&self.scope, principal, request, &repeat.hash, now).await?;
        Ok(kept.map(|answer| answer.expose_secret().to_vec()))
    }

    /// Commits a command's changes and its answer.
    pub(super) async fn commit<T>(
        &self,
        name: &'static str,
        mut changes: ChangeSet,
        repeat: &Repeat<T>,
        answer: T,
    ) -> Result<Answer<T>> {
        if let Some(id) = &repeat.id {
            changes.request(RequestDraft {
                method: self.call.method.path.to_owned(),
                request_id: id.clone(),
                request_hash: repeat.hash,
                answer: SecretSlice::from((repeat.encode)(&answer)),
            });
        }
        match self.app.store.commit(name, changes).await? {
            Committed::Done(_) => Ok(Answer::Fresh(answer)),
            Committed::Repeated(answer) => Ok(Answer::Repeated(answer.expose_secret().to_vec())),
        }
    }

    /// A fresh id.
    pub(super) fn new_id(&self) -> String {
        self.app.ids.next(self.now)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable | Fault::Busy | Fault::Full | Fault::Disk => Self::StoreUnavailable,
            Fault::Duplicate | Fault::Constraint | Fault::Internal => Self::Internal(fault.to_string()),
        }
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        match error {
            SealError::KeyStore(fault) => fault.into(),
            SealError::Format
            | SealError::Tag
            | SealError::NoKey
            | SealError::NotCovered
            | SealError::NoRandomness => Self::Internal(error.to_string()),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(fault) => fault.into(),
            StoreError::Row { .. } => Self::Internal(error.to_string()),
            StoreError::Seal(error) => error.into(),
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            // Rights changed between the decision and the commit: the caller asks again and gets a decision on facts.
            CommitError::EpochChanged { .. } => Self::EtagMismatch,
            CommitError::Exists { what: "identity number" } => Self::IdentityTaken,
            // Somebody submitted or decided one at the same moment.
            CommitError::Exists { what: "plan" } => Self::EtagMismatch,
            // Somebody closed it at the same moment.
            CommitError::Exists { what: "period" } => Self::State(StateConflict::PeriodClosed),
            CommitError::Exists { what } => Self::AlreadyExists(thing(what)),
            CommitError::Missing { what } => Self::NotFound(thing(what)),
            CommitError::Stale { .. } => Self::EtagMismatch,
            CommitError::RequestIdReused => Self::RequestIdReused,
            CommitError::Overloaded | CommitError::KeysChanged { .. } => Self::Overloaded,
            CommitError::Database(fault) => fault.into(),
            CommitError::Unknown | CommitError::Stopped => Self::StoreUnavailable,
            CommitError::Seal(error) => error.into(),
        }
    }
}

/// What the store calls a thing.
fn thing(what: &str) -> Thing {
    match what {
        "site" => Thing::Site,
        "dwelling" => Thing::Dwelling,
        "area" => Thing::Area,
        "post" => Thing::Post,
        "membership" => Thing::Membership,
        "pause" => Thing::Pause,
        "record" | "evaluation" => Thing::Record,
        "event" => Thing::Event,
        "request" => Thing::Request,
        "facility" => Thing::Facility,
        "activity" => Thing::Activity,
        "survey" => Thing::Survey,
        "survey answer" => Thing::SurveyAnswer,
        "plugin parameters" => Thing::Plugin,
        "staff" => Thing::Staff,
        "fund" => Thing::Fund,
        "budget line" => Thing::BudgetLine,
        "spending" => Thing::Spending,
        "credential" => Thing::Credential,
        "key rotation" => Thing::KeyRotation,
        "erasure" => Thing::Erasure,
        "override" => Thing::Override,
        "plan" => Thing::Plan,
        "waiver" => Thing::Waiver,
        "emergency access" => Thing::EmergencyAccess,
        "withdrawal" => Thing::Consent,
        "body" => Thing::Body,
        "referral" => Thing::Referral,
        _ => Thing::Resident,
    }
}
