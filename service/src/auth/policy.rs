//! The one place that decides. A decision is a [`Permit`]; only this module can make one.
//!
//! Decisions are taken on current facts and never cached. A permit carries the site's `authz_epoch` that it saw;
//! every change set guards on it, so that a right withdrawn meanwhile stops the commit.

use linli_core::id::SiteId;

use super::table::{self, Access, Method};
use super::{Call, Principal, Role};
use crate::error::Error;

/// Decides who may do what.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    _private: (),
}

/// What a call is about: the facts that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The site, where the call is about one; `None`: the server or all sites in the caller's scope.
    pub site: Option<&'a SiteId>,
    /// The site's `authz_epoch` at the time of the decision.
    pub epoch: u64,
}

/// The proof that a call was allowed. Use cases that touch files take one; it cannot be made elsewhere.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: Principal,
    method: &'static Method,
    site: Option<SiteId>,
    epoch: u64,
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

    /// The site's epoch that the decision saw.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Policy {
    /// The policy of this version: the working group's leader may do everything in their sites, nobody else
    /// anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides one call.
    ///
    /// # Errors
    /// [`Error::Denied`]; the caller audits it.
    pub fn decide(&self, call: &Call, facts: Facts<'_>) -> Result<Permit, Error> {
        let Some(role) = call.principal.role else {
            return Err(Error::Denied);
        };
        let in_scope = match (call.method.access, facts.site) {
            (Access::Site, Some(site)) => call.principal.scope.holds(site),
            // Across sites the answer holds those in scope only; the use case filters by it.
            (Access::Site, None) | (Access::Server, _) => true,
        };
        let allowed = match role {
            Role::Leader => in_scope,
            Role::Upkeep => in_scope && call.method.path == table::ASSESS,
        };
        if !allowed {
            return Err(Error::Denied);
        }
        Ok(Permit {
            principal: call.principal.clone(),
            method: call.method,
            site: facts.site.cloned(),
            epoch: facts.epoch,
        })
    }
}
