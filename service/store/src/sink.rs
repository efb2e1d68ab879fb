//! Events that go out by themselves, to a sink: how far each site's are, and which of several servers takes them out.
//!
//! Both are the machinery's own and no change of anything: no audit entry, no event, one statement each. A place is stored after
//! the sink has said that it keeps the event, so that one may be given twice and none is left out; it never goes back.

use linli_core::id::SiteId;
use linli_core::time::Instant;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, Value};

use crate::change::Scope;
use crate::error::StoreError;
use crate::store::Store;
use crate::table::{Table, sink_position};
use crate::writer::sql::placeholder;

/// A site with events that have not gone out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkWork {
    /// The site.
    pub site: SiteId,
    /// The last event that went out; `None`: none yet.
    pub given: Option<i64>,
}

impl Store {
    /// Takes or keeps the right to give events to a sink until `until`, both of the machine's clock; `false` where another holder
    /// has it. On a database that one process alone writes to, it is there for whoever asks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_sink(
        &self,
        sink: &str,
        holder: &str,
        (now, until): (Instant, Instant),
    ) -> Result<bool, StoreError> {
        // Whoever held it before on a database of one process is gone.
        let free = if self.shared() { now } else { Instant::MAX };
        let values: [Value; 5] = [
            Scope::System.text().into(),
            sink.into(),
            holder.into(),
            until.micros().into(),
            free.micros().into(),
        ];
        let lease = Table::SinkLease.meta().name;
        let text = format!(
            "INSERT INTO {lease} (site, sink, holder, held_until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (site, sink) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until \
             WHERE {lease}.holder = excluded.holder OR {lease}.held_until <= $5"
        );
        Ok(self.write_own(&text, values).await? == 1)
    }

    /// Gives the right back, so that another server need not wait for its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave_sink(&self, sink: &str, holder: &str) -> Result<(), StoreError> {
        let values: [Value; 2] = [sink.into(), holder.into()];
        self.write_own("UPDATE sink_lease SET held_until = 0 WHERE sink = $1 AND holder = $2", values)
            .await
            .map(drop)
    }

    /// Sites of which events have not gone out, up to `limit`: those after a site first, then from the beginning on, so that whoever
    /// goes on after the last one comes to each of them, however many always have something new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sink_work(
        &self,
        sink: &str,
        after: Option<&SiteId>,
        limit: u64,
    ) -> Result<Vec<SinkWork>, StoreError> {
        let text = format!(
            "SELECT h.site, p.seq FROM site_head AS h \
             LEFT JOIN sink_position AS p ON p.site = h.site AND p.sink = $1 \
             WHERE h.event_seq > COALESCE(p.seq, 0) AND h.site <> '{}' \
             ORDER BY CASE WHEN h.site > $2 THEN 0 ELSE 1 END, h.site LIMIT {limit}",
            Scope::System.text()
        );
        let after = after.map_or("", SiteId::as_str);
        let statement = self.statement(&text, [sink.into(), after.into()]);
        let rows = self.reader().query_all_raw(statement).await?;
        let work = rows.iter().map(|row| {
            let site: String = row.try_get_by_index(0)?;
            let site = SiteId::new(&site).map_err(|_| StoreError::Row { table: "site_head" })?;
            Ok(SinkWork { site, given: row.try_get_by_index(1)? })
        });
        work.collect()
    }

    /// How many events have not gone out to a sink, of all sites together.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sink_waiting(&self, sink: &str) -> Result<u64, StoreError> {
        let (head, position, event) =
            (Table::SiteHead.meta().name, Table::SinkPosition.meta().name, Table::OutboxEvent.meta().name);
        // Of a site of which none went out, those wait that are kept.
        let text = format!(
            "SELECT CAST(COALESCE(SUM(h.event_seq - COALESCE(p.seq, \
             (SELECT MIN(e.seq) - 1 FROM {event} AS e WHERE e.site = h.site), h.event_seq)), 0) AS BIGINT) \
             FROM {head} AS h LEFT JOIN {position} AS p ON p.site = h.site AND p.sink = $1 \
             WHERE h.event_seq > COALESCE(p.seq, 0) AND h.site <> '{}'",
            Scope::System.text()
        );
        let row = self.reader().query_one_raw(self.statement(&text, [sink.into()])).await?;
        let waiting = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        Ok(waiting.and_then(|waiting| u64::try_from(waiting).ok()).unwrap_or_default())
    }

    /// The last event of a site that went out to a sink; 0 where none did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sink_position(&self, sink: &str, site: &SiteId) -> Result<i64, StoreError> {
        let found = sink_position::Entity::find()
            .filter(sink_position::Column::Site.eq(site.as_str()))
            .filter(sink_position::Column::Sink.eq(sink))
            .all(self.reader())
            .await?;
        Ok(found.first().map_or(0, |row| row.seq))
    }

    /// Notes that the events of a site have gone out up to a number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_given(&self, sink: &str, site: &SiteId, seq: i64) -> Result<(), StoreError> {
        let values: [Value; 3] = [site.as_str().into(), sink.into(), seq.into()];
        let position = Table::SinkPosition.meta().name;
        let text = format!(
            "INSERT INTO {position} (site, sink, seq) VALUES ($1, $2, $3) \
             ON CONFLICT (site, sink) DO UPDATE SET seq = excluded.seq WHERE {position}.seq < excluded.seq"
        );
        self.write_own(&text, values).await.map(drop)
    }

    /// Writes one statement that is no change set; how many rows it touched.
    async fn write_own(
        &self,
        text: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, StoreError> {
        let writer = self.first_writer()?;
        Ok(writer.execute_raw(self.statement(text, values)).await?.rows_affected())
    }

    /// A statement whose placeholders are written `$1`, `$2` …, each once and in order.
    fn statement(&self, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        let backend = if self.shared() { DbBackend::Postgres } else { DbBackend::Sqlite };
        let values: Vec<Value> = values.into_iter().collect();
        let text = (0..values.len()).fold(text.to_owned(), |text, index| {
            text.replacen(&format!("${}", index + 1), &placeholder(backend, index), 1)
        });
        Statement::from_sql_and_values(backend, text, values)
    }
}
