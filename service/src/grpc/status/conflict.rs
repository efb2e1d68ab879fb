//! Why the state of a thing does not allow a change, in words and as a reason of the public enum.

use linli_core::request::RequestStep;
use linli_core::text::Label;
use linli_proto::v1::ErrorReason;
use tonic::Code;

use super::label;
use crate::error::StateConflict;

/// Code, reason and words of a conflict.
pub(super) fn describe(conflict: StateConflict) -> (Code, ErrorReason, Label) {
    use ErrorReason as R;
    let (reason, text) = match conflict {
        StateConflict::FileNotActive => (R::FileState, label("档案不在册", "the care file is not active")),
        StateConflict::FileActive => (
            R::FileState,
            label(
                "档案在册:居民迁出后方可封存",
                "the care file is active: it can be sealed once it was left",
            ),
        ),
        StateConflict::FileSealed => (R::FileState, label("档案已封存", "the care file is sealed")),
        StateConflict::FileNotSealed => (R::FileState, label("档案未封存", "the care file is not sealed")),
        StateConflict::FileHeld => {
            (R::FileState, label("档案处于依法保留状态", "the care file is under legal hold"))
        }
        StateConflict::FileNotHeld => {
            (R::FileState, label("档案未处于依法保留状态", "the care file is under no legal hold"))
        }
        StateConflict::FileErased => (R::FileState, label("档案已清除", "the care file was erased")),
        StateConflict::ErasureUnderWay => (
            R::FileState,
            label("清除尚未完成,请稍后再试", "the erasure is not finished yet: try again shortly"),
        ),
        StateConflict::AlreadyLivesHere => (
            R::FileState,
            label(
                "居民已在住,如换房请更新房屋",
                "the resident lives here already; update the dwelling to move them",
            ),
        ),
        StateConflict::Died => (R::FileState, label("居民已故", "the resident has died")),
        StateConflict::MembershipEnded => {
            (R::MembershipState, label("纳入已终止", "the membership has ended"))
        }
        StateConflict::AlreadyMember => {
            (R::MembershipState, label("已纳入该群体", "the resident is a member of this group already"))
        }
        StateConflict::NoProposedExit => {
            (R::MembershipState, label("没有待确认的退出", "no exit is proposed for this membership"))
        }
        StateConflict::NoLowerTier => (
            R::ProposalState,
            label(
                "没有待确认的较低关注等级,或建议的等级已变化",
                "no lower tier waits for confirmation, or another one than was named",
            ),
        ),
        StateConflict::PauseEnded => (R::PauseState, label("暂停已结束", "the pause has ended")),
        StateConflict::PauseNotAwaiting => {
            (R::PauseState, label("暂停无需确认", "the pause does not wait for confirmation"))
        }
        StateConflict::PauseOverlaps => {
            (R::PauseState, label("与另一次暂停重叠", "the pause overlaps another one"))
        }
        StateConflict::FacilityRetired => {
            (R::FacilityState, label("设施已停用", "the facility is no longer there"))
        }
        StateConflict::ActivityNotPlanned => {
            (R::ActivityState, label("活动已举办或已取消", "the activity was held or cancelled already"))
        }
        StateConflict::ActivityNotHeld => {
            (R::ActivityState, label("活动尚未举办", "the activity has to be held first"))
        }
        StateConflict::SurveyClosed => (R::SurveyState, label("摸排已结束", "the survey is closed")),
        StateConflict::AnswerWithdrawn => {
            (R::SurveyState, label("该摸排结果已撤回", "the answer was withdrawn already"))
        }
        StateConflict::RequestStep { state, urgency } => {
            let possible = |name: fn(RequestStep) -> &'static str, between: &str, none: &str| {
                let steps: Vec<&str> = state.possible(urgency).map(name).collect();
                if steps.is_empty() { none.to_owned() } else { steps.join(between) }
            };
            let (zh, en) =
                (possible(RequestStep::zh, "、", "无"), possible(RequestStep::en, ", ", "nothing"));
            let text = Label::new(
                format!("工单状态为“{}”,目前可以:{zh}", state.zh()),
                format!("the request is {}; what is possible now: {en}", state.en()),
            );
            (R::RequestState, text)
        }
        StateConflict::RecordVoided => (R::RecordState, label("记录已作废", "the record is void")),
        StateConflict::HolderEnded => (
            R::PostHolderState,
            label("没有此任职或已结束", "there is no such holder, or their time has ended"),
        ),
        StateConflict::OwnRights => {
            (R::StaffState, label("不能更改自己的权限", "nobody changes their own rights"))
        }
        StateConflict::StaffInactive => {
            (R::StaffState, label("该人员已停用", "this member of staff is deactivated"))
        }
        StateConflict::StaffActive => {
            (R::StaffState, label("该人员未停用", "this member of staff is active"))
        }
        StateConflict::BackupElsewhere => (
            R::BackupElsewhere,
            label(
                "数据在 PostgreSQL 上:请用 `pg_basebackup` 分别备份数据库和密钥库",
                "the data lie on PostgreSQL: back up the database and that of the keys with `pg_basebackup`, apart from each other",
            ),
        ),
        StateConflict::RotationUnderWay => (
            R::KeyRotationState,
            label("密钥正在轮换", "keys are being replaced already: `GetKeyRotation` says how far it is"),
        ),
        StateConflict::NoNextRootKey => (
            R::KeyRotationState,
            label(
                "没有可用的新根密钥:请先运行 `linli keys init --next`",
                "there is no next root key that can be read: `linli keys init --next` makes it",
            ),
        ),
        StateConflict::OverrideNotAwaiting => {
            (R::ProposalState, label("该调整无需批准", "the override does not wait for an approval"))
        }
        StateConflict::OverrideOver => {
            (R::ProposalState, label("该调整已到期或已撤销", "the override has ended or was retired"))
        }
        StateConflict::PlanNotAwaiting => (
            R::ProposalState,
            label(
                "该版方案已有决定或已被新版替代",
                "this revision was decided, or a later one was submitted",
            ),
        ),
        StateConflict::WaiverNotAwaiting => {
            (R::ProposalState, label("该豁免无需批准", "the waiver does not wait for an approval"))
        }
        StateConflict::WaiverOver => (R::ProposalState, label("该豁免已结束", "the waiver is over")),
        StateConflict::OwnProposal => (
            R::FourEyes,
            label("不能批准自己提出的事项", "nobody approves what they asked for: ask another leader"),
        ),
        StateConflict::LineOverdrawn => (
            R::BudgetExceeded,
            label(
                "预算额度不足,请先调整预算",
                "the budget line does not hold as much: have its budget raised first",
            ),
        ),
        StateConflict::SpendingDecided => {
            (R::SpendingState, label("该支出已有审批结果", "the spending was decided upon already"))
        }
        StateConflict::SpendingNotApproved => (
            R::SpendingState,
            label("该支出未获批准或已支付", "the spending is not approved, or was paid already"),
        ),
        StateConflict::PeriodNotOver => (
            R::PeriodState,
            label(
                "期间尚未结束或仍在补录宽限期内,请在期末次日之后关账",
                "the period is not over, or records of it may still be entered in time: close it a day after its end",
            ),
        ),
        StateConflict::PeriodClosed => (
            R::PeriodState,
            label("该期间已关账,其数字不再更改", "the period was closed already: what was closed stands"),
        ),
        StateConflict::PeriodOpen => (
            R::PeriodState,
            label("该期间尚未关账,没有更正", "the period was not closed: nothing of it can be corrected yet"),
        ),
        StateConflict::SameHands => (
            R::FourEyes,
            label(
                "审批人不得是申请人或付款人,请由他人办理",
                "whoever approves may neither have asked nor pay: somebody else must do this",
            ),
        ),
        StateConflict::AlreadyMerged => {
            (R::MergeState, label("档案已并入另一份档案", "the file was merged into another one already"))
        }
        StateConflict::StatesDiffer => (
            R::MergeState,
            label(
                "两份档案状态不同(在册/迁离),不能合并;请先使其一致",
                "the files are in different states: only two active ones, or two of people who left, are merged",
            ),
        ),
        StateConflict::NumbersDiffer => (
            R::MergeState,
            label(
                "两份档案的身份号码不同,不是同一人;如有误请先更正",
                "the files have two identity numbers and are of two people; correct the wrong one first",
            ),
        ),
        StateConflict::NumberWouldGo => (
            R::MergeState,
            label(
                "仅被并档案有身份号码;请改为保留有身份号码的一份",
                "only the duplicate has an identity number: let that one be the survivor",
            ),
        ),
        StateConflict::TooManyMerged => {
            (R::MergeState, label("并入的档案过多", "too many files were merged into this one"))
        }
        StateConflict::ProtectionDiffers => (
            R::MergeState,
            label(
                "两份档案的保护范围不同;请先设为一致",
                "the files are protected for different people: protect both alike first",
            ),
        ),
        StateConflict::NotMerged => {
            (R::MergeState, label("档案未曾并入他档", "the file was not merged into another one"))
        }
        StateConflict::SurvivorMerged => (
            R::MergeState,
            label(
                "保留的档案其后又并入他档;请先撤销后一次合并",
                "the file into which it was merged was itself merged later: part those first",
            ),
        ),
        StateConflict::AccessReviewed => {
            (R::EmergencyAccessState, label("该紧急查阅已复核", "this emergency access was reviewed already"))
        }
        StateConflict::AccessNotReviewed => (
            R::EmergencyAccessState,
            label(
                "您对此档案的上一次紧急查阅尚未复核",
                "your last emergency access to this file was not reviewed yet",
            ),
        ),
        StateConflict::AskedTooSoon => (
            R::ConsentState,
            label(
                "本人拒绝或撤回同意未满六个月,不得再次征求;如为本人主动提出,请注明 `volunteered`",
                "they said no less than six months ago and are not asked again; if they came by themselves, say `volunteered`",
            ),
        ),
        StateConflict::NothingToWithdraw => (
            R::ConsentState,
            label("未曾同意或已撤回", "there is nothing to take back: it was refused, or taken back already"),
        ),
        StateConflict::ReferralStep { state } => {
            let text = Label::new(
                format!("转介状态为“{}”,不能进行此操作", state.zh()),
                format!("the referral is {}: this is not possible now", state.en()),
            );
            (R::ReferralState, text)
        }
        StateConflict::ReferralNotSent => (
            R::ReferralState,
            label(
                "转介尚未送出,不会有答复",
                "nothing of the referral went to the body yet: it cannot have answered",
            ),
        ),
        StateConflict::ReferralNotAwaiting => {
            (R::ReferralState, label("该转介无需复核或已复核", "the referral waits for no review"))
        }
        StateConflict::ChannelGone => (
            R::ReferralState,
            label(
                "该单位的对接通道已不在服务器配置中;请由人工转交,或先更正该单位的通道",
                "the body's channel is not in the server's configuration: hand it over, or give the body another channel",
            ),
        ),
        StateConflict::BodyDisabled => {
            (R::BodyState, label("该单位已停用", "the body is not enabled: nothing is done with it now"))
        }
        StateConflict::BodyElsewhere => {
            (R::BodyState, label("该单位不服务于本项目", "the body does not serve this site"))
        }
        StateConflict::BodyWithoutChannel => (
            R::BodyState,
            label(
                "该单位没有对接通道;请向其索取名单文件",
                "the body has no channel: ask it for its list as a file",
            ),
        ),
        StateConflict::ChannelCannotPull => (
            R::BodyState,
            label(
                "该单位的对接通道不能获取名单,或已不在服务器配置中",
                "the body's channel fetches no lists, or is not in the server's configuration",
            ),
        ),
        StateConflict::OwnReferral => {
            (R::FourEyes, label("不能复核自己发起的转介", "nobody reviews a referral that they asked for"))
        }
        StateConflict::OwnAccess => {
            (R::FourEyes, label("不能复核自己的紧急查阅", "nobody reviews their own emergency access"))
        }
        StateConflict::HolderOverlaps => {
            (R::PostHolderState, label("该时段已有他人任职", "somebody else holds the post in that time"))
        }
    };
    (Code::FailedPrecondition, reason, text)
}
