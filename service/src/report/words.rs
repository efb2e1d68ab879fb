//! The words of a report in both languages.

use linli_core::compliance::Tally;
use linli_core::kind::Department;
use linli_core::text::Language;
use linli_core::time::DateRange;

use super::{ReportData, RequestRow, Wait, tenths};

/// Says things in one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words(pub(super) Language);

impl Words {
    /// One of two texts.
    pub(super) fn of(self, zh: &'static str, en: &'static str) -> &'static str {
        match self.0 {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    /// What `<html lang>` says.
    pub(super) fn code(self) -> &'static str {
        self.of("zh-CN", "en")
    }

    pub(super) fn department(self, department: Department) -> &'static str {
        self.of(department.zh(), department.en())
    }

    /// The title of the report: site and period.
    pub(super) fn title(self, data: &ReportData) -> String {
        match self.0 {
            Language::Zh => format!("{}关怀服务报告 {}", data.title, data.period),
            Language::En => format!("{}: care report {}", data.title, data.period),
        }
    }

    /// The columns of a tally, as page and workbook have them: what was required, what became of it, and the share in time.
    pub(super) fn figures(self) -> [&'static str; 8] {
        [
            self.of("应完成", "required"),
            self.of("按时", "in time"),
            self.of("逾期完成", "late"),
            self.of("未完成", "missed"),
            self.of("待定", "pending"),
            self.of("免除", "excused"),
            self.of("补录", "entered late"),
            self.of("按时率", "rate"),
        ]
    }

    /// The columns of the work of posts, the post first.
    pub(super) fn work(self) -> [&'static str; 6] {
        [
            self.of("岗位", "post"),
            self.of("部门", "department"),
            self.of("应提供服务(次)", "services required"),
            self.of("实际联系(次)", "contacts made"),
            self.of("尚缺(次)", "still wanting"),
            self.of("按时率", "rate"),
        ]
    }

    /// First and last day.
    pub(super) fn days(self, days: DateRange) -> String {
        let last = days.end().plus_days(-1);
        match self.0 {
            Language::Zh => format!("{} 至 {last}", days.start()),
            Language::En => format!("{} to {last}", days.start()),
        }
    }

    /// Whether the figures stand, and since when.
    pub(super) fn standing(self, data: &ReportData) -> String {
        let at = data.zone.shown(data.as_of);
        match (self.0, data.closed_at) {
            (Language::Zh, Some(_)) => format!("已于 {at} 关账"),
            (Language::En, Some(_)) => format!("closed on {at}"),
            (Language::Zh, None) => format!("未关账,截至 {at}"),
            (Language::En, None) => format!("not closed, as of {at}"),
        }
    }

    /// What several standards are called that are shown as one.
    pub(super) fn together(self, count: usize) -> String {
        match self.0 {
            Language::Zh => format!("其他 {count} 项标准(合并)"),
            Language::En => format!("{count} other standards together"),
        }
    }

    pub(super) fn urgencies(self, row: &RequestRow) -> String {
        let names: Vec<&str> =
            row.urgencies.iter().map(|urgency| self.of(urgency.zh(), urgency.en())).collect();
        names.join(self.of("、", ", "))
    }

    pub(super) fn wait(self, wait: Wait) -> &'static str {
        match wait {
            Wait::QuarterHour => self.of("15 分钟内", "within 15 minutes"),
            Wait::Hour => self.of("1 小时内", "within 1 hour"),
            Wait::FourHours => self.of("4 小时内", "within 4 hours"),
            Wait::Day => self.of("24 小时内", "within 24 hours"),
            Wait::Longer => self.of("超过 24 小时", "later"),
            Wait::Open => self.of("尚未受理", "not taken up"),
        }
    }

    /// Minutes as people say them.
    pub(super) fn minutes(self, minutes: Option<i64>) -> String {
        let Some(minutes) = minutes else { return "–".to_owned() };
        let (hours, rest) = (minutes / 60, minutes % 60);
        match (self.0, hours) {
            (Language::Zh, 0) => format!("{rest} 分钟"),
            (Language::En, 0) => format!("{rest} min"),
            (Language::Zh, _) => format!("{hours} 小时 {rest} 分"),
            (Language::En, _) => format!("{hours} h {rest} min"),
        }
    }

    /// A share of a tally with one decimal, `96.4%`.
    pub(super) fn rate(self, tally: &Tally) -> String {
        tenths(tally.numerator(), tally.denominator())
            .map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}%"))
    }

    /// Whole percent, or that there is nothing to show.
    pub(super) fn percent(self, percent: Option<u8>) -> String {
        percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent}%"))
    }

    /// The notes at the end.
    pub(super) fn notes(self) -> [&'static str; 5] {
        match self.0 {
            Language::Zh => [
                "每项义务计入其最后一日所在的期间。应完成 = 按时 + 逾期完成 + 未完成 + 待定,不含免除。按时率 = 按时 ÷ 应完成。",
                "补录指服务在期限内完成、但晚于宽限期登记,计为按时。",
                "探访率:特殊困难老年人中,当月至少一次入户、电话或视频探访成功者所占比例(民发〔2022〕73号)。\
                 人数按 5 人取整,比例按百分点向下取整。",
                "本报告不含任何个人信息。涉及不足 5 人的数字合并或不予显示,也无法由其他数字相减得出。",
                "关账后补录、更正和豁免不改变已公布的数字,只列入“更正”。",
            ],
            Language::En => [
                "An obligation belongs to the period that holds its last day. Required = in time + late + missed + pending, without the \
                 excused ones. Rate = in time ÷ required.",
                "Entered late: the care was given in time and recorded after the days of grace; it counts as in time.",
                "Visit rate: of the elders in special difficulty, those who were reached at least once in the month, at home, by telephone \
                 or by video (Min Fa [2022] No. 73). People in steps of five, shares in whole percent, rounded down.",
                "This report names nobody. Figures about fewer than five people are joined with others or withheld, and cannot be found by \
                 subtraction either.",
                "What becomes known after the closing (late entries, amendments, waivers) changes no published figure: it is listed as a \
                 correction.",
            ],
        }
    }
}
