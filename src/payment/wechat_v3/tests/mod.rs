//! The client against a hand-made platform that signs with test keys.

mod bills;
mod calls;
mod faults;
mod keys;
mod notices;

use super::messages::*;
use super::signing::{Authorization, Request, Signature, Signer};
use super::{Merchant, WechatV3};
use crate::clock::Clock;
use crate::payment::crypto::ApiV3Key;
use crate::payment::keyring::PlatformKeys;
use crate::payment::test_peer::{Peer, Reply, Seen};
use crate::payment::testing::*;

pub(super) const MCHID: &str = "1900007291";
pub(super) const APPID: &str = "wxd678efh567hg6787";

pub(super) fn merchant() -> Merchant {
    Merchant {
        mchid: MCHID.to_owned(),
        appid: APPID.to_owned(),
        signer: Signer { serial: MERCHANT_SERIAL.to_owned(), key: merchant_key() },
        api_v3_key: ApiV3Key::from_text(API_V3_KEY).unwrap(),
        public_keys: ring(PUBLIC_KEY_ID, platform_public()),
        fetches_certificates: false,
    }
}

pub(super) fn client(peer: &Peer) -> WechatV3 {
    WechatV3::new(&peer.url, &settings(), merchant(), Clock::default()).unwrap()
}

pub(super) fn platform(serial: &str) -> Signer {
    Signer { serial: serial.to_owned(), key: platform_key() }
}

pub(super) fn reply(status: u16, body: &str, signature: &Signature) -> Reply {
    let headers = signature.to_headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Reply::Answer { status, headers: headers.to_vec(), body: body.into() }
}

/// An answer as the platform signs it.
pub(super) fn signed(status: u16, body: &str) -> Reply {
    let signature = platform(PUBLIC_KEY_ID).sign_body(body.as_bytes(), Clock::default().now_ms()).unwrap();
    reply(status, body, &signature)
}

/// Panics unless the merchant signed this request.
pub(super) fn assert_signed(seen: &Seen) {
    let authorization = Authorization::parse(seen.header("authorization").unwrap()).unwrap();
    assert_eq!(authorization.mchid, MCHID);
    let request = Request { method: &seen.method, path_and_query: &seen.target, body: &seen.body };
    let keys: PlatformKeys = ring(MERCHANT_SERIAL, merchant_public());
    authorization.verify(request, &keys, Clock::default().now_ms()).unwrap();
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("RushMall/")));
    assert_eq!(seen.header("accept"), Some("application/json"));
}

pub(super) fn paid() -> Transaction {
    Transaction {
        appid: APPID.to_owned(),
        mchid: MCHID.to_owned(),
        out_trade_no: PAYMENT_NO.to_owned(),
        transaction_id: Some("4200000001".to_owned()),
        trade_type: Some("NATIVE".to_owned()),
        trade_state: "SUCCESS".to_owned(),
        success_time: Some("2026-11-22T09:46:40+08:00".to_owned()),
        payer: Some(Payer { openid: Some("oUpF8".to_owned()) }),
        amount: Some(TransactionAmount {
            total: Some(8_880),
            payer_total: Some(8_000),
            currency: Some("CNY".to_owned()),
            payer_currency: Some("CNY".to_owned()),
        }),
        ..Transaction::default()
    }
}

pub(super) fn refunding(status: &str) -> Refund {
    Refund {
        refund_id: Some("5030000001".to_owned()),
        out_refund_no: REFUND_NO.to_owned(),
        out_trade_no: PAYMENT_NO.to_owned(),
        status: Some(status.to_owned()),
        amount: Some(RefundAmount {
            total: 8_880,
            refund: 1_000,
            currency: Some("CNY".to_owned()),
            ..RefundAmount::default()
        }),
        ..Refund::default()
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
