//! The commands of single kinds while buyers buy, pay, cancel and check out: units moved, accounts rebuilt, sign-ins ended,
//! orders hurried. Nobody was promised what he did not get, and exactly the units that were put in are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::drill::{brisk_shop, on_sale};
use crate::support::client::{Answer, Person};
use crate::support::load::{Crowd, Dice};
use crate::support::verbs::Product;

const BUYERS: usize = 80;
const HANDS: usize = 8;
const ROUNDS: usize = 4;
/// Between two commands.
const PAUSE: Duration = Duration::from_millis(60);
/// A command that is told "not now" is repeated under its key so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command as an administrator gives it: under a key, again while it is told "not now".
async fn direct(admin: &Person, kind: &str, key: impl ToString, word: &str, params: Value) -> Answer {
    let path = format!("/api/admin/actors/{kind}/{}/{word}", key.to_string());
    let (key, until) = (rushmall::random::token(), Instant::now() + PATIENCE);
    tokio::time::sleep(PAUSE).await;
    loop {
        let answer = admin.post_once(&path, &params, &key).await;
        if !matches!(answer.status, 0 | 409 | 429 | 503) || Instant::now() > until {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a buyer is told who can get nothing: he clicks again while it is "not now".
async fn told(buyer: &Person, product: &Product) -> Answer {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = buyer.buy(product).await;
        let is_not_now = answer.is_open() || answer.status == 429;
        if !is_not_now || Instant::now() > until {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Ten units more, by way of twenty in and ten out, and five more for the sale; the account written anew in between.
async fn move_units(admin: &Person, product: Product, sale_id: i64) {
    let units = async |params: Value| {
        let wanted = params["units"].as_i64().expect("units");
        let moved = direct(admin, "inventory", product.id, "restock", params).await.accepted();
        assert_eq!(moved["units_moved"].as_i64().map(i64::abs), Some(wanted.abs()), "{moved}");
    };
    let rebuild = async || {
        let rebuilt = direct(admin, "inventory", product.id, "rebuild", json!({})).await.accepted();
        assert_eq!(rebuilt["pools"].as_array().map(Vec::len), Some(2), "{rebuilt}");
    };
    units(json!({"units": 20})).await;
    rebuild().await;
    units(json!({"units": 15, "sale_id": sale_id})).await;
    units(json!({"units": -10})).await;
    rebuild().await;
    units(json!({"units": -10, "sale_id": sale_id})).await;
}

/// Nobody buys while the flag stands, and buyers do again when it is taken back.
async fn flag(admin: &Person, eve: &Person, product: Product) {
    let set = direct(admin, "inventory", product.id, "set-sold-out", json!({})).await.accepted();
    assert!(set["sold_out_since"].is_string(), "{set}");
    let refused = told(eve, &product).await;
    assert_eq!(refused.code, 60_003, "{refused:?}");
    let cleared = direct(admin, "inventory", product.id, "clear-sold-out", json!({})).await.accepted();
    assert_eq!(cleared["sold_out_since"], Value::Null, "{cleared}");
}

/// His sign-ins are looked at, his sockets closed, and one of his sign-ins ended: the only one, so he is out.
async fn end_sign_ins(admin: &Person, whom: &Person) {
    let tokens = direct(admin, "session", whom.user_id, "tokens", json!({})).await.accepted();
    let sid = tokens[0]["sid"].as_str().unwrap_or_else(|| panic!("no sign-in in {tokens}")).to_owned();
    direct(admin, "session", whom.user_id, "disconnect", json!({})).await.accepted();
    let left = direct(admin, "session", whom.user_id, "revoke", json!({"sid": sid})).await.accepted();
    assert_eq!(left, json!([]), "he had one");
    whom.get("/api/user/profile").await.with_status(401);
}

/// What is owed is done now, what needs a look has had one, the gateway is asked; nothing of it moves an order that is well.
async fn hurry(admin: &Person, order_no: &str) {
    let journal = direct(admin, "order_saga", order_no, "journal", json!({})).await;
    if journal.status == 404 {
        return; // accepted, and not written yet
    }
    assert_eq!(journal.accepted()["intact"], true);
    direct(admin, "order_saga", order_no, "retry", json!({})).await.accepted();
    direct(admin, "order_saga", order_no, "clear-review", json!({"reason": "drill"})).await.accepted();
    direct(admin, "order_saga", order_no, "resync", json!({})).await.rejected(40_010); // no gateway was asked for money
}

async fn some_orders(crowd: &Crowd, dice: &mut Dice, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..crowd.memories.len() * 4 {
        let memory = crowd.memories[dice.below(crowd.memories.len() as u64) as usize].lock().await;
        found.extend(memory.promised.keys().next_back().cloned());
        if found.len() >= count {
            break;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_kind_in_a_sale_lose_no_message_and_no_unit() {
    let seed = Dice::seed();
    let shop = brisk_shop().await;
    let admin = shop.admin().await;
    let (hot, hot_sale) = on_sale(&admin, "hot").await;
    let (closing, closing_sale) = on_sale(&admin, "closing").await;
    let buyers = admin.make_buyers(BUYERS, "directed-").await;
    let eve = shop.register("eve").await; // only told "sold out"
    let crowd = Crowd::of(buyers.clone(), &[hot, closing]);
    let stop = Arc::new(AtomicBool::new(false));
    let hands = crowd.rush(HANDS, seed, &stop);
    let mut dice = Dice::new(seed);
    let mut closed = 0;
    for (round, buyer) in buyers.iter().enumerate().take(ROUNDS) {
        move_units(&admin, hot, hot_sale).await;
        flag(&admin, &eve, hot).await;
        end_sign_ins(&admin, buyer).await;
        for order_no in some_orders(&crowd, &mut dice, 3).await {
            hurry(&admin, &order_no).await;
        }
        if round == ROUNDS / 2 {
            let params = json!({"sale_id": closing_sale});
            let shut = direct(&admin, "inventory", closing.id, "close-sale", params).await.accepted();
            closed = shut["units_moved"].as_i64().expect("units");
            let late = told(&eve, &closing).await;
            assert_eq!(late.code, 60_002, "{late:?}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    for hand in hands {
        hand.await.expect("nobody was told nonsense");
    }
    shop.at_rest().await;
    crowd.assert_promises_kept(&shop.books).await;
    shop.books.assert_conserved().await;
    let put_in = async |product: Product| {
        shop.books.count(&format!("SELECT SUM(put_in) AS n FROM stock WHERE product_id = {}", product.id)).await
    };
    let moved = 10 * i64::try_from(ROUNDS).expect("a number");
    assert_eq!((put_in(hot).await, put_in(closing).await), (2_000 + moved, 2_000), "each command moved units once");
    assert!((1..=900).contains(&closed), "{closed} units were left when the sale was closed");
    assert_eq!(eve.orders().await.len(), 0);
    let accepted = crowd.tally.accepted.load(Ordering::Relaxed);
    eprintln!("{:?}", crowd.tally);
    assert!(accepted > 50, "there was load: {:?}", crowd.tally);
}
