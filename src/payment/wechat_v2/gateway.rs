//! [`PaymentGateway`] in terms of WeChat Pay v2.

use async_trait::async_trait;
use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::client::{REFUND, WechatV2};
use super::xml::Fields;
use crate::domain::Money;
use crate::payment::error::PaymentError;
use crate::payment::facts::{BillLine, Mismatch, PayerId, RefundReport, RefundState, Trade, TradeState};
use crate::payment::fields::{DESCRIPTION_BYTES_MAX, REASON_BYTES_MAX, check_charge, check_refund, cut, fen};
use crate::payment::gateway::{Charge, JsapiCall, NewCharge, PaymentGateway, RefundOrder, TradeType, Wire};
use crate::payment::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use crate::payment::numbers::{PaymentNo, RefundNo};
use crate::payment::times;
use crate::payment::wechat_v3::refund_state;
use crate::payment::wechat_v3::signing::nonce;

/// The most refunds of one payment.
const REFUNDS_MAX: u32 = 50;
const H5_SCENE: &str = r#"{"h5_info":{"type":"Wap"}}"#;

#[async_trait]
impl PaymentGateway for WechatV2 {
    fn wire(&self) -> Wire {
        Wire::WechatV2
    }

    fn is_tripped(&self) -> bool {
        self.guard().is_tripped()
    }

    async fn create(&self, charge: &NewCharge) -> Result<Charge, PaymentError> {
        check_charge(charge)?;
        let (trade_type, openid, scene) = match &charge.trade_type {
            TradeType::QrCode => ("NATIVE", "", ""),
            TradeType::InWechat { openid } => ("JSAPI", openid.as_str(), ""),
            TradeType::MobileBrowser => ("MWEB", "", H5_SCENE),
            TradeType::Page { .. } => return Err(PaymentError::Unacceptable("WeChat Pay has no page of its own")),
        };
        // a QR code is shown on a screen whose address does not matter; the field must be there all the same
        let ip = match (charge.buyer_ip, trade_type) {
            (Some(ip), _) => ip.to_string(),
            (None, "MWEB") => return Err(PaymentError::Unacceptable("H5 without the buyer's address")),
            (None, _) => "127.0.0.1".to_owned(),
        };
        let payment_no = charge.payment_no.as_str();
        let fields = [
            ("body", cut(&charge.description, DESCRIPTION_BYTES_MAX)),
            ("out_trade_no", payment_no),
            ("total_fee", &charge.amount.fen().to_string()),
            ("spbill_create_ip", &ip),
            ("time_expire", &times::compact(charge.expires_ms)),
            ("notify_url", &charge.notify_url),
            ("trade_type", trade_type),
            ("product_id", if trade_type == "NATIVE" { payment_no } else { "" }),
            ("openid", openid),
            ("scene_info", scene),
        ];
        let answer = self.ask("/pay/unifiedorder", &fields).await?;
        let of = |name: &str| answer.get(name).filter(|value| !value.is_empty()).cloned();
        match trade_type {
            "NATIVE" => of("code_url").map(|url| Charge::QrCode { url }),
            "MWEB" => of("mweb_url").map(|url| Charge::Redirect { url }),
            _ => of("prepay_id").map(|id| Charge::InWechat(self.jsapi_call(&id))),
        }
        .ok_or(PaymentError::unreadable())
    }

    async fn query(&self, payment_no: &PaymentNo) -> Result<Trade, PaymentError> {
        let answer = self.ask("/pay/orderquery", &[("out_trade_no", payment_no.as_str())]).await?;
        let state = answer.get("trade_state").and_then(|word| trade_state(word));
        let trade = state.and_then(|state| self.trade(&answer, state)).ok_or(PaymentError::unreadable())?;
        if trade.payment_no == *payment_no { Ok(trade) } else { Err(PaymentError::unreadable()) }
    }

    async fn close(&self, payment_no: &PaymentNo) -> Result<(), PaymentError> {
        self.ask("/pay/closeorder", &[("out_trade_no", payment_no.as_str())]).await.map(|_| ())
    }

    async fn refund(&self, refund: &RefundOrder) -> Result<RefundReport, PaymentError> {
        check_refund(refund)?;
        let fields = [
            ("out_trade_no", refund.payment_no.as_str()),
            ("out_refund_no", refund.refund_no.as_str()),
            ("total_fee", &refund.total.fen().to_string()),
            ("refund_fee", &refund.amount.fen().to_string()),
            ("refund_desc", cut(&refund.reason, REASON_BYTES_MAX)),
            ("notify_url", &refund.notify_url),
        ];
        let answer = self.ask(REFUND, &fields).await?;
        let of = |name: &str| answer.get(name).map(String::as_str);
        let is_ours = of("out_refund_no") == Some(refund.refund_no.as_str())
            && of("out_trade_no") == Some(refund.payment_no.as_str());
        if !is_ours {
            return Err(PaymentError::unreadable());
        }
        Ok(RefundReport {
            refund_no: refund.refund_no.clone(),
            payment_no: refund.payment_no.clone(),
            gateway_refund_no: of("refund_id").map(str::to_owned),
            state: RefundState::Processing,
            amount: of("refund_fee").and_then(fen),
            refunded_at_ms: None,
            strange: None,
        })
    }

    async fn query_refund(&self, payment_no: &PaymentNo, refund_no: &RefundNo) -> Result<RefundReport, PaymentError> {
        let answer = self.ask("/pay/refundquery", &[("out_refund_no", refund_no.as_str())]).await?;
        let numbered = (0..REFUNDS_MAX).find(|n| is_number(&answer, &format!("out_refund_no_{n}"), refund_no));
        let is_ours = answer.get("out_trade_no").is_some_and(|number| number == payment_no.as_str());
        let n = numbered.filter(|_| is_ours).ok_or(PaymentError::unreadable())?;
        let of = |name: &str| answer.get(&format!("{name}_{n}")).map(String::as_str);
        Ok(RefundReport {
            refund_no: refund_no.clone(),
            payment_no: payment_no.clone(),
            gateway_refund_no: of("refund_id").map(str::to_owned),
            state: of("refund_status").and_then(refund_state).ok_or(PaymentError::unreadable())?,
            amount: of("refund_fee").and_then(fen),
            refunded_at_ms: of("refund_success_time").and_then(times::from_spaced),
            strange: None,
        })
    }

    async fn read_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        self.decode_notice(notice)
    }

    fn answer_notice(&self, stored: bool) -> NoticeAnswer {
        let body = if stored {
            "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
        } else {
            "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[FAIL]]></return_msg></xml>"
        };
        NoticeAnswer { status: 200, content_type: Some("text/xml; charset=utf-8"), body }
    }

    async fn bill(&self, day: NaiveDate, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
        self.download_bill(day, lines).await
    }
}

fn is_number(answer: &Fields, name: &str, refund_no: &RefundNo) -> bool {
    answer.get(name).is_some_and(|number| number == refund_no.as_str())
}

impl WechatV2 {
    fn jsapi_call(&self, prepay_id: &str) -> JsapiCall {
        let mut call = JsapiCall {
            app_id: self.merchant.appid.clone(),
            time_stamp: self.clock.now_ms().div_euclid(1_000).to_string(),
            nonce_str: nonce(),
            package: format!("prepay_id={prepay_id}"),
            sign_type: self.merchant.sign_type.name().to_owned(),
            pay_sign: String::new(),
        };
        let signed: Fields = [
            ("appId", &call.app_id),
            ("timeStamp", &call.time_stamp),
            ("nonceStr", &call.nonce_str),
            ("package", &call.package),
            ("signType", &call.sign_type),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
        call.pay_sign = self.merchant.key.signature(&signed, self.merchant.sign_type);
        call
    }

    /// From a query or a notification; `None` if the gateway's words cannot be understood.
    pub(super) fn trade(&self, fields: &Fields, state: TradeState) -> Option<Trade> {
        let of = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let strange = if of("mch_id") != Some(self.merchant.mchid.as_str()) {
            Some(Mismatch::Merchant)
        } else if of("appid") != Some(self.merchant.appid.as_str()) {
            Some(Mismatch::App)
        } else {
            of("fee_type").filter(|currency| *currency != "CNY").map(|_| Mismatch::Currency)
        };
        let is_settled = matches!(state, TradeState::Paid | TradeState::PaidThenRefunded);
        let payer_total: Option<Money> = of("cash_fee").and_then(fen);
        Some(Trade {
            payment_no: of("out_trade_no")?.parse().ok()?,
            gateway_no: of("transaction_id").map(str::to_owned),
            state,
            total: of("total_fee").and_then(fen),
            payer_total: payer_total.filter(|_| is_settled),
            paid_at_ms: of("time_end").and_then(times::from_compact).filter(|_| is_settled),
            payer: of("openid").map(str::to_owned).map(PayerId),
            strange,
        })
    }
}

fn trade_state(word: &str) -> Option<TradeState> {
    Some(match word {
        "SUCCESS" => TradeState::Paid,
        "REFUND" => TradeState::PaidThenRefunded,
        "NOTPAY" => TradeState::NotPaid,
        "CLOSED" => TradeState::Closed,
        "REVOKED" => TradeState::Revoked,
        "USERPAYING" | "ACCEPT" => TradeState::Paying,
        "PAYERROR" => TradeState::Failed,
        _ => return None,
    })
}
