//! The reads that must stay fast use their index: plans of the statements as they are sent.

use sea_orm::DbBackend;

use super::*;
use crate::table::{Key, Table};
use crate::writer::sql::select_text;

/// What is asked of SQLite's plan of each hot read: a search by key or index, never a scan.
#[test]
fn hot_reads_search() {
    run(On::Sqlite, async |env: Env| {
        let check = async |sql: &str, expect: &str| {
            let plan = env.store.explain(sql).await;
            assert!(plan.iter().any(|step| step.contains(expect)), "{sql}\nwants {expect}\nhas   {plan:#?}");
            // Scanning the list of keys that was asked for is no scan of a table.
            let bad = plan.iter().find(|step| {
                step.starts_with("SCAN")
                    && !step.contains("VALUES")
                    && !step.contains("CONSTANT ROW")
                    && step.as_str() != "SCAN k"
            });
            assert!(bad.is_none(), "{sql}\nscans: {plan:#?}");
        };
        let keyed = |table: &str, columns: &str| format!("SEARCH {table} USING PRIMARY KEY ({columns}");
        check("SELECT site FROM site_head WHERE site IN (?, ?)", &keyed("site_head", "site=?")).await;
        check(
            "SELECT site, id, version FROM dwelling WHERE (site, id) IN (VALUES (?, ?), (?, ?))",
            &keyed("dwelling", "site=? AND id=?"),
        )
        .await;
        check(
            "SELECT site FROM idempotency WHERE (site, principal, method, request_id) IN (VALUES (?, ?, ?, ?))",
            &keyed("idempotency", "site=? AND principal=? AND method=? AND request_id=?"),
        )
        .await;
        check(
            "SELECT * FROM record_subject WHERE site = ? AND subject_kind = ? AND subject IN (?, ?) AND \
             occurred_at >= ? AND occurred_at < ? ORDER BY subject, occurred_at, record",
            &keyed(
                "record_subject",
                "site=? AND subject_kind=? AND subject=? AND occurred_at>? AND occurred_at<?",
            ),
        )
        .await;
        check(
            "SELECT * FROM care_event WHERE site = ? AND subject_kind = ? AND subject IN (?, ?) AND \
             occurred_at >= ? AND occurred_at < ? ORDER BY subject, occurred_at, id",
            &keyed(
                "care_event",
                "site=? AND subject_kind=? AND subject=? AND occurred_at>? AND occurred_at<?",
            ),
        )
        .await;
        check(
            "SELECT * FROM resident WHERE site = ? AND id > ? ORDER BY site, id LIMIT ?",
            &keyed("resident", "site=? AND id>?"),
        )
        .await;
        check(
            "SELECT * FROM resident WHERE (site, id) > (?, ?) ORDER BY site, id LIMIT ?",
            &keyed("resident", "(site,id)>(?,?)"),
        )
        .await;
        check(
            "SELECT * FROM resident_cell WHERE site = ? AND resident IN (?, ?) AND class IN (?)",
            "SEARCH resident_cell USING INDEX sqlite_autoindex_resident_cell_1 (site=? AND resident=? AND class=?",
        )
        .await;
        // As files are read in groups.
        let keys = "(VALUES (?, ?), (?, ?)) AS k CROSS JOIN";
        for table in ["fact", "membership", "attention", "assessment"] {
            check(
                &format!(
                    "SELECT 1, t.site FROM {keys} {table} AS t WHERE t.site = k.column1 AND t.resident = k.column2"
                ),
                &keyed("t", "site=? AND resident=?"),
            )
            .await;
        }
        check(
            &format!(
                "SELECT 1, t.cell FROM {keys} resident_cell AS t WHERE t.site = k.column1 AND t.resident = k.column2 \
                 AND t.class IN ('contact', 'identity')"
            ),
            "SEARCH t USING INDEX sqlite_autoindex_resident_cell_1 (site=? AND resident=?",
        )
        .await;
        check(
            &format!(
                "SELECT 6, t.site FROM {keys} resident AS f CROSS JOIN dwelling AS t \
                 WHERE f.site = k.column1 AND f.id = k.column2 AND t.site = f.site AND t.id = f.dwelling"
            ),
            &keyed("t", "site=? AND id=?"),
        )
        .await;
        check(
            "SELECT resident FROM resident_index WHERE site = ? AND field = ? AND hash = ? ORDER BY resident",
            &keyed("resident_index", "site=? AND field=? AND hash=?"),
        )
        .await;
        check(
            "SELECT resident FROM membership WHERE care_group = ? AND site = ?",
            "SEARCH membership USING COVERING INDEX membership_group (site=? AND care_group=?",
        )
        .await;
        check(
            "SELECT * FROM assessment WHERE site = ? AND valid_until <= ? ORDER BY valid_until LIMIT ?",
            "SEARCH assessment USING INDEX assessment_due (site=? AND valid_until<?",
        )
        .await;
        check(
            "SELECT * FROM audit_entry WHERE site = ? AND seq > ? ORDER BY seq LIMIT ?",
            &keyed("audit_entry", "site=? AND seq>?"),
        )
        .await;
        check(
            "SELECT * FROM dwelling WHERE site = ? AND building = ? AND room = ? AND unit IS NULL",
            "USING INDEX dwelling_door (site=? AND building=? AND unit=? AND room=?",
        )
        .await;
        check(
            "SELECT * FROM resident WHERE site = ? AND dwelling = ? ORDER BY site, id LIMIT ?",
            "USING INDEX resident_dwelling (site=? AND dwelling=?",
        )
        .await;
        check(
            "SELECT * FROM resident WHERE site = ? AND dwelling IN (?, ?) ORDER BY id",
            "USING INDEX resident_dwelling (site=? AND dwelling=?",
        )
        .await;
        check(
            "SELECT * FROM record WHERE site = ? AND occurred_at >= ? AND occurred_at < ? AND id < ? ORDER BY id DESC \
             LIMIT ?",
            &keyed("record", "site=? AND id<?"),
        )
        .await;
        check(
            "SELECT * FROM resident WHERE site = ? AND (state IN ('left', 'sealed') AND held = 0) AND id > ? ORDER BY id \
             LIMIT ?",
            "USING INDEX resident_ending (site=? AND id>?",
        )
        .await;
        for table in ["resident_identity", "resident_index"] {
            check(
                &format!("SELECT * FROM {table} WHERE site = ? AND resident IN (?, ?)"),
                &format!("INDEX {table}_resident (site=? AND resident=?"),
            )
            .await;
        }
        check(
            "SELECT * FROM care_event WHERE site = ? AND id IN (?, ?)",
            "USING INDEX care_event_id (site=? AND id=?",
        )
        .await;
        // What is open is found among what was ever asked for.
        check(
            "SELECT * FROM request WHERE site = ? AND settled_at >= ? ORDER BY id || '' LIMIT ?",
            "INDEX request_settled (site=? AND settled_at>?",
        )
        .await;
        // What waits for a body, of all sites, in its order; which bodies something waits for, and what has failed.
        let waits = "SELECT id FROM community_body WHERE site = '*system' AND id IN (?, ?) AND EXISTS(SELECT 1 FROM referral \
                     WHERE referral.body = community_body.id AND referral.queued_at IS NOT NULL) ORDER BY id";
        check(waits, &keyed("community_body", "site=? AND id=?")).await;
        check(waits, "SEARCH referral EXISTS USING COVERING INDEX referral_queue (body=? AND queued_at>?")
            .await;
        check(
            "SELECT body, COUNT(id) FROM referral WHERE body IN (?, ?) AND state = ? GROUP BY body ORDER BY body",
            "SEARCH referral USING COVERING INDEX referral_body (body=? AND state=?",
        )
        .await;
        check(
            "SELECT * FROM referral WHERE body = ? AND external_reference = ? LIMIT ?",
            "SEARCH referral USING INDEX referral_reference (body=? AND external_reference=?",
        )
        .await;
        check(
            "SELECT * FROM referral WHERE body = ? AND queued_at IS NOT NULL ORDER BY queued_at, site, id LIMIT ?",
            "SEARCH referral USING INDEX referral_queue (body=? AND queued_at>?",
        )
        .await;
        check(
            "SELECT * FROM referral WHERE site = ? AND resident IN (?, ?) ORDER BY site, id LIMIT ?",
            "USING INDEX referral_resident (site=? AND resident=?",
        )
        .await;
        check(
            "SELECT * FROM referral WHERE site = ? AND state IN (?) ORDER BY site, id LIMIT ?",
            "USING INDEX referral_state (site=? AND state=?",
        )
        .await;
        check(
            "SELECT * FROM resident WHERE protected_for IS NOT NULL AND site = ? ORDER BY site, id",
            "USING INDEX resident_protected (site=?",
        )
        .await;
        check(
            "SELECT * FROM emergency_access WHERE site = ? AND resident = ? AND staff = ? AND (reviewed_at IS NULL OR \
             expires_at > ?) ORDER BY id",
            "USING INDEX emergency_access_resident (site=? AND resident=? AND staff=?",
        )
        .await;
        check(
            "SELECT * FROM emergency_access WHERE site = ? AND reviewed_at IS NULL AND id > ? ORDER BY id LIMIT ?",
            "USING INDEX emergency_access_waiting (site=? AND id>?",
        )
        .await;
        check(
            "SELECT * FROM fund_spending WHERE site = ? AND cause_kind = ? AND cause IN (?, ?) ORDER BY year, id",
            "INDEX fund_spending_cause (site=? AND cause_kind=? AND cause=?",
        )
        .await;
        check(
            "SELECT site, principal, method, request_id FROM idempotency WHERE expires_at <= ? \
             ORDER BY expires_at LIMIT 1000",
            "INDEX idempotency_expiry (expires_at<?",
        )
        .await;
    });
}

/// The writer finds rows by key in every table, however many keys it asks for at once.
#[test]
fn guards_search() {
    run(On::Sqlite, async |env: Env| {
        let mut bad = Vec::new();
        for table in Table::ALL {
            let meta = table.meta();
            for count in [1, 2, 16, 64] {
                let key: Key = meta.columns.iter().take(meta.key).map(|_| "x".into()).collect();
                let (text, _) = select_text(DbBackend::Sqlite, meta, "*", &vec![key; count]);
                let plan = env.store.explain(&text).await;
                // A site and one column more tell a handful of rows from all others.
                let sought = |step: &String| {
                    step.starts_with(&format!("SEARCH {} ", meta.name))
                        && step.matches("=?").count() >= meta.key.min(2)
                };
                let scanned = |step: &String| step.starts_with(&format!("SCAN {}", meta.name));
                if !plan.iter().any(sought) || plan.iter().any(scanned) {
                    bad.push(format!("{count} keys of {}: {plan:#?}", meta.name));
                }
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    });
}

/// SQLite does not compile a statement again at every execution (`LIBSQLITE3_FLAGS` in `.cargo/config.toml`).
#[test]
fn sqlite_is_built_with_stable_plans() {
    run(On::Sqlite, async |env: Env| {
        let options = env.store.sqlite_text("PRAGMA compile_options").await;
        assert!(options.iter().any(|option| option == "ENABLE_QPSG"), "{options:?}");
        for (pragma, expect) in [
            ("synchronous", "2"),
            ("journal_mode", "wal"),
            ("secure_delete", "1"),
            ("trusted_schema", "0"),
            ("cell_size_check", "1"),
            ("foreign_keys", "1"),
        ] {
            assert_eq!(env.store.sqlite_text(&format!("PRAGMA {pragma}")).await, [expect], "{pragma}");
        }
    });
}
