//! What is signed is believed; what is changed, old, probing or unreadable is not, and nothing panics.

use proptest::prelude::*;

use super::signing::*;
use crate::payment::keyring::PlatformKeys;
use crate::payment::testing::*;

const REQUEST: Request<'static> =
    Request { method: "POST", path_and_query: "/v3/pay/transactions/native?a=%E4%B8%AD", body: "{\"中\":1}" };

fn merchant() -> Signer {
    Signer { serial: MERCHANT_SERIAL.to_owned(), key: merchant_key() }
}

fn platform() -> Signer {
    Signer { serial: PLATFORM_SERIAL.to_owned(), key: platform_key() }
}

fn merchants() -> PlatformKeys {
    ring(MERCHANT_SERIAL, merchant_public())
}

fn platforms() -> PlatformKeys {
    ring(PLATFORM_SERIAL, platform_public())
}

#[test]
fn a_signed_request_is_believed_whatever_the_order_of_its_fields() {
    let signed = merchant().sign_request("1900007291", REQUEST, NOW_MS).unwrap();
    assert_eq!((signed.nonce.len(), signed.timestamp.as_str()), (32, "1795312000"));
    let header = signed.to_header();
    let (scheme, fields) = header.split_once(' ').unwrap();
    let mut fields: Vec<&str> = fields.split(',').collect();
    for _ in 0..fields.len() {
        fields.rotate_left(1);
        for separator in [",", ", "] {
            let parsed = Authorization::parse(&format!("{scheme} {}", fields.join(separator))).unwrap();
            assert_eq!(parsed, signed);
            assert_eq!(parsed.verify(REQUEST, &merchants(), NOW_MS), Ok(()));
        }
    }
}

#[test]
fn a_request_that_differs_in_one_part_is_refused() {
    let signed = merchant().sign_request("1900007291", REQUEST, NOW_MS).unwrap();
    for other in [
        Request { method: "GET", ..REQUEST },
        Request { path_and_query: "/v3/pay/transactions/native?a=中", ..REQUEST },
        Request { body: "{\"中\":2}", ..REQUEST },
    ] {
        assert_eq!(signed.verify(other, &merchants(), NOW_MS), Err(SignatureError::Wrong));
    }
    let renamed = Authorization { nonce: nonce(), ..signed.clone() };
    assert_eq!(renamed.verify(REQUEST, &merchants(), NOW_MS), Err(SignatureError::Wrong));
    let elsewhere = signed.verify(REQUEST, &platforms(), NOW_MS);
    assert_eq!(elsewhere, Err(SignatureError::UnknownSerial(MERCHANT_SERIAL.to_owned())));
}

#[test]
fn a_header_that_misses_or_repeats_a_field_is_refused_by_name() {
    let header = merchant().sign_request("1900007291", REQUEST, NOW_MS).unwrap().to_header();
    assert_eq!(Authorization::parse("Bearer x"), Err(SignatureError::Scheme));
    let without = header.replace("mchid=\"1900007291\",", "");
    assert_eq!(Authorization::parse(&without), Err(SignatureError::Malformed("mchid")));
    let twice = format!("{header},mchid=\"1\"");
    assert_eq!(Authorization::parse(&twice), Err(SignatureError::Malformed("mchid")));
    let unquoted = header.replace("mchid=\"1900007291\"", "mchid=1900007291");
    assert!(Authorization::parse(&unquoted).is_err());
    let unknown = format!("{header},extra=\"1\"");
    assert!(Authorization::parse(&unknown).is_err());
}

#[test]
fn five_minutes_are_fresh_and_a_second_more_is_not() {
    let body = b"{}";
    let signed = platform().sign_body(body, NOW_MS).unwrap();
    for (offset_s, expected) in [
        (300, Ok(())),
        (-300, Ok(())),
        (301, Err(SignatureError::Stale(301))),
        (-301, Err(SignatureError::Stale(-301))),
    ] {
        assert_eq!(signed.verify(body, &platforms(), NOW_MS + offset_s * 1_000), expected);
    }
    let dated = Signature { timestamp: "+1795312000".to_owned(), ..signed };
    assert_eq!(dated.verify(body, &platforms(), NOW_MS), Err(SignatureError::Malformed("timestamp")));
}

#[test]
fn a_probe_is_refused_as_one_whatever_its_length() {
    let signed = platform().sign_body(b"{}", NOW_MS).unwrap();
    for rest in ["", "x", &signed.signature] {
        let probe = Signature { signature: format!("{PROBE_PREFIX}{rest}"), ..signed.clone() };
        assert_eq!(probe.verify(b"{}", &platforms(), NOW_MS), Err(SignatureError::Probe));
    }
}

#[test]
fn headers_carry_the_signature_and_an_absent_type_means_the_scheme() {
    let signed = platform().sign_body(b"", NOW_MS).unwrap();
    let headers: Vec<(&str, String)> =
        signed.to_headers().iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let look = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(Signature::from_headers(look), Ok(signed.clone()));
    assert_eq!(Signature::from_headers(|name| if name == SIGNATURE_TYPE { None } else { look(name) }), Ok(signed));
    let typed = |name: &str| if name == SIGNATURE_TYPE { Some("WECHATPAY2-SM2-WITH-SM3") } else { look(name) };
    assert_eq!(Signature::from_headers(typed), Err(SignatureError::Scheme));
    for missing in [TIMESTAMP, NONCE, SERIAL, SIGNATURE] {
        let found = Signature::from_headers(|name| if name == missing { None } else { look(name) });
        assert_eq!(found, Err(SignatureError::Malformed(missing)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_body_is_believed_and_any_changed_byte_is_not(body: Vec<u8>, at: usize, bit in 0..8_u32) {
        let signed = platform().sign_body(&body, NOW_MS).unwrap();
        prop_assert_eq!(signed.verify(&body, &platforms(), NOW_MS), Ok(()));
        let mut changed = body.clone();
        if changed.is_empty() { changed.push(b' '); } else { let at = at % changed.len(); changed[at] ^= 1 << bit; }
        prop_assert_eq!(signed.verify(&changed, &platforms(), NOW_MS), Err(SignatureError::Wrong));
    }

    #[test]
    fn garbage_never_panics(header in ".{0,300}", value in ".{0,300}") {
        prop_assert!(Authorization::parse(&header).is_err());
        let schemed = format!("{SCHEME} {header}");
        prop_assert!(Authorization::parse(&schemed).is_err());
        if let Ok(signed) = Signature::from_headers(|_| Some(value.as_str()).filter(|value| *value != SCHEME)) {
            prop_assert!(signed.verify(b"", &platforms(), NOW_MS).is_err());
        }
        let odd = Signature {
            timestamp: "1795312000".to_owned(), nonce: value.clone(), serial: PLATFORM_SERIAL.to_owned(), signature: header,
        };
        prop_assert!(odd.verify(value.as_bytes(), &platforms(), NOW_MS).is_err());
    }
}
