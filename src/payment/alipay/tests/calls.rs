//! Every call as it goes out, and every answer as it is understood.

use super::*;
use crate::domain::Money;
use crate::payment::facts::*;
use crate::payment::gateway::*;
use crate::payment::times;

#[actix_rt::test]
async fn a_precreated_trade_gives_its_code() {
    let peer = Peer::start(|seen| {
        let inner = format!(
            r#"{{"code":"10000","msg":"Success","out_trade_no":"{PAYMENT_NO}","qr_code":"https:\/\/qr.alipay.example\/x"}}"#
        );
        signed(seen, &inner)
    })
    .await;
    let created = client(&peer).create(&charge()).await.unwrap();
    assert_eq!(created, Charge::QrCode { url: "https://qr.alipay.example/x".to_owned() });
    let params = assert_signed(&peer.seen()[0]);
    assert_eq!(params["method"], "alipay.trade.precreate");
    assert_eq!(params["notify_url"], charge().notify_url);
    assert_eq!(params.get("app_cert_sn"), None);
    let expected = serde_json::json!({
        "out_trade_no": PAYMENT_NO, "total_amount": "88.80", "subject": "限量手机壳",
        "time_expire": "2026-11-22 09:46:40",
    });
    assert_eq!(content(&params), expected);
}

#[actix_rt::test]
async fn a_page_is_a_signed_address_and_no_call() {
    let peer = peer("{}").await;
    let page = TradeType::Page { return_url: "https://shop.example.cn/back".to_owned() };
    let Charge::Redirect { url } = client(&peer).create(&NewCharge { trade_type: page, ..charge() }).await.unwrap()
    else {
        panic!("not a redirect")
    };
    assert!(peer.seen().is_empty());
    let (gateway, query) = url.split_once('?').unwrap();
    assert_eq!(gateway, format!("{}/gateway.do", peer.url));
    let params = signing::read_form(query.as_bytes()).unwrap();
    signing::verify_request(&params, &merchant_public()).unwrap();
    assert_eq!(params["return_url"], "https://shop.example.cn/back");
    assert_eq!(content(&params)["product_code"], "FAST_INSTANT_TRADE_PAY");
}

#[actix_rt::test]
async fn certificate_mode_names_its_certificates_and_believes_no_other() {
    let certified = |sn: &'static str| {
        Peer::start(move |_| {
            let inner = format!(r#"{{"code":"10000","out_trade_no":"{PAYMENT_NO}"}}"#);
            let body = signing::sign_answer("alipay_trade_close_response", &inner, &platform_key()).unwrap();
            Reply::plain(200, body.replacen('{', &format!(r#"{{"alipay_cert_sn":"{sn}","#), 1))
        })
    };
    for (sn, expected) in [("theirs", "ok"), ("another", "unknown")] {
        let peer = certified(sn).await;
        let merchant = Merchant { certificates: Some(numbers()), ..merchant() };
        let client = client_of(&peer, merchant, Clock::default());
        assert_eq!(outcome(&client.close(&charge().payment_no).await), expected);
        let params = assert_signed(&peer.seen()[0]);
        assert_eq!((params["app_cert_sn"].as_str(), params["alipay_root_cert_sn"].as_str()), ("app", "r1_r2"));
    }
}

#[actix_rt::test]
async fn each_state_of_a_trade_is_understood() {
    for (status, paid, expected) in [
        ("WAIT_BUYER_PAY", "", TradeState::NotPaid),
        ("TRADE_SUCCESS", r#","send_pay_date":"2026-11-22 09:46:40""#, TradeState::Paid),
        ("TRADE_FINISHED", r#","send_pay_date":"2026-11-22 09:46:40""#, TradeState::Paid),
        ("TRADE_CLOSED", "", TradeState::Closed),
        ("TRADE_CLOSED", r#","send_pay_date":"2026-11-22 09:46:40""#, TradeState::PaidThenRefunded),
    ] {
        let peer = Peer::start(move |seen| {
            let inner = format!(
                r#"{{"code":"10000","out_trade_no":"{PAYMENT_NO}","trade_no":"2026","trade_status":"{status}","total_amount":"88.80","buyer_pay_amount":"80.00","buyer_user_id":"2088"{paid}}}"#
            );
            signed(seen, &inner)
        })
        .await;
        let trade = client(&peer).query(&charge().payment_no).await.unwrap();
        assert_eq!((trade.state, trade.paid_at_ms), (expected, (!paid.is_empty()).then_some(NOW_MS)));
        assert_eq!((trade.total, trade.payer_total.map(Money::fen)), (Some(charge().amount), Some(8_000)));
        assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
        assert_eq!(content(&assert_signed(&peer.seen()[0])), serde_json::json!({ "out_trade_no": PAYMENT_NO }));
    }
}

#[actix_rt::test]
async fn an_answer_about_another_trade_or_in_an_unheard_of_state_is_no_answer() {
    for inner in [
        r#"{"code":"10000","out_trade_no":"ANOTHER","trade_status":"TRADE_SUCCESS"}"#,
        r#"{"code":"10000","out_trade_no":"01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_1","trade_status":"NEW"}"#,
        r#"{"code":"10000"}"#,
    ] {
        assert_eq!(outcome(&client(&peer(inner).await).query(&charge().payment_no).await), "unknown", "{inner}");
    }
}

#[actix_rt::test]
async fn a_refund_has_happened_only_if_money_moved() {
    for (change, expected) in [("Y", RefundState::Succeeded), ("N", RefundState::Processing)] {
        let peer = Peer::start(move |seen| {
            let inner = format!(
                r#"{{"code":"10000","out_trade_no":"{PAYMENT_NO}","fund_change":"{change}","refund_fee":"30.00","gmt_refund_pay":"2026-11-22 09:46:40"}}"#
            );
            signed(seen, &inner)
        })
        .await;
        let report = client(&peer).refund(&refund()).await.unwrap();
        assert_eq!((report.state, report.refund_no), (expected, refund().refund_no));
        // refund_fee is the sum of all refunds and is not taken for this one's amount
        assert_eq!(report.amount, (change == "Y").then_some(refund().amount));
        let expected = serde_json::json!({
            "out_trade_no": PAYMENT_NO, "out_request_no": REFUND_NO, "refund_amount": "10.00",
            "refund_reason": "不想要了",
        });
        assert_eq!(content(&assert_signed(&peer.seen()[0])), expected);
    }
}

#[actix_rt::test]
async fn the_success_of_a_refund_query_is_not_the_success_of_the_refund() {
    for (fields, expected) in [
        ("", Err("NotFound")),
        (r#","refund_amount":"10.00","out_request_no":"01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_r1""#, Ok(RefundState::Succeeded)),
        (
            r#","refund_amount":"10.00","out_request_no":"01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_r1","refund_status":"REFUND_SUCCESS","gmt_refund_pay":"2026-11-22 09:46:40""#,
            Ok(RefundState::Succeeded),
        ),
        (
            r#","refund_amount":"10.00","out_request_no":"01KAJ2Z5E8Q4T6W9Y1B3D5F7H0_r1","refund_status":"REFUND_PROCESSING""#,
            Ok(RefundState::Processing),
        ),
        (r#","refund_amount":"10.00","out_request_no":"another""#, Err("unknown")),
    ] {
        let peer = Peer::start(move |seen| signed(seen, &format!(r#"{{"code":"10000"{fields}}}"#))).await;
        let answer = client(&peer).query_refund(&refund().payment_no, &refund().refund_no).await;
        match expected {
            Ok(state) => {
                assert_eq!(answer.map(|report| (report.state, report.amount)), Ok((state, Some(refund().amount))))
            }
            Err(word) => assert_eq!(outcome(&answer), word, "{fields}"),
        }
    }
}

#[actix_rt::test]
async fn what_this_wire_has_not_is_not_sent() {
    let peer = peer("{}").await;
    for trade_type in [TradeType::MobileBrowser, TradeType::InWechat { openid: "o".to_owned() }] {
        let created = client(&peer).create(&NewCharge { trade_type, ..charge() }).await;
        assert_eq!(outcome(&created), "Permanent");
    }
    assert!(peer.seen().is_empty());
}

#[actix_rt::test]
async fn the_time_of_a_request_is_beijings() {
    let peer = peer(r#"{"code":"10000"}"#).await;
    let clock = Clock::default();
    client_of(&peer, merchant(), clock.clone()).close(&charge().payment_no).await.unwrap();
    let sent = times::from_spaced(&assert_signed(&peer.seen()[0])["timestamp"]).unwrap();
    assert!((clock.now_ms() - sent).abs() < 5_000);
}
