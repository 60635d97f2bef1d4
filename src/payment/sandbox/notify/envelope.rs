//! A notification as bytes: sealed, signed, with its headers. Made anew for each delivery; only the id stays.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::payment::alipay::signing as alipay_signing;
use crate::payment::crypto::CryptoError;
use crate::payment::sandbox::keys::Keys;
use crate::payment::sandbox::knobs::AssociatedData;
use crate::payment::sandbox::ledger::{Event, Notice};
use crate::payment::sandbox::rules::{RefundStatus, Wire};
use crate::payment::sandbox::state::Sandbox;
use crate::payment::times;
use crate::payment::wechat_v2::signing::SignType;
use crate::payment::wechat_v2::xml::{self, Fields};
use crate::payment::wechat_v3::signing::{Signer, nonce};

/// AES-GCM takes 12 bytes.
const SEAL_NONCE_LETTERS: usize = 12;

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// How a parcel departs from the true one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Twist {
    /// Signed by somebody else.
    pub(super) is_foreign: bool,
    /// Signed so long ago, ms (v3).
    pub(super) aged_ms: i64,
    /// The sealed resource is broken (v3; refunds of v2).
    pub(super) is_torn: bool,
}

/// How the platform writes at this moment: its clock and its knobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    wire_ms: i64,
    names_type: bool,
    associated_data: AssociatedData,
}

impl Manner {
    pub(super) fn of(sandbox: &Sandbox) -> Self {
        let knobs = sandbox.knobs();
        Self {
            wire_ms: sandbox.clocks.wire_ms(),
            names_type: knobs.names_signature_type,
            associated_data: knobs.associated_data,
        }
    }
}

/// A nonce to seal with.
pub(in super::super) fn seal_nonce() -> String {
    nonce().chars().take(SEAL_NONCE_LETTERS).collect()
}

/// The parcel of a notification.
pub(super) fn parcel(keys: &Keys, notice: &Notice, manner: Manner, twist: Twist) -> Result<Parcel, CryptoError> {
    match notice.wire {
        Wire::V3 => of_v3(keys, notice, manner, twist),
        Wire::V2 => of_v2(keys, notice, twist),
        Wire::Alipay => of_alipay(keys, notice, manner.wire_ms, twist),
    }
}

fn of_v3(keys: &Keys, notice: &Notice, manner: Manner, twist: Twist) -> Result<Parcel, CryptoError> {
    let (event_type, original_type, summary) = match notice.event {
        Event::Paid => ("TRANSACTION.SUCCESS", "transaction", "支付成功"),
        Event::Refund(RefundStatus::Success | RefundStatus::Processing) => ("REFUND.SUCCESS", "refund", "退款成功"),
        Event::Refund(RefundStatus::Abnormal) => ("REFUND.ABNORMAL", "refund", "退款异常"),
        Event::Refund(RefundStatus::Closed) => ("REFUND.CLOSED", "refund", "退款关闭"),
    };
    let nonce = seal_nonce();
    let associated_data = match manner.associated_data {
        AssociatedData::Named => Some(original_type),
        AssociatedData::Empty => Some(""),
        AssociatedData::Missing => None,
    };
    let facts = notice.facts.to_string();
    let mut ciphertext = keys.api_v3.seal(&nonce, associated_data.unwrap_or_default(), facts.as_bytes())?;
    if twist.is_torn {
        ciphertext = torn(&ciphertext);
    }
    let mut resource = json!({
        "original_type": original_type, "algorithm": "AEAD_AES_256_GCM", "ciphertext": ciphertext, "nonce": nonce,
    });
    if let Some(associated_data) = associated_data {
        resource["associated_data"] = json!(associated_data);
    }
    let body = json!({
        "id": notice.id,
        "create_time": times::rfc3339(notice.created_ms),
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": summary,
        "resource": resource,
    })
    .to_string();
    let signer = signer_of(keys, &notice.signed_by);
    let at_ms = manner.wire_ms - twist.aged_ms;
    let mut signature = signer.sign_body(body.as_bytes(), at_ms)?;
    if twist.is_foreign {
        let text = format!("{}\n{}\n{body}\n", signature.timestamp, signature.nonce);
        signature.signature = keys.foreign.sign(text.as_bytes())?;
    }
    let wanted =
        signature.to_headers().into_iter().filter(|(name, _)| manner.names_type || !name.ends_with("Signature-Type"));
    let mut headers: Vec<(&'static str, String)> = wanted.map(|(name, value)| (name, value.to_owned())).collect();
    headers.push(("Request-ID", notice.id.clone()));
    Ok(Parcel { content_type: "application/json", headers, body })
}

/// The mode that the merchant used when he created the trade; after a rotation the newest certificate.
fn signer_of(keys: &Keys, serial: &str) -> Arc<Signer> {
    if serial.starts_with("PUB_KEY_ID_") { keys.public_mode() } else { keys.certificate_mode() }
}

fn of_v2(keys: &Keys, notice: &Notice, twist: Twist) -> Result<Parcel, CryptoError> {
    let facts = fields(&notice.facts);
    let body = match notice.event {
        Event::Paid => {
            let mut fields = facts;
            fields.insert("nonce_str".to_owned(), nonce());
            let sign_type = if notice.signed_by == "MD5" { SignType::Md5 } else { SignType::HmacSha256 };
            keys.api_v2.sign(&mut fields, sign_type);
            if twist.is_foreign {
                fields.entry("sign".to_owned()).and_modify(|sign| *sign = sign.chars().rev().collect());
            }
            if twist.is_torn {
                fields.insert("bank_type".to_owned(), "TORN".to_owned());
            }
            xml::write("xml", &fields)
        }
        Event::Refund(_) => {
            let mut sealed = keys.api_v2.refund_key()?.seal(xml::write("root", &facts).as_bytes())?;
            if twist.is_torn || twist.is_foreign {
                sealed = torn(&sealed);
            }
            let wechat = &keys.merchant.wechat;
            let outer = [
                ("return_code", "SUCCESS".to_owned()),
                ("appid", wechat.appid.clone()),
                ("mch_id", wechat.mchid.clone()),
                ("nonce_str", nonce()),
                ("req_info", sealed),
            ];
            xml::write("xml", &outer.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
    };
    Ok(Parcel { content_type: "text/xml; charset=utf-8", headers: Vec::new(), body })
}

fn of_alipay(keys: &Keys, notice: &Notice, wire_ms: i64, twist: Twist) -> Result<Parcel, CryptoError> {
    let mut params = fields(&notice.facts);
    params.insert("notify_time".to_owned(), times::spaced(wire_ms));
    params.insert("notify_id".to_owned(), notice.id.replace('-', ""));
    let key = if twist.is_foreign { &keys.foreign } else { &keys.alipay.own };
    alipay_signing::sign_notice(&mut params, key)?;
    if twist.is_torn {
        params.insert("subject".to_owned(), "torn".to_owned());
    }
    let body = alipay_signing::write_form(&params);
    Ok(Parcel { content_type: "application/x-www-form-urlencoded; charset=utf-8", headers: Vec::new(), body })
}

fn fields(facts: &Value) -> Fields {
    let members = facts.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Base64 with another letter in the middle: still readable, no longer what was sealed.
fn torn(sealed: &str) -> String {
    let middle = sealed.len() / 2;
    let replace = |letter: char| if letter == 'A' { 'B' } else { 'A' };
    sealed.char_indices().map(|(at, letter)| if at == middle { replace(letter) } else { letter }).collect()
}
