//! Messages survive writing and reading, signatures cover every field, and hostile XML is refused.

use proptest::prelude::*;

use super::signing::*;
use super::xml::{self, Fields, XmlError};
use crate::payment::testing::API_V2_KEY;

fn key() -> ApiV2Key {
    ApiV2Key::from_text(API_V2_KEY).unwrap()
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn real_messages_are_read() {
    for (text, expected) in [
        ("<xml><a><![CDATA[1]]></a>\n  <b>2</b>\n</xml>", fields(&[("a", "1"), ("b", "2")])),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<root><a>x &lt;&#20013;&amp;</a></root>\n",
            fields(&[("a", "x <中&")]),
        ),
        ("<xml><a></a><b/><c> y </c><!-- note --></xml>", fields(&[("a", ""), ("b", ""), ("c", " y ")])),
        ("<xml></xml>", fields(&[])),
    ] {
        assert_eq!(xml::read(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn hostile_messages_are_refused() {
    let xxe = "<!DOCTYPE r [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><a>&f;</a></xml>";
    let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><xml><a>&b;</a></xml>";
    for (text, expected) in [
        (xxe, XmlError::Forbidden),
        (bomb, XmlError::Forbidden),
        ("<xml><!DOCTYPE r><a>1</a></xml>", XmlError::Forbidden),
        ("<xml><a>&f;</a></xml>", XmlError::Forbidden),
        ("<?xml-stylesheet href=\"x\"?><xml/>", XmlError::Forbidden),
        ("<xml><a><b>1</b></a></xml>", XmlError::Malformed),
        ("<xml><a>1</a><a>2</a></xml>", XmlError::Repeated),
        ("<xml><a>1</b></xml>", XmlError::Malformed),
        ("<xml><a>1</a>", XmlError::Malformed),
        ("<xml/><xml/>", XmlError::Malformed),
        ("<xml>text</xml>", XmlError::Malformed),
        ("text", XmlError::Malformed),
        ("", XmlError::Malformed),
        ("<xml><a>&#x110000;</a></xml>", XmlError::Malformed),
    ] {
        assert_eq!(xml::read(text.as_bytes()), Err(expected), "{text}");
    }
    assert_eq!(xml::read(&[b' '; xml::MESSAGE_BYTES_MAX + 1]), Err(XmlError::TooLarge));
    assert_eq!(xml::read(b"<xml><a>\xff</a></xml>"), Err(XmlError::Malformed));
    let many: String = (0..=xml::FIELDS_MAX).map(|number| format!("<f{number}>1</f{number}>")).collect();
    assert_eq!(xml::read(format!("<xml>{many}</xml>").as_bytes()), Err(XmlError::TooLarge));
}

#[test]
fn both_algorithms_are_believed_and_hmac_names_itself() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let mut message = fields(&[("total_fee", "1"), ("unheard_of", "x"), ("empty", "")]);
        key().sign(&mut message, sign_type);
        assert_eq!(key().verify(&message), Ok(sign_type));
        let named = message.get(SIGN_TYPE).map(String::as_str);
        assert_eq!(named, (sign_type == SignType::HmacSha256).then_some("HMAC-SHA256"));
        let other = ApiV2Key::from_text(&API_V2_KEY.replace('1', "2")).unwrap();
        assert_eq!(other.verify(&message), Err(WrongSignature));
        for wrong in ["", "ABC", "é", &"0".repeat(32), &"0".repeat(64)] {
            message.insert(SIGN.to_owned(), wrong.to_owned());
            assert_eq!(key().verify(&message), Err(WrongSignature), "{wrong}");
        }
    }
    assert_eq!(key().verify(&Fields::new()), Err(WrongSignature));
    assert_eq!(format!("{:?}", key()), "ApiV2Key(***)");
}

#[test]
fn refund_notices_open_with_the_digest_of_the_key() {
    let sealed = key().refund_key().unwrap().seal(b"<root/>").unwrap();
    assert_eq!(key().refund_key().unwrap().open(&sealed).unwrap(), b"<root/>");
}

proptest! {
    #[test]
    fn what_was_written_is_read_again(pairs in proptest::collection::btree_map("[a-z_][a-z0-9_]{0,12}", "[^\r\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}]{0,40}", 0..20)) {
        prop_assert_eq!(xml::read(xml::write("xml", &pairs).as_bytes()), Ok(pairs));
    }

    #[test]
    fn any_changed_field_is_refused(value in "[a-z]{1,20}", other in "[a-z]{1,20}") {
        prop_assume!(value != other);
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let mut message = fields(&[("a", &value), ("b", "2")]);
            key().sign(&mut message, sign_type);
            let mut changed = message.clone();
            changed.insert("a".to_owned(), other.clone());
            prop_assert_eq!(key().verify(&changed), Err(WrongSignature));
            let mut longer = message.clone();
            longer.insert("c".to_owned(), other.clone());
            prop_assert_eq!(key().verify(&longer), Err(WrongSignature));
            message.remove("b");
            prop_assert_eq!(key().verify(&message), Err(WrongSignature));
        }
    }

    #[test]
    fn garbage_never_panics(text in ".{0,200}", bytes: Vec<u8>) {
        let _ = xml::read(text.as_bytes());
        let _ = xml::read(&bytes);
        let _ = xml::read(format!("<xml><a>{text}</a></xml>").as_bytes());
    }
}
