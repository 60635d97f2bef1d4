//! The transparency log from outside: who may see what, and that its proofs convince a client with the library alone.

use std::time::Duration;

use rushmall::transparency::{Hash, HeadKey, tree};
use serde_json::Value;

use crate::support::client::Person;
use crate::support::shop::TestShop;

fn hash(text: &Value) -> Hash {
    hex::decode(text.as_str().expect("it is told")).expect("it is told").try_into().expect("it is told")
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().expect("it is told").iter().map(hash).collect()
}

/// The order's proofs, once a head is over all its facts.
async fn proofs(person: &Person, order_no: &str) -> Value {
    for _ in 0..200 {
        let answer = person.get(&format!("/api/order/{order_no}/audit")).await.accepted();
        let facts = answer["facts"].as_array().expect("it is told");
        if !facts.is_empty() && facts.iter().all(|fact| fact["proof"].is_array()) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no head over the facts of order {order_no}")
}

#[tokio::test]
async fn a_client_verifies_payment_and_refund_with_nothing_but_the_key() {
    let shop = TestShop::with(|settings| settings.audit.head_every_s = 0).await;
    let (admin, ann, bob) = (shop.admin().await, shop.register("ann").await, shop.register("bob").await);
    let product = admin.make_product("logged", 19.8, 4).await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    assert!(
        ann.get(&format!("/api/order/{order_no}/audit")).await.accepted()["facts"]
            .as_array()
            .expect("it is told")
            .is_empty()
    );
    shop.visitor().get("/api/audit/head").await.with_status(404).rejected(404);
    ann.pay(&order_no).await.accepted();
    let first = proofs(&ann, &order_no).await["head"].clone();
    let other = bob.place_order(&product, 1).await.order_no();
    bob.pay(&other).await.accepted();
    admin.refund(&order_no).await.accepted();
    shop.at_rest().await;
    proofs(&bob, &other).await;

    let mut answer = proofs(&admin, &order_no).await;
    while answer["facts"].as_array().expect("it is told").len() < 2 {
        answer = proofs(&ann, &order_no).await;
    }
    let head = &answer["head"];
    let key: HeadKey = head["verifier_key"].as_str().expect("it is told").parse().expect("it is told");
    let signed = key.head(head["note"].as_str().expect("it is told")).expect("it is told");
    assert_eq!((Some(signed.tree_size), signed.root), (head["tree_size"].as_u64(), hash(&head["root_hash"])));
    for (fact, state) in answer["facts"].as_array().expect("it is told").iter().zip(["captured", "succeeded"]) {
        let (leaf, index) =
            (fact["leaf"].as_str().expect("it is told"), fact["leaf_index"].as_u64().expect("it is told"));
        assert!(tree::includes(&signed.root, signed.tree_size, leaf.as_bytes(), index, &hashes(&fact["proof"])));
        let said: Value = serde_json::from_str(leaf).expect("it is told");
        assert_eq!((said["state"].as_str(), said["amount_fen"].as_i64()), (Some(state), Some(1_980)), "{leaf}");
    }
    let from = first["tree_size"].as_u64().expect("it is told");
    let path = format!("/api/audit/consistency?from={from}&to={}", signed.tree_size);
    let consistency = shop.visitor().get(&path).await.accepted();
    let old = key.head(first["note"].as_str().expect("it is told")).expect("it is told");
    let proof = hashes(&consistency["proof"]);
    assert!(tree::continues((&old.root, from), (&signed.root, signed.tree_size), &proof));
}

#[tokio::test]
async fn proofs_of_an_order_are_its_owners_and_sizes_must_exist() {
    let shop = TestShop::with(|settings| settings.audit.head_every_s = 0).await;
    let (admin, ann, bob) = (shop.admin().await, shop.register("ann").await, shop.register("bob").await);
    let product = admin.make_product("private", 1.0, 4).await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    proofs(&ann, &order_no).await;
    let path = format!("/api/order/{order_no}/audit");
    bob.get(&path).await.with_status(404).rejected(30_001);
    shop.visitor().get(&path).await.with_status(401);
    ann.get("/api/order/nonsense/audit").await.with_status(404).rejected(30_001);
    for bad in ["from=0", "from=2", "from=1&to=2", "to=1", "from=x", ""] {
        let answer = shop.visitor().get(&format!("/api/audit/consistency?{bad}")).await;
        assert_eq!((answer.status, answer.code), (400, 400), "{bad}: {answer:?}");
    }
    let same = shop.visitor().get("/api/audit/consistency?from=1").await.accepted();
    assert_eq!(same["proof"], Value::Array(Vec::new()));
    shop.at_rest().await;
}
