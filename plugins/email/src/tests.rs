//! Runs by script, and what letters hold.

use linli_plugin_sdk::connector::testing::{End, Operation, Outcome, Step, drive, run};
use linli_plugin_sdk::connector::{
    Delivered, Delivery, FailureKind, Field, Mail, Poll, PullRoster, RunError, Settings,
};

use super::{Connector as _, Email};

const NUMBER: &str = "sites/gardens/referrals/0193";
const LINK: &str = "https://answers.example.cn/a/x.y";

fn delivery(fields: &[(&str, &str)], answer_url: &str) -> Delivery {
    Delivery {
        referral: NUMBER.into(),
        fields: fields.iter().map(|(code, value)| Field::new(*code, *value)).collect(),
        answer_url: answer_url.into(),
    }
}

fn settings(more: serde_json::Value) -> String {
    let mut settings = serde_json::json!({"to": "office@example.cn"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings.to_string()
}

/// The one mail of a delivery that the relay takes.
fn mail(delivery: Delivery, settings: &str) -> Mail {
    let mut sent = Vec::new();
    let result = drive::<Email>(Operation::Deliver(delivery), settings, |step| {
        let Step::Mail(mail) = step else { panic!("{step:?}") };
        sent.push(mail.clone());
        Outcome::Done
    });
    assert_eq!(result, Ok(End::Delivered(Delivered::default())));
    assert_eq!(sent.len(), 1);
    let mail = sent.remove(0);
    assert!((1..=200).contains(&mail.subject.chars().count()) && !mail.subject.contains(char::is_control));
    assert!(!mail.text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", mail.text);
    mail
}

#[test]
fn a_letter_in_two_languages_says_only_that_a_matter_waits() {
    let mail = mail(
        delivery(&[("name", "王秀英"), ("phone", "13800001234")], LINK),
        &settings(serde_json::json!({})),
    );
    assert_eq!(mail.to, ["office@example.cn"]);
    assert_eq!(mail.subject, format!("关怀转介 / Care referral {NUMBER}"));
    assert_eq!(
        mail.text,
        format!(
            "您好：\n\n有一件居民关怀事项转介给贵单位，请受理或告知不能受理的原因。\n\n转介编号：{NUMBER}\n\n\
             请在此查看并答复（受理、不受理或已办结），无需账号：\n{LINK}\n\n\
             同一编号的信件只对应一件事项，重复收到时不必再次办理。\n本函涉及个人信息，请只用于办理本事项，请勿转发。\n\
             \n--\n\n\
             Good day,\n\nA matter of care for a resident has been referred to you. Please take it up, or say why you cannot.\n\n\
             Number of the referral: {NUMBER}\n\n\
             Please see to it and answer here (accepted, declined or done); no account is needed:\n{LINK}\n\n\
             Letters with the same number are about one matter: if this comes twice, it is to be done once.\n\
             This letter concerns personal data. Please use it for this matter only, and do not forward it.\n"
        )
    );
}

#[test]
fn fields_are_in_the_letter_where_the_operator_says_so() {
    let fields = [
        ("phone", "13800001234"),
        ("name", "王秀英"),
        ("address", "3幢1单元302"),
        ("matter", "上门诊疗"),
        ("matter_en", "medical visit"),
        ("urgency", "紧急"),
        ("urgency_en", "emergency"),
        ("note", "不写进信里"),
    ];
    let chosen = settings(serde_json::json!({
        "fields_in_letter": true, "language": "zh", "signature": "绿园物业\n值班 8800 0000", "to": "a@b.cn，c.d+e@f-g.cn"
    }));
    let letter = mail(delivery(&fields, ""), &chosen);
    assert_eq!(letter.to, ["a@b.cn", "c.d+e@f-g.cn"]);
    assert_eq!(letter.subject, format!("关怀转介 {NUMBER}"), "nothing personal");
    let expect = format!(
        "转介编号：{NUMBER}\n紧急程度：紧急\n事项：上门诊疗\n姓名：王秀英\n联系电话：13800001234\n住址：3幢1单元302\n\n请与物业公司联系答复"
    );
    assert!(letter.text.contains(&expect), "{}", letter.text);
    assert!(!letter.text.contains("不写进信里"));
    assert!(letter.text.ends_with("\n--\n\n绿园物业\n值班 8800 0000\n"), "{}", letter.text);
    let letter = mail(delivery(&fields, ""), &settings(serde_json::json!({"language": "zh"})));
    assert!(letter.text.contains(&format!("转介编号：{NUMBER}\n紧急程度：紧急\n\n请与")), "{}", letter.text);
    let chosen = settings(serde_json::json!({"fields_in_letter": true, "language": "en"}));
    let letter = mail(delivery(&fields[..1], LINK), &chosen);
    assert!(letter.text.contains("\nTelephone: 13800001234\n"), "{}", letter.text);
    assert!(!letter.text.contains("Name:") && !letter.text.contains("转介"), "{}", letter.text);
    // What is asked for is said in the language of the letter, and in Chinese where nobody said it in English.
    let letter = mail(delivery(&fields, ""), &chosen);
    assert!(letter.text.contains("\nUrgency: emergency\nMatter: medical visit\nName: "), "{}", letter.text);
    let old = [("matter", "上门诊疗"), ("urgency", "紧急")];
    let letter = mail(delivery(&old, ""), &chosen);
    assert!(letter.text.contains("\nUrgency: 紧急\nMatter: 上门诊疗\n"), "{}", letter.text);
    let both = settings(serde_json::json!({"fields_in_letter": true}));
    let letter = mail(delivery(&fields, ""), &both);
    for line in ["紧急程度：紧急\n事项：上门诊疗\n", "Urgency: emergency\nMatter: medical visit\n"]
    {
        assert!(letter.text.contains(line), "{}", letter.text);
    }
}

#[test]
fn no_value_can_add_a_line_or_a_header() {
    let evil = "王\r\nBcc: x@evil.example\n\n\u{202e}\u{61c}\u{e0041}txt\u{0}\u{85}\u{2028}--";
    let chosen = settings(serde_json::json!({
        "fields_in_letter": true, "signature": "绿园\r\nBcc: y@evil.example\u{7}"
    }));
    let mut all = delivery(&[("name", evil), ("phone", evil), ("address", evil)], LINK);
    all.referral = format!("sites/a/referrals/{evil}");
    let letter = mail(all, &chosen);
    assert!(!letter.subject.contains('\n') && !letter.text.contains(['\u{202e}', '\u{61c}', '\u{e0041}']));
    let begins = |word: &str| letter.text.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((begins("姓名：王  Bcc: x@evil.example  txt"), begins("Bcc: x")), (1, 0), "{}", letter.text);
    // The operator's own lines stay lines of the text, which is behind every header.
    assert_eq!(begins("Bcc: y@evil.example"), 1);
}

#[test]
fn a_letter_stays_within_what_the_host_sends() {
    let long = "𠀀".repeat(4_000);
    let mut all = delivery(&[("name", &long), ("phone", &long), ("address", &long)], "");
    all.referral = format!("sites/{}/referrals/{}", "a".repeat(90), "b".repeat(90));
    all.answer_url = format!("https://answers.example.cn/{}", "a".repeat(2_000));
    let signature = format!("{}\n{}", "签".repeat(249), "名".repeat(250));
    let letter = mail(all, &settings(serde_json::json!({"fields_in_letter": true, "signature": signature})));
    assert!(letter.text.len() <= 65_536, "{}", letter.text.len());
    assert!(letter.text.contains(&format!("住址：{}…\n", "𠀀".repeat(999))));
    assert!(letter.subject.ends_with('…'));
}

#[test]
fn the_relay_decides_whether_to_repeat() {
    for (kind, later) in
        [(FailureKind::NotDone, true), (FailureKind::Unknown, true), (FailureKind::Forbidden, false)]
    {
        let delivered = drive::<Email>(
            Operation::Deliver(delivery(&[("name", "王秀英")], LINK)),
            &settings(serde_json::json!({})),
            |_| Outcome::failure(kind, "the relay refused it (451)"),
        );
        let error = delivered.unwrap_err();
        assert_eq!((error.is_later(), error.message()), (later, "the relay refused it (451)"));
    }
}

#[test]
fn the_same_referral_is_the_same_letter() {
    let letter = || {
        let mail = mail(
            delivery(&[("name", "王秀英")], LINK),
            &settings(serde_json::json!({"fields_in_letter": true})),
        );
        (mail.to, mail.subject, mail.text)
    };
    assert_eq!(letter(), letter());
}

#[test]
fn settings_are_checked_before_anything_is_sent() {
    let check = |more: serde_json::Value| {
        let settings = settings(more);
        let checked = Email::check(&Settings::parse(&settings).unwrap());
        let probed = run::<Email>(Operation::Probe, &settings, []);
        match &checked {
            Ok(()) => assert_eq!(probed, Ok(End::Probed), "{settings}"),
            Err(why) => {
                assert_eq!(probed, Err(RunError::never(format!("settings: {why}"))), "{settings}");
                assert!(!why.contains('@') || why.contains("office@example.cn"), "{why}");
            }
        }
        checked.is_ok()
    };
    let ten: Vec<String> = (0..10).map(|number| format!("a{number}@b.cn")).collect();
    for good in [
        serde_json::json!({}),
        serde_json::json!({"to": "a@b.cn; c@d.cn,,"}),
        serde_json::json!({"to": ten.join(", ")}),
        serde_json::json!({"language": "zh", "fields_in_letter": false, "signature": " "}),
        serde_json::json!({"signature": "1\n2\n3\n4\n5"}),
    ] {
        assert!(check(good.clone()), "{good}");
    }
    let long = format!("{}@b.cn", "a".repeat(250));
    for wrong in [
        serde_json::json!({"to": ""}),
        serde_json::json!({"to": " , "}),
        serde_json::json!({"to": format!("{}, x@y.cn", ten.join(","))}),
        serde_json::json!({"to": "办公室 <a@b.cn>"}),
        serde_json::json!({"to": "a@b.cn\r\nBcc: x@evil.example"}),
        serde_json::json!({"to": "a@b@c.cn"}),
        serde_json::json!({"to": "a"}),
        serde_json::json!({"to": "@b.cn"}),
        serde_json::json!({"to": "a..b@c.cn"}),
        serde_json::json!({"to": "a@.cn"}),
        serde_json::json!({"to": "\"a b\"@c.cn"}),
        serde_json::json!({"to": long}),
        serde_json::json!({"language": "fr"}),
        serde_json::json!({"signature": "1\n2\n3\n4\n5\n6"}),
        serde_json::json!({"signature": "长".repeat(501)}),
    ] {
        assert!(!check(wrong.clone()), "{wrong}");
    }
}

#[test]
fn a_letter_is_asked_nothing() {
    let settings = settings(serde_json::json!({}));
    for operation in [Operation::Poll(Poll::default()), Operation::PullRoster(PullRoster::default())] {
        let error = run::<Email>(operation, &settings, []).unwrap_err();
        assert!(!error.is_later(), "{error:?}");
    }
}
