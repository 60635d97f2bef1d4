//! Lists with equal timestamps: t31.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::SalePlan;

/// Every page of a list, in order.
async fn walk(who: &Person, path: &str, page_size: usize) -> Vec<Value> {
    let (mut found, mut page) = (Vec::new(), 1);
    loop {
        let glue = if path.contains('?') { '&' } else { '?' };
        let data = who.get(&format!("{path}{glue}page={page}&page_size={page_size}")).await.accepted();
        let list = data["list"].as_array().expect("a list");
        assert_eq!((data["page"].as_u64(), data["page_size"].as_u64()), (Some(page), Some(page_size as u64)));
        found.extend(list.iter().cloned());
        if page >= data["total_page"].as_u64().expect("pages") {
            assert_eq!(data["total"].as_u64(), Some(found.len() as u64), "{path}: the total is what was listed");
            return found;
        }
        assert_eq!(list.len(), page_size, "{path}: a page in the middle is full");
        page += 1;
    }
}

#[tokio::test]
async fn t31_lists_with_equal_values_show_every_entry_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    for place in 0..23 {
        admin.make_product(&format!("equal {place}"), 5.0, 3).await;
    }
    let visitor = shop.visitor();
    for sort in ["", "?sort=newest", "?sort=price_asc", "?sort=price_desc", "?sort=sales", "?sort=rating"] {
        let path = format!("/api/product{sort}");
        let ids: Vec<i64> = walk(&visitor, &path, 4).await.iter().filter_map(|p| p["id"].as_i64()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 23, "{path}: {ids:?}");
        let again: Vec<i64> = walk(&visitor, &path, 7).await.iter().filter_map(|p| p["id"].as_i64()).collect();
        assert_eq!(ids, again, "{path} is in one order whatever the page");
    }
    assert_eq!(visitor.get("/api/product?page=99").await.accepted()["list"], serde_json::json!([]));
}

#[tokio::test]
async fn t31_orders_of_the_same_millisecond_are_listed_newest_first_once_each() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("many", 5.0, 200).await;
    admin.plan_sale(&product, SalePlan::open_now(50).per_buyer(50)).await;
    let ann = shop.register("ann").await;
    futures::future::join_all((0..15).map(|_| ann.place_order(&product, 1))).await;
    for _ in 0..8 {
        ann.buy(&product).await.order_no();
    }
    shop.at_rest().await;
    let numbers: Vec<String> = walk(&ann, "/api/order", 4)
        .await
        .iter()
        .map(|order| order["order_no"].as_str().expect("a number").to_owned())
        .collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 23, "{numbers:?}");
    assert!(numbers.windows(2).all(|pair| pair[0] > pair[1]), "not newest first: {numbers:?}");
    let ids: BTreeSet<i64> =
        walk(&ann, "/api/order", 9).await.iter().filter_map(|order| order["id"].as_i64()).collect();
    assert_eq!(ids.len(), 23, "ids are different");
    shop.assert_stock_conserved(product.id).await;
}
