//! What every store does: the same answers, bounds and refusals, also when changes meet.

use futures::future::join_all;
use rushmall::domain::ProductId;
use rushmall::persistence::carts::{CART_LIFE_MS, CartOwner, CartRejection};
use rushmall::persistence::products::{self, ProductChanges, STATUS_OFF_SHELF};

use crate::bench::{Bench, LINES_MAX, NOW_MS, buyer, guest, stores};

/// Runs one test of the contract on every store.
macro_rules! contract {
    // One list of names instead of two lines for each; the functions stay ordinary functions.
    ($($name:ident),* $(,)?) => {
        mod carts_contract {
            $(#[actix_rt::test]
            async fn $name() {
                for bench in super::stores().await {
                    eprintln!("on {}", bench.name);
                    super::$name(&bench).await;
                }
            })*
        }
    };
}

contract![
    units_add_up_to_999_and_to_what_is_there,
    a_cart_holds_so_many_products,
    clicks_that_meet_are_all_counted_and_break_no_bound,
    totals_count_what_can_be_bought_at_the_price_of_now,
    what_is_set_is_there_and_what_is_not_there_is_not_set,
    what_was_added_last_comes_first,
    a_cart_is_forgotten_a_week_after_its_last_change,
    carts_of_two_owners_have_nothing_in_common,
    a_guests_cart_moves_in_once,
    a_guest_who_signs_in_as_two_users_at_once_has_one_cart,
];

async fn units_add_up_to_999_and_to_what_is_there(bench: &Bench) {
    let owner = bench.user("li").await;
    let (much, little) = (bench.product(100, 10_000).await, bench.product(100, 2).await);
    assert_eq!(bench.add(&owner, much, 900).await, Ok(900));
    assert_eq!(bench.add(&owner, much, 99).await, Ok(999));
    assert_eq!(bench.add(&owner, much, 1).await, Err(CartRejection::TooManyUnits));
    assert_eq!(bench.add(&owner, little, 3).await, Err(CartRejection::StockShort { units_left: 2 }));
    assert_eq!(bench.add(&owner, ProductId(99), 1).await, Err(CartRejection::ProductMissing));
    assert_eq!(bench.content(&owner).await, [(much, 999)]);
}

async fn a_cart_holds_so_many_products(bench: &Bench) {
    let owner = guest("token");
    let products: [ProductId; 4] = bench.products().await;
    for (place, product) in products.iter().enumerate() {
        let expected = if (place as u64) < LINES_MAX { Ok(1) } else { Err(CartRejection::TooManyLines) };
        assert_eq!(bench.add(&owner, *product, 1).await, expected);
    }
    assert_eq!(bench.add(&owner, products[0], 1).await, Ok(2), "a full cart takes more of what it has");
    assert!(bench.carts.remove(&owner, products[0], NOW_MS).await.unwrap());
    assert!(!bench.carts.remove(&owner, products[0], NOW_MS).await.unwrap());
    assert_eq!(bench.add(&owner, products[3], 1).await, Ok(1));
    bench.carts.clear(&owner).await.unwrap();
    bench.carts.clear(&owner).await.unwrap();
    assert!(bench.content(&owner).await.is_empty());
}

async fn clicks_that_meet_are_all_counted_and_break_no_bound(bench: &Bench) {
    let owner = bench.user("li").await;
    let scarce = bench.product(100, 7).await;
    let clicks = join_all((0..12).map(|_| bench.add(&owner, scarce, 1))).await;
    assert_eq!(clicks.iter().filter(|click| click.is_ok()).count(), 7, "{clicks:?}");
    let others: [ProductId; 6] = bench.products().await;
    let clicks = join_all(others.iter().map(|product| bench.add(&owner, *product, 2))).await;
    assert_eq!(clicks.iter().filter(|click| click.is_ok()).count(), LINES_MAX as usize - 1, "{clicks:?}");
    let removals = join_all((0..4).map(|_| bench.carts.remove(&owner, scarce, NOW_MS))).await;
    assert_eq!(removals.into_iter().filter(|removed| *removed.as_ref().unwrap()).count(), 1);
    assert_eq!(bench.content(&owner).await.len(), LINES_MAX as usize - 1);
}

async fn totals_count_what_can_be_bought_at_the_price_of_now(bench: &Bench) {
    let owner = bench.user("li").await;
    let (kept, gone) = (bench.product(1_999, 10).await, bench.product(100, 10).await);
    bench.add(&owner, kept, 3).await.unwrap();
    bench.add(&owner, gone, 1).await.unwrap();
    let off = ProductChanges { status: Some(STATUS_OFF_SHELF), ..ProductChanges::default() };
    products::update(&bench.db, gone, &off, NOW_MS).await.unwrap().unwrap();
    assert_eq!(bench.add(&owner, gone, 1).await, Err(CartRejection::OffShelf));
    let cart = bench.carts.load(&owner, NOW_MS).await.unwrap();
    assert_eq!((cart.lines.len(), cart.total_count, cart.total_price.fen()), (2, 3, 5_997));
    let line = cart.lines.iter().find(|line| line.product == kept).unwrap();
    assert_eq!((line.stock, line.available, line.sub_total.fen()), (10, true, 5_997));
}

async fn what_is_set_is_there_and_what_is_not_there_is_not_set(bench: &Bench) {
    let owner = bench.user("li").await;
    let product = bench.product(100, 10).await;
    assert_eq!(bench.set(&owner, product, 5).await, Err(CartRejection::LineMissing));
    bench.add(&owner, product, 3).await.unwrap();
    assert_eq!(bench.set(&owner, product, 5).await, Ok(5));
    assert_eq!(bench.set(&owner, product, 11).await, Err(CartRejection::StockShort { units_left: 10 }));
    assert_eq!(bench.set(&owner, ProductId(99), 1).await, Err(CartRejection::ProductMissing));
    assert_eq!(bench.content(&owner).await, [(product, 5)]);
}

async fn what_was_added_last_comes_first(bench: &Bench) {
    let owner = bench.user("li").await;
    let [first, second, third] = bench.products().await;
    for (product, at_ms) in [(second, 0), (first, 1), (third, 2), (second, 3)] {
        bench.add_at(&owner, product, 1, NOW_MS + at_ms).await.unwrap();
    }
    assert_eq!(bench.lines(&owner, NOW_MS + 3).await, [(third, 1), (first, 1), (second, 2)]);
}

async fn a_cart_is_forgotten_a_week_after_its_last_change(bench: &Bench) {
    let owner = guest("token");
    let [product, other, _] = bench.products().await;
    bench.add(&owner, product, 4).await.unwrap();
    bench.add_at(&owner, other, 1, NOW_MS + 1_000).await.unwrap();
    let end_ms = NOW_MS + 1_000 + CART_LIFE_MS;
    assert_eq!(bench.lines(&owner, end_ms - 1).await, [(other, 1), (product, 4)]);
    assert!(bench.lines(&owner, end_ms).await.is_empty());
    assert!(!bench.carts.remove(&owner, product, end_ms).await.unwrap());
    assert_eq!(bench.add_at(&owner, product, 1, end_ms).await, Ok(1));
    assert_eq!(bench.lines(&owner, end_ms).await, [(product, 1)]);
    bench.carts.tidy(NOW_MS + 3 * CART_LIFE_MS).await.unwrap();
}

async fn carts_of_two_owners_have_nothing_in_common(bench: &Bench) {
    let product = bench.product(100, 100).await;
    let owners = [bench.user("li").await, bench.user("wu").await, guest("one"), guest("two")];
    for (place, owner) in owners.iter().enumerate() {
        bench.add(owner, product, place as i64 + 1).await.unwrap();
    }
    bench.carts.clear(&owners[0]).await.unwrap();
    for (place, owner) in owners.iter().enumerate().skip(1) {
        assert_eq!(bench.content(owner).await, [(product, place as i64 + 1)]);
    }
}

async fn a_guests_cart_moves_in_once(bench: &Bench) {
    let _alone = crate::moving::alone().await;
    let owner = bench.user("li").await;
    let (guest, products): (CartOwner, [ProductId; 4]) = (guest("token"), bench.products().await);
    bench.add(&owner, products[0], 600).await.unwrap();
    bench.add(&owner, products[1], 1).await.unwrap();
    for (at_ms, (product, units)) in [(products[0], 600), (products[2], 2), (products[3], 3)].into_iter().enumerate() {
        bench.add_at(&guest, product, units, NOW_MS + at_ms as i64).await.unwrap();
    }
    let merges = (0..3).map(|_| bench.carts.merge("token", buyer(&owner), LINES_MAX, NOW_MS + 5));
    assert!(join_all(merges).await.into_iter().all(|merged| merged.is_ok()));
    // the guest's oldest new line found no room
    assert_eq!(bench.content(&owner).await, [(products[0], 999), (products[1], 1), (products[3], 3)]);
    assert!(bench.content(&guest).await.is_empty());
    bench.carts.merge("token", buyer(&owner), LINES_MAX, NOW_MS).await.unwrap();
    bench.add(&guest, products[1], 1).await.unwrap();
    bench.carts.merge("token", buyer(&owner), LINES_MAX, NOW_MS).await.unwrap();
    assert_eq!(bench.content(&owner).await[1], (products[1], 2), "he may be a guest again");
}

async fn a_guest_who_signs_in_as_two_users_at_once_has_one_cart(bench: &Bench) {
    let _alone = crate::moving::alone().await;
    let users = [bench.user("li").await, bench.user("wu").await];
    let [product, ..]: [ProductId; 1] = bench.products().await;
    bench.add(&guest("token"), product, 5).await.unwrap();
    let merges = users.iter().map(|user| bench.carts.merge("token", buyer(user), LINES_MAX, NOW_MS));
    assert!(join_all(merges).await.into_iter().all(|merged| merged.is_ok()));
    let (li, wu) = (bench.content(&users[0]).await, bench.content(&users[1]).await);
    assert_eq!([li, wu].concat(), [(product, 5)]);
}
