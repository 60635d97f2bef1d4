//! Notifications of Alipay: a signed form. There is no moment of signing to check; a repeated delivery is known by its
//! `notify_id`, and what it says is compared with the order.

use super::client::Alipay;
use super::gateway::trade_state;
use super::signing::{self, Params, SignatureError};
use crate::payment::facts::{Mismatch, PayerId, Trade, TradeState};
use crate::payment::fields::yuan;
use crate::payment::notice::{NOTICE_BYTES_MAX, Notice, NoticeEvent, NoticeRejection, RawNotice};
use crate::payment::times;

const ID_BYTES_MAX: usize = 128;

impl Alipay {
    pub(super) fn decode_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        if notice.body.len() > NOTICE_BYTES_MAX {
            return Err(NoticeRejection::Malformed("body"));
        }
        let params = signing::read_form(&notice.body).map_err(|_| NoticeRejection::Malformed("body"))?;
        signing::verify_notice(&params, &self.merchant.alipay_key).map_err(|error| match error {
            SignatureError::Malformed | SignatureError::Scheme => NoticeRejection::Malformed("signature type"),
            SignatureError::Unsigned | SignatureError::Wrong => NoticeRejection::Forged,
        })?;
        let id = params.get("notify_id").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
        let id = id.ok_or(NoticeRejection::Malformed("notify_id"))?.clone();
        let kind = params.get("notify_type").map_or("", String::as_str);
        let event = match kind {
            "trade_status_sync" => NoticeEvent::Trade(self.trade(&params).ok_or(NoticeRejection::Malformed("trade"))?),
            other => NoticeEvent::Other(other.to_owned()),
        };
        Ok(Notice { id, event })
    }

    fn trade(&self, params: &Params) -> Option<Trade> {
        let of = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let paid_at_ms = of("gmt_payment").and_then(times::from_spaced);
        let was_refunded = of("refund_fee").and_then(yuan).is_some_and(crate::domain::Money::is_positive);
        let strange = if of("seller_id") != Some(self.merchant.seller_id.as_str()) {
            Some(Mismatch::Merchant)
        } else {
            (of("app_id") != Some(self.merchant.app_id.as_str())).then_some(Mismatch::App)
        };
        let state = match trade_state(of("trade_status")?, paid_at_ms.is_some() || was_refunded)? {
            TradeState::Paid if was_refunded => TradeState::PaidThenRefunded,
            state => state,
        };
        Some(Trade {
            payment_no: of("out_trade_no")?.parse().ok()?,
            gateway_no: of("trade_no").map(str::to_owned),
            state,
            total: of("total_amount").and_then(yuan),
            payer_total: of("buyer_pay_amount").and_then(yuan),
            paid_at_ms,
            payer: of("buyer_id").or_else(|| of("buyer_open_id")).map(str::to_owned).map(PayerId),
            strange,
        })
    }
}
