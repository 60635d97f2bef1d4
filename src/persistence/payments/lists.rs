//! Payments and refunds of all orders, as administrators look for them: newest first, page by page.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query, SelectStatement};

use super::{PAYMENT_COLUMNS, PaymentRecord, PaymentRow, PaymentState, REFUND_COLUMNS, RefundRecord, RefundRow};
use crate::domain::order::{PayChannel, RefundPurpose, RefundState};
use crate::persistence::orders::{NumberStart, Slice, name};
use crate::persistence::{Db, StoreError, query};

/// Which payments; what is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Through one channel.
    pub channel: Option<PayChannel>,
    /// In one state.
    pub state: Option<PaymentState>,
    /// Of orders whose number begins so.
    pub order: Option<NumberStart>,
    /// With this number at the gateway.
    pub transaction_id: Option<String>,
    /// Begun from then on.
    pub from_ms: Option<i64>,
    /// Begun before then.
    pub to_ms: Option<i64>,
    /// Oldest first instead of newest.
    pub oldest_first: bool,
}

/// Which refunds; what is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Of money that came through one channel.
    pub channel: Option<PayChannel>,
    /// In one state.
    pub state: Option<RefundState>,
    /// The order's own money, or a payment too many.
    pub purpose: Option<RefundPurpose>,
    /// Of orders whose number begins so.
    pub order: Option<NumberStart>,
    /// With this number at the gateway.
    pub gateway_no: Option<String>,
    /// Asked for from then on.
    pub from_ms: Option<i64>,
    /// Asked for before then.
    pub to_ms: Option<i64>,
    /// Oldest first instead of newest.
    pub oldest_first: bool,
}

impl PaymentFilter {
    fn select(&self) -> SelectStatement {
        let mut select = Query::select().from("payments").to_owned();
        select
            .and_where_option(self.channel.map(|channel| Expr::col("channel").eq(channel.code())))
            .and_where_option(self.state.map(|state| Expr::col("state").eq(name(Some(&state)))))
            .and_where_option(self.order.as_ref().map(|start| start.names("order_no")))
            .and_where_option(self.transaction_id.as_deref().map(|id| Expr::col("transaction_id").eq(id)))
            .and_where_option(self.from_ms.map(|from_ms| Expr::col("created_at_ms").gte(from_ms)))
            .and_where_option(self.to_ms.map(|to_ms| Expr::col("created_at_ms").lt(to_ms)));
        select
    }
}

impl RefundFilter {
    fn select(&self) -> SelectStatement {
        let mut select = Query::select().from("refunds").to_owned();
        if let Some(channel) = self.channel {
            let through = Query::select()
                .column("payment_no")
                .from("payments")
                .and_where(Expr::col(("payments", "payment_no")).equals(("refunds", "payment_no")))
                .and_where(Expr::col(("payments", "channel")).eq(channel.code()))
                .to_owned();
            select.and_where(Expr::exists(through));
        }
        select
            .and_where_option(self.state.map(|state| Expr::col("state").eq(name(Some(&state)))))
            .and_where_option(self.purpose.map(|purpose| Expr::col("purpose").eq(name(Some(&purpose)))))
            .and_where_option(self.order.as_ref().map(|start| start.names("order_no")))
            .and_where_option(self.gateway_no.as_deref().map(|number| Expr::col("gateway_no").eq(number)))
            .and_where_option(self.from_ms.map(|from_ms| Expr::col("created_at_ms").gte(from_ms)))
            .and_where_option(self.to_ms.map(|to_ms| Expr::col("created_at_ms").lt(to_ms)));
        select
    }
}

async fn page<R: FromQueryResult>(
    db: &Db,
    filtered: SelectStatement,
    columns: &[&'static str],
    (number, oldest_first): (&'static str, bool),
    slice: Slice,
) -> Result<(Vec<R>, u64), StoreError> {
    let operation = "listing payments";
    let total = query::count(db.reader(), filtered.clone(), operation).await?;
    let mut select = filtered;
    let sort = || if oldest_first { Sort::Asc } else { Sort::Desc };
    select
        .columns(columns.iter().copied())
        .order_by("created_at_ms", sort())
        .order_by(number, sort())
        .offset(slice.offset)
        .limit(slice.limit);
    Ok((query::all(db.reader(), &select, operation).await?, total))
}

/// Payments that pass the filter, the latest begun first, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn list(db: &Db, filter: &PaymentFilter, slice: Slice) -> Result<(Vec<PaymentRow>, u64), StoreError> {
    let sort = ("payment_no", filter.oldest_first);
    let (rows, total) = page::<PaymentRecord>(db, filter.select(), &PAYMENT_COLUMNS, sort, slice).await?;
    Ok((rows.into_iter().map(PaymentRecord::row).collect::<Result<_, _>>()?, total))
}

/// Refunds that pass the filter, the latest asked for first, and how many there are.
///
/// # Errors
/// [`StoreError`].
pub async fn list_refunds(db: &Db, filter: &RefundFilter, slice: Slice) -> Result<(Vec<RefundRow>, u64), StoreError> {
    let sort = ("refund_no", filter.oldest_first);
    let (rows, total) = page::<RefundRecord>(db, filter.select(), &REFUND_COLUMNS, sort, slice).await?;
    Ok((rows.into_iter().map(RefundRecord::row).collect::<Result<_, _>>()?, total))
}
