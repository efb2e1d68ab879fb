//! `linli policy`: who may do what, and why. Nothing here asks a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use linli_core::id::{SiteId, StaffId};
use linli_core::resident::FieldClass;
use linli_core::staff::{Grant, Reach, Staff};

use super::{ConfigFile, Failure, say};
use crate::auth::PurposeKind;
use crate::auth::rules::{Acting, FileFacts, POLICY, Question, Rules, RulesError, SCHEMA};
use crate::auth::table::{self, Access, METHODS, Method};
use crate::config::{Config, Flags};
use crate::server::assemble::{open_store, rules};
use crate::time::SystemClock;

/// Who may do what, and why.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Check policies against the schema, with the line of every problem.
    Check(Check),
    /// Say whether a call is allowed, and by which policy.
    #[command(after_help = EXAMPLES)]
    Explain(Explain),
    /// Print the built-in policies, as a file to begin with.
    Show {
        /// Print the schema instead: what policies may speak of.
        #[arg(long)]
        schema: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  linli policy explain --as deputy --rpc GetResident
  linli policy explain --as member.security --rpc ResidentService/GetResident
  linli policy explain --as leader --of xingfuli --rpc GetResident --site other
  linli policy explain --config /etc/linli.toml --as staff/wang --rpc ListWorklist --site xingfuli
  linli policy explain --as leader --rpc GetResident --given protected
  linli policy explain --as member.security --rpc RevealResident --class contact --given emergency
  linli policy explain --as deputy                                every RPC, one a line";

/// Which policies to check.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// This file, rather than the one that the configuration names.
    policy: Option<PathBuf>,
}

/// A call that is asked about.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// Whose right: a role (`deputy`), a member of a department (`member.security`), or somebody who was entered
    /// (`staff/wang`; opens the database, so no server may run on a SQLite file).
    #[arg(long = "as", value_name = "WHO")]
    who: String,
    /// The RPC, `GetResident` or `ResidentService/GetResident`; without it, every one.
    #[arg(long)]
    rpc: Option<String>,
    /// The site that the call is about.
    #[arg(long)]
    site: Option<String>,
    /// With a role: a site that the grant holds for; without any, every site.
    #[arg(long, value_name = "SITE")]
    of: Vec<String>,
    /// The purpose that is stated, such as `routine_care`.
    #[arg(long)]
    purpose: Option<String>,
    /// Ask whether the answer may show this class of fields in clear, such as `health`, rather than whether it may be called.
    #[arg(long)]
    class: Option<String>,
    /// What is so about the file: `assigned`, `protected`, `named`, `minor`, `approved`, `emergency`, as `linli policy show
    /// --schema` explains them.
    #[arg(long, value_name = "FACT")]
    given: Vec<String>,
}

impl PolicyCommand {
    /// Checks, explains or prints.
    ///
    /// # Errors
    /// [`Failure::Usage`] with what is wrong.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Explain(explain) => explain.run().await,
            Self::Show { schema } => {
                say(if schema { SCHEMA } else { POLICY }.trim_end());
                Ok(())
            }
        }
    }
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let config = self.file.load(&Flags::default())?;
        let file = self.policy.or(config.auth.policy_file);
        let rules = rules(file.as_deref())?;
        let unmatched = rules.unmatched();
        if !unmatched.is_empty() {
            return Err(Failure::Failed(format!("the schema does not know: {}", unmatched.join(", "))));
        }
        say(format_args!("the policies are usable: {} of them", rules.len()));
        Ok(())
    }
}

/// Somebody's grants.
struct Who {
    shown: String,
    grants: Vec<(Acting, Reach)>,
    why_none: &'static str,
}

impl Explain {
    async fn run(self) -> Result<(), Failure> {
        let config = self.file.load(&Flags::default())?;
        let rules = rules(config.auth.policy_file.as_deref())?;
        let site = self.site.as_deref().map(site).transpose()?;
        let purpose = self.purpose.as_deref().map(purpose).transpose()?;
        let class = self.class.as_deref().map(class).transpose()?;
        let file = given(&self.given)?;
        let who = self.who(&config).await?;
        let methods = self.methods()?;
        let single = methods.len() == 1;
        for method in methods {
            let question = |(acting, reach): &(Acting, Reach)| {
                explain(&rules, (*acting, reach), (method, class), site.as_ref(), (purpose, file))
            };
            let answers: Vec<_> = who.grants.iter().map(question).collect();
            let allowed = answers.iter().any(|answer| answer.allowed);
            let about = match (method.access, &site) {
                (Access::Site, Some(site)) => format!(" in sites/{site}"),
                (Access::Site, None) | (Access::Server, _) => String::new(),
            };
            let verdict = if allowed { "allowed" } else { "denied" };
            say(format_args!("{verdict:8} {}: {}{about}", who.shown, short(method)));
            if single {
                tell(&who, &answers);
            }
        }
        Ok(())
    }

    async fn who(&self, config: &Config) -> Result<Who, Failure> {
        let Some(id) = self.who.strip_prefix("staff/") else {
            let acting = acting(&self.who)?;
            let sites: Result<Vec<SiteId>, Failure> = self.of.iter().map(|of| site(of)).collect();
            let reach = match sites? {
                none if none.is_empty() => Reach::Everywhere,
                sites => Reach::sites(sites).map_err(|why| Failure::Usage(format!("--of: {why}")))?,
            };
            return Ok(Who { shown: acting.name(), grants: vec![(acting, reach)], why_none: "" });
        };
        let id = StaffId::new(id).map_err(|why| Failure::Usage(format!("--as: `{}`: {why}", self.who)))?;
        let store = open_store(config).await?;
        let found = store.staff(&id).await;
        store.close().await;
        let staff = found.map_err(|error| Failure::Store(error.to_string()))?;
        let staff =
            staff.ok_or_else(|| Failure::Usage(format!("--as: nobody is entered as `{}`", self.who)))?;
        Ok(of_staff(&staff))
    }

    fn methods(&self) -> Result<Vec<&'static Method>, Failure> {
        let Some(rpc) = &self.rpc else { return Ok(METHODS.iter().collect()) };
        let fits = |method: &&Method| {
            method.path == rpc || short(method) == rpc || method.path.ends_with(&format!("/{rpc}"))
        };
        let found: Vec<&'static Method> = METHODS.iter().filter(fits).collect();
        match found.as_slice() {
            [_] => Ok(found),
            [] => Err(Failure::Usage(format!("--rpc: there is no `{rpc}`"))),
            [_, _, ..] => Err(Failure::Usage(format!("--rpc: `{rpc}` is several: say which service"))),
        }
    }
}

fn of_staff(staff: &Staff) -> Who {
    use linli_core::time::Clock as _;
    let now = SystemClock.now();
    let in_force = |grant: &Grant| (Acting::of(grant), grant.reach.clone());
    let why_none = match staff.deactivated_at {
        Some(_) => "they are deactivated",
        None => "no grant of theirs holds now",
    };
    let mut grants: Vec<_> = staff.grants_at(now).map(in_force).collect();
    if grants.is_empty() {
        grants.push((Acting::Nobody, Reach::nowhere()));
    }
    Who { shown: format!("staff/{}", staff.id), grants, why_none }
}

fn explain(
    rules: &Rules,
    (acting, reach): (Acting, &Reach),
    (method, class): (&'static Method, Option<FieldClass>),
    site: Option<&SiteId>,
    (purpose, file): (Option<PurposeKind>, FileFacts),
) -> crate::auth::rules::Reasoned {
    let in_scope = match (method.access, site) {
        (Access::Site, Some(site)) => reach.holds(site),
        (Access::Site, None) | (Access::Server, _) => true,
    };
    let everywhere = *reach == Reach::Everywhere;
    let site = site.map(SiteId::as_str);
    rules.explain(&Question { acting, method, class, site, in_scope, everywhere, purpose, file })
}

fn tell(who: &Who, answers: &[crate::auth::rules::Reasoned]) {
    for ((acting, _), answer) in who.grants.iter().zip(answers) {
        let name = acting.name();
        for because in &answer.policies {
            let verb = if because.permits { "permitted" } else { "forbidden" };
            say(format_args!("         as {name} {verb} by `{}`: {}", because.id, because.says));
        }
        if answer.policies.is_empty() {
            let why = if *acting == Acting::Nobody { who.why_none } else { "" };
            let why = if why.is_empty() { String::new() } else { format!("{why}, and ") };
            say(format_args!("         as {name}: {why}no policy permits it"));
        }
        for failed in &answer.failed {
            say(format_args!("         a policy could not be evaluated and counts as absent: {failed}"));
        }
    }
}

fn short(method: &Method) -> &'static str {
    method.path.strip_prefix(table::PACKAGE).unwrap_or(method.path)
}

fn site(text: &str) -> Result<SiteId, Failure> {
    let id = text.strip_prefix("sites/").unwrap_or(text);
    SiteId::new(id).map_err(|why| Failure::Usage(format!("`{text}` is no site: {why}")))
}

fn purpose(text: &str) -> Result<PurposeKind, Failure> {
    let known = PurposeKind::ALL.iter().copied().find(|kind| kind.code() == text.to_ascii_lowercase());
    known.ok_or_else(|| {
        let codes: Vec<_> = PurposeKind::ALL.iter().map(|kind| kind.code()).collect();
        Failure::Usage(format!("--purpose: `{text}` is none of {}", codes.join(", ")))
    })
}

fn class(text: &str) -> Result<FieldClass, Failure> {
    FieldClass::from_code(&text.to_ascii_lowercase()).map_err(|_| {
        let codes: Vec<_> = FieldClass::ALL.iter().map(|class| class.code()).collect();
        Failure::Usage(format!("--class: `{text}` is none of {}", codes.join(", ")))
    })
}

fn given(facts: &[String]) -> Result<FileFacts, Failure> {
    let mut file = FileFacts::default();
    for fact in facts {
        let known = match fact.as_str() {
            "assigned" => &mut file.assigned,
            "protected" => &mut file.protected,
            "named" => &mut file.named,
            "minor" => &mut file.minor,
            "approved" => &mut file.approved,
            "emergency" => &mut file.emergency,
            _ => {
                let facts = "assigned, protected, named, minor, approved, emergency";
                return Err(Failure::Usage(format!("--given: `{fact}` is none of {facts}")));
            }
        };
        *known = true;
    }
    Ok(file)
}

fn acting(text: &str) -> Result<Acting, Failure> {
    let unknown = || {
        let names: Vec<String> = Acting::all().into_iter().map(Acting::name).collect();
        Failure::Usage(format!("--as: `{text}` is none of {}, and no staff/ID", names.join(", ")))
    };
    Acting::all().into_iter().find(|acting| acting.name() == text).ok_or_else(unknown)
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Self {
        Self::Usage(format!("the policies cannot be used\n{error}"))
    }
}
