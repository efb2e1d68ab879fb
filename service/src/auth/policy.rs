//! The one place that decides. A decision is a [`Permit`]; only this module can make one.
//!
//! Decisions are taken on current facts and never cached. A permit carries the site's `authz_epoch` that it saw;
//! every change set guards on it, so that a right withdrawn meanwhile stops the commit. What is allowed is said by the
//! policies ([`super::rules`]); here is only whom and what they are asked about.

use std::sync::Arc;

use linli_core::id::SiteId;
use linli_core::resident::FieldClass;
use linli_core::staff::{Grant, Reach, Role};

use super::rules::{Acting, FileFacts, Question, Rules, RulesError};
use super::table::{Access, Method};
use super::{Call, Principal, Rights};
use crate::error::Error;

/// What answers the questions of decisions: the policies ([`Rules`]). The bench that measures what they cost puts something
/// else in their place.
pub trait Judge: Send + Sync + std::fmt::Debug {
    /// Whether it is allowed.
    fn allow(&self, question: &Question<'_>) -> bool;
}

impl Judge for Rules {
    fn allow(&self, question: &Question<'_>) -> bool {
        Self::allow(self, question)
    }
}

/// Decides who may do what.
#[derive(Debug, Clone)]
pub struct Policy {
    judge: Arc<dyn Judge>,
}

/// What a call is about: the facts that a decision rests on. The epoch must be read before the principal's rights and before
/// every other fact.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The site, where the call is about one; `None`: the server or all sites in the caller's scope.
    pub site: Option<&'a SiteId>,
    /// The site's `authz_epoch` at the time of the decision.
    pub epoch: u64,
    /// What is known of the file, where the call is about one.
    pub file: FileFacts,
}

/// The proof that a call was allowed. Use cases that touch files take one; it cannot be made elsewhere.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: Principal,
    method: &'static Method,
    site: Option<SiteId>,
    reach: Reach,
    epoch: u64,
    file: FileFacts,
}

impl Permit {
    /// Who was allowed.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What was allowed.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// In which site; `None`: the server or every site in scope.
    pub fn site(&self) -> Option<&SiteId> {
        self.site.as_ref()
    }

    /// The sites in which the principal may do this; where the call is about one site, that one.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// What is known of the file that the call is about.
    pub fn file(&self) -> FileFacts {
        self.file
    }

    /// Whether nothing but the task is shown, no file: no grant that holds there is more than a volunteer's.
    pub fn is_task_only(&self) -> bool {
        let holds = |grant: &&Grant| self.site.as_ref().is_none_or(|site| grant.reach.holds(site));
        match &self.principal.rights {
            Rights::Server => false,
            Rights::Grants(grants) => grants.iter().filter(holds).all(|grant| grant.role == Role::Volunteer),
        }
    }

    /// Whether a grant that holds there was approved for children under 14.
    pub fn is_approved_for_children(&self) -> bool {
        let holds = |grant: &&Grant| self.site.as_ref().is_none_or(|site| grant.reach.holds(site));
        match &self.principal.rights {
            Rights::Server => true,
            Rights::Grants(grants) => grants.iter().filter(holds).any(|grant| grant.children),
        }
    }

    /// The site's epoch that the decision saw.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Policy {
    /// By these policies.
    pub fn new(judge: impl Judge + 'static) -> Self {
        Self { judge: Arc::new(judge) }
    }

    /// By the policies of this version.
    ///
    /// # Errors
    /// As [`Rules::built_in`].
    pub fn built_in() -> Result<Self, RulesError> {
        Rules::built_in().map(Self::new)
    }

    /// Decides one call of a principal.
    ///
    /// # Errors
    /// [`Error::Denied`]; the caller audits it.
    pub fn decide(&self, call: &Call, principal: Principal, facts: Facts<'_>) -> Result<Permit, Error> {
        let allows = |acting: Acting, reach: &Reach| {
            self.allows(call, (facts.site, facts.file), None, (acting, reach))
        };
        let allowed = match &principal.rights {
            Rights::Server => allows(Acting::Server, &Reach::Everywhere).then_some(Reach::Everywhere),
            Rights::Grants(grants) => {
                let mut allowed = grants.iter().filter(|grant| allows(Acting::of(grant), &grant.reach));
                match facts.site {
                    // One grant that allows it is enough.
                    Some(site) => allowed.next().map(|_| Reach::Sites(vec![site.clone()])),
                    None => allowed.fold(None, |reach: Option<Reach>, grant| {
                        Some(reach.unwrap_or_else(Reach::nowhere).and(&grant.reach))
                    }),
                }
            }
        };
        let reach = allowed.ok_or(Error::Denied)?;
        Ok(Permit {
            principal,
            method: call.method,
            site: facts.site.cloned(),
            reach,
            epoch: facts.epoch,
            file: facts.file,
        })
    }

    /// Decides about one file what was permitted without looking at it.
    ///
    /// # Errors
    /// [`Error::Denied`], which the caller must make look as if there were no such file.
    pub fn decide_file(&self, call: &Call, permit: &Permit, file: FileFacts) -> Result<Permit, Error> {
        let permit = Permit { file, ..permit.clone() };
        if self.allows_again(call, &permit, None) { Ok(permit) } else { Err(Error::Denied) }
    }

    /// Decides whether who was permitted a call may see each of these classes of a file in clear.
    ///
    /// # Errors
    /// [`Error::Denied`] where one of them is refused; the caller audits it.
    pub fn decide_classes(
        &self,
        call: &Call,
        permit: &Permit,
        file: FileFacts,
        classes: &[FieldClass],
    ) -> Result<(), Error> {
        let permit = Permit { file, ..permit.clone() };
        let allowed = |class: &FieldClass| self.allows_again(call, &permit, Some(*class));
        if classes.iter().all(allowed) { Ok(()) } else { Err(Error::Denied) }
    }

    /// Whether one of the rights of who was permitted a call allows this too.
    fn allows_again(&self, call: &Call, permit: &Permit, class: Option<FieldClass>) -> bool {
        let about = (permit.site.as_ref(), permit.file);
        match &permit.principal.rights {
            Rights::Server => self.allows(call, about, class, (Acting::Server, &Reach::Everywhere)),
            Rights::Grants(grants) => {
                grants.iter().any(|grant| self.allows(call, about, class, (Acting::of(grant), &grant.reach)))
            }
        }
    }

    fn allows(
        &self,
        call: &Call,
        (site, file): (Option<&SiteId>, FileFacts),
        class: Option<FieldClass>,
        (acting, reach): (Acting, &Reach),
    ) -> bool {
        let in_scope = match (call.method.access, site) {
            (Access::Site, Some(site)) => reach.holds(site),
            // Across sites the answer holds those in scope only; the use case filters by the permit's reach.
            (Access::Site, None) | (Access::Server, _) => true,
        };
        self.judge.allow(&Question {
            acting,
            method: call.method,
            class,
            site: site.map(SiteId::as_str),
            in_scope,
            everywhere: *reach == Reach::Everywhere,
            purpose: call.purpose.as_ref().map(|purpose| purpose.kind),
            file,
        })
    }
}
