//! Refunds over v2.

use super::answer::{Answer, Outcome, Problem};
use super::messages;
use super::orders::which;
use super::routes::Task;
use crate::payment::sandbox::ledger::{RefundKey, refund_by_id};
use crate::payment::sandbox::notify::accepts_url;
use crate::payment::sandbox::rules::{NewRefund, Provider, Refund, RefundRefusal, Trade, Wire};

/// Refunds in one answer to a query.
const PAGE: usize = 10;

pub(super) async fn accept(task: &Task) -> Outcome {
    let asked = read(task)?;
    let merchant = &task.sandbox.merchant().wechat.mchid;
    let (trade, refund, _) = task.sandbox.accept_refund(merchant, &which(task)?, asked).await?;
    Ok(Answer { fields: messages::refund_fields(&trade, &refund), ..Answer::default() })
}

pub(super) async fn query(task: &Task) -> Outcome {
    let missing = || Problem::business("REFUNDNOTEXIST", "订单号错误或订单状态不正确 (no such refund)");
    if let Some((trade, refund)) = one(task).await? {
        let fields = messages::refunds_fields(&trade, &[refund], 0, 1);
        return Ok(Answer { fields, ..Answer::default() });
    }
    if task.optional("out_refund_no").is_some() || task.optional("refund_id").is_some() {
        return Err(missing());
    }
    let trade = task.sandbox.find_trade(&which(task)?).await?.ok_or_else(missing)?;
    let refunds = task.sandbox.find_refunds_of(&trade).await?;
    let first = task.optional("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0_usize);
    if refunds.len() <= first {
        return Err(missing());
    }
    let page = &refunds[first..refunds.len().min(first + PAGE)];
    let fields = messages::refunds_fields(&trade, page, 0, refunds.len());
    Ok(Answer { fields, ..Answer::default() })
}

/// The one refund that a query names, if it names one and there is one.
async fn one(task: &Task) -> Result<Option<(Trade, Refund)>, Problem> {
    let (sandbox, merchant) = (&task.sandbox, task.sandbox.merchant().wechat.mchid.clone());
    let out_refund_no = match (task.optional("refund_id"), task.optional("out_refund_no")) {
        (Some(number), _) => {
            let known = refund_by_id(sandbox.ledger.reader(), number).await?;
            let Some((_, refund)) = known.filter(|(of, _)| *of == merchant) else { return Ok(None) };
            refund.asked.out_refund_no
        }
        (None, Some(number)) => number.to_owned(),
        (None, None) => return Ok(None),
    };
    let key = RefundKey { provider: Provider::Wechat, merchant, out_trade_no: String::new(), out_refund_no };
    Ok(sandbox.find_refund(&key).await?)
}

fn read(task: &Task) -> Result<NewRefund, Problem> {
    let invalid = |what: &str| Problem::transport("PARAM_ERROR", format!("参数错误 (parameter): {what}"));
    let out_refund_no = task.required("out_refund_no")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte);
    if out_refund_no.len() > 64 || !out_refund_no.bytes().all(is_plain) {
        return Err(invalid("out_refund_no"));
    }
    let notify_url = task.optional("notify_url").unwrap_or_default();
    if !notify_url.is_empty() {
        accepts_url(notify_url, task.sandbox.knobs().http_notify_anywhere).map_err(|_| invalid("notify_url"))?;
    }
    Ok(NewRefund {
        wire: Wire::V2,
        out_refund_no: out_refund_no.to_owned(),
        refund_fen: task.required("refund_fee")?.parse().map_err(|_| invalid("refund_fee"))?,
        total_fen: Some(task.required("total_fee")?.parse().map_err(|_| invalid("total_fee"))?),
        reason: task.optional("refund_desc").unwrap_or_default().to_owned(),
        notify_url: notify_url.to_owned(),
    })
}

impl From<RefundRefusal> for Problem {
    fn from(refusal: RefundRefusal) -> Self {
        match refusal {
            RefundRefusal::NotFound => Self::business("ORDERNOTEXIST", "订单不存在 (no such order)"),
            RefundRefusal::NotPaid => Self::business("INVALID_REQUEST", "订单状态不可退款 (the order is not paid)"),
            RefundRefusal::ParametersDiffer => {
                Self::business("PARAM_ERROR", "退款单号已被使用 (out_refund_no is taken by other parameters)")
            }
            RefundRefusal::TotalDiffers => {
                Self::business("PARAM_ERROR", "订单金额不一致 (total_fee is not the order's)")
            }
            RefundRefusal::AmountInvalid => Self::business("PARAM_ERROR", "退款金额错误 (refund_fee is at least 1)"),
            RefundRefusal::TooMuch => {
                Self::business("REFUND_FEE_MISMATCH", "累计退款金额大于支付金额 (more than what is left)")
            }
            RefundRefusal::TooMany => Self::business("INVALID_REQ_TOO_MUCH", "部分退款次数超限 (too many refunds)"),
            RefundRefusal::TooSoon => Self::business("FREQUENCY_LIMITED", "频率限制 (too soon after the last refund)"),
            RefundRefusal::TooLate => {
                Self::business("TRADE_OVERDUE", "订单已超过退款期限 (the payment is too long ago)")
            }
            RefundRefusal::NotEnough => Self::business("NOTENOUGH", "余额不足 (the balance does not cover it)"),
        }
    }
}
