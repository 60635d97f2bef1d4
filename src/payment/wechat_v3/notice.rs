//! Notifications of WeChat Pay v3: believed by their signature, then opened with the API v3 key.

use super::WechatV3;
use super::messages::{Envelope, Refund, Resource, Transaction};
use super::signing::{Signature, SignatureError};
use crate::payment::notice::{NOTICE_BYTES_MAX, Notice, NoticeEvent, NoticeRejection, RawNotice};

const ALGORITHM: &str = "AEAD_AES_256_GCM";
const ID_BYTES_MAX: usize = 128;

impl WechatV3 {
    pub(super) async fn decode_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        if notice.body.len() > NOTICE_BYTES_MAX {
            return Err(NoticeRejection::Malformed("body"));
        }
        let signature = Signature::from_headers(|name| notice.header(name)).map_err(rejection)?;
        self.verify(&signature, &notice.body).await.map_err(rejection)?;
        let envelope: Envelope =
            serde_json::from_slice(&notice.body).map_err(|_| NoticeRejection::Malformed("body"))?;
        if envelope.id.is_empty() || envelope.id.len() > ID_BYTES_MAX {
            return Err(NoticeRejection::Malformed("id"));
        }
        let event = match envelope.resource.original_type.as_deref() {
            Some("transaction") if envelope.event_type.starts_with("TRANSACTION.") => {
                let transaction: Transaction = self.open(&envelope.resource)?;
                let trade = self.trade(transaction).ok_or(NoticeRejection::Malformed("transaction"))?;
                NoticeEvent::Trade(trade)
            }
            Some("refund") if envelope.event_type.starts_with("REFUND.") => {
                let refund: Refund = self.open(&envelope.resource)?;
                let report = self.refund_report(refund).ok_or(NoticeRejection::Malformed("refund"))?;
                NoticeEvent::Refund(report)
            }
            _ => NoticeEvent::Other(envelope.event_type),
        };
        Ok(Notice { id: envelope.id, event })
    }

    fn open<T: serde::de::DeserializeOwned>(&self, resource: &Resource) -> Result<T, NoticeRejection> {
        if resource.algorithm != ALGORITHM {
            return Err(NoticeRejection::Malformed("algorithm"));
        }
        let opened = self.merchant.api_v3_key.open(&resource.nonce, &resource.associated_data, &resource.ciphertext);
        let text = opened.map_err(|_| NoticeRejection::Sealed)?;
        serde_json::from_slice(&text).map_err(|_| NoticeRejection::Malformed("resource"))
    }
}

fn rejection(error: SignatureError) -> NoticeRejection {
    match error {
        SignatureError::Malformed(what) => NoticeRejection::Malformed(what),
        SignatureError::Scheme => NoticeRejection::Malformed("signature type"),
        SignatureError::Stale(age_s) => NoticeRejection::Stale(age_s),
        SignatureError::UnknownSerial(serial) => NoticeRejection::UnknownKey(serial),
        SignatureError::Probe => NoticeRejection::Probe,
        SignatureError::Wrong => NoticeRejection::Forged,
    }
}
