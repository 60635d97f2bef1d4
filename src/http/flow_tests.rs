//! Purchases through the whole stack of one node: HTTP, actors, ledger, writer, saga, WebSocket.

use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::auth::Subject;
use super::server::app;
use super::state::{AppState, for_tests};
use crate::domain::Role;
use crate::persistence::sessions::{self, SignIn};
use crate::persistence::users::{self, NewUser};

struct Shop {
    state: web::Data<AppState>,
    _dir: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let (state, dir) = for_tests().await;
        Self { state: web::Data::new(state), _dir: dir }
    }

    async fn token(&self, name: &str, role: Role) -> String {
        let (state, now_ms) = (&self.state, self.state.clock.now_ms());
        let new = NewUser { username: name.to_owned(), email: None, phone: None, password_hash: "x".to_owned(), role };
        let user = users::insert(&state.db, &new, now_ms).await.unwrap().unwrap();
        let sign_in = SignIn {
            user: user.id,
            token_epoch: user.token_epoch,
            device: "test",
            address: "127.0.0.1",
            refresh_ms: 3_600_000,
            sessions_max: 5,
        };
        let session = sessions::open(&state.db, sign_in, now_ms).await.unwrap().unwrap();
        let subject = Subject { buyer: user.id, username: name.to_owned(), role, sid: session.sid };
        state.tokens.mint(&subject, now_ms).unwrap()
    }

    async fn send(&self, request: TestRequest, token: &str) -> (u16, Value) {
        let request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        let app = init_service(app(self.state.clone(), None)).await;
        let response = match try_call_service(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        let status = response.status().as_u16();
        let bytes = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        self.send(TestRequest::post().uri(path).set_json(body), token).await.1
    }

    async fn get(&self, path: &str, token: &str) -> Value {
        self.send(TestRequest::get().uri(path), token).await.1
    }

    /// A product with units in the free pool.
    async fn product(&self, admin: &str, stock: i64) -> i64 {
        let body = json!({"name": "茶杯", "price": 19.99, "stock": stock});
        let made = self.post("/api/product", admin, body).await;
        made["data"]["id"].as_i64().unwrap_or_else(|| panic!("{made}"))
    }

    /// Waits until an order is in a status.
    async fn until_status(&self, token: &str, order_no: &str, status: i64) -> Value {
        for _ in 0..3_000 {
            let order = self.get(&format!("/api/order/{order_no}"), token).await;
            if order["data"]["status"] == status {
                return order["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("order {order_no} is not {status}")
    }
}

#[actix_rt::test]
async fn a_flash_sale_from_plan_to_paid() {
    let shop = Shop::open().await;
    let admin = shop.token("root", Role::Admin).await;
    let (li, wang) = (shop.token("li", Role::User).await, shop.token("wang", Role::User).await);
    let product = shop.product(&admin, 5).await;
    let opened = shop.post("/api/seckill/init", &admin, json!({"product_id": product, "stock": 1})).await;
    assert_eq!(opened["code"], 0, "{opened}");
    let sales = shop.get("/api/seckill", "x").await;
    assert_eq!((&sales["data"]["list"][0]["stock"], &sales["data"]["total"]), (&json!(1), &json!(1)), "{sales}");

    let bought = shop.post("/api/seckill", &li, json!({"product_id": product})).await;
    assert_eq!((&bought["code"], &bought["data"]["price"]), (&json!(0), &json!(19.99)), "{bought}");
    let order_no = bought["data"]["order_no"].as_str().unwrap().to_owned();
    let listed = shop.get("/api/order", &li).await;
    assert_eq!(listed["data"]["list"][0]["order_no"], order_no, "{listed}");
    assert!(listed["data"]["list"][0]["id"].as_i64().unwrap() > 0);

    let again = shop.post("/api/seckill", &li, json!({"product_id": product})).await;
    assert_eq!((&again["code"], &again["data"]["order_no"]), (&json!(60004), &json!(order_no)), "{again}");
    let late = shop.post("/api/seckill", &wang, json!({"product_id": product})).await;
    assert_eq!(late["code"], 60003, "{late}");

    let order = shop.until_status(&li, &order_no, 1).await;
    assert_eq!((&order["product_name"], &order["total_price"]), (&json!("茶杯"), &json!(19.99)));
    let result = shop.get(&format!("/api/seckill/result/{order_no}"), &li).await;
    assert_eq!(result["data"]["status"], "created");
    assert_eq!(shop.get(&format!("/api/order/{order_no}"), &wang).await["code"], 30001);

    let pay = format!("/api/order/{order_no}/pay");
    assert_eq!(shop.post(&pay, &wang, json!({"pay_type": 1})).await["code"], 30001);
    assert_eq!(shop.post(&pay, &li, json!({"pay_type": 4})).await["code"], 30010);
    let paid = shop.post(&pay, &li, json!({"pay_type": 2})).await;
    assert_eq!((&paid["data"]["status"], &paid["data"]["pay_type"]), (&json!(2), &json!(2)), "{paid}");
    assert_eq!(shop.post(&pay, &li, json!({"pay_type": 2})).await["code"], 30007);

    let refunded = shop.post(&format!("/api/admin/orders/{order_no}/refund"), &admin, json!({"reason": "x"})).await;
    assert_eq!(refunded["code"], 0, "{refunded}");
    let order = shop.until_status(&li, &order_no, 7).await;
    assert_eq!(order["refunded"], 19.99);
}

#[actix_rt::test]
async fn an_ordinary_order_under_a_key_is_placed_once() {
    let shop = Shop::open().await;
    let admin = shop.token("root", Role::Admin).await;
    let li = shop.token("li", Role::User).await;
    let product = shop.product(&admin, 5).await;
    let place = || {
        let request = TestRequest::post().uri("/api/order").insert_header(("Idempotency-Key", "k1"));
        shop.send(request.set_json(json!({"product_id": product, "quantity": 2, "remark": "快点"})), &li)
    };
    let (status, first) = place().await;
    assert_eq!(
        (status, &first["data"]["status"], &first["data"]["total_price"]),
        (200, &json!(1), &json!(39.98)),
        "{first}"
    );
    let (_, second) = place().await;
    assert_eq!(first["data"], second["data"]);
    assert_eq!(shop.get("/api/order?status=&page=", &li).await["data"]["total"], 1);
    let short = shop.post("/api/order", &li, json!({"product_id": product, "quantity": 4})).await;
    assert_eq!((&short["code"], &short["data"]["stock"]), (&json!(20003), &json!(3)), "{short}");
    let order_no = first["data"]["order_no"].as_str().unwrap();
    let cancelled = shop.post(&format!("/api/order/{order_no}/cancel"), &li, json!({})).await;
    assert_eq!(cancelled["data"]["status"], 5, "{cancelled}");
}

#[actix_rt::test]
async fn a_cart_is_checked_out_all_or_nothing() {
    let shop = Shop::open().await;
    let admin = shop.token("root", Role::Admin).await;
    let li = shop.token("li", Role::User).await;
    let (cup, pot) = (shop.product(&admin, 5).await, shop.product(&admin, 1).await);
    assert_eq!(shop.post("/api/order/checkout", &li, json!({})).await["code"], 50001);
    for product in [cup, pot] {
        assert_eq!(shop.post("/api/cart", &li, json!({"product_id": product, "quantity": 1})).await["code"], 0);
    }
    let ordered = shop.post("/api/order/checkout", &li, json!({})).await;
    assert_eq!(ordered["data"].as_array().map(Vec::len), Some(2), "{ordered}");
    assert_eq!(shop.post("/api/order/checkout", &li, json!({})).await["code"], 50001);
}

#[actix_rt::test]
async fn buyers_are_not_administrators_and_guests_are_nobody() {
    let shop = Shop::open().await;
    let li = shop.token("li", Role::User).await;
    for (path, code) in [("/api/admin/statistics", 10010), ("/api/admin/audit", 10010), ("/api/admin/actors", 10010)] {
        assert_eq!(shop.get(path, &li).await["code"], code, "{path}");
        assert_eq!(shop.get(path, "x").await["code"], 10006, "{path}");
    }
    let admin = shop.token("root", Role::Admin).await;
    for path in [
        "/api/admin/statistics",
        "/api/admin/audit",
        "/api/admin/actors",
        "/api/admin/orders",
        "/api/admin/dead-tickets",
        "/api/admin/dead-letters",
        "/api/admin/rehearsal/reconciliation?product_id=1",
    ] {
        assert_eq!(shop.get(path, &admin).await["code"], 0, "{path}");
    }
    let made = shop.post("/api/admin/rehearsal/buyers", &admin, json!({"count": 3, "prefix": "drill-"})).await;
    let token = made["data"]["buyers"][2]["token"].as_str().unwrap().to_owned();
    assert_eq!(shop.get("/api/order", &token).await["data"]["total"], 0);
    assert_eq!(
        shop.post("/api/admin/rehearsal/buyers", &admin, json!({"count": 3, "prefix": "drill-"})).await["code"],
        10002
    );
}

#[actix_rt::test]
async fn a_socket_tells_what_happens_and_what_was_missed() {
    let shop = Shop::open().await;
    let admin = shop.token("root", Role::Admin).await;
    let li = shop.token("li", Role::User).await;
    let product = shop.product(&admin, 5).await;
    let state = shop.state.clone();
    let server = actix_web::HttpServer::new(move || app(state.clone(), None)).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_rt::spawn(running);

    let ticket = shop.post("/api/ws/ticket", &li, json!({})).await["data"]["ticket"].as_str().unwrap().to_owned();
    let url = format!("ws://{address}/ws?ticket={ticket}");
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert!(tokio_tungstenite::connect_async(&url).await.is_err(), "a ticket opens one socket");
    assert_eq!(hear(&mut socket).await["type"], "welcome");
    socket.send(Message::text("nonsense")).await.unwrap();
    assert_eq!(hear(&mut socket).await["type"], "error");
    socket.send(Message::text(r#"{"type":"subscribe","orders":"all"}"#)).await.unwrap();
    let snapshot = hear(&mut socket).await;
    assert_eq!((&snapshot["type"], snapshot["orders"].as_array().map(Vec::len)), (&json!("snapshot"), Some(0)));

    let placed = shop.post("/api/order", &li, json!({"product_id": product})).await;
    let order_no = placed["data"]["order_no"].as_str().unwrap();
    let told = hear(&mut socket).await;
    assert_eq!((&told["type"], &told["order_no"], &told["status"]), (&json!("order"), &json!(order_no), &json!(1)));
    assert_eq!(told["total_price"], 19.99);
    let since = told["seq"].as_i64().unwrap();
    drop(socket);

    shop.post(&format!("/api/order/{order_no}/pay"), &li, json!({"pay_type": 9})).await;
    let ticket = shop.post("/api/ws/ticket", &li, json!({})).await["data"]["ticket"].as_str().unwrap().to_owned();
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws?ticket={ticket}")).await.unwrap();
    assert_eq!(hear(&mut socket).await["type"], "welcome");
    socket.send(Message::text(format!(r#"{{"type":"subscribe","since":{since}}}"#))).await.unwrap();
    assert_eq!(hear(&mut socket).await["type"], "snapshot");
    let mut last = Value::Null;
    while last["event"] != "payment_captured" {
        let told = hear(&mut socket).await;
        assert!(told["version"].as_u64() > last["version"].as_u64(), "{told} after {last}");
        last = told;
    }
    assert_eq!(last["status"], 2);
    shop.post("/api/auth/logout", &li, json!({})).await;
    assert_eq!(closed(&mut socket).await, 4401);
    handle.stop(false).await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn next(socket: &mut Socket) -> Message {
    tokio::time::timeout(Duration::from_secs(30), socket.next()).await.expect("a frame in time").unwrap().unwrap()
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        match next(socket).await {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => panic!("{frame:?}"),
            _ => {}
        }
    }
}

async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.unwrap().code.into();
        }
    }
}
