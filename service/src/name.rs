//! Resource names, `sites/{site}/residents/{resident}`: parsed here and written here.

use linli_core::care_plan::Revision;
use linli_core::compliance::ReportPeriod;
use linli_core::fund::{Cause, FundYear};
use linli_core::id::{
    ActivityId, AnswerId, AreaId, BodyId, ConsentId, DisclosureId, DwellingId, EmergencyAccessId, EventId,
    FacilityId, GroupCode, MembershipId, OverrideId, PauseId, PluginId, PostId, RecordId, ReferralId,
    RequestId, ResidentId, SiteId, SpendingId, StaffId, StandardCode, Subject, SurveyId, WaiverId,
};
use linli_core::invalid::Invalid;

/// A resource of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSite<T> {
    /// The site.
    pub site: SiteId,
    /// The id within it.
    pub id: T,
}

/// A resource of a resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InResident<T> {
    /// The site.
    pub site: SiteId,
    /// The resident.
    pub resident: ResidentId,
    /// The id within the file.
    pub id: T,
}

/// A resource of a fund year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFund<T> {
    /// The site.
    pub site: SiteId,
    /// The fund year.
    pub year: FundYear,
    /// The id within the year.
    pub id: T,
}

/// A resource of a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSurvey<T> {
    /// The site.
    pub site: SiteId,
    /// The survey.
    pub survey: SurveyId,
    /// The id within the survey.
    pub id: T,
}

/// One site or, as `sites/-`, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sites {
    /// One.
    One(SiteId),
    /// Every site in the caller's scope.
    All,
}

macro_rules! in_site {
    ($($parse:ident $write:ident $type:ident $collection:literal $shape:literal;)*) => {$(
        #[doc = concat!("Parses `", $shape, "`.")]
        ///
        /// # Errors
        /// [`Invalid::Missing`] or [`Invalid::Name`].
        pub fn $parse(name: &str) -> Result<InSite<$type>, Invalid> {
            let [site, id] = parts(name, ["sites", $collection], $shape)?;
            Ok(InSite { site: shaped(SiteId::new(site), $shape)?, id: shaped($type::new(id), $shape)? })
        }

        #[doc = concat!("Writes `", $shape, "`.")]
        pub fn $write(site: &SiteId, id: &$type) -> String {
            format!("sites/{site}/{}/{id}", $collection)
        }
    )*};
}

macro_rules! top_level {
    ($($parse:ident $write:ident $type:ident $collection:literal $shape:literal;)*) => {$(
        #[doc = concat!("Parses `", $shape, "`.")]
        ///
        /// # Errors
        /// [`Invalid::Missing`] or [`Invalid::Name`].
        pub fn $parse(name: &str) -> Result<$type, Invalid> {
            let [id] = parts(name, [$collection], $shape)?;
            shaped($type::new(id), $shape)
        }

        #[doc = concat!("Writes `", $shape, "`.")]
        pub fn $write(id: &$type) -> String {
            format!("{}/{id}", $collection)
        }
    )*};
}

macro_rules! in_resident {
    ($($parse:ident $write:ident $type:ident $collection:literal $shape:literal;)*) => {$(
        #[doc = concat!("Parses `", $shape, "`.")]
        ///
        /// # Errors
        /// [`Invalid::Missing`] or [`Invalid::Name`].
        pub fn $parse(name: &str) -> Result<InResident<$type>, Invalid> {
            let [site, resident, id] = parts(name, ["sites", "residents", $collection], $shape)?;
            Ok(InResident {
                site: shaped(SiteId::new(site), $shape)?,
                resident: shaped(ResidentId::new(resident), $shape)?,
                id: shaped($type::new(id), $shape)?,
            })
        }

        #[doc = concat!("Writes `", $shape, "`.")]
        pub fn $write(site: &SiteId, resident: &ResidentId, id: &$type) -> String {
            format!("sites/{site}/residents/{resident}/{}/{id}", $collection)
        }
    )*};
}

top_level! {
    parse_site site SiteId "sites" "sites/{site}";
    parse_care_group care_group GroupCode "careGroups" "careGroups/{group}";
    parse_standard standard StandardCode "standards" "standards/{code}";
    parse_staff staff StaffId "staff" "staff/{staff}";
    parse_plugin plugin PluginId "plugins" "plugins/{plugin}";
    parse_body body BodyId "bodies" "bodies/{body}";
}

in_site! {
    parse_dwelling dwelling DwellingId "dwellings" "sites/{site}/dwellings/{dwelling}";
    parse_area area AreaId "areas" "sites/{site}/areas/{area}";
    parse_facility facility FacilityId "facilities" "sites/{site}/facilities/{facility}";
    parse_request request RequestId "requests" "sites/{site}/requests/{request}";
    parse_referral referral ReferralId "referrals" "sites/{site}/referrals/{referral}";
    parse_survey survey SurveyId "surveys" "sites/{site}/surveys/{survey}";
    parse_post post PostId "posts" "sites/{site}/posts/{post}";
    parse_resident resident ResidentId "residents" "sites/{site}/residents/{resident}";
    parse_record record RecordId "records" "sites/{site}/records/{record}";
    parse_activity activity ActivityId "activities" "sites/{site}/activities/{activity}";
    parse_fund fund FundYear "funds" "sites/{site}/funds/{year}";
    parse_emergency_access emergency_access EmergencyAccessId "emergencyAccesses" "sites/{site}/emergencyAccesses/{access}";
    parse_period period ReportPeriod "periods" "sites/{site}/periods/{period}";
    parse_event event EventId "events" "sites/{site}/events/{event}";
    parse_override standard_override OverrideId "overrides" "sites/{site}/overrides/{override}";
    parse_plugin_parameters plugin_parameters PluginId "pluginParameters" "sites/{site}/pluginParameters/{plugin}";
}

in_resident! {
    parse_membership membership MembershipId "memberships" "sites/{site}/residents/{resident}/memberships/{membership}";
    parse_pause pause PauseId "pauses" "sites/{site}/residents/{resident}/pauses/{pause}";
    parse_plan plan Revision "plans" "sites/{site}/residents/{resident}/plans/{revision}";
    parse_waiver waiver WaiverId "waivers" "sites/{site}/residents/{resident}/waivers/{waiver}";
    parse_consent consent ConsentId "consents" "sites/{site}/residents/{resident}/consents/{consent}";
    parse_disclosure disclosure DisclosureId "disclosures" "sites/{site}/residents/{resident}/disclosures/{disclosure}";
}

/// Parses `sites/{site}/funds/{year}/spendings/{spending}`.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_spending(name: &str) -> Result<InFund<SpendingId>, Invalid> {
    const SHAPE: &str = "sites/{site}/funds/{year}/spendings/{spending}";
    let [site, year, id] = parts(name, ["sites", "funds", "spendings"], SHAPE)?;
    Ok(InFund {
        site: shaped(SiteId::new(site), SHAPE)?,
        year: shaped(FundYear::new(year), SHAPE)?,
        id: shaped(SpendingId::new(id), SHAPE)?,
    })
}

/// Writes `sites/{site}/funds/{year}/spendings/{spending}`.
pub fn spending(site: &SiteId, year: FundYear, id: &SpendingId) -> String {
    format!("sites/{site}/funds/{year}/spendings/{id}")
}

/// Writes `sites/{site}/funds/{year}/reports/{report}`.
pub fn fund_report(site: &SiteId, year: FundYear, number: u64) -> String {
    format!("sites/{site}/funds/{year}/reports/{number}")
}

/// Writes `sites/{site}/changeEvents/{sequence}`.
pub fn change_event(site: &SiteId, sequence: i64) -> String {
    format!("sites/{site}/changeEvents/{sequence}")
}

/// Parses `sites/{site}/surveys/{survey}/answers/{answer}`.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_survey_answer(name: &str) -> Result<InSurvey<AnswerId>, Invalid> {
    const SHAPE: &str = "sites/{site}/surveys/{survey}/answers/{answer}";
    let [site, survey, id] = parts(name, ["sites", "surveys", "answers"], SHAPE)?;
    Ok(InSurvey {
        site: shaped(SiteId::new(site), SHAPE)?,
        survey: shaped(SurveyId::new(survey), SHAPE)?,
        id: shaped(AnswerId::new(id), SHAPE)?,
    })
}

/// Writes `sites/{site}/surveys/{survey}/answers/{answer}`.
pub fn survey_answer(site: &SiteId, survey: &SurveyId, id: &AnswerId) -> String {
    format!("sites/{site}/surveys/{survey}/answers/{id}")
}

/// Parses the name of what a spending may be for: a resident, an activity or a request.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_cause(name: &str) -> Result<InSite<Cause>, Invalid> {
    match name.split('/').nth(2) {
        Some("activities") => {
            parse_activity(name).map(|at| InSite { site: at.site, id: Cause::Activity(at.id) })
        }
        Some("requests") => parse_request(name).map(|at| InSite { site: at.site, id: Cause::Request(at.id) }),
        _ => parse_resident(name).map(|at| InSite { site: at.site, id: Cause::Resident(at.id) }),
    }
}

/// Writes the name of what a spending is for.
pub fn cause(site: &SiteId, cause: &Cause) -> String {
    match cause {
        Cause::Resident(id) => resident(site, id),
        Cause::Activity(id) => activity(site, id),
        Cause::Request(id) => request(site, id),
    }
}

/// Parses `sites/{site}` or `sites/-`.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_sites(name: &str) -> Result<Sites, Invalid> {
    if name == "sites/-" { Ok(Sites::All) } else { parse_site(name).map(Sites::One) }
}

/// Parses `sites/{site}/residents/{resident}`, or `sites/{site}/residents/-` with no id for all of a site.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_residents(name: &str) -> Result<InSite<Option<ResidentId>>, Invalid> {
    const SHAPE: &str = "sites/{site}/residents/{resident}";
    if name.ends_with("/residents/-") {
        let [site, _] = parts(name, ["sites", "residents"], SHAPE)?;
        return Ok(InSite { site: shaped(SiteId::new(site), SHAPE)?, id: None });
    }
    parse_resident(name).map(|parsed| InSite { site: parsed.site, id: Some(parsed.id) })
}

/// Parses the name of anything that a duty can be owed to.
///
/// # Errors
/// [`Invalid::Missing`] or [`Invalid::Name`].
pub fn parse_subject(name: &str) -> Result<InSite<Subject>, Invalid> {
    const SHAPE: &str = "sites/{site}/residents/{resident}";
    let collection = name.split('/').nth(2);
    fn of<T>(parsed: InSite<T>, wrap: impl FnOnce(T) -> Subject) -> InSite<Subject> {
        InSite { site: parsed.site, id: wrap(parsed.id) }
    }
    match collection {
        None => parse_site(name).map(|site| InSite { site, id: Subject::Site }),
        Some("residents") => parse_resident(name).map(|parsed| of(parsed, Subject::Resident)),
        Some("dwellings") => parse_dwelling(name).map(|parsed| of(parsed, Subject::Dwelling)),
        Some("areas") => parse_area(name).map(|parsed| of(parsed, Subject::Area)),
        Some("facilities") => parse_facility(name).map(|parsed| of(parsed, Subject::Facility)),
        Some("requests") => parse_request(name).map(|parsed| of(parsed, Subject::Request)),
        Some(_) => Err(Invalid::Name { shape: SHAPE }),
    }
}

/// Writes the name of a subject.
pub fn subject(site_id: &SiteId, subject: &Subject) -> String {
    match subject {
        Subject::Resident(id) => resident(site_id, id),
        Subject::Dwelling(id) => dwelling(site_id, id),
        Subject::Area(id) => area(site_id, id),
        Subject::Facility(id) => facility(site_id, id),
        Subject::Request(id) => request(site_id, id),
        Subject::Site => site(site_id),
    }
}

/// The ids of `name`, which must alternate with `collections`.
fn parts<'a, const N: usize>(
    name: &'a str,
    collections: [&str; N],
    shape: &'static str,
) -> Result<[&'a str; N], Invalid> {
    if name.is_empty() {
        return Err(Invalid::Missing);
    }
    let mut rest = name.split('/');
    let mut ids = [""; N];
    for (id, collection) in ids.iter_mut().zip(collections) {
        if rest.next() != Some(collection) {
            return Err(Invalid::Name { shape });
        }
        *id = rest.next().ok_or(Invalid::Name { shape })?;
    }
    if rest.next().is_some() { Err(Invalid::Name { shape }) } else { Ok(ids) }
}

fn shaped<T>(parsed: Result<T, Invalid>, shape: &'static str) -> Result<T, Invalid> {
    parsed.map_err(|_| Invalid::Name { shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nothing_else_parses() {
        let resident_name = "sites/sunny-garden/residents/r-1";
        let parsed = parse_resident(resident_name).unwrap();
        assert_eq!(resident(&parsed.site, &parsed.id), resident_name);
        let pause_name = "sites/a/residents/b/pauses/c";
        let parsed = parse_pause(pause_name).unwrap();
        assert_eq!(pause(&parsed.site, &parsed.resident, &parsed.id), pause_name);
        let group = parse_care_group("careGroups/living_alone").unwrap();
        assert_eq!(care_group(&group), "careGroups/living_alone");
        assert_eq!(parse_sites("sites/-"), Ok(Sites::All));
        for name in ["sites/a/areas/b", "sites/a", "sites/a/facilities/f", "sites/a/residents/b"] {
            let parsed = parse_subject(name).unwrap();
            assert_eq!(subject(&parsed.site, &parsed.id), name);
        }
        for name in ["sites/a/residents/b", "sites/a/activities/b", "sites/a/requests/b"] {
            let parsed = parse_cause(name).unwrap();
            assert_eq!(cause(&parsed.site, &parsed.id), name);
        }
        assert!(parse_cause("sites/a/dwellings/b").is_err());
        let spending_name = "sites/a/funds/2026/spendings/b";
        let parsed = parse_spending(spending_name).unwrap();
        assert_eq!(spending(&parsed.site, parsed.year, &parsed.id), spending_name);
        let answer_name = "sites/a/surveys/b/answers/c";
        let parsed = parse_survey_answer(answer_name).unwrap();
        assert_eq!(survey_answer(&parsed.site, &parsed.survey, &parsed.id), answer_name);
        for bad in ["sites/a/funds/26", "sites/a/funds/2200", "sites/a/funds/-"] {
            assert!(parse_fund(bad).is_err(), "{bad}");
        }
        for bad in [
            "sites/a/residents/",
            "sites/a/residents/b/",
            "sites/a/residents/b/c",
            "sites//residents/b",
            "sites/A/residents/b",
            "site/a/residents/b",
            "/sites/a/residents/b",
            "sites/-/residents/b",
        ] {
            assert!(parse_resident(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_resident(""), Err(Invalid::Missing));
    }
}
