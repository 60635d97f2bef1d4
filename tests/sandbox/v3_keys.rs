//! The two modes of v3's platform keys, and rotation.

use reqwest::Method;
use rushmall::payment::crypto::{ApiV3Key, Certificate};
use rushmall::payment::keyring::PlatformKeys;
use rushmall::payment::wechat_v3::signing::Signature;
use serde_json::json;

use super::hook::Hook;
use super::stage::Stage;

const CERTIFICATES: &str = "/v3/certificates";

/// The certificates that the platform lists, opened.
async fn certificates(stage: &Stage) -> Vec<Certificate> {
    let key = ApiV3Key::from_text(&stage.merchant.wechat.api_v3_key).unwrap();
    let listed = stage.try_v3(Method::GET, CERTIFICATES, None, None).await.unwrap().ok();
    let one = |entry: &serde_json::Value| {
        let text = |name: &str| entry["encrypt_certificate"][name].as_str().unwrap().to_owned();
        let pem = key.open(&text("nonce"), &text("associated_data"), &text("ciphertext")).unwrap();
        let certificate = Certificate::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
        assert_eq!(entry["serial_no"], certificate.serial);
        certificate
    };
    listed["data"].as_array().unwrap().iter().map(one).collect()
}

#[actix_rt::test]
async fn answers_are_signed_in_the_mode_of_the_request() {
    let stage = Stage::open().await;
    let wechat = &stage.merchant.wechat;
    let certificate = certificates(&stage).await.remove(0);
    for (asked, expected) in [
        (Some(wechat.public_key_id.as_str()), wechat.public_key_id.as_str()),
        (Some(certificate.serial.as_str()), certificate.serial.as_str()),
        (None, certificate.serial.as_str()),
    ] {
        let answer = stage.try_v3(Method::GET, CERTIFICATES, None, asked).await.unwrap();
        assert_eq!(answer.headers["wechatpay-serial"], expected);
        assert_eq!(answer.headers["wechatpay-signature-type"], "WECHATPAY2-SHA256-RSA2048");
        answer.ok();
    }
    stage.knob(json!({ "answer_key": "public_key", "names_signature_type": false })).await;
    let answer = stage.try_v3(Method::GET, CERTIFICATES, None, None).await.unwrap();
    assert_eq!(answer.headers["wechatpay-serial"], wechat.public_key_id.as_str());
    assert!(!answer.headers.contains_key("wechatpay-signature-type"));
    stage.knob(json!({ "lists_certificates": false })).await;
    stage.v3(Method::GET, CERTIFICATES, None).await.refused(404, "RESOURCE_NOT_EXISTS");
}

#[actix_rt::test]
async fn a_rotated_certificate_signs_answers_and_notifications_and_the_old_one_is_still_listed() {
    let (stage, hook) = (Stage::open().await, Hook::open().await);
    let before = certificates(&stage).await;
    let order = stage.order("ORDER_0001", 100, &hook.path("v3"));
    stage.try_v3(Method::POST, "/v3/pay/transactions/native", Some(order), None).await.unwrap().ok();
    let serial = stage.control(Method::POST, "/certificates/rotate", json!({})).await["serial"].clone();
    let after = certificates(&stage).await;
    assert_eq!((before.len() + 1, &before[0].serial), (after.len(), &after[0].serial));
    assert_eq!(serial, after[after.len() - 1].serial.as_str());

    stage.pay("ORDER_0001").await;
    let delivery = hook.wait_for(1).await.remove(0);
    let signature = Signature::from_headers(|name| delivery.header(name)).unwrap();
    assert_eq!(serial, signature.serial);
    let mut ring = PlatformKeys::new();
    ring.add_certificate(&before[0]).unwrap();
    assert!(
        signature.verify(delivery.body.as_bytes(), &ring, stage.clock.now_ms()).is_err(),
        "the old key is not enough"
    );
    ring.add_certificate(&after[after.len() - 1]).unwrap();
    signature.verify(delivery.body.as_bytes(), &ring, stage.clock.now_ms()).unwrap();
}
