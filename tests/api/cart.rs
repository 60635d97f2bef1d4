//! Carts of buyers and guests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Person, send};
use crate::support::shop::TestShop;

#[tokio::test]
async fn a_cart_is_filled_changed_and_emptied() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (first, second) = (admin.make_product("a", 1.5, 10).await, admin.make_product("b", 2.5, 10).await);
    let ann = shop.register("ann").await;
    ann.add_to_cart(&first, 2).await.accepted();
    let line = ann.add_to_cart(&first, 3).await.accepted();
    assert_eq!((line["quantity"].as_i64(), line["sub_total"].as_f64()), (Some(5), Some(7.5)), "{line}");
    ann.add_to_cart(&second, 1).await.accepted();
    assert_eq!(ann.cart().await.accepted()["total_price"], 10.0);
    ann.add_to_cart(&first, 6).await.rejected(50_007);
    ann.put("/api/cart", &json!({ "product_id": first.id, "quantity": 11 })).await.rejected(50_007);
    ann.put("/api/cart", &json!({ "product_id": first.id, "quantity": 1 })).await.accepted();
    let remove = json!({ "product_id": second.id });
    ann.ask(Method::DELETE, "/api/cart", Some(&remove), &[]).await.accepted();
    ann.ask(Method::DELETE, "/api/cart", Some(&remove), &[]).await.with_status(404).rejected(50_002);
    ann.put("/api/cart", &json!({ "product_id": second.id, "quantity": 1 })).await.with_status(404).rejected(50_002);
    assert_eq!(ann.cart().await.accepted()["total_count"], 1);
    ann.delete("/api/cart/clear").await.accepted();
    assert_eq!(ann.cart().await.accepted()["items"], json!([]));
    ann.checkout().await.rejected(50_001);
    // a cart holds nothing: the shelves are as full as before
    shop.assert_stock_conserved(first.id).await;
}

#[tokio::test]
async fn a_product_that_left_the_shelf_blocks_the_checkout_until_it_is_taken_out() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (kept, gone) = (admin.make_product("kept", 1.5, 10).await, admin.make_product("gone", 2.5, 10).await);
    let ann = shop.register("ann").await;
    ann.add_to_cart(&kept, 1).await.accepted();
    ann.add_to_cart(&gone, 1).await.accepted();
    admin.put(&format!("/api/product/{}", gone.id), &json!({ "status": 0 })).await.accepted();
    assert_eq!(ann.checkout().await.rejected(50_009)["product_id"], gone.id);
    ann.add_to_cart(&gone, 1).await.rejected(50_009);
    let cart = ann.cart().await.accepted();
    assert_eq!((cart["items"].as_array().map(Vec::len), cart["total_price"].as_f64()), (Some(2), Some(1.5)), "{cart}");
    ann.ask(Method::DELETE, &format!("/api/cart?product_id={}", gone.id), None, &[]).await.accepted();
    assert_eq!(ann.checkout().await.accepted().as_array().map(Vec::len), Some(1));
    shop.assert_stock_conserved(kept.id).await;
}

#[tokio::test]
async fn a_guests_cart_is_his_alone_and_becomes_the_users_at_sign_in() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("carried", 1.5, 10).await;
    let visitor: Person = shop.visitor();
    let added = visitor.add_to_cart(&product, 2).await;
    let token = added.headers["x-cart-token"].to_str().expect("a token").to_owned();
    assert!(added.headers.contains_key("set-cookie"));
    let with = [("X-Cart-Token", token.as_str())];
    let mine = visitor.ask(Method::GET, "/api/cart", None, &with).await.accepted();
    assert_eq!(mine["total_count"], 2);
    assert_eq!(visitor.cart().await.accepted()["total_count"], 0, "another guest has another cart");
    for forged in ["x", "' OR 1=1 --", &"A".repeat(43)] {
        let seen = visitor.ask(Method::GET, "/api/cart", None, &[("X-Cart-Token", forged)]).await.accepted();
        assert_eq!(seen["total_count"], 0, "{forged}");
    }
    let body = json!({ "username": "ann", "password": "ann-2026" });
    let entered = visitor.ask(Method::POST, "/api/user/register", Some(&body), &with).await.accepted();
    let ann = visitor.signed_in(
        entered["user"]["id"].as_i64().expect("an id"),
        "ann",
        entered["token"].as_str().expect("a token"),
    );
    assert_eq!(ann.cart().await.accepted()["total_count"], 2);
    let left = visitor.ask(Method::GET, "/api/cart", None, &with).await.accepted();
    assert_eq!(left["total_count"], 0, "the guest's cart has moved");
    assert_eq!(ann.checkout().await.accepted()[0]["quantity"], 2);
    visitor.checkout().await.with_status(401).rejected(10_008);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_page_from_elsewhere_has_no_power_over_a_guests_cart_by_his_cookie() {
    let friend = "https://club.example";
    let shop = TestShop::with(|settings| settings.http.allowed_origins = Some(vec![friend.to_owned()])).await;
    let admin = shop.admin().await;
    let (wanted, pushed) = (admin.make_product("wanted", 1.5, 10).await, admin.make_product("pushed", 9.0, 10).await);
    let visitor = shop.visitor();
    let added = visitor.add_to_cart(&wanted, 2).await;
    let cookie = added.headers["set-cookie"].to_str().expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().expect("name and value").to_owned();
    let own = shop.address.base();
    let asks = async |method: Method, path: &str, origin: Option<&str>, body: Option<&Value>| {
        let headers = [("cookie", cookie.as_str()), ("origin", origin.unwrap_or_default())];
        visitor.ask(method, path, body, &headers[..1 + usize::from(origin.is_some())]).await
    };
    let push = json!({ "product_id": pushed.id, "quantity": 5 });
    let few = json!({ "product_id": wanted.id, "quantity": 1 });
    let enter = json!({ "username": "mallory", "password": "mallory-2026" });
    for origin in ["https://evil.example", "http://shop.example", "null", "https://club.example.evil.example"] {
        for (method, path, body) in [
            (Method::POST, "/api/cart", Some(&push)),
            (Method::PUT, "/api/cart", Some(&few)),
            (Method::DELETE, "/api/cart", Some(&few)),
            (Method::DELETE, "/api/cart/clear", None),
            // would carry the cart into an account of the page's choice
            (Method::POST, "/api/user/register", Some(&enter)),
        ] {
            let refused = asks(method.clone(), path, Some(origin), body).await;
            assert_eq!((refused.status, refused.code), (403, 403), "{method} {path} from {origin}: {refused:?}");
            assert!(!refused.headers.contains_key("set-cookie"), "nor is he given another cart: {refused:?}");
        }
        // a form needs no leave of the browser
        let form = visitor.request(Method::POST, "/api/cart").header("cookie", &cookie).header("origin", origin);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let sent = send(form.body(format!("product_id={}&quantity=5", pushed.id)), "a form".to_owned()).await;
        assert_eq!(sent.status, 403, "{sent:?}");
    }
    let cart = asks(Method::GET, "/api/cart", None, None).await.accepted();
    assert_eq!((&cart["total_count"], &cart["items"][0]["product_id"]), (&json!(2), &json!(wanted.id)), "{cart}");
    // programs, own pages and listed ones go on as before
    for origin in [None, Some(own.as_str()), Some(friend)] {
        asks(Method::POST, "/api/cart", origin, Some(&few)).await.accepted();
    }
    assert_eq!(asks(Method::GET, "/api/cart", Some(&own), None).await.accepted()["total_count"], 5);
    shop.assert_stock_conserved(wanted.id).await;
}

#[tokio::test]
async fn a_cart_has_so_many_lines() {
    let shop = TestShop::with(|settings| settings.orders.cart_lines_max = 3).await;
    let admin = shop.admin().await;
    let ann = shop.register("ann").await;
    for place in 0..4 {
        let product = admin.make_product(&format!("line {place}"), 1.0, 5).await;
        let answer = ann.add_to_cart(&product, 1).await;
        if place < 3 {
            answer.accepted();
        } else {
            assert_eq!(answer.rejected(50_003)["lines_max"], 3);
        }
    }
    assert_eq!(ann.checkout().await.accepted().as_array().map(Vec::len), Some(3));
}
