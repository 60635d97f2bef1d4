//! Every call as it goes out, and every answer as it is understood.

use super::*;
use crate::domain::Money;
use crate::payment::facts::*;
use crate::payment::gateway::*;

#[actix_rt::test]
async fn a_native_order_asks_with_all_parameters_and_gives_the_code() {
    let peer = Peer::start(|_| signed(200, r#"{"code_url":"weixin://wxpay/bizpayurl?pr=x"}"#)).await;
    let client = client(&peer);
    for _ in 0..2 {
        let created = client.create(&charge()).await.unwrap();
        assert_eq!(created, Charge::QrCode { url: "weixin://wxpay/bizpayurl?pr=x".to_owned() });
    }
    let seen = peer.seen();
    assert_eq!(seen[0].body, seen[1].body, "the same charge is the same request");
    assert_eq!(seen[0].target, "/v3/pay/transactions/native");
    assert_eq!(seen[0].header("wechatpay-serial"), Some(PUBLIC_KEY_ID));
    seen.iter().for_each(assert_signed);
    let expected = serde_json::json!({
        "appid": APPID, "mchid": MCHID, "description": "限量手机壳", "out_trade_no": PAYMENT_NO,
        "time_expire": "2026-11-22T09:46:40+08:00", "notify_url": "https://shop.example.cn/api/pay/notify",
        "amount": {"total": 8_880, "currency": "CNY"}, "scene_info": {"payer_client_ip": "203.0.113.7"},
    });
    assert_eq!(seen[0].json(), expected);
}

#[actix_rt::test]
async fn in_wechat_the_page_gets_a_signed_call() {
    let peer = Peer::start(|_| signed(200, r#"{"prepay_id":"wx201410272009395522657a690389285100"}"#)).await;
    let in_wechat = NewCharge { trade_type: TradeType::InWechat { openid: "oUpF8".to_owned() }, ..charge() };
    let Charge::InWechat(call) = client(&peer).create(&in_wechat).await.unwrap() else { panic!("not a call") };
    let text = format!("{APPID}\n{}\n{}\n{}\n", call.time_stamp, call.nonce_str, call.package);
    assert_eq!(call.package, "prepay_id=wx201410272009395522657a690389285100");
    assert!(merchant_public().verifies(text.as_bytes(), &call.pay_sign));
    let seen = &peer.seen()[0];
    assert_eq!(seen.target, "/v3/pay/transactions/jsapi");
    assert_eq!(seen.json()["payer"]["openid"], "oUpF8");
}

#[actix_rt::test]
async fn a_mobile_browser_is_sent_to_the_gateway() {
    let peer = Peer::start(|_| signed(200, r#"{"h5_url":"https://wx.example/h5?id=1"}"#)).await;
    let mobile = NewCharge { trade_type: TradeType::MobileBrowser, ..charge() };
    let created = client(&peer).create(&mobile).await.unwrap();
    assert_eq!(created, Charge::Redirect { url: "https://wx.example/h5?id=1".to_owned() });
    let seen = &peer.seen()[0];
    assert_eq!(seen.target, "/v3/pay/transactions/h5");
    assert_eq!(seen.json()["scene_info"]["h5_info"]["type"], "Wap");
}

#[actix_rt::test]
async fn what_no_gateway_accepts_is_not_sent() {
    let peer = Peer::start(|_| signed(200, "{}")).await;
    let client = client(&peer);
    let page = TradeType::Page { return_url: "https://shop.example.cn".to_owned() };
    for wrong in [
        NewCharge { amount: Money::ZERO, ..charge() },
        NewCharge { description: " ".to_owned(), ..charge() },
        NewCharge { notify_url: "https://shop.example.cn/n?x=1".to_owned(), ..charge() },
        NewCharge { trade_type: page, ..charge() },
        NewCharge { trade_type: TradeType::MobileBrowser, buyer_ip: None, ..charge() },
    ] {
        assert_eq!(outcome(&client.create(&wrong).await), "Permanent", "{wrong:?}");
    }
    for wrong in
        [RefundOrder { amount: Money::ZERO, ..refund() }, RefundOrder { amount: Money::from_fen(8_881), ..refund() }]
    {
        assert_eq!(outcome(&client.refund(&wrong).await), "Permanent", "{wrong:?}");
    }
    assert!(peer.seen().is_empty());
}

#[actix_rt::test]
async fn a_paid_charge_is_compared_on_its_total_not_on_what_the_payer_gave() {
    let peer = Peer::start(|_| signed(200, &json(&paid()))).await;
    let trade = client(&peer).query(&charge().payment_no).await.unwrap();
    assert_eq!(
        (trade.state, trade.total, trade.payer_total.map(Money::fen)),
        (TradeState::Paid, Some(charge().amount), Some(8_000))
    );
    assert_eq!((trade.gateway_no.as_deref(), trade.paid_at_ms), (Some("4200000001"), Some(NOW_MS)));
    assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
    assert_eq!(trade.agrees_with(&charge().payment_no, Money::from_fen(8_000)), Err(Mismatch::Amount));
    let seen = &peer.seen()[0];
    assert_eq!(seen.target, format!("/v3/pay/transactions/out-trade-no/{PAYMENT_NO}?mchid={MCHID}"));
    assert_signed(seen);
}

#[actix_rt::test]
async fn an_unpaid_charge_has_neither_number_nor_amount() {
    let peer = Peer::start(|_| {
        let body = format!(
            r#"{{"appid":"{APPID}","mchid":"{MCHID}","out_trade_no":"{PAYMENT_NO}","trade_state":"NOTPAY","trade_state_desc":"订单未支付"}}"#
        );
        signed(200, &body)
    })
    .await;
    let trade = client(&peer).query(&charge().payment_no).await.unwrap();
    assert_eq!((trade.state, trade.total, trade.gateway_no, trade.strange), (TradeState::NotPaid, None, None, None));
    assert!(!TradeState::NotPaid.eq(&TradeState::Closed));
}

#[actix_rt::test]
async fn each_state_is_understood_and_an_unheard_of_one_is_no_answer() {
    for (word, expected) in [
        ("SUCCESS", Some(TradeState::Paid)),
        ("REFUND", Some(TradeState::PaidThenRefunded)),
        ("CLOSED", Some(TradeState::Closed)),
        ("REVOKED", Some(TradeState::Revoked)),
        ("USERPAYING", Some(TradeState::Paying)),
        ("ACCEPT", Some(TradeState::Paying)),
        ("PAYERROR", Some(TradeState::Failed)),
        ("NEW", None),
    ] {
        let body = json(&Transaction { trade_state: word.to_owned(), ..paid() });
        let peer = Peer::start(move |_| signed(200, &body)).await;
        let answer = client(&peer).query(&charge().payment_no).await;
        assert_eq!(answer.as_ref().ok().map(|trade| trade.state), expected, "{word}");
        assert_eq!(outcome(&answer), if expected.is_some() { "ok" } else { "unknown" });
    }
}

#[actix_rt::test]
async fn another_merchant_app_currency_or_number_is_noticed() {
    let amount =
        |currency: &str| Some(TransactionAmount { currency: Some(currency.to_owned()), ..paid().amount.unwrap() });
    for (body, expected) in [
        (Transaction { mchid: "1".to_owned(), ..paid() }, Mismatch::Merchant),
        (Transaction { appid: "wx0".to_owned(), ..paid() }, Mismatch::App),
        (Transaction { amount: amount("USD"), ..paid() }, Mismatch::Currency),
        (Transaction { amount: None, ..paid() }, Mismatch::Amount),
    ] {
        let body = json(&body);
        let peer = Peer::start(move |_| signed(200, &body)).await;
        let trade = client(&peer).query(&charge().payment_no).await.unwrap();
        assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Err(expected));
    }
    let body = json(&Transaction { out_trade_no: "ANOTHER_1".to_owned(), ..paid() });
    let peer = Peer::start(move |_| signed(200, &body)).await;
    assert_eq!(outcome(&client(&peer).query(&charge().payment_no).await), "unknown");
}

#[actix_rt::test]
async fn a_close_is_a_signed_204() {
    let peer = Peer::start(|_| signed(204, "")).await;
    client(&peer).close(&charge().payment_no).await.unwrap();
    let seen = &peer.seen()[0];
    assert_eq!(seen.target, format!("/v3/pay/transactions/out-trade-no/{PAYMENT_NO}/close"));
    assert_eq!(seen.json(), serde_json::json!({ "mchid": MCHID }));
    let unsigned = Peer::start(|_| Reply::plain(204, "")).await;
    assert_eq!(outcome(&client(&unsigned).close(&charge().payment_no).await), "unknown");
}

#[actix_rt::test]
async fn a_refund_is_sent_under_its_number_and_is_only_accepted() {
    let peer = Peer::start(|_| signed(200, &json(&refunding("PROCESSING")))).await;
    let report = client(&peer).refund(&refund()).await.unwrap();
    assert_eq!((report.state, report.gateway_refund_no.as_deref()), (RefundState::Processing, Some("5030000001")));
    let expected = serde_json::json!({
        "out_trade_no": PAYMENT_NO, "out_refund_no": REFUND_NO, "reason": "不想要了",
        "notify_url": "https://shop.example.cn/api/pay/notify",
        "amount": {"refund": 1_000, "total": 8_880, "currency": "CNY"},
    });
    assert_eq!(peer.seen()[0].json(), expected);
}

#[actix_rt::test]
async fn each_refund_state_is_understood() {
    for (word, expected) in [
        ("SUCCESS", RefundState::Succeeded),
        ("CLOSED", RefundState::Closed),
        ("PROCESSING", RefundState::Processing),
        ("ABNORMAL", RefundState::Abnormal),
    ] {
        let peer = Peer::start(move |_| signed(200, &json(&refunding(word)))).await;
        let report = client(&peer).query_refund(&refund().payment_no, &refund().refund_no).await.unwrap();
        assert_eq!((report.state, report.amount), (expected, Some(refund().amount)));
        assert_eq!(peer.seen()[0].target, format!("/v3/refund/domestic/refunds/{REFUND_NO}"));
    }
    let other = json(&Refund { out_refund_no: "other".to_owned(), ..refunding("SUCCESS") });
    let peer = Peer::start(move |_| signed(200, &other)).await;
    assert_eq!(outcome(&client(&peer).query_refund(&refund().payment_no, &refund().refund_no).await), "unknown");
}
