//! [`PaymentGateway`] in terms of WeChat Pay v3.

use async_trait::async_trait;
use chrono::NaiveDate;
use tokio::sync::mpsc;

use super::WechatV3;
use super::faults::Operation;
use super::messages::{
    H5Info, Payer, Prepaid, Prepay, PrepayAmount, Refund, RefundRequest, RefundRequestAmount, SceneInfo, Transaction,
};
use super::signing;
use crate::domain::Money;
use crate::payment::error::PaymentError;
use crate::payment::facts::{BillLine, Mismatch, PayerId, RefundReport, RefundState, Trade, TradeState};
use crate::payment::fields::{DESCRIPTION_BYTES_MAX, REASON_BYTES_MAX, check_charge, check_refund, cut};
use crate::payment::gateway::{Charge, JsapiCall, NewCharge, PaymentGateway, RefundOrder, TradeType, Wire};
use crate::payment::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use crate::payment::numbers::{PaymentNo, RefundNo};
use crate::payment::times;

#[async_trait]
impl PaymentGateway for WechatV3 {
    fn wire(&self) -> Wire {
        Wire::WechatV3
    }

    fn is_tripped(&self) -> bool {
        self.guard().is_tripped()
    }

    async fn create(&self, charge: &NewCharge) -> Result<Charge, PaymentError> {
        check_charge(charge)?;
        let path = format!("/v3/pay/transactions/{}", last_step(&charge.trade_type)?);
        let prepaid: Prepaid = self.post(Operation::Create, &path, &self.prepay(charge)?).await?;
        match (&charge.trade_type, prepaid) {
            (TradeType::QrCode, Prepaid { code_url: Some(url), .. }) => Ok(Charge::QrCode { url }),
            (TradeType::MobileBrowser, Prepaid { h5_url: Some(url), .. }) => Ok(Charge::Redirect { url }),
            (TradeType::InWechat { .. }, Prepaid { prepay_id: Some(id), .. }) => {
                Ok(Charge::InWechat(self.jsapi_call(&id)?))
            }
            _ => Err(PaymentError::unreadable()),
        }
    }

    async fn query(&self, payment_no: &PaymentNo) -> Result<Trade, PaymentError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{payment_no}?mchid={}", self.merchant.mchid);
        let transaction: Transaction = self.get(Operation::Query, &path).await?;
        let trade = self.trade(transaction).ok_or(PaymentError::unreadable())?;
        if trade.payment_no == *payment_no { Ok(trade) } else { Err(PaymentError::unreadable()) }
    }

    async fn close(&self, payment_no: &PaymentNo) -> Result<(), PaymentError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{payment_no}/close");
        let body = serde_json::json!({ "mchid": self.merchant.mchid });
        self.post_only(Operation::Close, &path, &body).await
    }

    async fn refund(&self, refund: &RefundOrder) -> Result<RefundReport, PaymentError> {
        check_refund(refund)?;
        let body = RefundRequest {
            transaction_id: None,
            out_trade_no: Some(refund.payment_no.to_string()),
            out_refund_no: refund.refund_no.to_string(),
            reason: Some(cut(&refund.reason, REASON_BYTES_MAX).to_owned()).filter(|reason| !reason.is_empty()),
            notify_url: Some(refund.notify_url.clone()),
            amount: RefundRequestAmount {
                refund: refund.amount.fen(),
                total: refund.total.fen(),
                currency: "CNY".to_owned(),
            },
        };
        let answer: Refund = self.post(Operation::Refund, "/v3/refund/domestic/refunds", &body).await?;
        self.report_on(answer, &refund.payment_no, &refund.refund_no)
    }

    async fn query_refund(&self, payment_no: &PaymentNo, refund_no: &RefundNo) -> Result<RefundReport, PaymentError> {
        let path = format!("/v3/refund/domestic/refunds/{refund_no}");
        let answer: Refund = self.get(Operation::QueryRefund, &path).await?;
        self.report_on(answer, payment_no, refund_no)
    }

    async fn read_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        self.decode_notice(notice).await
    }

    fn answer_notice(&self, stored: bool) -> NoticeAnswer {
        if stored {
            return NoticeAnswer { status: 204, content_type: None, body: "" };
        }
        let body = r#"{"code":"FAIL","message":"失败"}"#;
        NoticeAnswer { status: 500, content_type: Some("application/json"), body }
    }

    async fn bill(&self, day: NaiveDate, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
        self.download_bill(day, lines).await
    }
}

const fn last_step(trade_type: &TradeType) -> Result<&'static str, PaymentError> {
    match trade_type {
        TradeType::QrCode => Ok("native"),
        TradeType::InWechat { .. } => Ok("jsapi"),
        TradeType::MobileBrowser => Ok("h5"),
        TradeType::Page { .. } => Err(PaymentError::Unacceptable("WeChat Pay has no page of its own")),
    }
}

impl WechatV3 {
    fn prepay(&self, charge: &NewCharge) -> Result<Prepay, PaymentError> {
        let ip = charge.buyer_ip.map(|ip| ip.to_string());
        let scene_info = match (&charge.trade_type, ip) {
            (TradeType::MobileBrowser, None) => {
                return Err(PaymentError::Unacceptable("H5 without the buyer's address"));
            }
            (TradeType::MobileBrowser, Some(payer_client_ip)) => {
                Some(SceneInfo { payer_client_ip, h5_info: Some(H5Info { kind: "Wap".to_owned() }) })
            }
            (_, ip) => ip.map(|payer_client_ip| SceneInfo { payer_client_ip, h5_info: None }),
        };
        let payer = match &charge.trade_type {
            TradeType::InWechat { openid } => Some(Payer { openid: Some(openid.clone()) }),
            _ => None,
        };
        Ok(Prepay {
            appid: self.merchant.appid.clone(),
            mchid: self.merchant.mchid.clone(),
            description: cut(&charge.description, DESCRIPTION_BYTES_MAX).to_owned(),
            out_trade_no: charge.payment_no.to_string(),
            time_expire: Some(times::rfc3339(charge.expires_ms)),
            attach: None,
            notify_url: charge.notify_url.clone(),
            amount: PrepayAmount { total: charge.amount.fen(), currency: "CNY".to_owned() },
            payer,
            scene_info,
        })
    }

    /// What the page in WeChat hands to its bridge, signed over `appId\ntimeStamp\nnonceStr\npackage\n`.
    fn jsapi_call(&self, prepay_id: &str) -> Result<JsapiCall, PaymentError> {
        let app_id = self.merchant.appid.clone();
        let time_stamp = self.clock.now_ms().div_euclid(1_000).to_string();
        let (nonce_str, package) = (signing::nonce(), format!("prepay_id={prepay_id}"));
        let text = format!("{app_id}\n{time_stamp}\n{nonce_str}\n{package}\n");
        let pay_sign = self.merchant.signer.key.sign(text.as_bytes())?;
        Ok(JsapiCall { app_id, time_stamp, nonce_str, package, sign_type: "RSA".to_owned(), pay_sign })
    }

    /// `None` if the platform's words cannot be understood.
    pub(super) fn trade(&self, transaction: Transaction) -> Option<Trade> {
        let amount = transaction.amount.unwrap_or_default();
        let currency = amount.currency.as_deref();
        let strange = if transaction.mchid != self.merchant.mchid {
            Some(Mismatch::Merchant)
        } else if transaction.appid != self.merchant.appid {
            Some(Mismatch::App)
        } else {
            currency.filter(|currency| *currency != "CNY").map(|_| Mismatch::Currency)
        };
        Some(Trade {
            payment_no: transaction.out_trade_no.parse().ok()?,
            gateway_no: transaction.transaction_id,
            state: trade_state(&transaction.trade_state)?,
            total: amount.total.map(Money::from_fen),
            payer_total: amount.payer_total.map(Money::from_fen),
            paid_at_ms: transaction.success_time.as_deref().and_then(times::from_rfc3339),
            payer: transaction.payer.and_then(|payer| payer.openid).map(PayerId),
            strange,
        })
    }

    fn report_on(
        &self,
        answer: Refund,
        payment_no: &PaymentNo,
        refund_no: &RefundNo,
    ) -> Result<RefundReport, PaymentError> {
        let report = self.refund_report(answer).ok_or(PaymentError::unreadable())?;
        let is_asked_for = report.payment_no == *payment_no && report.refund_no == *refund_no;
        if is_asked_for { Ok(report) } else { Err(PaymentError::unreadable()) }
    }

    /// `None` if the platform's words cannot be understood.
    pub(super) fn refund_report(&self, refund: Refund) -> Option<RefundReport> {
        let is_foreign = refund.mchid.as_ref().is_some_and(|mchid| *mchid != self.merchant.mchid);
        let amount = refund.amount.as_ref();
        let currency = amount.and_then(|amount| amount.currency.as_deref());
        let strange = if is_foreign {
            Some(Mismatch::Merchant)
        } else {
            currency.filter(|currency| *currency != "CNY").map(|_| Mismatch::Currency)
        };
        Some(RefundReport {
            refund_no: refund.out_refund_no.parse().ok()?,
            payment_no: refund.out_trade_no.parse().ok()?,
            gateway_refund_no: refund.refund_id,
            state: refund_state(refund.status.or(refund.refund_status)?.as_str())?,
            amount: amount.map(|amount| Money::from_fen(amount.refund)),
            refunded_at_ms: refund.success_time.as_deref().and_then(times::from_rfc3339),
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

/// Also of bills, which write `CHANGE` for an abnormal one.
pub(in crate::payment) fn refund_state(word: &str) -> Option<RefundState> {
    Some(match word {
        "PROCESSING" => RefundState::Processing,
        "ABNORMAL" | "CHANGE" => RefundState::Abnormal,
        "SUCCESS" => RefundState::Succeeded,
        "CLOSED" | "REFUNDCLOSE" | "FAIL" => RefundState::Closed,
        _ => return None,
    })
}
