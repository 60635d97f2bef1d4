//! Certificates are fetched when they are needed, believed when they open and are signed, and not more often than
//! once a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::payment::crypto::ApiV3Key;
use crate::payment::gateway::PaymentGateway as _;

fn certificates(key: &str) -> String {
    let sealed = ApiV3Key::from_text(key).unwrap();
    let ciphertext = sealed.seal("d215b0511e9c", "certificate", PLATFORM_CERT.as_bytes()).unwrap();
    json(&Certificates {
        data: vec![SealedCertificate {
            serial_no: PLATFORM_SERIAL.to_owned(),
            effective_time: "2026-11-21T00:00:00+08:00".to_owned(),
            expire_time: "2126-11-21T00:00:00+08:00".to_owned(),
            encrypt_certificate: Resource {
                original_type: None,
                algorithm: "AEAD_AES_256_GCM".to_owned(),
                ciphertext,
                associated_data: "certificate".to_owned(),
                nonce: "d215b0511e9c".to_owned(),
            },
        }],
    })
}

fn signed_by_certificate(body: &str) -> Reply {
    let signature = platform(PLATFORM_SERIAL).sign_body(body.as_bytes(), Clock::default().now_ms()).unwrap();
    reply(200, body, &signature)
}

fn answer(seen: &Seen, key: &str) -> Reply {
    match seen.target.as_str() {
        "/v3/certificates" => signed_by_certificate(&certificates(key)),
        _ => signed_by_certificate(&json(&paid())),
    }
}

fn fetching(peer: &Peer, public_keys: PlatformKeys, clock: Clock) -> WechatV3 {
    let merchant = Merchant { public_keys, fetches_certificates: true, ..merchant() };
    WechatV3::new(&peer.url, &settings(), merchant, clock).unwrap()
}

fn fetches(peer: &Peer) -> usize {
    peer.seen().iter().filter(|seen| seen.target == "/v3/certificates").count()
}

#[actix_rt::test]
async fn the_first_call_fetches_them_and_the_next_does_not() {
    let peer = Peer::start(|seen| answer(seen, API_V3_KEY)).await;
    let clock = Clock::default();
    let client = fetching(&peer, PlatformKeys::new(), clock.clone());
    for _ in 0..3 {
        assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    }
    assert_eq!(fetches(&peer), 1);
    peer.seen().iter().for_each(assert_signed);
}

#[actix_rt::test]
async fn they_are_renewed_when_they_are_old() {
    // signs by the clock of the client, which travels
    let clock = Clock::default();
    let signing = clock.clone();
    let peer = Peer::start(move |seen| {
        let body = if seen.target == "/v3/certificates" { certificates(API_V3_KEY) } else { json(&paid()) };
        let signature = platform(PLATFORM_SERIAL).sign_body(body.as_bytes(), signing.now_ms()).unwrap();
        reply(200, &body, &signature)
    })
    .await;
    let client = fetching(&peer, PlatformKeys::new(), clock.clone());
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    clock.travel(settings().certificate_refresh_ms);
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    assert_eq!(fetches(&peer), 2);
}

#[actix_rt::test]
async fn a_key_that_turns_up_is_looked_for_at_once_and_once_in_ten_seconds() {
    let is_rotated = Arc::new(AtomicU8::new(0));
    let rotation = is_rotated.clone();
    let peer = Peer::start(move |seen| {
        let body = json(&paid());
        match (seen.target.as_str(), rotation.load(Ordering::SeqCst)) {
            ("/v3/certificates", _) => signed_by_certificate(&certificates(API_V3_KEY)),
            (_, 0) => signed_by_certificate(&body),
            _ => {
                let unheard = platform("ABCDEF").sign_body(body.as_bytes(), Clock::default().now_ms()).unwrap();
                reply(200, &body, &unheard)
            }
        }
    })
    .await;
    let clock = Clock::default();
    let client = fetching(&peer, PlatformKeys::new(), clock.clone());
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    is_rotated.store(1, Ordering::SeqCst);
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "unknown");
    assert_eq!(fetches(&peer), 2, "at once, though they were fetched a moment ago");
    // fewer than what makes the breaker leave the gateway alone
    for _ in 0..2 {
        assert_eq!(outcome(&client.query(&charge().payment_no).await), "unknown");
    }
    assert_eq!(fetches(&peer), 2, "whoever invents keys makes us fetch nothing more");
    clock.travel(10_000);
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "unknown");
    assert_eq!(fetches(&peer), 3);
}

#[actix_rt::test]
async fn a_changeover_believes_the_public_key_and_the_certificates() {
    let peer = Peer::start(|seen| match seen.target.as_str() {
        "/v3/certificates" => signed_by_certificate(&certificates(API_V3_KEY)),
        target if target.contains("/id/") => signed_by_certificate(&json(&paid())),
        _ => signed(200, &json(&paid())),
    })
    .await;
    let client = fetching(&peer, ring(PUBLIC_KEY_ID, platform_public()), Clock::default());
    assert_eq!(outcome(&client.query(&charge().payment_no).await), "ok");
    assert_eq!(client.keys.current().len(), 2);
}

#[actix_rt::test]
async fn certificates_that_do_not_open_or_are_signed_by_nobody_known_are_not_believed() {
    let other_key = API_V3_KEY.replace('a', "b");
    let wrongly_sealed = Peer::start(move |seen| answer(seen, &other_key)).await;
    let forged = Peer::start(|seen| {
        let body = certificates(API_V3_KEY);
        let forger = Signer { serial: PLATFORM_SERIAL.to_owned(), key: merchant_key() };
        match seen.target.as_str() {
            "/v3/certificates" => {
                reply(200, &body, &forger.sign_body(body.as_bytes(), Clock::default().now_ms()).unwrap())
            }
            _ => signed_by_certificate(&json(&paid())),
        }
    })
    .await;
    for peer in [wrongly_sealed, forged] {
        let client = fetching(&peer, PlatformKeys::new(), Clock::default());
        assert_eq!(outcome(&client.query(&charge().payment_no).await), "BackOff");
        assert!(client.keys.current().is_empty());
        assert_eq!(peer.seen().len(), fetches(&peer), "nothing is asked whose answer could not be believed");
    }
}
