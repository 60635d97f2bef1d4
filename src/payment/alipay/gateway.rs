//! [`PaymentGateway`] in terms of Alipay.

use async_trait::async_trait;
use chrono::NaiveDate;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::client::{Alipay, asked_for, not_found};
use super::signing;
use crate::payment::error::PaymentError;
use crate::payment::facts::{BillLine, PayerId, RefundReport, RefundState, Trade, TradeState};
use crate::payment::fields::{DESCRIPTION_BYTES_MAX, REASON_BYTES_MAX, check_charge, check_refund, cut, yuan};
use crate::payment::gateway::{Charge, NewCharge, PaymentGateway, RefundOrder, TradeType, Wire};
use crate::payment::notice::{Notice, NoticeAnswer, NoticeRejection, RawNotice};
use crate::payment::numbers::{PaymentNo, RefundNo};
use crate::payment::times;

#[derive(Deserialize)]
struct Precreated {
    out_trade_no: String,
    qr_code: String,
}

#[derive(Deserialize)]
struct Queried {
    out_trade_no: String,
    trade_no: Option<String>,
    trade_status: String,
    total_amount: Option<String>,
    buyer_pay_amount: Option<String>,
    send_pay_date: Option<String>,
    buyer_user_id: Option<String>,
    buyer_open_id: Option<String>,
}

#[derive(Deserialize)]
struct Closed {
    out_trade_no: Option<String>,
}

#[derive(Deserialize)]
struct Refunded {
    out_trade_no: String,
    #[serde(default)]
    fund_change: String,
    gmt_refund_pay: Option<String>,
}

#[derive(Deserialize)]
struct RefundQueried {
    out_trade_no: Option<String>,
    out_request_no: Option<String>,
    refund_amount: Option<String>,
    refund_status: Option<String>,
    gmt_refund_pay: Option<String>,
}

#[async_trait]
impl PaymentGateway for Alipay {
    fn wire(&self) -> Wire {
        Wire::Alipay
    }

    fn is_tripped(&self) -> bool {
        self.guard().is_tripped()
    }

    async fn create(&self, charge: &NewCharge) -> Result<Charge, PaymentError> {
        check_charge(charge)?;
        match &charge.trade_type {
            TradeType::QrCode => self.precreate(charge).await,
            TradeType::Page { return_url } => self.page(charge, return_url),
            TradeType::InWechat { .. } | TradeType::MobileBrowser => {
                Err(PaymentError::Unacceptable("Alipay is paid by QR code or on its page"))
            }
        }
    }

    async fn query(&self, payment_no: &PaymentNo) -> Result<Trade, PaymentError> {
        let content = serde_json::json!({ "out_trade_no": payment_no.as_str() });
        let answer: Queried = self.ask("alipay.trade.query", &content, None).await?;
        let is_ours = answer.out_trade_no == payment_no.as_str();
        let paid_at_ms = answer.send_pay_date.as_deref().and_then(times::from_spaced);
        let state = trade_state(&answer.trade_status, paid_at_ms.is_some()).ok_or(PaymentError::unreadable())?;
        let trade = Trade {
            payment_no: payment_no.clone(),
            gateway_no: answer.trade_no,
            state,
            total: answer.total_amount.as_deref().and_then(yuan),
            payer_total: answer.buyer_pay_amount.as_deref().and_then(yuan),
            paid_at_ms,
            payer: answer.buyer_user_id.or(answer.buyer_open_id).map(PayerId),
            strange: None,
        };
        asked_for(is_ours, trade)
    }

    async fn close(&self, payment_no: &PaymentNo) -> Result<(), PaymentError> {
        let content = serde_json::json!({ "out_trade_no": payment_no.as_str() });
        let answer: Closed = self.ask("alipay.trade.close", &content, None).await?;
        asked_for(answer.out_trade_no.is_none_or(|number| number == payment_no.as_str()), ())
    }

    async fn refund(&self, refund: &RefundOrder) -> Result<RefundReport, PaymentError> {
        check_refund(refund)?;
        let content = serde_json::json!({
            "out_trade_no": refund.payment_no.as_str(),
            "out_request_no": refund.refund_no.as_str(),
            "refund_amount": refund.amount.to_string(),
            "refund_reason": cut(&refund.reason, REASON_BYTES_MAX),
        });
        let answer: Refunded = self.ask("alipay.trade.refund", &content, None).await?;
        // "N" answers a repetition, and also a refund that is still on its way: the query tells which
        let has_moved = answer.fund_change == "Y";
        let report = RefundReport {
            refund_no: refund.refund_no.clone(),
            payment_no: refund.payment_no.clone(),
            gateway_refund_no: None,
            state: if has_moved { RefundState::Succeeded } else { RefundState::Processing },
            amount: has_moved.then_some(refund.amount),
            refunded_at_ms: answer.gmt_refund_pay.as_deref().and_then(times::from_spaced).filter(|_| has_moved),
            strange: None,
        };
        asked_for(answer.out_trade_no == refund.payment_no.as_str(), report)
    }

    async fn query_refund(&self, payment_no: &PaymentNo, refund_no: &RefundNo) -> Result<RefundReport, PaymentError> {
        let content = serde_json::json!({
            "out_trade_no": payment_no.as_str(),
            "out_request_no": refund_no.as_str(),
            "query_options": ["gmt_refund_pay"],
        });
        let answer: RefundQueried = self.ask("alipay.trade.fastpay.refund.query", &content, None).await?;
        // success of the query is not success of the refund: without these fields there is none
        let (Some(amount), Some(request)) = (answer.refund_amount.as_deref().and_then(yuan), &answer.out_request_no)
        else {
            return Err(not_found("REFUND_NOT_EXIST"));
        };
        let is_ours = request == refund_no.as_str()
            && answer.out_trade_no.as_ref().is_none_or(|number| number == payment_no.as_str());
        let state = match answer.refund_status.as_deref() {
            None | Some("REFUND_SUCCESS") => RefundState::Succeeded,
            Some(_) => RefundState::Processing,
        };
        let report = RefundReport {
            refund_no: refund_no.clone(),
            payment_no: payment_no.clone(),
            gateway_refund_no: None,
            state,
            amount: Some(amount),
            refunded_at_ms: answer.gmt_refund_pay.as_deref().and_then(times::from_spaced),
            strange: None,
        };
        asked_for(is_ours, report)
    }

    async fn read_notice(&self, notice: &RawNotice) -> Result<Notice, NoticeRejection> {
        self.decode_notice(notice)
    }

    fn answer_notice(&self, stored: bool) -> NoticeAnswer {
        let body = if stored { "success" } else { "failure" };
        NoticeAnswer { status: 200, content_type: Some("text/plain; charset=utf-8"), body }
    }

    async fn bill(&self, day: NaiveDate, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
        self.download_bill(day, lines).await
    }
}

impl Alipay {
    async fn precreate(&self, charge: &NewCharge) -> Result<Charge, PaymentError> {
        let content = content(charge, None);
        let answer: Precreated = self.ask("alipay.trade.precreate", &content, Some(&charge.notify_url)).await?;
        asked_for(
            answer.out_trade_no == charge.payment_no.as_str() && !answer.qr_code.is_empty(),
            Charge::QrCode { url: answer.qr_code },
        )
    }

    /// No call of ours: the buyer's browser carries the signed order to Alipay.
    fn page(&self, charge: &NewCharge, return_url: &str) -> Result<Charge, PaymentError> {
        let content = content(charge, Some("FAST_INSTANT_TRADE_PAY"));
        let params = self.signed("alipay.trade.page.pay", &content, Some(&charge.notify_url), Some(return_url))?;
        let mut url = self.link.base().clone();
        url.set_query(Some(&signing::write_form(&params)));
        Ok(Charge::Redirect { url: url.into() })
    }
}

fn content(charge: &NewCharge, product_code: Option<&str>) -> serde_json::Value {
    let mut content = serde_json::json!({
        "out_trade_no": charge.payment_no.as_str(),
        "total_amount": charge.amount.to_string(),
        "subject": cut(&charge.description, DESCRIPTION_BYTES_MAX),
        "time_expire": times::spaced(charge.expires_ms),
    });
    if let Some(code) = product_code {
        content["product_code"] = code.into();
    }
    content
}

/// `TRADE_CLOSED` says "never paid" or "wholly refunded": the moment of payment tells which.
pub(super) fn trade_state(word: &str, was_paid: bool) -> Option<TradeState> {
    Some(match word {
        "WAIT_BUYER_PAY" => TradeState::NotPaid,
        "TRADE_SUCCESS" | "TRADE_FINISHED" => TradeState::Paid,
        "TRADE_CLOSED" if was_paid => TradeState::PaidThenRefunded,
        "TRADE_CLOSED" => TradeState::Closed,
        _ => return None,
    })
}
