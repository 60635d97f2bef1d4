//! Every call as it goes out, and every answer as it is understood.

use tokio::sync::mpsc;

use super::*;
use crate::domain::Money;
use crate::payment::facts::*;
use crate::payment::gateway::*;

#[actix_rt::test]
async fn a_native_order_asks_with_all_parameters_and_gives_the_code() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let peer = Peer::start(move |_| {
            let pairs = [("prepay_id", "wx1"), ("code_url", "weixin://wxpay/bizpayurl?pr=x&y")];
            Reply::plain(200, xml::write("xml", &message(&pairs, sign_type)))
        })
        .await;
        let created = client_of(&peer.url, sign_type).create(&charge()).await.unwrap();
        assert_eq!(created, Charge::QrCode { url: "weixin://wxpay/bizpayurl?pr=x&y".to_owned() });
        let expected = fields(&[
            ("body", "限量手机壳"),
            ("out_trade_no", PAYMENT_NO),
            ("total_fee", "8880"),
            ("spbill_create_ip", "203.0.113.7"),
            ("time_expire", "20261122094640"),
            ("notify_url", &charge().notify_url),
            ("trade_type", "NATIVE"),
            ("product_id", PAYMENT_NO),
        ]);
        let seen = &peer.seen()[0];
        assert_eq!((asked(seen), seen.target.as_str()), (expected, "/pay/unifiedorder"));
        let named = xml::read(seen.body.as_bytes()).unwrap().get("sign_type").cloned();
        assert_eq!(named, (sign_type == SignType::HmacSha256).then(|| "HMAC-SHA256".to_owned()));
    }
}

#[actix_rt::test]
async fn in_wechat_the_page_gets_a_signed_call() {
    let peer = peer(&[("prepay_id", "wx1")]).await;
    let in_wechat = NewCharge { trade_type: TradeType::InWechat { openid: "oUpF8".to_owned() }, ..charge() };
    let Charge::InWechat(call) = client(&peer).create(&in_wechat).await.unwrap() else { panic!("not a call") };
    let signed = fields(&[
        ("appId", APPID),
        ("timeStamp", &call.time_stamp),
        ("nonceStr", &call.nonce_str),
        ("package", "prepay_id=wx1"),
        ("signType", "HMAC-SHA256"),
    ]);
    assert_eq!(call.pay_sign, key().signature(&signed, SignType::HmacSha256));
    let sent = asked(&peer.seen()[0]);
    assert_eq!((sent["trade_type"].as_str(), sent["openid"].as_str()), ("JSAPI", "oUpF8"));
}

#[actix_rt::test]
async fn a_mobile_browser_is_sent_to_the_gateway() {
    let peer = peer(&[("prepay_id", "wx1"), ("mweb_url", "https://wx.example/h5?id=1")]).await;
    let mobile = NewCharge { trade_type: TradeType::MobileBrowser, ..charge() };
    let created = client(&peer).create(&mobile).await.unwrap();
    assert_eq!(created, Charge::Redirect { url: "https://wx.example/h5?id=1".to_owned() });
    assert_eq!(asked(&peer.seen()[0])["trade_type"], "MWEB");
    let nowhere = NewCharge { buyer_ip: None, ..mobile };
    assert_eq!(outcome(&client(&peer).create(&nowhere).await), "Permanent");
}

#[actix_rt::test]
async fn a_paid_charge_is_compared_on_its_total() {
    let peer = peer(&[
        ("trade_state", "SUCCESS"),
        ("out_trade_no", PAYMENT_NO),
        ("transaction_id", "4200000001"),
        ("total_fee", "8880"),
        ("cash_fee", "8000"),
        ("fee_type", "CNY"),
        ("time_end", "20261122094640"),
        ("openid", "oUpF8"),
    ])
    .await;
    let trade = client(&peer).query(&charge().payment_no).await.unwrap();
    assert_eq!((trade.state, trade.paid_at_ms), (TradeState::Paid, Some(NOW_MS)));
    assert_eq!(trade.payer_total.map(Money::fen), Some(8_000));
    assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
    assert_eq!(asked(&peer.seen()[0]), fields(&[("out_trade_no", PAYMENT_NO)]));
}

#[actix_rt::test]
async fn each_state_is_understood_and_an_unheard_of_one_is_no_answer() {
    for (word, expected) in [
        ("SUCCESS", Some(TradeState::Paid)),
        ("REFUND", Some(TradeState::PaidThenRefunded)),
        ("NOTPAY", Some(TradeState::NotPaid)),
        ("CLOSED", Some(TradeState::Closed)),
        ("REVOKED", Some(TradeState::Revoked)),
        ("USERPAYING", Some(TradeState::Paying)),
        ("PAYERROR", Some(TradeState::Failed)),
        ("NEW", None),
    ] {
        let peer = Peer::start(move |_| signed(&[("trade_state", word), ("out_trade_no", PAYMENT_NO)])).await;
        let answer = client(&peer).query(&charge().payment_no).await;
        assert_eq!(answer.ok().map(|trade| trade.state), expected, "{word}");
    }
    let other = peer(&[("trade_state", "SUCCESS"), ("out_trade_no", "ANOTHER_1")]).await;
    assert_eq!(outcome(&client(&other).query(&charge().payment_no).await), "unknown");
}

#[actix_rt::test]
async fn a_refund_is_sent_under_its_number_and_is_only_accepted() {
    let peer = Peer::start(|_| {
        signed(&[
            ("out_trade_no", PAYMENT_NO),
            ("out_refund_no", REFUND_NO),
            ("refund_id", "5030000001"),
            ("refund_fee", "1000"),
        ])
    })
    .await;
    let report = client(&peer).refund(&refund()).await.unwrap();
    assert_eq!((report.state, report.amount), (RefundState::Processing, Some(refund().amount)));
    let expected = fields(&[
        ("out_trade_no", PAYMENT_NO),
        ("out_refund_no", REFUND_NO),
        ("total_fee", "8880"),
        ("refund_fee", "1000"),
        ("refund_desc", "不想要了"),
        ("notify_url", &refund().notify_url),
    ]);
    assert_eq!((asked(&peer.seen()[0]), peer.seen()[0].target.as_str()), (expected, "/secapi/pay/refund"));
}

#[actix_rt::test]
async fn without_a_certificate_nothing_is_refunded_at_a_real_host() {
    let client = client_of("https://gateway.invalid", SignType::HmacSha256);
    assert_eq!(outcome(&client.refund(&refund()).await), "Configuration");
}

#[actix_rt::test]
async fn the_right_one_of_several_refunds_is_found() {
    for (word, expected) in [
        ("SUCCESS", RefundState::Succeeded),
        ("REFUNDCLOSE", RefundState::Closed),
        ("PROCESSING", RefundState::Processing),
        ("CHANGE", RefundState::Abnormal),
    ] {
        let peer = Peer::start(move |_| {
            signed(&[
                ("out_trade_no", PAYMENT_NO),
                ("refund_count", "2"),
                ("out_refund_no_0", "earlier"),
                ("refund_fee_0", "500"),
                ("refund_status_0", "SUCCESS"),
                ("out_refund_no_1", REFUND_NO),
                ("refund_id_1", "5030000001"),
                ("refund_fee_1", "1000"),
                ("refund_status_1", word),
                ("refund_success_time_1", "2026-11-22 09:46:40"),
            ])
        })
        .await;
        let report = client(&peer).query_refund(&refund().payment_no, &refund().refund_no).await.unwrap();
        assert_eq!((report.state, report.amount), (expected, Some(refund().amount)));
        assert_eq!(report.gateway_refund_no.as_deref(), Some("5030000001"));
    }
}

#[actix_rt::test]
async fn a_bill_is_the_answer_itself_or_a_reason() {
    const BILL: &str = "\u{feff}交易时间,公众账号ID,商户号,微信订单号,商户订单号,交易状态,应结订单金额\r\n`2026-11-21 09:00:00,`wx1,`19,`42,`ORDER_1,`SUCCESS,`88.80\r\n总交易单数,应结订单总金额\r\n`1,`88.80\r\n";
    let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    let refusal = |words: &str| {
        xml::write("xml", &fields(&[("return_code", "FAIL"), ("return_msg", words), ("error_code", "20002")]))
    };
    for (body, expected) in [
        (BILL.to_owned(), "ok"),
        (refusal("No Bill Exist"), "NotFound"),
        (refusal("Bill Creating"), "NotFound"),
        (refusal("SYSTEMERROR"), "unknown"),
    ] {
        let peer = Peer::start(move |_| Reply::plain(200, body.clone())).await;
        let (sender, _receiver) = mpsc::channel(10);
        let answer = client(&peer).bill(day, sender).await;
        assert_eq!(outcome(&answer), expected, "{answer:?}");
        let sent = asked(&peer.seen()[0]);
        assert_eq!(sent, fields(&[("bill_date", "20261121"), ("bill_type", "ALL")]));
    }
}
