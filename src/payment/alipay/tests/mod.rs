//! The client against a hand-made Alipay that signs with test keys.

mod bills;
mod calls;
mod faults;
mod notices;

use super::signing::{self, Params};
use super::{Alipay, CertificateNumbers, Merchant};
use crate::clock::Clock;
use crate::payment::test_peer::{Peer, Reply, Seen};
use crate::payment::testing::*;

pub(super) const APP_ID: &str = "2021000000000001";
pub(super) const SELLER_ID: &str = "2088000000000001";

pub(super) fn merchant() -> Merchant {
    Merchant {
        app_id: APP_ID.to_owned(),
        seller_id: SELLER_ID.to_owned(),
        key: merchant_key(),
        alipay_key: platform_public(),
        certificates: None,
    }
}

pub(super) fn numbers() -> CertificateNumbers {
    CertificateNumbers { app: "app".to_owned(), roots: "r1_r2".to_owned(), alipay: "theirs".to_owned() }
}

pub(super) fn client(peer: &Peer) -> Alipay {
    client_of(peer, merchant(), Clock::default())
}

pub(super) fn client_of(peer: &Peer, merchant: Merchant, clock: Clock) -> Alipay {
    Alipay::new(&format!("{}/gateway.do", peer.url), &settings(), merchant, clock).unwrap()
}

/// All parameters of a request: the query's and the body's.
pub(super) fn params(seen: &Seen) -> Params {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    let mut params = signing::read_form(query.as_bytes()).unwrap();
    params.extend(signing::read_form(seen.body.as_bytes()).unwrap());
    params
}

/// An answer to whatever was asked, signed as Alipay does.
pub(super) fn signed(seen: &Seen, inner: &str) -> Reply {
    let name = signing::answer_name(&params(seen)["method"]);
    Reply::plain(200, signing::sign_answer(&name, inner, &platform_key()).unwrap())
}

pub(super) async fn peer(inner: &'static str) -> Peer {
    Peer::start(move |seen| signed(seen, inner)).await
}

/// Panics unless the merchant signed this request.
pub(super) fn assert_signed(seen: &Seen) -> Params {
    let params = params(seen);
    signing::verify_request(&params, &merchant_public()).unwrap();
    assert_eq!((seen.method.as_str(), params["app_id"].as_str()), ("POST", APP_ID));
    let common = ["format", "charset", "version", "sign_type"].map(|name| params[name].clone());
    assert_eq!(common, ["JSON", "utf-8", "1.0", "RSA2"]);
    assert!(seen.body.starts_with("biz_content="), "the rest stands in the query");
    params
}

pub(super) fn content(params: &Params) -> serde_json::Value {
    serde_json::from_str(&params["biz_content"]).unwrap()
}
