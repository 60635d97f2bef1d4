//! Notifications: payments believed by their signature, refunds by what opens, both under ids of our making.

use super::*;
use crate::payment::crypto::EcbKey;
use crate::payment::facts::*;
use crate::payment::gateway::*;
use crate::payment::notice::*;

const PAID: [(&str, &str); 8] = [
    ("out_trade_no", PAYMENT_NO),
    ("transaction_id", "4200000001"),
    ("total_fee", "8880"),
    ("cash_fee", "8000"),
    ("fee_type", "CNY"),
    ("time_end", "20261122094640"),
    ("openid", "oUpF8"),
    ("a_field_of_tomorrow", "x"),
];

fn posted(fields: &Fields) -> RawNotice {
    RawNotice { headers: Vec::new(), body: xml::write("xml", fields).into_bytes() }
}

async fn read(notice: &RawNotice) -> Result<Notice, NoticeRejection> {
    client_of("http://127.0.0.1:1", SignType::HmacSha256).read_notice(notice).await
}

fn refund_notice(key: &EcbKey, changes: &[(&str, &str)]) -> RawNotice {
    let mut inner = fields(&[
        ("transaction_id", "4200000001"),
        ("out_trade_no", PAYMENT_NO),
        ("refund_id", "5030000001"),
        ("out_refund_no", REFUND_NO),
        ("total_fee", "8880"),
        ("refund_fee", "1000"),
        ("settlement_refund_fee", "1000"),
        ("refund_status", "SUCCESS"),
        ("success_time", "2026-11-22 09:46:40"),
        ("refund_recv_accout", "用户零钱"),
    ]);
    inner.extend(fields(changes));
    let sealed = key.seal(xml::write("root", &inner).as_bytes()).unwrap();
    let outer =
        [("return_code", "SUCCESS"), ("appid", APPID), ("mch_id", MCHID), ("nonce_str", "x"), ("req_info", &sealed)];
    posted(&fields(&outer))
}

#[actix_rt::test]
async fn a_payment_is_told_with_its_trade_under_either_algorithm() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let told = read(&posted(&message(&PAID, sign_type))).await.unwrap();
        assert_eq!(told.id, "v2:pay:4200000001:SUCCESS");
        let NoticeEvent::Trade(trade) = told.event else { panic!("no trade") };
        assert_eq!((trade.state, trade.paid_at_ms), (TradeState::Paid, Some(NOW_MS)));
        assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
    }
}

#[actix_rt::test]
async fn a_failed_payment_another_merchant_and_another_currency_are_told_as_such() {
    let told = |changes: &[(&'static str, &'static str)]| {
        let pairs: Vec<_> = PAID.iter().chain(changes).copied().collect();
        posted(&message(&pairs, SignType::Md5))
    };
    for (changes, state, strange) in [
        (("result_code", "FAIL"), TradeState::Failed, None),
        (("mch_id", "1"), TradeState::Paid, Some(Mismatch::Merchant)),
        (("appid", "wx0"), TradeState::Paid, Some(Mismatch::App)),
        (("fee_type", "USD"), TradeState::Paid, Some(Mismatch::Currency)),
    ] {
        let NoticeEvent::Trade(trade) = read(&told(&[changes])).await.unwrap().event else { panic!("no trade") };
        assert_eq!((trade.state, trade.strange), (state, strange), "{changes:?}");
    }
}

#[actix_rt::test]
async fn the_end_of_a_refund_is_told_with_its_report() {
    for (word, expected) in
        [("SUCCESS", RefundState::Succeeded), ("CHANGE", RefundState::Abnormal), ("REFUNDCLOSE", RefundState::Closed)]
    {
        let told = read(&refund_notice(&key().refund_key().unwrap(), &[("refund_status", word)])).await.unwrap();
        assert_eq!(told.id, format!("v2:refund:{REFUND_NO}:{word}"));
        let NoticeEvent::Refund(report) = told.event else { panic!("no refund") };
        assert_eq!((report.state, report.amount, report.strange), (expected, Some(refund().amount), None));
        assert_eq!((report.refunded_at_ms, report.gateway_refund_no.as_deref()), (Some(NOW_MS), Some("5030000001")));
    }
}

#[actix_rt::test]
async fn whatever_is_not_the_gateways_word_is_refused_with_its_reason() {
    let honest = message(&PAID, SignType::HmacSha256);
    let changed = |name: &str, value: &str| {
        let mut message = honest.clone();
        message.insert(name.to_owned(), value.to_owned());
        posted(&message)
    };
    let wrong_key = EcbKey::from_text(&"0".repeat(32)).unwrap();
    let right_key = key().refund_key().unwrap();
    let xxe = b"<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><return_code>&f;</return_code></xml>";
    for (notice, expected) in [
        (changed("total_fee", "1"), "forged"),
        (changed("added", "1"), "forged"),
        (changed("sign", ""), "forged"),
        (changed("return_code", "FAIL"), "malformed"),
        (RawNotice { headers: Vec::new(), body: xxe.to_vec() }, "malformed"),
        (RawNotice { headers: Vec::new(), body: vec![b' '; NOTICE_BYTES_MAX + 1] }, "malformed"),
        (refund_notice(&wrong_key, &[]), "sealed"),
        (refund_notice(&right_key, &[("refund_status", "NEW")]), "malformed"),
        (refund_notice(&right_key, &[("out_trade_no", "")]), "malformed"),
    ] {
        assert_eq!(read(&notice).await.unwrap_err().label(), expected);
    }
}

#[actix_rt::test]
async fn the_answer_is_word_for_word_what_the_gateway_expects() {
    let answer = client_of("http://127.0.0.1:1", SignType::Md5).answer_notice(true);
    let expected = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";
    assert_eq!((answer.status, answer.body), (200, expected));
}
