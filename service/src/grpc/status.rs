//! The one function that turns an [`Error`] into a gRPC status: code, reason of the public enum, every field
//! violation, and a message in the caller's language.

mod conflict;

use std::time::Duration;

use linli_core::consent::Missing;
use linli_core::request::RequestStep;
use linli_core::text::{Label, Language};
use linli_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Error, StateConflict, Thing};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "linli";

/// When a refused call may be tried again: long enough for a queue to drain, short enough for a person to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The status of an error.
pub fn status(error: &Error, language: Language, request_id: &str) -> Status {
    let (code, reason, message) = describe(error);
    let mut details = ErrorDetails::with_error_info(reason_name(reason), DOMAIN, metadata(error));
    let mut text = message.get(language).to_owned();
    if let Error::Invalid(violations) = error {
        for violation in violations {
            details.add_bad_request_violation(&violation.field, violation.why.message(language));
        }
        if let [first, rest @ ..] = violations.as_slice() {
            text = format!("{text}: `{}` {}", first.field, first.why.message(language));
            if !rest.is_empty() {
                text.push_str(&match language {
                    Language::Zh => format!(",另有 {} 处", rest.len()),
                    Language::En => format!(", and {} more", rest.len()),
                });
            }
        }
    }
    if let Some(after) = retry_after(error) {
        details.set_retry_info(Some(after));
    }
    details.set_request_info(request_id, "");
    let locale = match language {
        Language::Zh => "zh-CN",
        Language::En => "en",
    };
    details.set_localized_message(locale, &text);
    if let Error::Internal(why) = error {
        tracing::error!(request_id, why, "internal error");
    }
    Status::with_error_details(code, text, details)
}

/// The reason's name as `ErrorInfo` carries it: `ETAG_MISMATCH`.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The public reason of an error.
pub fn reason(error: &Error) -> ErrorReason {
    describe(error).1
}

fn describe(error: &Error) -> (Code, ErrorReason, Label) {
    use ErrorReason as R;
    match error {
        Error::Invalid(_) => {
            (Code::InvalidArgument, R::InvalidField, label("请求有误", "the request is not valid"))
        }
        Error::PageToken => (
            Code::InvalidArgument,
            R::PageTokenInvalid,
            label("翻页标记无效或属于其他查询", "the page token is not valid for this query"),
        ),
        Error::RequestIdReused => (
            Code::InvalidArgument,
            R::RequestIdReused,
            label("此 request_id 已用于另一个请求", "this request id was used for a different request"),
        ),
        Error::PurposeRequired => (
            Code::InvalidArgument,
            R::PurposeRequired,
            label(
                "查看此视图须在元数据 `x-purpose` 中说明目的",
                "this view needs a purpose in the `x-purpose` metadata, such as `ROUTINE_CARE`",
            ),
        ),
        Error::RevealLimit(_) => (
            Code::ResourceExhausted,
            R::RevealLimit,
            label(
                "您在一小时内查看明文信息的次数已达上限,请稍后再试",
                "you have seen personal values in clear too often within an hour: try again later",
            ),
        ),
        Error::Unauthenticated => (
            Code::Unauthenticated,
            R::Unauthenticated,
            label("缺少有效凭证", "no valid credentials: send `authorization: Bearer TOKEN`"),
        ),
        Error::Denied => {
            (Code::PermissionDenied, R::PermissionDenied, label("无权进行此操作", "you may not do this"))
        }
        Error::NotFound(thing) => (Code::NotFound, R::NotFound, {
            let name = thing_name(*thing);
            Label::new(format!("没有此{}", name.zh), format!("no such {}", name.en))
        }),
        Error::AlreadyExists(thing) => (Code::AlreadyExists, R::AlreadyExists, {
            let name = thing_name(*thing);
            Label::new(format!("{}编号已被占用", name.zh), format!("a {} with this id exists", name.en))
        }),
        Error::IdentityTaken => (
            Code::AlreadyExists,
            R::IdentityTaken,
            label(
                "本项目已有此身份号码的关怀档案",
                "another care file of this site has this identity number",
            ),
        ),
        Error::PossibleDuplicate(_) => (
            Code::AlreadyExists,
            R::PossibleDuplicate,
            label(
                "本项目可能已有此人的关怀档案;请先核对,确属另一人时请设置 `confirmed_not_duplicate`",
                "the site may have a care file of this person: look at it first, and if it is somebody else's, say \
                 `confirmed_not_duplicate`",
            ),
        ),
        Error::DisclosureRefused(_) => (
            Code::FailedPrecondition,
            R::DisclosureRefused,
            label(
                "此类信息不得对外提供;缺少的依据见 `missing`",
                "these values may not go out: `missing` says what it takes",
            ),
        ),
        Error::EtagMismatch => (
            Code::Aborted,
            R::EtagMismatch,
            label(
                "内容已被他人修改,请重新读取后再试",
                "it changed since you read it: read it again and retry",
            ),
        ),
        Error::State(conflict) => conflict::describe(*conflict),
        Error::CalendarYearMissing(year) => (
            Code::FailedPrecondition,
            R::CalendarYearMissing,
            Label::new(
                format!(
                    "缺少 {year} 年的放假调休或学期数据:请在配置项 `calendar.folder` 所指目录中加入 `{year}.txt` 并重启"
                ),
                format!(
                    "the answer depends on the public holidays or school terms of {year}, which are not known: put \
                     `{year}.txt` into the folder that `calendar.folder` names and start the server again"
                ),
            ),
        ),
        Error::ClockNotSimulated => (
            Code::FailedPrecondition,
            R::ClockNotSimulated,
            label("服务器未使用模拟时钟", "the server runs on the real clock"),
        ),
        Error::MessageTooLarge => {
            (Code::OutOfRange, R::MessageTooLarge, label("请求超过大小限制", "the message is too large"))
        }
        Error::EventsGone => (
            Code::OutOfRange,
            R::EventsGone,
            label(
                "此游标之后的事件已过保留期,或数据库已恢复到更早的状态:请重新读取现状,再从头开始",
                "the events after this cursor are no longer kept, or the database is an older one: read the state anew, then \
                 begin without a cursor",
            ),
        ),
        Error::WatcherSlow => (
            Code::Aborted,
            R::WatcherSlow,
            label(
                "长时间未读取事件,订阅已结束:请从最后收到的游标继续",
                "what was told was not read in time: call again with the last cursor",
            ),
        ),
        Error::BodyUnreachable { trouble, .. } => (
            Code::Unavailable,
            R::BodyUnreachable,
            Label::new(
                format!("暂时无法联系该单位,请稍后再试:{}", trouble.as_str()),
                format!("the body was not reached now: try again later ({})", trouble.as_str()),
            ),
        ),
        Error::BodyRefused(trouble) => (
            Code::FailedPrecondition,
            R::BodyRefused,
            Label::new(
                format!("该单位拒绝了请求,或其提供的内容无法使用:{}", trouble.as_str()),
                format!("the body refused, or what it answers cannot be used: {}", trouble.as_str()),
            ),
        ),
        Error::Overloaded => (
            Code::ResourceExhausted,
            R::Overloaded,
            label("系统繁忙,请稍后再试", "too busy: try again shortly"),
        ),
        Error::DeadlineExceeded => (
            Code::DeadlineExceeded,
            R::DeadlineExceeded,
            label("未能在期限内完成", "the deadline passed before the answer"),
        ),
        Error::PluginUnavailable(plugin) => (
            Code::Unavailable,
            R::PluginUnavailable,
            Label::new(
                format!("规则插件 `{plugin}` 暂不可用,原评估继续有效"),
                format!("plugin `{plugin}` cannot be called now; earlier assessments stay in force"),
            ),
        ),
        Error::PluginRefused(problem) => (Code::FailedPrecondition, R::PluginRefused, problem.clone()),
        Error::PluginChanged => (
            Code::Aborted,
            R::PluginChanged,
            label(
                "插件目录中的库文件与预览的不同,请重新预览",
                "another library lies in the plugin's folder than the one you saw: preview it again",
            ),
        ),
        Error::PluginDropsDuties(codes) => {
            let codes = codes.join(", ");
            (
                Code::FailedPrecondition,
                R::PluginDropsDuties,
                Label::new(
                    format!("此版本会减少或改变以下群体或服务标准,确认后请列入 `accept`:{codes}"),
                    format!(
                        "this version owes less or something else; name what you accept in `accept`: {codes}"
                    ),
                ),
            )
        }
        Error::StoreUnavailable => {
            (Code::Unavailable, R::StoreUnavailable, label("数据库暂不可用", "the database does not answer"))
        }
        Error::Sealed => (
            Code::Unavailable,
            R::ServerSealed,
            label(
                "服务器缺少根密钥,无法读取档案",
                "the server runs without its root key and cannot read care files",
            ),
        ),
        Error::Internal(_) => (
            Code::Internal,
            R::Internal,
            label(
                "系统内部错误,请将请求编号告知管理员",
                "a defect of the server: give the operator the request id",
            ),
        ),
    }
}

fn thing_name(thing: Thing) -> Label {
    match thing {
        Thing::Site => label("项目", "site"),
        Thing::Dwelling => label("房屋", "dwelling"),
        Thing::Area => label("区域", "area"),
        Thing::Post => label("岗位", "post"),
        Thing::Resident => label("关怀档案", "care file"),
        Thing::Membership => label("纳入", "membership"),
        Thing::Pause => label("暂停", "pause"),
        Thing::Record => label("服务记录", "service record"),
        Thing::Event => label("事件", "event"),
        Thing::Request => label("工单", "request"),
        Thing::Facility => label("设施", "facility"),
        Thing::Activity => label("活动", "activity"),
        Thing::Survey => label("摸排", "survey"),
        Thing::SurveyAnswer => label("摸排结果", "survey answer"),
        Thing::CareGroup => label("群体", "care group"),
        Thing::Standard => label("服务标准", "service standard"),
        Thing::Plugin => label("插件", "plugin"),
        Thing::Staff => label("人员", "member of staff"),
        Thing::Credential => label("凭证", "credential"),
        Thing::Erasure => label("清除记录", "erasure"),
        Thing::KeyRotation => label("密钥轮换", "replacement of keys"),
        Thing::Override => label("标准调整", "override"),
        Thing::Plan => label("关怀方案", "care plan"),
        Thing::Waiver => label("豁免", "waiver"),
        Thing::Fund => label("经费年度", "fund year"),
        Thing::BudgetLine => label("预算科目", "budget line"),
        Thing::Spending => label("支出申请", "spending"),
        Thing::EmergencyAccess => label("紧急查阅", "emergency access"),
        Thing::Consent => label("同意书", "consent"),
        Thing::Body => label("社区单位", "community body"),
        Thing::Referral => label("转介", "referral"),
    }
}

fn metadata(error: &Error) -> std::collections::HashMap<String, String> {
    let pair = |key: &str, value: String| [(key.to_owned(), value)].into();
    match error {
        Error::CalendarYearMissing(year) => pair("year", year.to_string()),
        Error::PluginUnavailable(plugin) => pair("plugin", plugin.clone()),
        Error::PluginDropsDuties(codes) => pair("codes", codes.join(",")),
        Error::State(StateConflict::RequestStep { state, urgency }) => {
            let steps: Vec<&str> = state.possible(*urgency).map(RequestStep::code).collect();
            pair("possible", steps.join(","))
        }
        Error::PossibleDuplicate(names) => pair("candidates", names.join(",")),
        Error::BodyUnreachable { trouble, .. } | Error::BodyRefused(trouble) => {
            pair("trouble", trouble.as_str().to_owned())
        }
        Error::DisclosureRefused(missing) => {
            let codes = |why: &[Missing]| why.iter().map(|why| why.code()).collect::<Vec<_>>().join("+");
            let missing: Vec<String> =
                missing.iter().map(|(what, why)| format!("{what}={}", codes(why))).collect();
            pair("missing", missing.join(","))
        }
        Error::Invalid(_)
        | Error::PageToken
        | Error::NotFound(_)
        | Error::AlreadyExists(_)
        | Error::IdentityTaken
        | Error::Unauthenticated
        | Error::Denied
        | Error::PurposeRequired
        | Error::RevealLimit(_)
        | Error::EtagMismatch
        | Error::RequestIdReused
        | Error::State(_)
        | Error::PluginRefused(_)
        | Error::PluginChanged
        | Error::ClockNotSimulated
        | Error::MessageTooLarge
        | Error::EventsGone
        | Error::WatcherSlow
        | Error::Overloaded
        | Error::DeadlineExceeded
        | Error::StoreUnavailable
        | Error::Sealed
        | Error::Internal(_) => std::collections::HashMap::new(),
    }
}

/// After which time trying again helps; `None`: it never does.
fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::RevealLimit(after) => Some(*after),
        Error::BodyUnreachable { retry_after, .. } => Some(*retry_after),
        Error::Overloaded | Error::StoreUnavailable | Error::PluginUnavailable(_) => Some(RETRY_AFTER),
        Error::Invalid(_)
        | Error::PageToken
        | Error::NotFound(_)
        | Error::AlreadyExists(_)
        | Error::IdentityTaken
        | Error::Unauthenticated
        | Error::Denied
        | Error::PurposeRequired
        | Error::EtagMismatch
        | Error::PossibleDuplicate(_)
        | Error::DisclosureRefused(_)
        | Error::RequestIdReused
        | Error::State(_)
        | Error::CalendarYearMissing(_)
        | Error::PluginRefused(_)
        | Error::PluginChanged
        | Error::PluginDropsDuties(_)
        | Error::ClockNotSimulated
        | Error::MessageTooLarge
        | Error::EventsGone
        | Error::WatcherSlow
        | Error::BodyRefused(_)
        | Error::DeadlineExceeded
        | Error::Sealed
        | Error::Internal(_) => None,
    }
}

fn label(zh: &str, en: &str) -> Label {
    Label::new(zh, en)
}
