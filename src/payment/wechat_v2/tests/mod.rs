//! The client against a hand-made gateway that signs with the shared test key.

mod calls;
mod faults;
mod notices;

use super::signing::{ApiV2Key, SignType};
use super::xml::{self, Fields};
use super::{Merchant, WechatV2};
use crate::clock::Clock;
use crate::payment::test_peer::{Peer, Reply, Seen};
use crate::payment::testing::*;

pub(super) const MCHID: &str = "1900007291";
pub(super) const APPID: &str = "wxd678efh567hg6787";

pub(super) fn key() -> ApiV2Key {
    ApiV2Key::from_text(API_V2_KEY).unwrap()
}

pub(super) fn merchant(sign_type: SignType) -> Merchant {
    Merchant { mchid: MCHID.to_owned(), appid: APPID.to_owned(), key: key(), sign_type, identity: None }
}

pub(super) fn client(peer: &Peer) -> WechatV2 {
    client_of(&peer.url, SignType::HmacSha256)
}

pub(super) fn client_of(url: &str, sign_type: SignType) -> WechatV2 {
    WechatV2::new(url, &settings(), merchant(sign_type), Clock::default()).unwrap()
}

pub(super) fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A message of the gateway's about our merchant, with these fields, signed.
pub(super) fn message(pairs: &[(&str, &str)], sign_type: SignType) -> Fields {
    let mut message = fields(&[
        ("return_code", "SUCCESS"),
        ("return_msg", "OK"),
        ("result_code", "SUCCESS"),
        ("appid", APPID),
        ("mch_id", MCHID),
        ("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"),
    ]);
    message.extend(fields(pairs));
    let signature = key().signature(&message, sign_type);
    message.insert("sign".to_owned(), signature);
    message
}

pub(super) fn signed(pairs: &[(&str, &str)]) -> Reply {
    Reply::plain(200, xml::write("xml", &message(pairs, SignType::HmacSha256)))
}

pub(super) async fn peer(pairs: &'static [(&'static str, &'static str)]) -> Peer {
    Peer::start(move |_| signed(pairs)).await
}

/// What the merchant sent, without what is the same in every request. Panics unless it is signed.
pub(super) fn asked(seen: &Seen) -> Fields {
    let mut sent = xml::read(seen.body.as_bytes()).unwrap();
    key().verify(&sent).unwrap();
    assert_eq!((sent["appid"].as_str(), sent["mch_id"].as_str(), sent["nonce_str"].len()), (APPID, MCHID, 32));
    sent.retain(|name, _| !["appid", "mch_id", "nonce_str", "sign", "sign_type"].contains(&name.as_str()));
    sent
}
