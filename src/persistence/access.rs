//! What a waking session must know of its buyer: may he come in, and what did he buy? Read for many buyers at once.

use std::collections::HashMap;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query};

use super::error::StoreError;
use super::gathered::Gathered;
use super::{Db, query, users};
use crate::domain::order::OrderStatus;
use crate::domain::{BuyerId, OrderNo, Pool, ProductId, Role};

/// Orders read for one statement's buyers; what lies beyond is not remembered, and refused by the ledger all the same.
const PURCHASES_MAX: u64 = 10_000;

/// All that a session actor must know to let a user in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAccess {
    /// Who.
    pub id: BuyerId,
    /// His name, for tokens and logs of the admin.
    pub username: String,
    /// What he may do, from the database.
    pub role: Role,
    /// False: disabled.
    pub active: bool,
    /// Grows whenever all his tokens become worthless.
    pub token_epoch: i64,
    /// Sessions that were not revoked: sid and when it expires (milliseconds since 1970).
    pub live_sessions: Vec<(String, i64)>,
}

/// Order of each product that a buyer bought in a sale; the newest where there are several.
pub type Purchases = HashMap<ProductId, OrderNo>;

/// Reads what sessions need; clones share the statements.
#[derive(Clone, Debug)]
pub struct AccessReads {
    access: Gathered<BuyerId, UserAccess>,
    purchases: Gathered<BuyerId, Purchases>,
}

impl AccessReads {
    /// Of this database.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        let (of_access, of_purchases) = (db.clone(), db.clone());
        Self {
            access: Gathered::new("reading sign-ins", move |buyers| {
                let db = of_access.clone();
                async move { read(&db, buyers).await }
            }),
            purchases: Gathered::new("reading purchases", move |buyers| {
                let db = of_purchases.clone();
                async move { read_purchases(&db, buyers).await }
            }),
        }
    }

    /// Who a user is and which of his sessions were not revoked. `None`: no such user.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or his row cannot be read.
    pub async fn access(&self, buyer: BuyerId) -> Result<Option<UserAccess>, StoreError> {
        self.access.get(buyer).await
    }

    /// What he bought in sales and did not give back.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or a row cannot be read.
    pub async fn purchases(&self, buyer: BuyerId) -> Result<Purchases, StoreError> {
        Ok(self.purchases.get(buyer).await?.unwrap_or_default())
    }
}

#[derive(FromQueryResult)]
struct UserRow {
    id: i64,
    username: String,
    role: i16,
    status: i16,
    token_epoch: i64,
}

#[derive(FromQueryResult)]
struct SessionRow {
    user_id: i64,
    sid: String,
    expires_at_ms: i64,
}

/// The access of each of the buyers who exists.
pub(super) async fn read(db: &Db, buyers: Vec<BuyerId>) -> Result<HashMap<BuyerId, UserAccess>, StoreError> {
    let ids: Vec<i64> = buyers.into_iter().map(|buyer| buyer.0).collect();
    let people: Vec<UserRow> = query::by_keys(db.reader(), &ids, "reading who users are", |ids| {
        let columns = ["id", "username", "role", "status", "token_epoch"];
        Query::select().columns(columns).from("users").and_where(Expr::col("id").is_in(ids)).to_owned()
    })
    .await?;
    let sessions: Vec<SessionRow> = query::by_keys(db.reader(), &ids, "reading sessions of users", |ids| {
        Query::select()
            .columns(["user_id", "sid", "expires_at_ms"])
            .from("sessions")
            .and_where(Expr::col("user_id").is_in(ids))
            .and_where(Expr::col("revoked_at_ms").is_null())
            .order_by("sid", Order::Asc)
            .to_owned()
    })
    .await?;
    let mut live: HashMap<i64, Vec<(String, i64)>> = HashMap::new();
    for row in sessions {
        live.entry(row.user_id).or_default().push((row.sid, row.expires_at_ms));
    }
    let access = people.into_iter().map(|row| {
        let access = UserAccess {
            id: BuyerId(row.id),
            username: row.username,
            role: users::role(row.role, row.id)?,
            active: row.status == users::STATUS_ACTIVE,
            token_epoch: row.token_epoch,
            live_sessions: live.remove(&row.id).unwrap_or_default(),
        };
        Ok((access.id, access))
    });
    access.collect()
}

#[derive(FromQueryResult)]
struct PurchaseRow {
    user_id: i64,
    product_id: i64,
    order_no: String,
}

async fn read_purchases(db: &Db, buyers: Vec<BuyerId>) -> Result<HashMap<BuyerId, Purchases>, StoreError> {
    let ids: Vec<i64> = buyers.into_iter().map(|buyer| buyer.0).collect();
    let without_goods = [OrderStatus::Cancelled, OrderStatus::Failed, OrderStatus::Refunded].map(OrderStatus::code);
    let rows: Vec<PurchaseRow> = query::by_keys(db.reader(), &ids, "reading purchases of users", |ids| {
        Query::select()
            .columns(["user_id", "product_id", "order_no"])
            .from("orders")
            .and_where(Expr::col("user_id").is_in(ids))
            .and_where(Expr::col("pool").ne(i64::from(Pool::Free)))
            .and_where(Expr::col("status").is_not_in(without_goods))
            .limit(PURCHASES_MAX)
            .to_owned()
    })
    .await?;
    let mut bought: HashMap<BuyerId, Purchases> = HashMap::new();
    for row in rows {
        let order_no = query::order_no(&row.order_no)?;
        let of_buyer = bought.entry(BuyerId(row.user_id)).or_default();
        let newest = of_buyer.entry(ProductId(row.product_id)).or_insert(order_no);
        *newest = order_no.max(*newest);
    }
    Ok(bought)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::{CancelReason, Command};
    use crate::persistence::fixture::Shop;
    use crate::persistence::testing::user;

    #[actix_rt::test]
    async fn many_buyers_are_read_together_each_with_his_own() {
        let shop = Shop::with_units(10).await;
        let reads = AccessReads::new(&shop.db);
        let (li, wang) = (user(&shop.db, "li").await, user(&shop.db, "wang").await);
        let nobody = BuyerId(wang.id.0 + 1);
        let asked = [li.id, nobody, wang.id].map(|buyer| reads.access(buyer));
        let [of_li, of_nobody, of_wang] = futures::future::join_all(asked).await.try_into().unwrap();
        let (of_li, of_wang) = (of_li.unwrap().unwrap(), of_wang.unwrap().unwrap());
        assert_eq!((of_li.username.as_str(), of_wang.username.as_str()), ("li", "wang"));
        assert!(of_li.active && of_li.live_sessions.is_empty());
        assert_eq!(of_nobody.unwrap(), None);
    }

    #[actix_rt::test]
    async fn purchases_are_the_newest_of_sales_that_were_not_given_back() {
        let shop = Shop::with_units(10).await;
        let sale = Pool::Sale(shop.sale(8, 5).await);
        let reads = AccessReads::new(&shop.db);
        shop.order(Pool::Free, 1, 1).await;
        assert!(reads.purchases(BuyerId(1)).await.unwrap().is_empty(), "an ordinary order is no purchase in a sale");
        let first = shop.order(sale, 1, 1).await.order;
        let second = shop.order(sale, 1, 1).await.order;
        let of_other = shop.order(sale, 2, 1).await.order;
        let bought = reads.purchases(BuyerId(1)).await.unwrap();
        assert_eq!(bought, HashMap::from([(first.product, second.order_no)]));
        shop.command(second.order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
        assert_eq!(reads.purchases(BuyerId(1)).await.unwrap(), HashMap::from([(first.product, first.order_no)]));
        assert_eq!(reads.purchases(BuyerId(2)).await.unwrap(), HashMap::from([(of_other.product, of_other.order_no)]));
    }
}
