//! Every code comes through as its action; what is not signed as it should be is unknown.

use super::*;
use crate::payment::error::PaymentError;
use crate::payment::gateway::PaymentGateway as _;

async fn create(reply: Reply) -> Result<(), PaymentError> {
    let peer = Peer::start(move |_| reply.clone()).await;
    client(&peer).create(&charge()).await.map(|_| ())
}

fn refused(code: &str) -> Reply {
    signed(&[("result_code", "FAIL"), ("err_code", code), ("err_code_des", "说明")])
}

#[actix_rt::test]
async fn every_row_of_orders_comes_through_as_its_action() {
    for (code, expected) in [
        ("INVALID_REQUEST", "Ask"),
        ("NOAUTH", "Permanent"),
        ("NOTENOUGH", "Permanent"),
        ("ORDERPAID", "AlreadyPaid"),
        ("ORDERCLOSED", "Closed"),
        ("SYSTEMERROR", "unknown"),
        ("APPID_NOT_EXIST", "Permanent"),
        ("MCHID_NOT_EXIST", "Permanent"),
        ("APPID_MCHID_NOT_MATCH", "Permanent"),
        ("LACK_PARAMS", "Permanent"),
        ("OUT_TRADE_NO_USED", "Ask"),
        ("SIGNERROR", "Configuration"),
        ("XML_FORMAT_ERROR", "Permanent"),
        ("REQUIRE_POST_METHOD", "Permanent"),
        ("POST_DATA_EMPTY", "Permanent"),
        ("NOT_UTF8", "Permanent"),
        ("NOBODY_TOLD_US", "Ask"),
    ] {
        assert_eq!(outcome(&create(refused(code)).await), expected, "{code}");
    }
}

#[actix_rt::test]
async fn every_row_of_queries_and_closes_comes_through_as_its_action() {
    for (code, expected) in [
        ("ORDERNOTEXIST", "NotFound"),
        ("SYSTEMERROR", "unknown"),
        ("ORDERPAID", "AlreadyPaid"),
        ("ORDERCLOSED", "Closed"),
    ] {
        let peer = Peer::start(move |_| refused(code)).await;
        assert_eq!(outcome(&client(&peer).query(&charge().payment_no).await), expected, "{code}");
        let peer = Peer::start(move |_| refused(code)).await;
        assert_eq!(outcome(&client(&peer).close(&charge().payment_no).await), expected, "{code}");
    }
}

#[actix_rt::test]
async fn every_row_of_refunds_comes_through_as_its_action() {
    for (code, expected) in [
        ("SYSTEMERROR", "unknown"),
        ("BIZERR_NEED_RETRY", "unknown"),
        ("TRADE_OVERDUE", "Permanent"),
        ("ERROR", "Ask"),
        ("USER_ACCOUNT_ABNORMAL", "Permanent"),
        ("INVALID_REQ_TOO_MUCH", "BackOff"),
        ("NOTENOUGH", "ShortOfFunds"),
        ("INVALID_TRANSACTIONID", "Permanent"),
        ("PARAM_ERROR", "Permanent"),
        ("ORDERNOTEXIST", "NotFound"),
        ("FREQUENCY_LIMITED", "BackOff"),
        ("CERT_ERROR", "Configuration"),
    ] {
        let peer = Peer::start(move |_| refused(code)).await;
        assert_eq!(outcome(&client(&peer).refund(&refund()).await), expected, "{code}");
    }
    let peer = Peer::start(|_| refused("REFUNDNOTEXIST")).await;
    assert_eq!(outcome(&client(&peer).query_refund(&refund().payment_no, &refund().refund_no).await), "NotFound");
}

#[actix_rt::test]
async fn a_failed_transport_is_unsigned_and_says_why_in_words() {
    for (words, expected) in [
        ("签名错误", "Configuration"),
        ("SYSTEMERROR", "unknown"),
        ("频率过高", "BackOff"),
        ("参数格式校验错误", "Ask"),
    ] {
        let body = xml::write("xml", &fields(&[("return_code", "FAIL"), ("return_msg", words)]));
        assert_eq!(outcome(&create(Reply::plain(200, body)).await), expected, "{words}");
    }
}

#[actix_rt::test]
async fn a_success_that_is_not_signed_as_it_should_be_is_unknown() {
    let honest = message(&[("code_url", "weixin://x")], SignType::HmacSha256);
    let written = |changed: &[(&str, &str)]| {
        let mut message = honest.clone();
        message.extend(fields(changed));
        Reply::plain(200, xml::write("xml", &message))
    };
    let doctype = format!("<!DOCTYPE x [<!ENTITY e \"x\">]>{}", xml::write("xml", &honest));
    assert_eq!(outcome(&create(written(&[])).await), "ok");
    for (what, reply) in [
        ("unsigned", written(&[("sign", "")])),
        ("forged", written(&[("sign", &"A".repeat(64))])),
        ("changed", written(&[("code_url", "weixin://other")])),
        ("another merchant's", signed(&[("code_url", "weixin://x"), ("mch_id", "1")])),
        ("another app's", signed(&[("code_url", "weixin://x"), ("appid", "wx0")])),
        ("without a code", signed(&[])),
        ("with a document type", Reply::plain(200, doctype)),
        ("unreadable", Reply::plain(200, "<html>")),
        ("neither", Reply::plain(200, "<xml><return_code>MAYBE</return_code></xml>")),
        ("5xx", Reply::plain(503, "")),
        ("broken", Reply::Break),
    ] {
        assert_eq!(outcome(&create(reply).await), "unknown", "{what}");
    }
    assert_eq!(outcome(&create(Reply::plain(302, "")).await), "Configuration");
    assert_eq!(outcome(&create(Reply::plain(429, "")).await), "BackOff");
}

#[actix_rt::test]
async fn a_gateway_that_hangs_leaves_it_unknown() {
    let peer = Peer::start(|_| Reply::Hang).await;
    let merchant = merchant(SignType::HmacSha256);
    let client = WechatV2::new(&peer.url, &impatient(), merchant, Clock::default()).unwrap();
    assert_eq!(outcome(&client.create(&charge()).await), "unknown");
}

#[actix_rt::test]
async fn who_is_not_reached_at_the_first_address_is_asked_at_the_second_at_once() {
    let gone = Peer::start(|_| Reply::Hang).await;
    let second = peer(&[("code_url", "weixin://x")]).await;
    let client = client(&gone).with_backup(Some(&second.url)).unwrap();
    drop(gone);
    tokio::task::yield_now().await;
    assert_eq!(outcome(&client.create(&charge()).await), "ok");
    assert_eq!(asked(&second.seen()[0])["out_trade_no"], PAYMENT_NO);
}
