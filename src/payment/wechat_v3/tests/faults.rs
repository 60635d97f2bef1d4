//! What goes wrong on the way or at the gateway, and that the guard keeps callers away from a gateway that is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::payment::addresses::DETOUR_MS;
use crate::payment::gateway::PaymentGateway as _;
use crate::payment::guard::FAILING_REFUNDS_PER_SECOND;

fn fault_body(code: &str) -> String {
    format!(r#"{{"code":"{code}","message":"说明"}}"#)
}

#[actix_rt::test]
async fn every_row_comes_through_as_its_action() {
    for (status, code, expected) in [
        (400, "PARAM_ERROR", "Permanent"),
        (400, "INVALID_REQUEST", "Ask"),
        (400, "ORDER_CLOSED", "Closed"),
        (401, "SIGN_ERROR", "Configuration"),
        (403, "NO_AUTH", "Permanent"),
        (403, "OUT_TRADE_NO_USED", "Ask"),
        (400, "ORDERPAID", "AlreadyPaid"),
        (404, "ORDER_NOT_EXIST", "NotFound"),
        (429, "FREQUENCY_LIMITED", "BackOff"),
        (500, "SYSTEM_ERROR", "unknown"),
        (500, "BANK_ERROR", "unknown"),
        (502, "", "unknown"),
    ] {
        let body = fault_body(code);
        for is_signed in [true, false] {
            let body = body.clone();
            let answer =
                move |_: &Seen| if is_signed { signed(status, &body) } else { Reply::plain(status, body.clone()) };
            let peer = Peer::start(answer).await;
            assert_eq!(outcome(&client(&peer).create(&charge()).await), expected, "{status} {code}");
        }
    }
}

#[actix_rt::test]
async fn accepted_without_a_result_is_unknown() {
    let peer = Peer::start(|_| signed(202, "")).await;
    assert_eq!(outcome(&client(&peer).refund(&refund()).await), "unknown");
}

#[actix_rt::test]
async fn a_success_that_is_not_signed_as_it_should_be_is_unknown() {
    let body = r#"{"code_url":"weixin://forged"}"#;
    let now_ms = Clock::default().now_ms();
    let honest = platform(PUBLIC_KEY_ID).sign_body(body.as_bytes(), now_ms).unwrap();
    let stale = platform(PUBLIC_KEY_ID).sign_body(body.as_bytes(), now_ms - 400_000).unwrap();
    let forger = Signer { serial: PUBLIC_KEY_ID.to_owned(), key: merchant_key() };
    let forged = forger.sign_body(body.as_bytes(), now_ms).unwrap();
    let elsewhere = platform(PLATFORM_SERIAL).sign_body(body.as_bytes(), now_ms).unwrap();
    let probe = Signature { signature: format!("WECHATPAY/SIGNTEST/{}", honest.signature), ..honest.clone() };
    for (name, answer) in [
        ("unsigned", Reply::plain(200, body)),
        ("stale", reply(200, body, &stale)),
        ("forged", reply(200, body, &forged)),
        ("unknown serial", reply(200, body, &elsewhere)),
        ("probe", reply(200, body, &probe)),
        ("other body", reply(200, r#"{"code_url":"weixin://other"}"#, &honest)),
        ("forged refusal", reply(404, body, &forged)),
        ("unreadable", signed(200, "<html>")),
        ("too large", signed(200, &"x".repeat(300 * 1024))),
        ("broken", Reply::Break),
    ] {
        let peer = Peer::start(move |_| answer.clone()).await;
        assert_eq!(outcome(&client(&peer).create(&charge()).await), "unknown", "{name}");
    }
}

#[actix_rt::test]
async fn a_gateway_that_hangs_leaves_it_unknown() {
    let peer = Peer::start(|_| Reply::Hang).await;
    let client = WechatV3::new(&peer.url, &impatient(), merchant(), Clock::default()).unwrap();
    assert_eq!(outcome(&client.create(&charge()).await), "unknown");
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Peer::start(|_| signed(200, r#"{"code_url":"weixin://elsewhere"}"#)).await;
    let location = elsewhere.url.clone();
    let peer = Peer::start(move |_| Reply::Answer {
        status: 302,
        headers: vec![("location".to_owned(), location.clone())],
        body: Vec::new(),
    })
    .await;
    assert_eq!(outcome(&client(&peer).create(&charge()).await), "Configuration");
    assert!(elsewhere.seen().is_empty());
}

#[actix_rt::test]
async fn nobody_listening_leaves_nothing_behind() {
    let peer = Peer::start(|_| Reply::Hang).await;
    let client = client(&peer);
    drop(peer);
    tokio::task::yield_now().await;
    let failed = client.create(&charge()).await;
    assert_eq!(outcome(&failed), "BackOff", "{failed:?}");
}

#[actix_rt::test]
async fn who_is_not_reached_at_the_first_address_is_asked_at_the_second_at_once() {
    let gone = Peer::start(|_| Reply::Hang).await;
    let second = Peer::start(|_| signed(200, r#"{"code_url":"weixin://x"}"#)).await;
    let client = client(&gone).with_backup(Some(&second.url)).unwrap();
    drop(gone);
    tokio::task::yield_now().await;
    assert_eq!(outcome(&client.create(&charge()).await), "ok");
    assert_signed(&second.seen()[0]);
    assert_eq!(second.seen()[0].json()["out_trade_no"], PAYMENT_NO);
}

#[actix_rt::test]
async fn what_was_not_answered_is_asked_for_at_the_second_address_and_after_a_minute_at_the_first_again() {
    let is_well = Arc::new(AtomicBool::new(false));
    let health = is_well.clone();
    let first = Peer::start(move |_| match health.load(Ordering::SeqCst) {
        true => signed(200, &json(&paid())),
        false => Reply::Hang,
    })
    .await;
    let second = Peer::start(|_| signed(200, &json(&paid()))).await;
    let clock = Clock::default();
    let client = WechatV3::new(&first.url, &impatient(), merchant(), clock.clone()).unwrap();
    let client = client.with_backup(Some(&second.url)).unwrap();
    let number = PAYMENT_NO.parse().unwrap();
    let seen = || (first.seen().len(), second.seen().len());
    assert_eq!(outcome(&client.create(&charge()).await), "unknown");
    assert_eq!(seen(), (1, 0), "it may have arrived: nothing is sent twice in one breath");
    assert_eq!(outcome(&client.query(&number).await), "ok");
    assert_eq!(seen(), (1, 1));
    is_well.store(true, Ordering::SeqCst);
    clock.travel(DETOUR_MS + 1);
    assert_eq!(outcome(&client.query(&number).await), "ok");
    assert_eq!(seen(), (2, 1));
}

#[actix_rt::test]
async fn a_storm_of_errors_keeps_callers_away_until_one_call_succeeds() {
    let is_well = Arc::new(AtomicBool::new(false));
    let health = is_well.clone();
    let peer = Peer::start(move |_| match health.load(Ordering::SeqCst) {
        true => signed(200, &json(&paid())),
        false => Reply::plain(500, fault_body("SYSTEM_ERROR")),
    })
    .await;
    let clock = Clock::default();
    let client = WechatV3::new(&peer.url, &settings(), merchant(), clock.clone()).unwrap();
    for _ in 0..20 {
        assert!(client.query(&charge().payment_no).await.is_err());
    }
    assert_eq!(peer.seen().len(), 3, "the other calls never left");
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "BackOff");
    is_well.store(true, Ordering::SeqCst);
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "BackOff", "the pause is kept");
    clock.travel(10_001);
    let answers = Peer::start(|_| signed(200, "{}")).await;
    drop(answers);
    // the peer signs by the real clock, ours is ten seconds ahead: within the five minutes
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
}

#[actix_rt::test]
async fn a_wrong_signature_of_ours_stops_the_calls_at_once() {
    let peer = Peer::start(|_| Reply::plain(401, fault_body("SIGN_ERROR"))).await;
    let client = client(&peer);
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "Configuration");
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "BackOff");
    assert_eq!(peer.seen().len(), 1);
}

#[actix_rt::test]
async fn no_more_than_six_refund_calls_fail_in_a_second() {
    let peer = Peer::start(|_| Reply::plain(403, fault_body("NOT_ENOUGH"))).await;
    let clock = Clock::default();
    let client = WechatV3::new(&peer.url, &settings(), merchant(), clock.clone()).unwrap();
    for round in 1..=2 {
        let order = refund();
        let attempts = futures::future::join_all((0..30).map(|_| client.refund(&order))).await;
        let sent = attempts.iter().filter(|attempt| outcome(attempt) == "ShortOfFunds").count();
        assert!(sent <= FAILING_REFUNDS_PER_SECOND, "{sent}");
        assert_eq!(peer.seen().len(), round * FAILING_REFUNDS_PER_SECOND);
        clock.travel(1_001);
    }
}
