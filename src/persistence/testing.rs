//! What the tests of this layer share: a database of their own and rows to work on.
//!
//! The same tests run on every engine. `RUSHMALL_TEST_DATABASE_URL` names a server without a database
//! (`mysql://root@127.0.0.1:3306`, `postgres://rushmall@127.0.0.1:5432`), unset means a SQLite file; see `make
//! test-engines`.

mod own;
mod proxy;

use sea_orm::ConnectionTrait as _;

use super::products::{self, NewProduct, STATUS_ON_SHELF};
use super::users::{self, NewUser, User};
use super::{Db, StoreError};
use crate::domain::{Money, ProductId, Role};

pub(crate) use own::{OwnDatabase, database, database_with, empty_database};
pub(crate) use proxy::{Cut, Proxy};

/// Some time in 2026.
pub(crate) const NOW_MS: i64 = 1_795_000_000_000;

pub(crate) fn named(username: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        email: None,
        phone: None,
        password_hash: "hash".to_owned(),
        role: Role::User,
    }
}

pub(crate) async fn user(db: &Db, username: &str) -> User {
    users::insert(db, &named(username), NOW_MS).await.unwrap().unwrap()
}

pub(crate) fn item(name: &str, price_fen: i64) -> NewProduct {
    NewProduct {
        name: name.to_owned(),
        description: String::new(),
        category_id: 0,
        price: Money::from_fen(price_fen),
        image_url: String::new(),
        images: Vec::new(),
        attributes: products::Attributes::new(),
        status: STATUS_ON_SHELF,
    }
}

/// A product with `units` in its free pool.
pub(crate) async fn product(db: &Db, new: &NewProduct, units: i64) -> ProductId {
    let id = products::insert(db, new, NOW_MS).await.unwrap().unwrap();
    put_units(db, id, units).await;
    id
}

/// Puts units in by hand, where no inventory is at work.
pub(crate) async fn put_units(db: &Db, product: ProductId, units: i64) {
    let update = format!("UPDATE stock SET put_in = {units}, free = {units} WHERE product_id = {product} AND pool = 0");
    db.writer().execute_unprepared(&update).await.map_err(StoreError::during("putting units in")).unwrap();
}
