//! The policies themselves: Cedar, read from text, checked against the schema, and asked.
//!
//! Nothing here knows of calls or permits: a [`Question`] is answered by the text of the policies alone. What is the same for
//! every question (roles, actions and their groups) is built once. As the text does not change while the process runs, the same
//! question has the same answer: it is asked once and then looked up. Which question a call comes to, its rights and
//! facts, is found anew every time. Policies that look at a particular site are always asked.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr as _;
use std::sync::{PoisonError, RwLock};

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use linli_core::kind::Department;
use linli_core::resident::FieldClass;
use linli_core::staff::{Grant, Role};

use super::PurposeKind;
use super::table::{Access, METHODS, Method, PACKAGE};

/// The schema that every policy is checked against.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policies of this version.
pub const POLICY: &str = include_str!("policy.cedar");
/// What policies call all sites in the caller's scope.
const ALL_SITES: &str = "-";

/// Whose right is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acting {
    /// Nobody's: no grant of the caller holds now.
    Nobody,
    /// The server's own.
    Server,
    /// That of a role.
    Role(Role),
    /// That of a member, in a department.
    Member(Department),
}

impl Acting {
    /// Of a grant.
    pub fn of(grant: &Grant) -> Self {
        match grant.department {
            Some(department) => Self::Member(department),
            None => Self::Role(grant.role),
        }
    }

    /// Everything that policies can be asked about.
    pub fn all() -> Vec<Self> {
        let roles = Role::ALL.iter().copied().map(Self::Role);
        let members = Department::ALL.iter().copied().map(Self::Member);
        [Self::Nobody, Self::Server].into_iter().chain(roles).chain(members).collect()
    }

    /// As policies call it: `deputy`, `member.security`.
    pub fn name(self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::Server => "server".into(),
            Self::Role(role) => role.code().into(),
            Self::Member(department) => format!("{}.{}", Role::Member.code(), department.code()),
        }
    }

    fn parent(self) -> Option<&'static str> {
        match self {
            Self::Nobody | Self::Server => None,
            Self::Member(_) => Some(Role::Member.code()),
            Self::Role(role) => Some(match role {
                Role::Leader | Role::Deputy | Role::Member => "working_group",
                Role::Finance | Role::Volunteer | Role::Auditor | Role::Integration => "insider",
            }),
        }
    }
}

/// What is known about a file that a call is about; `false` throughout where it is about none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileFacts {
    /// A post of the caller, held or covered today, covers the resident's dwelling, or is the one whose work is asked for.
    pub assigned: bool,
    /// The file is protected.
    pub protected: bool,
    /// The caller is among those who are named for a protected file.
    pub named: bool,
    /// The resident is under 14.
    pub minor: bool,
    /// The leader approved the caller for children.
    pub approved: bool,
    /// The caller has emergency access to the file now.
    pub emergency: bool,
}

/// A question to the policies.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Whose right.
    pub acting: Acting,
    /// Which RPC.
    pub method: &'static Method,
    /// Whether its answer may show this class in clear; `None`: whether it may be called.
    pub class: Option<FieldClass>,
    /// The site, where the call is about one.
    pub site: Option<&'a str>,
    /// Whether the grant holds for that site.
    pub in_scope: bool,
    /// Whether the grant holds for every site.
    pub everywhere: bool,
    /// The stated purpose.
    pub purpose: Option<PurposeKind>,
    /// What is known of the file.
    pub file: FileFacts,
}

/// Why policies cannot be used; each line is one problem, with the line of the text where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError(pub Vec<String>);

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for RulesError {}

/// An answer, with the policies that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The policies that decided, by name, with what they say; none: nothing permits it.
    pub policies: Vec<Because>,
    /// Policies that could not be evaluated, which counts as if they were not there.
    pub failed: Vec<String>,
}

/// A policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Because {
    /// Its name.
    pub id: String,
    /// Whether it permits, rather than forbids.
    pub permits: bool,
    /// What it says, in its own words.
    pub says: String,
}

/// Policies, ready to be asked.
pub struct Rules {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    roles: HashMap<Acting, EntityUid>,
    /// By place in the authorisation table; `None`: not in the schema.
    actions: Vec<Option<EntityUid>>,
    /// What shows a class in clear; those that the schema knows.
    reveals: HashMap<FieldClass, EntityUid>,
    site_type: EntityTypeName,
    all_sites: EntityUid,
    server: EntityUid,
    /// Circumstances come in few combinations; each is built once.
    contexts: RwLock<HashMap<Circumstances, Context>>,
    /// Answers by question; `None`: a policy looks at particular resources.
    answers: Option<RwLock<HashMap<Plain, bool>>>,
}

/// Most answers that are kept; there are some thousand questions that calls come to.
const ANSWERS_MAX: usize = 100_000;

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({} policies)", self.len())
    }
}

/// A question without the site's name, which no policy looks at.
type Plain = (Acting, &'static str, Option<FieldClass>, bool, Circumstances);

type Circumstances = (bool, bool, Option<PurposeKind>, FileFacts);

impl Rules {
    /// The policies of this version.
    ///
    /// # Errors
    /// [`RulesError`] where they do not fit the schema: a defect that a test finds.
    pub fn built_in() -> Result<Self, RulesError> {
        Self::parse(POLICY, "policy.cedar")
    }

    /// Policies out of a text; `name` is what problems call it.
    ///
    /// # Errors
    /// [`RulesError`] with every problem: what does not parse, or does not fit the schema.
    pub fn parse(text: &str, name: &str) -> Result<Self, RulesError> {
        let schema = schema()?;
        let policies = named(text, name)?;
        let validation = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        let problems: Vec<String> =
            validation.validation_errors().map(|error| located(name, text, error)).collect();
        if !problems.is_empty() {
            return Err(RulesError(problems));
        }
        let looks_at_resources = policies.policies().any(looks_at_resource);
        let broken = |what: &dyn fmt::Display| RulesError(vec![format!("schema.cedarschema: {what}")]);
        let type_name = |name: &str| EntityTypeName::from_str(name).map_err(|error| broken(&error));
        let (role_type, site_type, server_type) =
            (type_name("Role")?, type_name("Site")?, type_name("Server")?);
        let action_type = type_name("Action")?;
        let uid =
            |of: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id));
        let known = schema.action_entities().map_err(|error| broken(&error))?;
        let role = |id: &str, parent: Option<&str>| {
            let parents: HashSet<_> = parent.map(|parent| uid(&role_type, parent)).into_iter().collect();
            Entity::new_no_attrs(uid(&role_type, id), parents)
        };
        let groups = [role("insider", None), role("working_group", Some("insider"))];
        let acting = Acting::all().into_iter().map(|acting| role(&acting.name(), acting.parent()));
        let entities = known.clone().add_entities(groups.into_iter().chain(acting), Some(&schema));
        let actions = METHODS.iter().map(|method| {
            let action = uid(&action_type, method.path.strip_prefix(PACKAGE)?);
            known.get(&action).map(|_| action)
        });
        let reveals = FieldClass::ALL.iter().filter_map(|class| {
            let action = uid(&action_type, &format!("Reveal.{}", class.code()));
            known.get(&action).map(|_| (*class, action))
        });
        Ok(Self {
            authorizer: Authorizer::new(),
            policies,
            entities: entities.map_err(|error| broken(&error))?,
            roles: Acting::all()
                .into_iter()
                .map(|acting| (acting, uid(&role_type, &acting.name())))
                .collect(),
            actions: actions.collect(),
            reveals: reveals.collect(),
            all_sites: uid(&site_type, ALL_SITES),
            server: uid(&server_type, "linli"),
            site_type,
            contexts: RwLock::default(),
            answers: (!looks_at_resources).then(RwLock::default),
        })
    }

    /// Whether the policies allow it. An RPC that the schema does not know is refused, and so is whatever cannot be asked.
    pub fn allow(&self, question: &Question<'_>) -> bool {
        let Some(answers) = &self.answers else { return self.ask(question) };
        let circumstances = circumstances(question);
        let plain =
            (question.acting, question.method.path, question.class, question.site.is_some(), circumstances);
        let known = answers.read().unwrap_or_else(PoisonError::into_inner).get(&plain).copied();
        known.unwrap_or_else(|| {
            let answer = self.ask(question);
            let mut answers = answers.write().unwrap_or_else(PoisonError::into_inner);
            if answers.len() < ANSWERS_MAX {
                answers.insert(plain, answer);
            }
            answer
        })
    }

    /// As [`Rules::allow`], by the policies themselves.
    pub fn ask(&self, question: &Question<'_>) -> bool {
        let Some(request) = self.request(question) else { return false };
        let answer = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        answer.decision() == Decision::Allow
    }

    /// As [`Rules::allow`], with reasons.
    pub fn explain(&self, question: &Question<'_>) -> Reasoned {
        let Some(request) = self.request(question) else {
            let failed = vec!["the schema does not know this call".into()];
            return Reasoned { allowed: false, policies: Vec::new(), failed };
        };
        let answer = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        let because = |id: &PolicyId| {
            let policy = self.policies.policy(id)?;
            let says = policy.annotation("says").unwrap_or_default().to_owned();
            Some(Because { id: id.to_string(), permits: policy.effect() == Effect::Permit, says })
        };
        let mut policies: Vec<Because> = answer.diagnostics().reason().filter_map(because).collect();
        policies.sort();
        let failed = answer.diagnostics().errors().map(ToString::to_string).collect();
        Reasoned { allowed: answer.decision() == Decision::Allow, policies, failed }
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.policies().count()
    }

    /// Whether there is none: everything is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// RPCs of the table that the schema does not know, and actions of the schema that are no RPC.
    pub fn unmatched(&self) -> Vec<String> {
        let unknown = METHODS.iter().zip(&self.actions).filter(|(_, action)| action.is_none());
        let mut unmatched: Vec<String> = unknown.map(|(method, _)| method.path.to_owned()).collect();
        let known: HashSet<&EntityUid> = self.actions.iter().flatten().collect();
        let stray = self.entities.iter().map(Entity::uid).filter(|uid| {
            uid.type_name().basename() == "Action"
                && uid.id().unescaped().contains('/')
                && !known.contains(uid)
        });
        unmatched.extend(stray.map(|uid| uid.id().unescaped().to_owned()));
        unmatched.sort();
        unmatched
    }

    fn request(&self, question: &Question<'_>) -> Option<Request> {
        let at = METHODS.binary_search_by(|method| method.path.cmp(question.method.path)).ok()?;
        let called = self.actions.get(at)?.as_ref()?;
        let action = match &question.class {
            None => called.clone(),
            Some(class) => self.reveals.get(class)?.clone(),
        };
        let principal = self.roles.get(&question.acting)?.clone();
        let resource = match (question.method.access, question.site) {
            (Access::Server, _) => self.server.clone(),
            (Access::Site, None) => self.all_sites.clone(),
            (Access::Site, Some(site)) => {
                EntityUid::from_type_name_and_id(self.site_type.clone(), EntityId::new(site))
            }
        };
        let context = self.context(circumstances(question))?;
        // Without the schema: what is asked is built from it, and a test asks everything with it.
        Request::new(principal, action, resource, context, None).ok()
    }

    fn context(&self, circumstances: Circumstances) -> Option<Context> {
        let known = self.contexts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = known.get(&circumstances) {
            return Some(context.clone());
        }
        drop(known);
        let (in_scope, everywhere, purpose, file) = circumstances;
        let FileFacts { assigned, protected, named, minor, approved, emergency } = file;
        let flag = |name: &str, value: bool| (name.to_owned(), RestrictedExpression::new_bool(value));
        let purpose = purpose.map_or("", PurposeKind::code).to_owned();
        let context = Context::from_pairs([
            flag("in_scope", in_scope),
            flag("everywhere", everywhere),
            ("purpose".to_owned(), RestrictedExpression::new_string(purpose)),
            flag("assigned", assigned),
            flag("protected", protected),
            flag("named", named),
            flag("minor", minor),
            flag("approved", approved),
            flag("emergency", emergency),
        ])
        .ok()?;
        let mut known = self.contexts.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(circumstances, context.clone());
        Some(context)
    }
}

fn circumstances(question: &Question<'_>) -> Circumstances {
    (question.in_scope, question.everywhere, question.purpose, question.file)
}

/// Whether a policy may answer differently for two resources of one type. A word too many counts as a look.
fn looks_at_resource(policy: &cedar_policy::Policy) -> bool {
    use cedar_policy::ResourceConstraint::{Any, Eq, In, Is, IsIn};
    match policy.resource_constraint() {
        Any | Is(_) => policy.to_string().matches("resource").count() > 1,
        Eq(_) | In(_) | IsIn(..) => true,
    }
}

fn schema() -> Result<Schema, RulesError> {
    let parsed = Schema::from_cedarschema_str(SCHEMA);
    parsed.map(|(schema, _)| schema).map_err(|error| RulesError(vec![format!("schema.cedarschema: {error}")]))
}

/// The policies of a text under the names that their `@id` gives them; each must have one, and no two the same.
fn named(text: &str, name: &str) -> Result<PolicySet, RulesError> {
    let parsed = PolicySet::from_str(text)
        .map_err(|errors| RulesError(errors.iter().map(|error| located(name, text, error)).collect()))?;
    if parsed.templates().next().is_some() {
        return Err(RulesError(vec![format!("{name}: templates are not used")]));
    }
    let (mut policies, mut problems) = (PolicySet::new(), Vec::new());
    for policy in parsed.policies() {
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            problems.push(format!("{name}: a policy has no @id: {}", first_line(&policy.to_string())));
            continue;
        };
        let renamed = policy.new_id(PolicyId::new(id));
        if policies.add(renamed).is_err() {
            problems.push(format!("{name}: two policies are called `{id}`"));
        }
    }
    if problems.is_empty() { Ok(policies) } else { Err(RulesError(problems)) }
}

/// A problem with the line that it is on.
fn located(name: &str, text: &str, problem: &impl miette::Diagnostic) -> String {
    let offset = problem.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => format!("{name}:{}: {problem}", before.matches('\n').count() + 1),
        None => format!("{name}: {problem}"),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::table;

    fn question(acting: &str, rpc: &str) -> Question<'static> {
        Question {
            acting: Acting::all().into_iter().find(|one| one.name() == acting).unwrap(),
            method: table::find(&format!("{PACKAGE}{rpc}")).unwrap(),
            class: None,
            site: Some("a"),
            in_scope: true,
            everywhere: false,
            purpose: None,
            file: FileFacts::default(),
        }
    }

    #[test]
    fn the_schema_knows_every_rpc_and_no_other() {
        assert_eq!(Rules::built_in().unwrap().unmatched(), Vec::<String>::new());
    }

    /// Whatever can be asked fits the schema: no answer rests on a policy that could not be evaluated.
    #[test]
    fn every_question_fits_the_schema() {
        let (rules, schema) = (Rules::built_in().unwrap(), schema().unwrap());
        let mut asked = 0;
        for acting in Acting::all() {
            for method in METHODS {
                for purpose in [None, Some(PurposeKind::RoutineCare)] {
                    let file = FileFacts { assigned: true, minor: true, ..FileFacts::default() };
                    let question = Question {
                        acting,
                        method,
                        purpose,
                        file,
                        ..question("leader", "SiteService/GetSite")
                    };
                    let request = rules.request(&question).unwrap();
                    let parts = (request.principal(), request.action(), request.resource());
                    let (Some(principal), Some(action), Some(resource)) = parts else { panic!("{method:?}") };
                    let context = request.context().unwrap().clone();
                    Request::new(principal.clone(), action.clone(), resource.clone(), context, Some(&schema))
                        .unwrap_or_else(|error| panic!("{method:?}: {error}"));
                    assert_eq!(rules.explain(&question).failed, Vec::<String>::new());
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, Acting::all().len() * METHODS.len() * 2);
    }

    /// What is looked up is what the policies say: for every role, RPC, purpose and place.
    #[test]
    fn answers_that_are_looked_up_are_those_of_the_policies() {
        let rules = Rules::built_in().unwrap();
        assert!(rules.answers.is_some());
        let purposes = [None].into_iter().chain(PurposeKind::ALL.iter().copied().map(Some));
        for purpose in purposes {
            for acting in Acting::all() {
                for method in METHODS {
                    for (in_scope, everywhere, site) in [
                        (true, false, Some("a")),
                        (false, false, Some("b")),
                        (true, true, None),
                        (true, false, None),
                    ] {
                        let file = FileFacts::default();
                        let asked = Question {
                            acting,
                            method,
                            class: None,
                            site,
                            in_scope,
                            everywhere,
                            purpose,
                            file,
                        };
                        let expect = rules.explain(&asked).allowed;
                        assert_eq!([rules.allow(&asked), rules.allow(&asked)], [expect; 2], "{asked:?}");
                    }
                }
                for class in FieldClass::ALL {
                    let asked = question("leader", "ResidentService/RevealResident");
                    let asked = Question { acting, purpose, class: Some(*class), ..asked };
                    let answer = rules.explain(&asked);
                    assert_eq!(answer.failed, Vec::<String>::new());
                    assert_eq!([rules.allow(&asked), rules.allow(&asked)], [answer.allowed; 2], "{asked:?}");
                }
            }
        }
    }

    /// Policies that look at a site are asked about every site.
    #[test]
    fn policies_may_speak_of_a_site() {
        let site = "@id(\"a\") permit (principal, action, resource == Site::\"a\");";
        let when = "@id(\"a\") permit (principal, action, resource) when { resource == Site::\"a\" };";
        for text in [site, when] {
            let rules = Rules::parse(text, "mine.cedar").unwrap();
            let at = |site| {
                rules.allow(&Question { site: Some(site), ..question("leader", "SiteService/GetSite") })
            };
            assert_eq!([at("a"), at("b"), at("a"), at("b")], [true, false, true, false], "{text}");
        }
    }

    #[test]
    fn answers_name_the_policies_that_decided() {
        let rules = Rules::built_in().unwrap();
        let check = |question: Question<'_>, allowed: bool, policies: &[&str]| {
            let answer = rules.explain(&question);
            let ids: Vec<&str> = answer.policies.iter().map(|because| because.id.as_str()).collect();
            assert_eq!((answer.allowed, ids.as_slice()), (allowed, policies), "{question:?}");
            assert_eq!(rules.allow(&question), allowed);
            assert!(answer.policies.iter().all(|because| !because.says.is_empty()));
        };
        check(question("deputy", "ResidentService/GetResident"), true, &["deputy"]);
        let elsewhere = Question { in_scope: false, ..question("deputy", "ResidentService/GetResident") };
        check(elsewhere, false, &["own-sites"]);
        check(question("volunteer", "ResidentService/GetResident"), false, &[]);
        check(question("nobody", "CatalogService/GetStandard"), false, &[]);
        check(question("member.security", "ResidentService/GetResident"), false, &[]);
        check(
            question("member.customer_service", "ResidentService/GetResident"),
            true,
            &["customer-service-files"],
        );
        check(question("leader", "SiteService/CreateSite"), false, &["whole-server"]);
        let everywhere = Question { everywhere: true, ..question("leader", "SiteService/CreateSite") };
        check(everywhere, true, &["leader"]);
        check(question("server", "ResidentService/AssessResident"), true, &["server-assesses"]);
        check(question("server", "ResidentService/GetResident"), false, &[]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, expect: &str| {
            let problems = Rules::parse(text, "mine.cedar").unwrap_err().to_string();
            assert!(problems.contains(expect), "{text}\n{problems}\n{expect}");
        };
        check("permit (principal, action, resource);", "mine.cedar: a policy has no @id");
        let twice = "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);";
        check(twice, "two policies are called `a`");
        check("@id(\"a\")\npermit (principal, action, resource)\nwhen { nonsense };", "mine.cedar:3:");
        check(
            "// a\n\n@id(\"a\") permit (principal == Rule::\"leader\", action, resource);",
            "mine.cedar:3:",
        );
        check("@id(\"a\") permit (principal, action == Action::\"GetSite\", resource);", "mine.cedar:1:");
        check("\n@id(\"a\") permit (principal, action, resource) when { context.scope };", "mine.cedar:2:");
        // Nothing at all is a policy, too: nobody may do anything.
        assert!(!Rules::parse("", "mine.cedar").unwrap().allow(&question("leader", "SiteService/GetSite")));
    }
}
