//! Notifications: believed when signed and sealed by the platform, refused with a reason otherwise.

use super::*;
use crate::payment::facts::*;
use crate::payment::gateway::*;
use crate::payment::notice::*;

fn envelope(event_type: &str, original_type: &str, resource: &impl serde::Serialize, key: &str) -> Envelope {
    let sealed = ApiV3Key::from_text(key).unwrap();
    Envelope {
        id: "EV-2018022511223320873".to_owned(),
        create_time: "2026-11-22T09:46:41+08:00".to_owned(),
        event_type: event_type.to_owned(),
        resource_type: "encrypt-resource".to_owned(),
        resource: Resource {
            original_type: Some(original_type.to_owned()),
            algorithm: "AEAD_AES_256_GCM".to_owned(),
            ciphertext: sealed.seal("fdasflkja484", "", json(resource).as_bytes()).unwrap(),
            associated_data: String::new(),
            nonce: "fdasflkja484".to_owned(),
        },
        summary: "支付成功".to_owned(),
    }
}

fn posted(body: String, signature: &Signature) -> RawNotice {
    let headers = signature.to_headers().map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    RawNotice { headers: headers.to_vec(), body: body.into_bytes() }
}

fn notice(envelope: &Envelope) -> RawNotice {
    let body = json(envelope);
    let signature = platform(PUBLIC_KEY_ID).sign_body(body.as_bytes(), Clock::default().now_ms()).unwrap();
    posted(body, &signature)
}

async fn read(notice: &RawNotice) -> Result<Notice, NoticeRejection> {
    let peer = Peer::start(|_| Reply::Break).await;
    let read = client(&peer).read_notice(notice).await;
    assert!(peer.seen().is_empty(), "a notification asks nothing in public-key mode");
    read
}

#[actix_rt::test]
async fn a_payment_is_told_with_its_trade() {
    let told = read(&notice(&envelope("TRANSACTION.SUCCESS", "transaction", &paid(), API_V3_KEY))).await.unwrap();
    assert_eq!(told.id, "EV-2018022511223320873");
    let NoticeEvent::Trade(trade) = told.event else { panic!("no trade") };
    assert_eq!((trade.state, trade.total), (TradeState::Paid, Some(charge().amount)));
    assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
}

#[actix_rt::test]
async fn the_end_of_a_refund_is_told_with_its_report() {
    for (event, status, expected) in [
        ("REFUND.SUCCESS", "SUCCESS", RefundState::Succeeded),
        ("REFUND.ABNORMAL", "ABNORMAL", RefundState::Abnormal),
        ("REFUND.CLOSED", "CLOSED", RefundState::Closed),
    ] {
        let amount = Some(RefundAmount { total: 8_880, refund: 1_000, ..RefundAmount::default() });
        let resource = Refund {
            mchid: Some(MCHID.to_owned()),
            status: None,
            refund_status: Some(status.to_owned()),
            amount,
            ..refunding("")
        };
        let told = read(&notice(&envelope(event, "refund", &resource, API_V3_KEY))).await.unwrap();
        let NoticeEvent::Refund(report) = told.event else { panic!("no refund") };
        assert_eq!((report.state, report.amount, report.strange), (expected, Some(refund().amount), None));
        assert_eq!(report.gateway_refund_no.as_deref(), Some("5030000001"));
    }
}

#[actix_rt::test]
async fn news_of_another_merchant_is_told_as_strange() {
    let other = Transaction { mchid: "1".to_owned(), ..paid() };
    let told = read(&notice(&envelope("TRANSACTION.SUCCESS", "transaction", &other, API_V3_KEY))).await.unwrap();
    let NoticeEvent::Trade(trade) = told.event else { panic!("no trade") };
    assert_eq!(trade.strange, Some(Mismatch::Merchant));
}

#[actix_rt::test]
async fn an_event_nobody_knows_is_genuine_but_nothing_to_us() {
    let told = read(&notice(&envelope("COUPON.USE", "coupon", &paid(), API_V3_KEY))).await.unwrap();
    assert_eq!(told.event, NoticeEvent::Other("COUPON.USE".to_owned()));
}

#[actix_rt::test]
async fn whatever_is_not_the_platforms_word_is_refused_with_its_reason() {
    let honest = envelope("TRANSACTION.SUCCESS", "transaction", &paid(), API_V3_KEY);
    let body = json(&honest);
    let now_ms = Clock::default().now_ms();
    let sign = |signer: Signer, at_ms: i64| signer.sign_body(body.as_bytes(), at_ms).unwrap();
    let genuine = sign(platform(PUBLIC_KEY_ID), now_ms);
    let forged = sign(Signer { serial: PUBLIC_KEY_ID.to_owned(), key: merchant_key() }, now_ms);
    let probe = Signature { signature: "WECHATPAY/SIGNTEST/abc".to_owned(), ..genuine.clone() };
    let mut twice = posted(body.clone(), &genuine);
    twice.headers.push(("Wechatpay-Nonce".to_owned(), "x".to_owned()));
    let mut large = posted(body.clone(), &genuine);
    large.body.resize(NOTICE_BYTES_MAX + 1, b' ');
    let mut broken_tag = honest.clone();
    broken_tag.resource.ciphertext.replace_range(0..2, "AA");
    for (notice, expected) in [
        (posted(body.clone(), &forged), "forged"),
        (posted(body.replace("SUCCESS", "success"), &genuine), "forged"),
        (posted(body.clone(), &sign(platform(PUBLIC_KEY_ID), now_ms - 301_000)), "stale"),
        (posted(body.clone(), &sign(platform(PUBLIC_KEY_ID), now_ms + 302_000)), "stale"),
        (posted(body.clone(), &sign(platform(PLATFORM_SERIAL), now_ms)), "unknown_key"),
        (posted(body.clone(), &probe), "probe"),
        (RawNotice { headers: Vec::new(), body: body.clone().into_bytes() }, "malformed"),
        (twice, "malformed"),
        (large, "malformed"),
        (notice(&broken_tag), "sealed"),
        (notice(&envelope("TRANSACTION.SUCCESS", "transaction", &paid(), &API_V3_KEY.replace('a', "b"))), "sealed"),
        (notice(&envelope("TRANSACTION.SUCCESS", "transaction", &"text", API_V3_KEY)), "malformed"),
        (notice(&Envelope { id: String::new(), ..honest.clone() }), "malformed"),
    ] {
        assert_eq!(read(&notice).await.unwrap_err().label(), expected);
    }
}

#[actix_rt::test]
async fn success_is_204_and_failure_is_told_in_their_words() {
    let peer = Peer::start(|_| Reply::Break).await;
    let client = client(&peer);
    assert_eq!(client.answer_notice(true).status, 204);
    let failure = client.answer_notice(false);
    assert_eq!((failure.status, failure.body), (500, r#"{"code":"FAIL","message":"失败"}"#));
}
