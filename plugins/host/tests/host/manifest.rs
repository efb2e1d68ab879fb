//! Manifests: the bundled ones are right, and everything wrong with one is told at once, by line and key.

use linli_core::consent::BodyKind;
use linli_core::kind::{Confidence, KindSet, ServiceKind};
use linli_core::referral::DisclosedField;
use linli_core::standard::{Duty, Period, Within};
use linli_plugin_host::Manifest;
use linli_plugin_host::exchange::{Method, OperationKind};
use linli_plugin_host::manifest::RosterField;

const ELDERLY: &str = include_str!("../../../elderly/plugin.toml");

#[test]
fn the_promises_of_the_regulation_come_out_exactly() {
    let manifest = Manifest::parse(ELDERLY).unwrap();
    let standard =
        |code: &str| manifest.standards.iter().find(|standard| standard.code.as_str() == code).unwrap();
    let visit = standard("elder.visit");
    assert_eq!(visit.duty, Duty::Recurring { at_least: 1, per: Period::Week, distinct_days: false });
    assert_eq!(visit.accepts, KindSet::of(&[ServiceKind::HomeVisit]));
    assert_eq!((visit.prorate, visit.pausable), (true, true));
    assert_eq!(visit.citation.confidence, Confidence::Verified);
    let call = standard("elder.call");
    assert_eq!(call.duty, Duty::Recurring { at_least: 2, per: Period::Week, distinct_days: true });
    assert_eq!(call.accepts, KindSet::of(&[ServiceKind::PhoneCall, ServiceKind::VideoCall]));
    assert_eq!(call.substitutes[0].tag.as_str(), "hearing");
    assert_eq!(
        call.substitutes[0].kinds,
        KindSet::of(&[ServiceKind::AnsweredMessage, ServiceKind::HomeVisit])
    );
    for standard in [visit, call] {
        let groups: Vec<&str> = standard.applies_to.any_group.iter().map(|code| code.as_str()).collect();
        assert_eq!(groups, ["living_alone", "empty_nest", "advanced_age"]);
    }
    let check = standard("elder.two_day_check");
    assert!(matches!(check.duty, Duty::Recurring { per: Period::EveryDays(2), .. }));
    let change = standard("elder.major_change");
    assert!(matches!(change.duty, Duty::Triggered { within: Within::Hours(24), any_match: true, .. }));
    assert_eq!(change.applies_to.min_tier.map(|tier| tier.code()), Some("high"));
}

#[test]
fn the_manifests_of_the_sdk_are_right() {
    for text in [
        include_str!("../../../sdk/examples/chronic.toml"),
        include_str!("../../../sdk/examples/faulty.toml"),
        include_str!("../../../sdk/examples/faulty_connector.toml"),
        include_str!("../../../sdk/examples/notice.toml"),
    ] {
        Manifest::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

const CONNECTOR: &str = include_str!("../../../sdk/examples/faulty_connector.toml");

#[test]
fn a_connector_says_what_it_does_and_sends_where() {
    let manifest = Manifest::parse(CONNECTOR).unwrap();
    let connector = manifest.connector.unwrap();
    assert_eq!(
        connector.operations,
        [OperationKind::Deliver, OperationKind::Poll, OperationKind::PullRoster]
    );
    assert_eq!(connector.recipients, [BodyKind::NeighbourhoodCommittee]);
    assert_eq!(connector.fields, [DisclosedField::Name, DisclosedField::Phone]);
    assert_eq!(
        connector.roster,
        [
            RosterField::File(DisclosedField::Name),
            RosterField::File(DisclosedField::BirthDate),
            RosterField::Certificate
        ]
    );
    let http = connector.http.as_ref().unwrap();
    assert_eq!((http.methods.as_slice(), http.hosts.len()), ([Method::Get, Method::Post].as_slice(), 1));
    assert_eq!((connector.mail, connector.files, connector.settings.len()), (false, true, 2));

    // Settings are checked as a whole, and completed.
    assert_eq!(connector.settings("{\"act\": \"post\"}").unwrap(), "{\"act\":\"post\",\"times\":3}");
    let problems = connector.settings("{\"time\": 1, \"times\": 1.5}").unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`time` is not a setting; did you mean `times`?",
            "`act` is required",
            "`times` must be a whole number"
        ]
    );
}

#[test]
fn each_mistake_of_a_connector_is_told_with_line_and_key() {
    let wrong = |from: &str, to: &str, expected: &[(&str, &str)]| {
        assert!(CONNECTOR.contains(from), "`{from}` is in the manifest");
        let errors = Manifest::parse(&CONNECTOR.replacen(from, to, 1)).expect_err(to).0;
        let told: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.key, e.message)).collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (key, words) in expected {
            let is_it = |line: &&String| line.starts_with(&format!("{key}: ")) && line.contains(words);
            assert_eq!(told.iter().filter(is_it).count(), 1, "`{key}`, `{words}` in {told:?}");
        }
    };
    wrong("isolation = \"child\"", "isolation = \"in_process\"", &[("plugin.isolation", "must be `child`")]);
    let both = "interfaces = [\"linli.connector/1\", \"linli.rules/1\"]";
    wrong("interfaces = [\"linli.connector/1\"]", both, &[("plugin.interfaces", "make two plugins of them")]);
    let rules = "interfaces = [\"linli.rules/1\"]";
    let is_none = [("connector", "only"), ("group", "rules need at least one group")];
    wrong("interfaces = [\"linli.connector/1\"]", rules, &is_none);
    wrong(
        "operations = [\"deliver\", \"poll\", \"pull_roster\"]",
        "operations = [\"pol\"]",
        &[
            ("connector.operations[0]", "did you mean `poll`?"),
            ("connector.operations", "is required"),
            ("connector.roster", "for the operation `pull_roster`"),
            ("connector.fields", "for the operation `deliver`"),
        ],
    );
    wrong(
        "roster = [\"name\", \"birth_date\", \"certificate\"]",
        "",
        &[("connector.roster", "is required for")],
    );
    wrong(
        "fields = [\"name\", \"phone\"]",
        "fields = [\"name\", \"name\"]",
        &[("connector.fields", "twice")],
    );
    wrong(
        "fields = [\"name\", \"phone\"]",
        "fields = [\"occupation\"]",
        &[("connector.fields[0]", "not `occupation`")],
    );
    wrong("\"POST\"", "\"SEND\"", &[("connector.http.methods[1]", "must be")]);
    wrong("\"body.example\"", "\"https://body.example/\"", &[("connector.http.hosts[0]", "name of a host")]);
    wrong("hosts = [\"body.example\"]", "hosts = []", &[("connector.http.hosts", "is required")]);
    let nothing = "files = false\nother = 1\n";
    let unknown = [("connector.other", "not a known key")];
    wrong("files = true\n", nothing, &unknown);
    wrong("default = 3", "default = 10", &[("connector.setting[1].default", "at most 9")]);
    wrong(
        "required = true",
        "required = true\ndefault = \"a\"",
        &[("connector.setting[0].default", "never used")],
    );
    wrong(
        "type = \"text\"",
        "type = \"text\"\nmin = 1",
        &[("connector.setting[0].min", "whole numbers only")],
    );
    wrong(
        "code = \"times\"",
        "code = \"act\"",
        &[("connector.setting[1].code", "another setting has already")],
    );
}

/// The errors of the elderly manifest after a replacement, as `line key message`, the line relative to the place.
fn check(from: &str, to: &str, expected: &[(isize, &str, &str)]) {
    assert!(ELDERLY.contains(from), "`{from}` is in the manifest");
    let place = ELDERLY.split(from).next().unwrap().matches('\n').count() as isize + 1;
    let errors = Manifest::parse(&ELDERLY.replacen(from, to, 1)).expect_err(to).0;
    let told: Vec<(isize, &str, &str)> =
        errors.iter().map(|e| (e.line as isize - place, e.key.as_str(), e.message.as_str())).collect();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!((told.0, told.1), (expected.0, expected.1), "{told:?}");
        assert!(told.2.contains(expected.2), "`{}` in: {}", expected.2, told.2);
    }
}

#[test]
fn each_kind_of_mistake_is_told_with_line_and_key() {
    check("\nid = \"cn.linli.elderly\"", "\nid = \"elderly\"", &[(1, "plugin.id", "reverse-domain")]);
    check("abi = \"1.0\"", "abi = \"one\"", &[(0, "plugin.abi", "`major.minor`")]);
    check(
        "\"linli.rules/1\"",
        "\"linli.rules/2\"",
        &[(0, "plugin.interfaces[0]", "did you mean `linli.rules/1`")],
    );
    check("vendor = \"Linli\"", "vendor = \" \"", &[(0, "plugin.vendor", "is empty")]);
    check("vendor = \"Linli\"", "vendor = 7", &[(0, "plugin.vendor", "must be a text")]);
    check(
        "vendor = \"Linli\"",
        "seller = \"Linli\"",
        &[(-5, "plugin.vendor", "is required"), (0, "plugin.seller", "not a known key")],
    );
    check(
        "ends_at_once = []",
        "ends_at_once = [\"como\"]",
        &[(0, "plugin.ends_at_once[0]", "did you mean `coma`")],
    );
    check(
        "code = \"speak_first\"",
        "code = \"text_first\"",
        &[(0, "caution[1].code", "another caution has already")],
    );
}

#[test]
fn standards_are_checked_against_the_words_of_the_domain() {
    check(
        "per = \"week\" }",
        "per = \"fortnight\" }",
        &[(0, "standard[0].recurring.per", "`<n> days`, not `fortnight`")],
    );
    check(
        "at_least = 1, per = \"week\"",
        "at_least = 0, per = \"week\"",
        &[(0, "standard[0].recurring.at_least", "between 1 and 100")],
    );
    check(
        "accepts = [\"home_visit\"]",
        "accepts = [\"home_visits\"]",
        &[(0, "standard[0].accepts[0]", "did you mean `home_visit`")],
    );
    check("accepts = [\"home_visit\"]", "accepts = []", &[(0, "standard[0].accepts", "at least one kind")]);
    check(
        "hearing = [\"answered_message\", ",
        "hearig = [\"answered_message\", ",
        &[(0, "standard[1].substitutes.hearig", "did you mean `hearing`")],
    );
    check("on = \"major_change\"", "on = \"birthday\"", &[(0, "standard[3].triggered.on", "not `birthday`")]);
    check(
        "within = \"24 hours\"",
        "within = \"1 day\"",
        &[(0, "standard[3].triggered.within", "`<n> days`, not `1 day`")],
    );
    check(
        "min_tier = \"high\"",
        "min_tier = \"highest\"",
        &[(0, "standard[3].applies_to.min_tier", "must be `general`, `key` or `high`")],
    );
    check(
        "occasion = \"mid_autumn\"",
        "occasion = \"autumn\"",
        &[(0, "standard[9].seasonal.occasion", "not `autumn`")],
    );
}

#[test]
fn fields_and_parameters_are_checked_for_sense() {
    check(
        "type = \"date\"\nsource = \"file\"",
        "type = \"text\"\nsource = \"file\"",
        &[(0, "field[0].type", "must be `date`")],
    );
    check("source = \"file\"\n", "", &[(-3, "field[0].source", "must be `file`")]);
    check("default = 60\n", "default = 50\n", &[(0, "parameter[0].default", "")]);
    check(
        "default = 60\nmin = 55",
        "default = 60\nmin = 75",
        &[(0, "parameter[0].default", ""), (1, "parameter[0].min", "is above `max`")],
    );
    check("class = \"identity\"", "class = \"secret\"", &[(0, "field[0].class", "not `secret`")]);
    check(
        "confidence = \"V\" }\n\n[[group]]",
        "confidence = \"sure\" }\n\n[[group]]",
        &[(0, "group[0].citation.confidence", "")],
    );
    check(
        "{ in = \"regulation\", at = \"第二条\"",
        "{ in = \"regulations\", at = \"第二条\"",
        &[(0, "group[0].citation.in", "did you mean `regulation`")],
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = ELDERLY
        .replace("version = \"0.1.0\"", "version = \"0.1\"")
        .replace("department = \"customer_service\"", "department = \"service\"")
        .replace("sensitive = true", "sensitive = \"very\"");
    let errors = Manifest::parse(&text).unwrap_err().0;
    let standards = ELDERLY.matches("department = ").count();
    assert_eq!(errors.len(), 1 + standards + ELDERLY.matches("sensitive = true").count());
    assert!(errors.is_sorted_by_key(|error| error.line));
}

#[test]
fn text_that_is_not_toml_is_told_with_its_line() {
    let errors = Manifest::parse("[plugin]\nid = cn.linli\n").unwrap_err();
    assert_eq!(errors.0[0].line, 2, "{errors}");
    let large = "#".repeat(300_000);
    assert!(Manifest::parse(&large).unwrap_err().to_string().contains("300000 bytes"));
}
