//! `rushmall check --repair` beside a running shop: an account in Redis that lies is written anew, and only when that is said.

use std::process::Output;

use serde_json::{Value, json};

use crate::cluster::on_each_database;
use crate::support::books::Unfinished;
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;

const SOLD_OUT: i64 = 60_003;

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report ({error}): {output:?}"))
}

#[tokio::test]
async fn check_repairs_an_account_that_lies_when_it_is_told_to_and_not_before() {
    on_each_database(|services, database| async move {
        let mut shop = ShopProcess::prepare_on(Ground::on(&database, &services.redis, &services.amqp).await);
        shop.start().await;
        let admin = shop.admin().await;
        let (product, sale) = admin.make_sale("lies", 5).await;
        let (honest, _) = admin.make_sale("honest", 3).await;
        for buyer in ["ann", "bob"] {
            let buyer = shop.register(buyer).await;
            buyer.buy(&product).await.order_no();
            buyer.buy(&honest).await.order_no();
        }
        let books = shop.books().await;
        assert_eq!(books.at_rest().await, Unfinished::default());
        let sound = report(&shop.run(&["check", "--json"]));
        assert_eq!(sound["wrong_accounts"], json!([]), "{sound}");

        books.invent_units(product.id, sale.id, 4).await;
        let free = async || {
            let units = books.units(product.id).await;
            units.iter().find(|units| units.pool == sale.id).expect("the sale's pool").gate
        };
        assert_eq!(free().await, Some(7), "three are left");
        for _ in 0..2 {
            let accused = shop.run(&["check", "--json"]);
            assert_eq!(accused.status.code(), Some(1), "{accused:?}");
            assert_eq!(report(&accused)["wrong_accounts"], json!([product.id]), "{accused:?}");
            assert_eq!(free().await, Some(7), "looking changes nothing");
        }
        let repaired = shop.run(&["check", "--repair", "--json"]);
        assert!(repaired.status.success(), "checked once more, and sound: {repaired:?}");
        assert_eq!(report(&repaired)["wrong_accounts"], json!([]), "{repaired:?}");
        assert_eq!(free().await, Some(3), "as the database has it");
        let again = shop.run(&["check", "--repair"]);
        assert!(again.status.success(), "nothing to repair any more: {again:?}");
        // and the sale goes on, to its last unit and no further
        for buyer in ["cyd", "dan", "eve"] {
            shop.register(buyer).await.buy(&product).await.order_no();
        }
        assert_eq!(shop.register("fay").await.buy(&product).await.code, SOLD_OUT);
        books.close().await;
        shop.assert_clean().await;
    })
    .await;
}
