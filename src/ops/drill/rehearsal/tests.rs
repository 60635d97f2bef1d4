//! The whole drill against a small pretend shop that can be told to misbehave.

use std::collections::HashMap;
use std::sync::Mutex;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use clap::Parser as _;
use serde_json::{Value, json};

use super::*;
use crate::ops::cli::{Cli, Command};

/// How the pretend shop misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Fault {
    #[default]
    None,
    /// Sells one unit more than it has.
    Oversells,
    /// Acknowledges an order and forgets it.
    Forgets,
    /// Takes a unit for an order it never acknowledges, and answers "sold out".
    TakesSilently,
}

/// One product, in memory; a buyer's token is his number.
#[derive(Debug, Default)]
struct Pretend {
    fault: Fault,
    stock: i64,
    /// Order number to buyer and status.
    orders: HashMap<String, (String, i64)>,
    cleared: u32,
}

type Shared = web::Data<Mutex<Pretend>>;

fn answer(code: i32, data: &Value) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "code": code, "message": "", "data": data }))
}

fn token(request: &HttpRequest) -> String {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.trim_start_matches("Bearer ").to_owned()
}

impl Pretend {
    fn count(&self, status: i64) -> i64 {
        self.orders.values().filter(|(_, s)| *s == status).count() as i64
    }

    fn buy(&mut self, buyer: &str) -> HttpResponse {
        if let Some((number, _)) = self.orders.iter().find(|(_, (owner, _))| owner == buyer) {
            return answer(60_004, &json!({ "order_no": number }));
        }
        let taken = self.count(1) + self.count(2);
        let limit = self.stock + i64::from(self.fault == Fault::Oversells);
        if taken >= limit {
            return answer(60_003, &Value::Null);
        }
        let number = format!("N{buyer}");
        if self.fault != Fault::Forgets || taken > 0 || buyer == "0" {
            self.orders.insert(number.clone(), (buyer.to_owned(), 1));
        }
        if self.fault == Fault::TakesSilently && taken + 1 == limit {
            return answer(60_003, &Value::Null);
        }
        answer(0, &json!({ "order_no": number }))
    }

    fn books(&self) -> Value {
        let (held, sold) = (self.count(1), self.count(2));
        let free = (self.stock - held - sold).max(0);
        json!({
            "product_id": 7,
            "stock": [{ "pool": 1, "put_in": self.stock, "free": free, "held": held, "sold": sold }],
            "ledger": [{ "pool": 1, "free": free }],
            "unsettled": 0,
            "orders": { "pending_payment": held, "paid": sold, "cancelled": self.count(5) },
            "distinct_buyers": self.orders.len(),
        })
    }
}

async fn serve(shop: Shared, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut shop = shop.lock().unwrap();
    let path: Vec<&str> = request.path().trim_start_matches("/api/").split('/').collect();
    match (request.method().as_str(), path.as_slice()) {
        ("POST", ["product"]) => {
            shop.stock = body["stock"].as_i64().unwrap();
            answer(0, &json!({ "id": 7 }))
        }
        ("POST", ["seckill", "sale"]) => answer(0, &json!({ "id": 1 })),
        ("POST", ["admin", "rehearsal", "buyers"]) => {
            let count = body["count"].as_i64().unwrap();
            answer(0, &(0..count).map(|n| json!({ "token": n.to_string() })).collect())
        }
        ("POST", ["seckill"]) => shop.buy(&token(&request)),
        ("POST", ["order", number, command]) => {
            shop.orders.get_mut(*number).unwrap().1 = if *command == "pay" { 2 } else { 5 };
            answer(0, &Value::Null)
        }
        ("GET", ["order", number]) => match shop.orders.get(*number) {
            Some((owner, status)) if *owner == token(&request) => answer(0, &json!({ "status": status })),
            _ => answer(30_001, &Value::Null),
        },
        ("GET", ["admin", "rehearsal", "reconciliation"]) => answer(0, &shop.books()),
        ("DELETE", _) => {
            shop.cleared += 1;
            answer(0, &Value::Null)
        }
        _ => HttpResponse::NotFound().finish(),
    }
}

fn open(fault: Fault) -> (String, Shared, ServerHandle) {
    let shop: Shared = web::Data::new(Mutex::new(Pretend { fault, ..Pretend::default() }));
    let shared = shop.clone();
    let server = HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(serve)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    (url, shop, handle)
}

fn args(url: &str, more: &str) -> DrillArgs {
    let line = format!("rushmall drill --url {url} --admin-token t --buyers 40 --stock 10 --sockets 0 {more}");
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Drill(args) => args,
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn an_honest_shop_passes_and_every_click_is_counted() {
    let (url, shop, handle) = open(Fault::None);
    let figures = rehearse(&args(&url, "--burst --clicks 2 --pay 0.5 --cancel 0.2")).await.unwrap();
    let clicks = figures.clicks;
    assert!(figures.verdict.is_clean(), "{figures:?}");
    assert_eq!((clicks.attempted, clicks.accepted, clicks.errors), (80, 10, 0), "{figures:?}");
    assert_eq!(clicks.sold_out + clicks.limited, 70);
    assert_eq!((figures.persisted, figures.paid, figures.cancelled, figures.pending), (10, 5, 2, 3));
    assert!(figures.latency.max_ms > 0.0 && figures.notes.is_empty(), "{figures:?}");
    assert_eq!(shop.lock().unwrap().cleared, 2, "sale and product are removed");
    handle.stop(false).await;
}

#[actix_rt::test]
async fn a_shop_that_sells_one_too_many_is_caught_even_if_cancelling_hides_it() {
    let (url, _, handle) = open(Fault::Oversells);
    let figures = rehearse(&args(&url, "--rate 10000 --pay 0 --cancel 0.5")).await.unwrap();
    assert_eq!(figures.verdict.oversold, 1, "{figures:?}");
    handle.stop(false).await;
}

#[actix_rt::test]
async fn a_shop_that_forgets_an_order_is_caught() {
    let (url, _, handle) = open(Fault::Forgets);
    let figures = rehearse(&args(&url, "--burst --pay 0 --cancel 0 --timeout 60")).await.unwrap();
    assert!(figures.verdict.lost >= 1, "{figures:?}");
    handle.stop(false).await;
}

#[actix_rt::test]
async fn a_shop_that_takes_a_unit_for_nobody_is_caught() {
    let (url, _, handle) = open(Fault::TakesSilently);
    let figures = rehearse(&args(&url, "--rate 10000 --pay 0 --cancel 0")).await.unwrap();
    assert_eq!((figures.verdict.unaccounted, figures.verdict.lost), (1, 0), "{figures:?}");
    handle.stop(false).await;
}

#[actix_rt::test]
async fn a_shop_that_refuses_the_sale_is_told_with_its_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = rehearse(&args(&url, "")).await.unwrap_err();
    assert!(error.to_string().starts_with("/api/product: "), "{error}");
}
