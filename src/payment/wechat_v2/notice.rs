//! Notifications of WeChat Pay v2. Payments are signed; refunds are not, but sealed under the digest of the shared key.
//!
//! Neither has an id, so one is made of what stays the same in every delivery and differs for every event.

use super::client::WechatV2;
use super::xml::{self, Fields};
use crate::payment::facts::{Mismatch, RefundReport, TradeState};
use crate::payment::fields::fen;
use crate::payment::notice::{NOTICE_BYTES_MAX, Notice, NoticeEvent, NoticeRejection, RawNotice};
use crate::payment::times;
use crate::payment::wechat_v3::refund_state;

impl WechatV2 {
    pub(super) fn decode_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        if notice.body.len() > NOTICE_BYTES_MAX {
            return Err(NoticeRejection::Malformed("body"));
        }
        let fields = xml::read(&notice.body).map_err(|_| NoticeRejection::Malformed("body"))?;
        if fields.get("return_code").is_none_or(|code| code != "SUCCESS") {
            return Err(NoticeRejection::Malformed("return_code"));
        }
        match fields.get("req_info") {
            Some(sealed) => self.refund_notice(&fields, sealed),
            None => self.payment_notice(&fields),
        }
    }

    fn payment_notice(&self, fields: &Fields) -> Result<Notice, NoticeRejection> {
        self.merchant.key.verify(fields).map_err(|_| NoticeRejection::Forged)?;
        let result = fields.get("result_code").map_or("", String::as_str);
        let state = if result == "SUCCESS" { TradeState::Paid } else { TradeState::Failed };
        let trade = self.trade(fields, state).ok_or(NoticeRejection::Malformed("trade"))?;
        let number = trade.gateway_no.as_deref().unwrap_or(trade.payment_no.as_str());
        let id = format!("v2:pay:{number}:{result}");
        Ok(Notice { id, event: NoticeEvent::Trade(trade) })
    }

    fn refund_notice(&self, outer: &Fields, sealed: &str) -> Result<Notice, NoticeRejection> {
        let key = self.merchant.key.refund_key().map_err(|_| NoticeRejection::Sealed)?;
        let opened = key.open(sealed).map_err(|_| NoticeRejection::Sealed)?;
        // a wrong key leaves noise that happens to be padded like text once in 256 times
        let inner = xml::read(&opened).map_err(|_| NoticeRejection::Sealed)?;
        let of = |name: &str| inner.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let malformed = || NoticeRejection::Malformed("refund");
        let word = of("refund_status").ok_or_else(malformed)?;
        let is_ours = outer.get("mch_id") == Some(&self.merchant.mchid);
        let report = RefundReport {
            refund_no: of("out_refund_no").and_then(|number| number.parse().ok()).ok_or_else(malformed)?,
            payment_no: of("out_trade_no").and_then(|number| number.parse().ok()).ok_or_else(malformed)?,
            gateway_refund_no: of("refund_id").map(str::to_owned),
            state: refund_state(word).ok_or_else(malformed)?,
            amount: of("refund_fee").and_then(fen),
            refunded_at_ms: of("success_time").and_then(times::from_spaced),
            strange: (!is_ours).then_some(Mismatch::Merchant),
        };
        Ok(Notice { id: format!("v2:refund:{}:{word}", report.refund_no), event: NoticeEvent::Refund(report) })
    }
}
