//! Refunds over v3.

use serde_json::Value;

use super::answer::{Answer, Outcome, Problem};
use super::messages;
use super::orders::text;
use super::routes::Task;
use crate::payment::sandbox::desk::TradeRef;
use crate::payment::sandbox::ledger::{RefundKey, TradeKey};
use crate::payment::sandbox::notify::accepts_url;
use crate::payment::sandbox::rules::{NewRefund, Provider, RefundRefusal, Wire};

pub(super) async fn accept(task: &Task) -> Outcome {
    let (sandbox, body) = (&task.sandbox, &task.call.body);
    let merchant = &sandbox.merchant().wechat.mchid;
    let which = which(task)?;
    let (trade, refund, _) = sandbox.accept_refund(merchant, &which, read(task, body)?).await?;
    Ok(Answer::ok(messages::refund(&trade, &refund)))
}

pub(super) async fn query(task: &Task, number: &str) -> Outcome {
    let key = RefundKey {
        provider: Provider::Wechat,
        merchant: task.sandbox.merchant().wechat.mchid.clone(),
        out_trade_no: String::new(),
        out_refund_no: number.to_owned(),
    };
    match task.sandbox.find_refund(&key).await? {
        Some((trade, refund)) => Ok(Answer::ok(messages::refund(&trade, &refund))),
        None => Err(missing()),
    }
}

/// An abnormal refund goes to another account of the buyer.
pub(super) async fn send_again(task: &Task, refund_id: &str) -> Outcome {
    let sandbox = &task.sandbox;
    let refund = sandbox.retry_refund(refund_id).await?.ok_or_else(missing)?;
    let key = TradeKey {
        provider: Provider::Wechat,
        merchant: sandbox.merchant().wechat.mchid.clone(),
        out_trade_no: refund.out_trade_no.clone(),
    };
    let trade = sandbox.find_trade(&TradeRef::Ours(key)).await?.ok_or_else(missing)?;
    Ok(Answer::ok(messages::refund(&trade, &refund)))
}

fn missing() -> Problem {
    Problem::new(404, "RESOURCE_NOT_EXISTS", "退款单不存在 (no such refund)")
}

fn which(task: &Task) -> Result<TradeRef, Problem> {
    let merchant = task.sandbox.merchant().wechat.mchid.clone();
    let of = |name: &str| task.call.body.get(name).and_then(Value::as_str).map(str::to_owned);
    match (of("transaction_id"), of("out_trade_no")) {
        (Some(transaction_id), _) => Ok(TradeRef::Theirs { provider: Provider::Wechat, merchant, transaction_id }),
        (None, Some(out_trade_no)) => {
            Ok(TradeRef::Ours(TradeKey { provider: Provider::Wechat, merchant, out_trade_no }))
        }
        (None, None) => Err(Problem::parameter("out_trade_no", "out_trade_no or transaction_id is needed")),
    }
}

fn read(task: &Task, body: &Value) -> Result<NewRefund, Problem> {
    let out_refund_no = text(body, "out_refund_no", 64)?;
    if !out_refund_no.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte)) {
        return Err(Problem::parameter("out_refund_no", "at most 64 of [0-9A-Za-z_-|*@]"));
    }
    let fen = |path: &str| body.pointer(path).and_then(Value::as_i64);
    let missing = |issue| Problem::parameter("amount", issue);
    if body.pointer("/amount/currency").and_then(Value::as_str) != Some("CNY") {
        return Err(missing("amount.currency is CNY"));
    }
    let notify_url = body.get("notify_url").and_then(Value::as_str).unwrap_or_default();
    if !notify_url.is_empty() {
        let anywhere = task.sandbox.knobs().http_notify_anywhere;
        accepts_url(notify_url, anywhere).map_err(|issue| Problem::parameter("notify_url", issue))?;
    }
    Ok(NewRefund {
        wire: Wire::V3,
        out_refund_no: out_refund_no.to_owned(),
        refund_fen: fen("/amount/refund").ok_or_else(|| missing("amount.refund is an integer of fen"))?,
        total_fen: Some(fen("/amount/total").ok_or_else(|| missing("amount.total is an integer of fen"))?),
        reason: body.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned(),
        notify_url: notify_url.to_owned(),
    })
}

impl From<RefundRefusal> for Problem {
    fn from(refusal: RefundRefusal) -> Self {
        let invalid = |message: &str| Self::new(400, "INVALID_REQUEST", message);
        match refusal {
            RefundRefusal::NotFound => Self::new(404, "RESOURCE_NOT_EXISTS", "订单不存在 (no such order)"),
            RefundRefusal::NotPaid => Self::new(403, "TRADE_ERROR", "订单状态不可退款 (the order is not paid)"),
            RefundRefusal::ParametersDiffer => {
                invalid("同一个退款单号，退款信息不一致 (out_refund_no is taken by other parameters)")
            }
            RefundRefusal::TotalDiffers => invalid("订单金额不一致 (amount.total is not the order's)"),
            RefundRefusal::AmountInvalid => Self::parameter("amount", "amount.refund is at least 1"),
            RefundRefusal::TooMuch => invalid("累计退款金额大于支付金额 (more than what is left of the payment)"),
            RefundRefusal::TooMany => invalid("部分退款次数超限 (too many refunds of this order)"),
            RefundRefusal::TooSoon => Self::rate_limited(),
            RefundRefusal::TooLate => invalid("订单已超过可退款的最大期限 (the payment is more than a year old)"),
            RefundRefusal::NotEnough => Self::new(403, "NOT_ENOUGH", "余额不足 (the balance does not cover it)"),
        }
    }
}
