//! Keyset paging: every list is ordered by site and id, begins after a place and is bounded.

use linli_core::id::SiteId;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select};

/// Largest page: 1,000 rows and one more, which tells whether there is a next page.
pub const PAGE_MAX: u64 = 1001;

/// Which sites a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sites {
    /// All of them: `sites/-`.
    All,
    /// One.
    One(SiteId),
    /// These: few enough to be named in a statement.
    Among(Vec<SiteId>),
}

impl From<&SiteId> for Sites {
    fn from(site: &SiteId) -> Self {
        Self::One(site.clone())
    }
}

/// Where a page begins: after this place, exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The site of the last row seen.
    pub site: String,
    /// Its id.
    pub id: String,
}

/// A page: from where, and how many rows at most ([`PAGE_MAX`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Exclusive start; `None`: from the beginning.
    pub after: Option<After>,
    /// How many rows.
    pub limit: u64,
}

impl Page {
    /// The first `limit` rows.
    pub fn first(limit: u64) -> Self {
        Self { after: None, limit }
    }

    /// Up to `limit` rows after a place.
    pub fn after(site: impl Into<String>, id: impl Into<String>, limit: u64) -> Self {
        Self { after: Some(After { site: site.into(), id: id.into() }), limit }
    }
}

/// Restricts a query to a page of `(site, id)`.
pub(crate) fn keyset<E, C>(query: Select<E>, sites: &Sites, page: &Page, site: C, id: C) -> Select<E>
where
    E: EntityTrait,
    C: ColumnTrait,
{
    let mut query = query;
    query = match sites {
        Sites::All => query,
        Sites::One(only) => query.filter(site.eq(only.as_str())),
        Sites::Among(these) => query.filter(site.is_in(padded(these.iter().map(SiteId::as_str)))),
    };
    if let Some(after) = &page.after {
        query = match sites {
            // The id alone, where the site is fixed: SQLite then seeks on both columns of the key.
            Sites::One(_) => query.filter(id.gt(after.id.as_str())),
            Sites::All | Sites::Among(_) => query.filter(
                tuple([site.into_expr(), id.into_expr()])
                    .gt(tuple([Expr::value(after.site.as_str()), Expr::value(after.id.as_str())])),
            ),
        };
    }
    query.order_by(site, Order::Asc).order_by(id, Order::Asc).limit(page.limit.clamp(1, PAGE_MAX))
}

fn tuple(parts: [SimpleExpr; 2]) -> Expr {
    Expr::tuple(parts)
}

/// Keys for `is_in`, repeated up to a power of two, so that there are few statement texts.
pub(crate) fn padded<K: Clone>(keys: impl IntoIterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.into_iter().collect();
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}
