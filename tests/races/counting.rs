//! What a crowd was answered, counted; and the codes that it may be answered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::books::{Books, Units};
use crate::support::client::Answer;
use crate::support::verbs::Product;

pub const NOT_STARTED: i64 = 60_001;
pub const ENDED: i64 = 60_002;
pub const SOLD_OUT: i64 = 60_003;
pub const ALREADY_BOUGHT: i64 = 60_004;
pub const TOO_FREQUENT: i64 = 60_010;
pub const BUSY: i64 = 60_011;
pub const STOCK_SHORT: i64 = 20_003;
pub const ALREADY_PAID: i64 = 30_007;
pub const CANNOT_CANCEL: i64 = 30_005;
pub const EXPIRED: i64 = 30_006;

pub const UNPAID: i64 = 1;
pub const PAID: i64 = 2;
pub const COMPLETED: i64 = 4;
pub const CANCELLED: i64 = 5;
pub const REFUNDED: i64 = 7;
pub const FAILED: i64 = 8;

/// How often each code was answered.
pub fn by_code(answers: &[Answer]) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.code).or_default() += 1;
    }
    counts
}

/// The order numbers of those who were accepted.
pub fn accepted(answers: &[Answer]) -> Vec<String> {
    answers.iter().filter(|answer| answer.is_accepted()).map(|answer| text(&answer.data, "order_no")).collect()
}

/// A text field that must be there.
#[track_caller]
pub fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_else(|| panic!("no {name} in {data}")).to_owned()
}

/// The pool of the product's only sale.
pub async fn sale_pool(books: &Books, product: &Product) -> Units {
    let pools = books.units(product.id).await;
    let mut sales = pools.iter().filter(|units| units.pool != 0);
    let sale = *sales.next().unwrap_or_else(|| panic!("no sale among {pools:?}"));
    assert!(sales.next().is_none(), "more than one sale: {pools:?}");
    sale
}

/// The product's free pool.
pub async fn free_pool(books: &Books, product: &Product) -> Units {
    let pools = books.units(product.id).await;
    *pools.iter().find(|units| units.pool == 0).unwrap_or_else(|| panic!("no free pool among {pools:?}"))
}
