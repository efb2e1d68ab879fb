//! The working group, 工作小组: who belongs to it, in which role, where, and how they prove who they are.

use crate::id::{SiteId, StaffId};
use crate::invalid::Invalid;
use crate::kind::{Department, closed_list};
use crate::text::Line;
use crate::time::Instant;

/// Largest number of grants of one member of staff.
pub const GRANTS_MAX: usize = 50;
/// Largest number of sites in one grant.
pub const GRANT_SITES_MAX: usize = 200;
/// Largest number of credentials of one member of staff.
pub const CREDENTIALS_MAX: usize = 10;

closed_list! {
    /// A role in the working group (regulation, Art. 4), or beside it.
    Role {
        /// Leads the working group: approves plans and funds, and says who belongs to it.
        Leader = "leader", "组长", "leader";
        /// Supervises, and stands in for the leader in the care itself.
        Deputy = "deputy", "副组长", "deputy";
        /// Carries out, in a department.
        Member = "member", "成员", "member";
        /// Keeps the special fund.
        Finance = "finance", "财务", "finance";
        /// Helps with single tasks.
        Volunteer = "volunteer", "志愿者", "volunteer";
        /// Reads the audit log, and no file.
        Auditor = "auditor", "审计", "auditor";
        /// Another system.
        Integration = "integration", "系统对接", "integration";
    }
}

closed_list! {
    /// How somebody proves who they are.
    CredentialKind {
        /// A signed token whose subject is the name.
        Token = "token", "令牌", "token";
        /// A client certificate that bears the name as its URI or DNS name.
        Certificate = "certificate", "证书", "certificate";
    }
}

/// The name under which somebody proves who they are. A name belongs to one member of staff at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Credential {
    /// How.
    pub kind: CredentialKind,
    /// The name, compared byte by byte.
    pub name: Line,
}

impl Credential {
    /// A name as somebody presents it; `None` where nobody can have been given it.
    pub fn presented(kind: CredentialKind, name: &str) -> Option<Self> {
        let plain = |line: &Line| line.as_str() == name && !name.contains(['\n', '\t']);
        Line::new(name).ok().filter(plain).map(|name| Self { kind, name })
    }
}

/// Who asked for, approved or ended something, and when (care clock).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signed {
    /// Who.
    pub by: StaffId,
    /// When.
    pub at: Instant,
}

/// The sites that a grant holds for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Every site, also those to come.
    Everywhere,
    /// These sites, in order.
    Sites(Vec<SiteId>),
}

impl Reach {
    /// These sites.
    ///
    /// # Errors
    /// [`Invalid::Missing`] for none, [`Invalid::TooMany`], [`Invalid::Duplicate`].
    pub fn sites(mut sites: Vec<SiteId>) -> Result<Self, Invalid> {
        if sites.is_empty() {
            return Err(Invalid::Missing);
        }
        if sites.len() > GRANT_SITES_MAX {
            return Err(Invalid::TooMany { max: GRANT_SITES_MAX });
        }
        sites.sort();
        if sites.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Invalid::Duplicate);
        }
        Ok(Self::Sites(sites))
    }

    /// Whether `site` is among them.
    pub fn holds(&self, site: &SiteId) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Sites(sites) => sites.binary_search(site).is_ok(),
        }
    }

    /// Whether every site of `other` is among them.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, _) => true,
            (Self::Sites(_), Self::Everywhere) => false,
            (Self::Sites(_), Self::Sites(others)) => others.iter().all(|site| self.holds(site)),
        }
    }

    /// Whether they have a site in common.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, _) | (_, Self::Everywhere) => true,
            (Self::Sites(_), Self::Sites(others)) => others.iter().any(|site| self.holds(site)),
        }
    }

    /// The sites of both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Everywhere, _) | (_, Self::Everywhere) => Self::Everywhere,
            (Self::Sites(mut sites), Self::Sites(others)) => {
                sites.extend(others.iter().cloned());
                sites.sort();
                sites.dedup();
                Self::Sites(sites)
            }
        }
    }

    /// No site.
    pub const fn nowhere() -> Self {
        Self::Sites(Vec::new())
    }
}

/// A role in some sites for a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The department: a member has one, nobody else has.
    pub department: Option<Department>,
    /// Where.
    pub reach: Reach,
    /// From when, by the machine's clock; `None`: at once.
    pub from: Option<Instant>,
    /// Until when, exclusive; `None`: until it is taken back.
    pub until: Option<Instant>,
    /// Whether the leader approved them for children under 14: to see values of theirs in clear.
    pub children: bool,
}

impl Grant {
    /// A role in some sites for a time.
    ///
    /// # Errors
    /// The field that is wrong, and why: a member without a department, anybody else with one, an end before the
    /// beginning.
    pub fn new(
        role: Role,
        department: Option<Department>,
        reach: Reach,
        from: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<Self, (&'static str, Invalid)> {
        match (role, department) {
            (Role::Member, None) => return Err(("department", Invalid::Missing)),
            (Role::Member, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(("department", Invalid::NotAllowed)),
        }
        match (from, until) {
            (Some(from), Some(until)) if until <= from => Err(("end_time", Invalid::EndsBeforeStart)),
            (_, _) => Ok(Self { role, department, reach, from, until, children: false }),
        }
    }

    /// The same, approved for children under 14 or not.
    #[must_use]
    pub fn for_children(self, approved: bool) -> Self {
        Self { children: approved, ..self }
    }

    /// Whether it holds at `now`.
    pub fn in_force(&self, now: Instant) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// A member of staff, a volunteer, an auditor, or another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// The id.
    pub id: StaffId,
    /// What people call them.
    pub title: Line,
    /// Their roles.
    pub grants: Vec<Grant>,
    /// How they prove who they are.
    pub credentials: Vec<Credential>,
    /// Since when they may do nothing any more; `None`: they are active.
    pub deactivated_at: Option<Instant>,
    /// When they were entered (care clock).
    pub created_at: Instant,
    /// Counts changes, from 1.
    pub version: u64,
}

impl Staff {
    /// The grants that hold at `now`: none of somebody who was deactivated.
    pub fn grants_at(&self, now: Instant) -> impl Iterator<Item = &Grant> {
        let active = self.deactivated_at.is_none();
        self.grants.iter().filter(move |grant| active && grant.in_force(now))
    }

    /// Every site that one of the grants holds for, whenever.
    pub fn reach(&self) -> Reach {
        self.grants.iter().fold(Reach::nowhere(), |reach, grant| reach.and(&grant.reach))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(id: &str) -> SiteId {
        SiteId::new(id).unwrap()
    }

    fn reach(ids: &str) -> Reach {
        match ids {
            "*" => Reach::Everywhere,
            "" => Reach::nowhere(),
            ids => Reach::sites(ids.split(' ').map(site).collect()).unwrap(),
        }
    }

    fn at(micros: i64) -> Option<Instant> {
        Some(Instant::from_micros(micros).unwrap())
    }

    #[test]
    fn reaches_compare_as_sets() {
        let check = |a: &str, b: &str, covers: bool, meets: bool| {
            assert_eq!((reach(a).covers(&reach(b)), reach(a).meets(&reach(b))), (covers, meets), "{a} {b}");
        };
        check("*", "*", true, true);
        check("*", "a", true, true);
        check("a", "*", false, true);
        check("a b", "b", true, true);
        check("a b", "b c", false, true);
        check("a", "b", false, false);
        check("a", "", true, false);
        check("", "a", false, false);
        assert_eq!(reach("b").and(&reach("a b")), reach("a b"));
        assert_eq!(reach("b").and(&reach("*")), Reach::Everywhere);
        assert_eq!(Reach::sites(vec![site("a"), site("a")]), Err(Invalid::Duplicate));
        assert_eq!(Reach::sites(Vec::new()), Err(Invalid::Missing));
    }

    #[test]
    fn grants_hold_for_their_time_and_departments_belong_to_members() {
        let grant = Grant::new(Role::Deputy, None, reach("a"), at(10), at(20)).unwrap();
        let check = |now: i64, expect: bool| assert_eq!(grant.in_force(at(now).unwrap()), expect, "{now}");
        check(9, false);
        check(10, true);
        check(19, true);
        check(20, false);
        let refused = |role, department, from, until| {
            Grant::new(role, department, reach("a"), from, until).map_err(|(field, _)| field).err()
        };
        assert_eq!(refused(Role::Member, None, None, None), Some("department"));
        assert_eq!(refused(Role::Leader, Some(Department::Finance), None, None), Some("department"));
        assert_eq!(refused(Role::Leader, None, at(5), at(5)), Some("end_time"));
        assert_eq!(refused(Role::Member, Some(Department::Finance), None, at(5)), None);
        let mut staff = Staff {
            id: StaffId::new("wang").unwrap(),
            title: Line::new("王管家").unwrap(),
            grants: vec![grant],
            credentials: Vec::new(),
            deactivated_at: None,
            created_at: at(0).unwrap(),
            version: 1,
        };
        assert_eq!(staff.grants_at(at(15).unwrap()).count(), 1);
        staff.deactivated_at = at(12);
        assert_eq!(staff.grants_at(at(15).unwrap()).count(), 0);
        assert_eq!(staff.reach(), reach("a"));
    }

    #[test]
    fn presented_names_are_taken_as_they_are() {
        let check = |name: &str, expect: bool| {
            assert_eq!(Credential::presented(CredentialKind::Token, name).is_some(), expect, "{name:?}");
        };
        check("wang@example", true);
        check(" wang", false);
        check("", false);
        check("wang\u{0}", false);
        check(&"x".repeat(201), false);
    }
}
