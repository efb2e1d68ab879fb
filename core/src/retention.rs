//! Retention: when a file that is no longer needed is sealed, and when it is erased.

use crate::kind::closed_list;
use crate::resident::FileState;
use crate::time::CivilDate;

closed_list! {
    /// Why a file was erased.
    ErasureCause {
        /// Somebody who may asked for it.
        Request = "request", "依申请删除", "on request";
        /// The retention period was over.
        Retention = "retention", "保存期限届满", "the retention period was over";
    }
}

/// What is due of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is put away: nothing of it is shown or written any more.
    Seal,
    /// Its personal values are destroyed.
    Erase,
}

/// How long files are kept, and backups of the keys that open them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days after the last day of the tenure until a file is sealed; `None`: until somebody does it.
    pub seal_after_days: Option<u32>,
    /// Days after sealing until it is erased; `None`: until somebody does it.
    pub erase_after_days: Option<u32>,
    /// Days after which no backup of a key is left.
    pub key_backup_days: u32,
}

impl Retention {
    /// What is due of a file on a day. `since` is the last day of the tenure of one that was left, and the day of sealing of
    /// one that is sealed. Nothing is due of a file under legal hold.
    pub fn due(&self, state: FileState, since: CivilDate, held: bool, today: CivilDate) -> Option<End> {
        let (days, end) = match state {
            FileState::Left => (self.seal_after_days?, End::Seal),
            FileState::Sealed => (self.erase_after_days?, End::Erase),
            FileState::Active | FileState::Erased => return None,
        };
        let over = since.plus_days(i32::try_from(days).unwrap_or(i32::MAX)) < today;
        (over && !held).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_when_its_time_is_over_and_nobody_holds_it() {
        let policy =
            Retention { seal_after_days: Some(30), erase_after_days: Some(365), key_backup_days: 30 };
        let day = |text: &str| CivilDate::parse(text).unwrap();
        let since = day("2026-03-01");
        let check = |policy: &Retention, state, held, today: &str, expect| {
            assert_eq!(policy.due(state, since, held, day(today)), expect, "{state:?} {today} {policy:?}");
        };
        check(&policy, FileState::Left, false, "2026-03-31", None);
        check(&policy, FileState::Left, false, "2026-04-01", Some(End::Seal));
        check(&policy, FileState::Left, true, "2036-04-01", None);
        check(&policy, FileState::Sealed, false, "2027-03-01", None);
        check(&policy, FileState::Sealed, false, "2027-03-02", Some(End::Erase));
        check(&policy, FileState::Sealed, true, "2036-04-01", None);
        check(&policy, FileState::Active, false, "2036-04-01", None);
        check(&policy, FileState::Erased, false, "2036-04-01", None);
        let never = Retention { seal_after_days: None, erase_after_days: None, key_backup_days: 30 };
        check(&never, FileState::Left, false, "2036-04-01", None);
        check(&never, FileState::Sealed, false, "2036-04-01", None);
        let longest = Retention { seal_after_days: Some(u32::MAX), ..never };
        check(&longest, FileState::Left, false, "2199-12-31", None);
    }
}
