//! Notifications: believed when Alipay signed them, refused with a reason otherwise.

use super::*;
use crate::payment::facts::*;
use crate::payment::gateway::*;
use crate::payment::notice::*;

fn told() -> Params {
    [
        ("notify_id", "2026112200222"),
        ("notify_type", "trade_status_sync"),
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("out_trade_no", PAYMENT_NO),
        ("trade_no", "2026112222001"),
        ("trade_status", "TRADE_SUCCESS"),
        ("total_amount", "88.80"),
        ("buyer_pay_amount", "80.00"),
        ("gmt_payment", "2026-11-22 09:46:40"),
        ("buyer_id", "2088000000000009"),
        ("subject", "限量手机壳 & 膜"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn with(changes: &[(&str, &str)]) -> Params {
    let mut params = told();
    params.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    params
}

fn posted(mut params: Params) -> RawNotice {
    signing::sign_notice(&mut params, &platform_key()).unwrap();
    RawNotice { headers: Vec::new(), body: signing::write_form(&params).into_bytes() }
}

async fn read(notice: &RawNotice) -> Result<Notice, NoticeRejection> {
    let peer = peer("{}").await;
    client(&peer).read_notice(notice).await
}

async fn trade(params: Params) -> Trade {
    match read(&posted(params)).await.unwrap().event {
        NoticeEvent::Trade(trade) => trade,
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn a_payment_is_told_with_its_trade() {
    let notice = read(&posted(told())).await.unwrap();
    assert_eq!(notice.id, "2026112200222");
    let NoticeEvent::Trade(trade) = notice.event else { panic!("no trade") };
    assert_eq!((trade.state, trade.paid_at_ms), (TradeState::Paid, Some(NOW_MS)));
    assert_eq!(trade.gateway_no.as_deref(), Some("2026112222001"));
    assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Ok(()));
}

#[actix_rt::test]
async fn another_seller_app_or_amount_is_told_as_strange() {
    for (change, expected) in [
        (("seller_id", "2088000000000002"), Mismatch::Merchant),
        (("app_id", "2021000000000002"), Mismatch::App),
        (("total_amount", "0.01"), Mismatch::Amount),
        (("total_amount", "88.8000001"), Mismatch::Amount),
        (("out_trade_no", "ANOTHER_1"), Mismatch::PaymentNo),
    ] {
        let trade = trade(with(&[change])).await;
        assert_eq!(trade.agrees_with(&charge().payment_no, charge().amount), Err(expected), "{change:?}");
    }
}

#[actix_rt::test]
async fn states_and_refunds_are_understood() {
    for (changes, expected) in [
        (vec![("trade_status", "TRADE_FINISHED")], TradeState::Paid),
        (vec![("refund_fee", "10.00")], TradeState::PaidThenRefunded),
        (vec![("trade_status", "TRADE_CLOSED"), ("refund_fee", "88.80")], TradeState::PaidThenRefunded),
        (vec![("trade_status", "TRADE_CLOSED"), ("gmt_payment", "")], TradeState::Closed),
        (vec![("trade_status", "WAIT_BUYER_PAY"), ("gmt_payment", "")], TradeState::NotPaid),
    ] {
        assert_eq!(trade(with(&changes)).await.state, expected, "{changes:?}");
    }
}

#[actix_rt::test]
async fn another_kind_of_notice_is_genuine_but_nothing_to_us() {
    let notice = read(&posted(with(&[("notify_type", "dut_user_sign")]))).await.unwrap();
    assert_eq!(notice.event, NoticeEvent::Other("dut_user_sign".to_owned()));
}

#[actix_rt::test]
async fn whatever_is_not_alipays_word_is_refused_with_its_reason() {
    let honest = posted(told());
    let changed = String::from_utf8(honest.body.clone()).unwrap().replace("88.80", "99.90");
    let mut forged = told();
    signing::sign_notice(&mut forged, &merchant_key()).unwrap();
    let unsigned = signing::write_form(&told());
    let mut old_scheme = told();
    signing::sign_notice(&mut old_scheme, &platform_key()).unwrap();
    old_scheme.insert("sign_type".to_owned(), "RSA".to_owned());
    let twice = [honest.body.as_slice(), b"&trade_status=TRADE_SUCCESS"].concat();
    let large = [honest.body.as_slice(), &vec![b'x'; NOTICE_BYTES_MAX]].concat();
    for (body, expected) in [
        (changed.into_bytes(), "forged"),
        (signing::write_form(&forged).into_bytes(), "forged"),
        (unsigned.into_bytes(), "forged"),
        (signing::write_form(&old_scheme).into_bytes(), "malformed"),
        (twice, "malformed"),
        (large, "malformed"),
        (posted(with(&[("notify_id", "")])).body, "malformed"),
        (posted(with(&[("trade_status", "NEW")])).body, "malformed"),
        (posted(with(&[("out_trade_no", "a b")])).body, "malformed"),
        (Vec::new(), "forged"),
    ] {
        assert_eq!(read(&RawNotice { headers: Vec::new(), body }).await.unwrap_err().label(), expected);
    }
}

#[actix_rt::test]
async fn seven_letters_are_the_answer() {
    let peer = peer("{}").await;
    assert_eq!(client(&peer).answer_notice(true).body, "success");
    assert_ne!(client(&peer).answer_notice(false).body, "success");
}
