//! Refunds at Alipay: money moves at once, and the answer says whether it moved just now.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::messages::BUYER_LOGIN;
use super::routes::Task;
use super::trades::which;
use crate::domain::Money;
use crate::payment::sandbox::desk::Declined;
use crate::payment::sandbox::ledger::RefundKey;
use crate::payment::sandbox::rules::{NewRefund, Provider, RefundRefusal, Trade, TradeRefusal, Wire};
use crate::payment::times;

pub(super) async fn accept(task: &Task) -> Outcome {
    let (call, which) = (&task.call, which(task)?);
    let merchant = &task.sandbox.merchant().alipay.app_id;
    let refund_fen = call.amount("refund_amount")?;
    let trade = task.sandbox.find_trade(&which).await?.ok_or(TradeRefusal::NotFound)?;
    let out_refund_no = match call.optional("out_request_no") {
        Some(number) => number.to_owned(),
        // without a number of its own it is the one refund of all of it
        None if refund_fen == trade.order.total_fen => trade.order.out_trade_no.clone(),
        None => return Err(Problem::missing("out_request_no")),
    };
    if task.is_void {
        return Ok(accepted(&trade, refund_fen, false, task.sandbox.clocks.ledger_ms()));
    }
    let asked = NewRefund {
        wire: Wire::Alipay,
        out_refund_no,
        refund_fen,
        total_fen: None,
        reason: call.optional("refund_reason").unwrap_or_default().to_owned(),
        notify_url: String::new(),
    };
    let (trade, refund, is_new) = match task.sandbox.accept_refund(merchant, &which, asked).await {
        Ok(accepted) => accepted,
        Err(Declined::Refused(refusal)) => return Err(refusal.into()),
        Err(Declined::Failed(error)) => return Err(error.into()),
    };
    Ok(accepted(&trade, refund.asked.refund_fen, is_new, refund.created_ms))
}

/// `fund_change` says whether money moved by this very call.
fn accepted(trade: &Trade, refund_fen: i64, has_moved: bool, at_ms: i64) -> Answer {
    Answer::ok(json!({
        "trade_no": trade.transaction_id,
        "out_trade_no": trade.order.out_trade_no,
        "buyer_logon_id": BUYER_LOGIN,
        "buyer_user_id": trade.payment.as_ref().map(|payment| payment.payer.clone()),
        "fund_change": if has_moved { "Y" } else { "N" },
        "refund_fee": Money::from_fen(trade.refunded_fen).to_string(),
        "send_back_fee": Money::from_fen(if has_moved { refund_fen } else { 0 }).to_string(),
        "gmt_refund_pay": times::spaced(at_ms),
    }))
}

/// `10000` alone does not say that money moved: without a refund, or shortly after it, the fields are missing.
pub(super) async fn query(task: &Task) -> Outcome {
    let call = &task.call;
    let found = task.sandbox.find_trade(&which(task)?).await?;
    let trade = found.filter(Trade::is_known).ok_or(TradeRefusal::NotFound)?;
    let out_refund_no = call.required("out_request_no")?;
    let key = RefundKey {
        provider: Provider::Alipay,
        merchant: trade.order.merchant.clone(),
        out_trade_no: trade.order.out_trade_no.clone(),
        out_refund_no: out_refund_no.to_owned(),
    };
    let hidden_ms = task.sandbox.knobs().alipay_refund_hidden_ms;
    let now_ms = task.sandbox.clocks.ledger_ms();
    let found = task.sandbox.find_refund(&key).await?.filter(|(_, refund)| now_ms - refund.created_ms >= hidden_ms);
    let mut body = json!({});
    if let Some((trade, refund)) = found {
        body = json!({
            "trade_no": refund.transaction_id,
            "out_trade_no": refund.out_trade_no,
            "out_request_no": refund.asked.out_refund_no,
            "refund_reason": refund.asked.reason,
            "total_amount": Money::from_fen(trade.order.total_fen).to_string(),
            "refund_amount": Money::from_fen(refund.asked.refund_fen).to_string(),
            "refund_status": "REFUND_SUCCESS",
        });
        let wants_time = call.content.get("query_options").and_then(Value::as_array);
        if wants_time.is_some_and(|options| options.iter().any(|option| option == "gmt_refund_pay")) {
            body["gmt_refund_pay"] = json!(times::spaced(refund.created_ms));
        }
    }
    Ok(Answer::ok(body))
}

impl From<RefundRefusal> for Problem {
    fn from(refusal: RefundRefusal) -> Self {
        match refusal {
            RefundRefusal::NotFound => Self::business("ACQ.TRADE_NOT_EXIST", "交易不存在 (no such trade)"),
            RefundRefusal::NotPaid => {
                Self::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法 (the trade is not paid)")
            }
            RefundRefusal::ParametersDiffer => Self::business(
                "ACQ.DISCORDANT_REPEAT_REQUEST",
                "不一致的请求 (out_request_no is taken by another amount)",
            ),
            RefundRefusal::AmountInvalid => {
                Self::business("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效 (refund_amount is at least 0.01)")
            }
            RefundRefusal::TotalDiffers | RefundRefusal::TooMuch => {
                Self::business("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限 (more than what is left of the payment)")
            }
            RefundRefusal::TooLate => {
                Self::business("ACQ.REASON_TRADE_STATUS_INVALID", "交易已结束，不可退款 (the trade is finished)")
            }
            RefundRefusal::TooMany | RefundRefusal::TooSoon => {
                Self::business("ACQ.REFUND_CHARGE_ERROR", "退款次数或频率超限 (too many refunds, or too soon)")
            }
            RefundRefusal::NotEnough => {
                Self::business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足 (the balance does not cover it)")
            }
        }
    }
}
