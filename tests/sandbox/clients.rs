//! The shop's own three gateways against the sandbox: what one side signs the other believes, word for word.

use chrono::{DateTime, FixedOffset};
use rushmall::config::PaymentSettings;
use rushmall::domain::Money;
use rushmall::payment::alipay::{Alipay, CertificateNumbers, Merchant as AlipayMerchant};
use rushmall::payment::crypto::{ApiV3Key, Certificate, PrivateKey, alipay_root_cert_sn};
use rushmall::payment::keyring::PlatformKeys;
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType};
use rushmall::payment::wechat_v2::{Merchant as V2Merchant, WechatV2};
use rushmall::payment::wechat_v3::{Merchant as V3Merchant, WechatV3};
use rushmall::payment::{
    Action, Charge, NewCharge, Notice, NoticeEvent, PaymentError, PaymentGateway, PaymentNo, RawNotice, RefundOrder,
    RefundState, TradeState, TradeType,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::hook::{Delivery, Hook};
use super::stage::{Stage, until, within_a_day};

fn settings() -> PaymentSettings {
    PaymentSettings::default()
}

fn v3(stage: &Stage, in_public_mode: bool) -> WechatV3 {
    let wechat = &stage.merchant.wechat;
    let mut public_keys = PlatformKeys::new();
    if in_public_mode {
        public_keys = stage.platform_keys();
    }
    let merchant = V3Merchant {
        mchid: wechat.mchid.clone(),
        appid: wechat.appid.clone(),
        signer: stage.signer(),
        api_v3_key: ApiV3Key::from_text(&wechat.api_v3_key).unwrap(),
        public_keys,
        fetches_certificates: !in_public_mode,
    };
    WechatV3::new(&stage.url, &settings(), merchant, stage.clock.clone()).unwrap()
}

fn v2(stage: &Stage, sign_type: SignType) -> WechatV2 {
    let wechat = &stage.merchant.wechat;
    let key = ApiV2Key::from_text(&wechat.api_v2_key).unwrap();
    let (mchid, appid) = (wechat.mchid.clone(), wechat.appid.clone());
    let merchant = V2Merchant { mchid, appid, key, sign_type, identity: None };
    WechatV2::new(&stage.url, &settings(), merchant, stage.clock.clone()).unwrap()
}

fn alipay(stage: &Stage, in_certificate_mode: bool) -> Alipay {
    let account = &stage.merchant.alipay;
    let number = |file: &str| Certificate::from_pem(&stage.merchant_file(file)).unwrap().alipay_sn;
    let certificates = in_certificate_mode.then(|| CertificateNumbers {
        app: number(&account.app_certificate_file),
        roots: alipay_root_cert_sn(&stage.merchant_file(&account.alipay_root_certificate_file)).unwrap(),
        alipay: number(&account.alipay_certificate_file),
    });
    let merchant = AlipayMerchant {
        app_id: account.app_id.clone(),
        seller_id: account.seller_id.clone(),
        key: PrivateKey::from_pem(&stage.merchant_file(&account.private_key_file)).unwrap(),
        alipay_key: stage.alipay_key(),
        certificates,
    };
    Alipay::new(&account.gateway_url, &settings(), merchant, stage.clock.clone()).unwrap()
}

fn charge(stage: &Stage, notify_url: &str) -> NewCharge {
    NewCharge {
        payment_no: "ORDER0001_1".parse().unwrap(),
        amount: Money::from_fen(1_999),
        description: "台灯 lamp".to_owned(),
        expires_ms: stage.clock.now_ms() / 1_000 * 1_000 + 1_800_000,
        notify_url: notify_url.to_owned(),
        trade_type: TradeType::QrCode,
        buyer_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
    }
}

fn refund(number: &PaymentNo, notify_url: &str) -> RefundOrder {
    RefundOrder {
        payment_no: number.clone(),
        refund_no: "ORDER0001_r1".parse().unwrap(),
        amount: Money::from_fen(999),
        total: Money::from_fen(1_999),
        reason: "changed my mind".to_owned(),
        notify_url: notify_url.to_owned(),
    }
}

async fn read(gateway: &dyn PaymentGateway, delivery: &Delivery) -> Notice {
    let raw = RawNotice { headers: delivery.headers.clone(), body: delivery.body.clone().into_bytes() };
    gateway.read_notice(&raw).await.unwrap()
}

fn action(error: &PaymentError) -> Option<Action> {
    match error {
        PaymentError::Declined { action, .. } => Some(*action),
        _ => None,
    }
}

/// From the order to the bill, with every notification read by the gateway that ordered it.
async fn live(stage: &Stage, gateway: &dyn PaymentGateway, wire: &str) {
    within_a_day().await;
    let hook = Hook::open().await;
    let charge = charge(stage, &hook.path(wire));
    let number = &charge.payment_no;
    assert_eq!(action(&gateway.query(number).await.unwrap_err()), Some(Action::NotFound));
    for _ in 0..2 {
        let made = gateway.create(&charge).await.unwrap();
        assert!(matches!(made, Charge::QrCode { .. }), "{made:?}");
    }
    let other = NewCharge { amount: Money::from_fen(2_000), ..charge.clone() };
    gateway.create(&other).await.unwrap_err();
    stage.pay(number.as_str()).await;
    let paid = gateway.query(number).await.unwrap();
    assert_eq!((paid.state, paid.total, paid.strange), (TradeState::Paid, Some(charge.amount), None));
    assert_eq!(action(&gateway.create(&charge).await.unwrap_err()), Some(Action::AlreadyPaid));
    assert_eq!(action(&gateway.close(number).await.unwrap_err()), Some(Action::AlreadyPaid));
    let notice = read(gateway, &hook.wait_for(1).await[0]).await;
    let NoticeEvent::Trade(told) = notice.event else { panic!("{notice:?}") };
    told.agrees_with(number, charge.amount).unwrap();
    assert_eq!((told.state, told.gateway_no), (TradeState::Paid, paid.gateway_no));

    let order = refund(number, &hook.path(wire));
    for _ in 0..2 {
        gateway.refund(&order).await.unwrap();
    }
    let report = until("the refund has succeeded", async || {
        let report = gateway.query_refund(number, &order.refund_no).await.unwrap();
        (report.state == RefundState::Succeeded).then_some(report)
    })
    .await;
    assert_eq!(report.amount, Some(order.amount));
    let notice = read(gateway, &hook.wait_for(2).await[1]).await;
    match notice.event {
        NoticeEvent::Refund(told) => {
            assert_eq!((told.state, told.refund_no), (RefundState::Succeeded, order.refund_no))
        }
        NoticeEvent::Trade(told) => assert_eq!(told.state, TradeState::PaidThenRefunded),
        NoticeEvent::Other(_) => panic!("{notice:?}"),
    }
    bill(stage, gateway).await;
}

async fn bill(stage: &Stage, gateway: &dyn PaymentGateway) {
    let offset = FixedOffset::east_opt(8 * 3_600).unwrap();
    let today = DateTime::from_timestamp_millis(stage.clock.now_ms()).unwrap().with_timezone(&offset).date_naive();
    let (sender, mut lines) = mpsc::channel(100);
    assert_eq!(gateway.bill(today, sender).await.unwrap(), 2);
    let (payment, refund) = (lines.recv().await.unwrap(), lines.recv().await.unwrap());
    assert_eq!((payment.payment_no.as_str(), payment.total), ("ORDER0001_1", Some(Money::from_fen(1_999))));
    let refund = refund.refund.unwrap();
    assert_eq!((refund.refund_no.as_str(), refund.amount), ("ORDER0001_r1", Money::from_fen(999)));
}

#[actix_rt::test]
async fn wechat_v3_in_public_key_mode() {
    let stage = Stage::open().await;
    live(&stage, &v3(&stage, true), "v3").await;
}

#[actix_rt::test]
async fn wechat_v3_in_certificate_mode_through_a_rotation() {
    let stage = Stage::open().await;
    let gateway = v3(&stage, false);
    live(&stage, &gateway, "v3").await;
    stage.control(reqwest::Method::POST, "/certificates/rotate", json!({})).await;
    stage.clock.travel(61_000); // certificates are fetched once a minute at most
    let number = "ORDER0001_1".parse().unwrap();
    assert_eq!(gateway.query(&number).await.unwrap().state, TradeState::PaidThenRefunded);
}

#[actix_rt::test]
async fn wechat_v2_under_both_digests() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let stage = Stage::open().await;
        live(&stage, &v2(&stage, sign_type), "v2").await;
    }
}

#[actix_rt::test]
async fn alipay_with_keys_and_with_certificates() {
    for in_certificate_mode in [false, true] {
        let stage = Stage::open().await;
        live(&stage, &alipay(&stage, in_certificate_mode), "alipay").await;
    }
}

#[actix_rt::test]
async fn all_three_under_a_prefix_of_another_server() {
    let stage = Stage::mounted().await;
    live(&stage, &v3(&stage, true), "v3").await;
    let stage = Stage::mounted().await;
    live(&stage, &alipay(&stage, true), "alipay").await;
    let stage = Stage::mounted().await;
    live(&stage, &v2(&stage, SignType::Md5), "v2").await;
    let trade = stage.control(reqwest::Method::GET, "/trades/ORDER0001_1", json!({})).await;
    let cashier = trade["cashier_url"].as_str().unwrap();
    assert!(cashier.starts_with(&format!("{}/cashier/", stage.url)));
    assert_eq!(stage.http.get(cashier).send().await.unwrap().status(), 200);
}

#[actix_rt::test]
async fn a_wrong_signature_of_an_answer_leaves_the_outcome_unknown() {
    let stage = Stage::open().await;
    let gateways: [Box<dyn PaymentGateway>; 3] =
        [Box::new(v3(&stage, true)), Box::new(v2(&stage, SignType::Md5)), Box::new(alipay(&stage, false))];
    for (gateway, number) in gateways.iter().zip(["ORDER0001_1", "ORDER0002_1", "ORDER0003_1"]) {
        stage.fault(json!({ "kind": "bad_answer_signature", "operation": "create", "count": 1 })).await;
        let charge = NewCharge { payment_no: number.parse().unwrap(), ..charge(&stage, "https://shop.example/n") };
        let error = gateway.create(&charge).await.unwrap_err();
        assert!(matches!(error, PaymentError::OutcomeUnknown(_)), "{error:?}");
        gateway.create(&charge).await.unwrap();
    }
}
