//! Requests, notifications and answers are believed as signed, byte by byte, and garbage never panics.

use proptest::prelude::*;

use super::signing::*;
use crate::payment::testing::*;

fn params(pairs: &[(&str, &str)]) -> Params {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_request_signs_its_type_and_leaves_out_what_is_empty() {
    let mut request = params(&[("method", "alipay.trade.query"), ("app_id", "2021"), ("notify_url", "")]);
    sign_request(&mut request, &merchant_key()).unwrap();
    assert_eq!(request_text(&request), "app_id=2021&method=alipay.trade.query&sign_type=RSA2");
    assert_eq!(verify_request(&request, &merchant_public()), Ok(()));
    assert_eq!(verify_request(&request, &platform_public()), Err(SignatureError::Wrong));
    request.insert("app_id".to_owned(), "2022".to_owned());
    assert_eq!(verify_request(&request, &merchant_public()), Err(SignatureError::Wrong));
    request.insert(SIGN_TYPE.to_owned(), "RSA".to_owned());
    assert_eq!(verify_request(&request, &merchant_public()), Err(SignatureError::Scheme));
    request.remove(SIGN_TYPE);
    request.remove(SIGN);
    assert_eq!(verify_request(&request, &merchant_public()), Err(SignatureError::Unsigned));
}

#[test]
fn a_notice_is_believed_with_its_type_outside_or_inside_the_signature() {
    let mut notice = params(&[("trade_status", "TRADE_SUCCESS"), ("subject", "手机 & 壳=1")]);
    sign_notice(&mut notice, &platform_key()).unwrap();
    let sent = read_form(write_form(&notice).as_bytes()).unwrap();
    assert_eq!(sent, notice);
    assert_eq!(verify_notice(&sent, &platform_public()), Ok(()));
    let mut inside = params(&[("trade_status", "TRADE_SUCCESS")]);
    sign_request(&mut inside, &platform_key()).unwrap();
    assert_eq!(verify_notice(&inside, &platform_public()), Ok(()));
    inside.insert("trade_status".to_owned(), "TRADE_CLOSED".to_owned());
    assert_eq!(verify_notice(&inside, &platform_public()), Err(SignatureError::Wrong));
}

#[test]
fn an_answer_is_verified_as_it_stands() {
    let inner = r#"{ "code":"10000", "qr_code":"https:\/\/qr.example\/x", "msg":"成功" }"#;
    let body = sign_answer("alipay_trade_precreate_response", inner, &platform_key()).unwrap();
    let answer = read_answer(&body, "alipay.trade.precreate").unwrap();
    assert_eq!((answer.text, answer.is_error), (inner, false));
    assert_eq!(answer.verify(&platform_public()), Ok(()));
    assert_eq!(answer.verify(&merchant_public()), Err(SignatureError::Wrong));
    let respaced = body.replace("{ ", "{");
    let answer = read_answer(&respaced, "alipay.trade.precreate").unwrap();
    assert_eq!(answer.verify(&platform_public()), Err(SignatureError::Wrong));
}

#[test]
fn an_answer_signed_before_its_slashes_were_escaped_is_believed() {
    let plain = r#"{"qr_code":"https://qr.example/x"}"#;
    let signature = platform_key().sign(plain.as_bytes()).unwrap();
    let body = format!(r#"{{"sign":"{signature}","a_b_response":{}}}"#, plain.replace('/', "\\/"));
    assert_eq!(read_answer(&body, "a.b").unwrap().verify(&platform_public()), Ok(()));
}

#[test]
fn errors_come_under_their_own_name_and_another_methods_answer_is_refused() {
    let answer = read_answer(r#"{"error_response":{"code":"20000"},"alipay_cert_sn":"7"}"#, "a.b").unwrap();
    assert_eq!((answer.is_error, answer.certificate_sn.as_deref()), (true, Some("7")));
    assert_eq!(answer.verify(&platform_public()), Err(SignatureError::Unsigned));
    for wrong in ["", "[]", "{}", r#"{"c_response":{},"sign":""}"#, r#"{"a_b_response":{},"error_response":{}}"#] {
        assert_eq!(read_answer(wrong, "a.b"), Err(SignatureError::Malformed), "{wrong}");
    }
}

#[test]
fn a_form_that_repeats_a_name_or_is_too_long_is_refused() {
    assert_eq!(read_form(b"a=1&b=%E4%B8%AD+x").unwrap(), params(&[("a", "1"), ("b", "中 x")]));
    assert_eq!(read_form(b"a=1&a=2"), Err(SignatureError::Malformed));
    assert_eq!(read_form(&vec![b'a'; MESSAGE_BYTES_MAX + 1]), Err(SignatureError::Malformed));
    let many: String = (0..=PARAMS_MAX).map(|number| format!("p{number}=1&")).collect();
    assert_eq!(read_form(many.as_bytes()), Err(SignatureError::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn forms_survive_and_any_changed_value_is_refused(pairs in proptest::collection::btree_map("[a-r_]{1,9}", ".{1,20}", 1..10), other in ".{1,20}") {
        let mut notice = pairs.clone();
        sign_notice(&mut notice, &platform_key()).unwrap();
        let mut sent = read_form(write_form(&notice).as_bytes()).unwrap();
        prop_assert_eq!(verify_notice(&sent, &platform_public()), Ok(()));
        let name = pairs.keys().next().unwrap();
        prop_assume!(pairs[name] != other);
        sent.insert(name.clone(), other);
        prop_assert_eq!(verify_notice(&sent, &platform_public()), Err(SignatureError::Wrong));
    }

    #[test]
    fn garbage_never_panics(text in ".{0,300}", bytes: Vec<u8>) {
        if let Ok(answer) = read_answer(&text, "a.b") {
            prop_assert!(answer.verify(&platform_public()).is_err());
        }
        if let Ok(params) = read_form(&bytes) {
            prop_assert!(verify_notice(&params, &platform_public()).is_err());
            prop_assert!(verify_request(&params, &platform_public()).is_err());
        }
    }
}
