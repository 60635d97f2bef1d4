//! Every code comes through as its action; what is not signed as it should be is unknown.

use super::*;
use crate::payment::gateway::PaymentGateway as _;

#[actix_rt::test]
async fn every_row_comes_through_as_its_action() {
    for (code, sub_code, expected) in [
        ("20000", "isp.unknow-error", "unknown"),
        ("20000", "aop.unknow-error", "unknown"),
        ("20001", "aop.invalid-auth-token", "Configuration"),
        ("40001", "isv.missing-method", "Permanent"),
        ("40002", "isv.invalid-signature", "Configuration"),
        ("40002", "isv.invalid-app-id", "Configuration"),
        ("40002", "isv.invalid-parameter", "Permanent"),
        ("40005", "isv.app-call-limited", "BackOff"),
        ("40006", "isv.insufficient-isv-permissions", "Permanent"),
        ("10003", "", "Ask"),
        ("40004", "ACQ.TRADE_HAS_SUCCESS", "AlreadyPaid"),
        ("40004", "ACQ.TRADE_HAS_CLOSE", "Closed"),
        ("40004", "ACQ.CONTEXT_INCONSISTENT", "Ask"),
        ("40004", "ACQ.TRADE_NOT_EXIST", "NotFound"),
        ("40004", "ACQ.SYSTEM_ERROR", "unknown"),
        ("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "Permanent"),
        ("40004", "ACQ.REASON_TRADE_REFUND_FEE_ERR", "Permanent"),
        ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", "ShortOfFunds"),
        ("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", "Permanent"),
        ("40004", "ACQ.TRADE_STATUS_ERROR", "Ask"),
        ("40004", "ACQ.NOBODY_TOLD_US", "Ask"),
    ] {
        let inner = format!(r#"{{"code":"{code}","msg":"m","sub_code":"{sub_code}","sub_msg":"说明"}}"#);
        for is_error_response in [false, true] {
            let inner = inner.clone();
            let peer = Peer::start(move |seen| match is_error_response {
                true => Reply::plain(200, format!(r#"{{"error_response":{inner}}}"#)),
                false => signed(seen, &inner),
            })
            .await;
            assert_eq!(outcome(&client(&peer).refund(&refund()).await), expected, "{code} {sub_code}");
        }
    }
}

#[actix_rt::test]
async fn a_close_that_is_not_allowed_means_that_the_money_came() {
    for sub_code in ["ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID"] {
        let inner = format!(r#"{{"code":"40004","sub_code":"{sub_code}"}}"#);
        let peer = Peer::start(move |seen| signed(seen, &inner)).await;
        assert_eq!(outcome(&client(&peer).close(&charge().payment_no).await), "AlreadyPaid");
    }
}

#[actix_rt::test]
async fn a_success_that_is_not_signed_as_it_should_be_is_unknown() {
    let inner = r#"{"code":"10000"}"#;
    let name = "alipay_trade_close_response";
    let forged = signing::sign_answer(name, inner, &merchant_key()).unwrap();
    let honest = signing::sign_answer(name, inner, &platform_key()).unwrap();
    let refused = r#"{"code":"40004","sub_code":"ACQ.TRADE_HAS_SUCCESS"}"#;
    for (what, reply) in [
        ("forged", Reply::plain(200, forged)),
        ("unsigned", Reply::plain(200, format!(r#"{{"{name}":{inner}}}"#))),
        ("respaced", Reply::plain(200, honest.replace(r#""code":"#, r#""code": "#))),
        ("another method's", Reply::plain(200, honest.replace("close", "query"))),
        ("as an error", Reply::plain(200, honest.replace(name, "error_response"))),
        ("forged refusal", Reply::plain(200, signing::sign_answer(name, refused, &merchant_key()).unwrap())),
        ("unreadable", Reply::plain(200, "<html>")),
        ("no code", Reply::plain(200, signing::sign_answer(name, "{}", &platform_key()).unwrap())),
        ("5xx", Reply::plain(502, "")),
        ("broken", Reply::Break),
    ] {
        let peer = Peer::start(move |_| reply.clone()).await;
        let closed = client(&peer).close(&charge().payment_no).await;
        // an error that carries the code of success says nothing either
        let expected = if what == "as an error" { "Ask" } else { "unknown" };
        assert_eq!(outcome(&closed), expected, "{what}: {closed:?}");
    }
    for (status, expected) in [(302, "Configuration"), (429, "BackOff"), (404, "Ask")] {
        let peer = Peer::start(move |_| Reply::plain(status, "")).await;
        assert_eq!(outcome(&client(&peer).close(&charge().payment_no).await), expected);
    }
}

#[actix_rt::test]
async fn a_gateway_that_hangs_leaves_it_unknown() {
    let peer = Peer::start(|_| Reply::Hang).await;
    let url = format!("{}/gateway.do", peer.url);
    let client = Alipay::new(&url, &impatient(), merchant(), Clock::default()).unwrap();
    assert_eq!(outcome(&client.close(&charge().payment_no).await), "unknown");
}

#[actix_rt::test]
async fn a_storm_of_errors_keeps_callers_away() {
    let peer = Peer::start(|_| Reply::plain(500, "")).await;
    let client = client(&peer);
    for _ in 0..20 {
        assert!(client.query(&charge().payment_no).await.is_err());
    }
    assert_eq!(peer.seen().len(), 3);
    assert!(client.guard().is_tripped());
}
