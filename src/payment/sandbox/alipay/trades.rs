//! Trades at Alipay.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::answer::{Answer, Outcome, Problem};
use super::messages;
use super::request::Call;
use super::routes::Task;
use crate::payment::sandbox::desk::{Declined, TradeRef};
use crate::payment::sandbox::knobs::{CodeUrl, Lenience};
use crate::payment::sandbox::ledger::TradeKey;
use crate::payment::sandbox::notify::accepts_url;
use crate::payment::sandbox::rules::{NewTrade, Provider, Trade, TradeKind, TradeRefusal, Wire};
use crate::payment::times;

const FEN_MAX: i64 = 10_000_000_000;

pub(super) async fn precreate(task: &Task) -> Outcome {
    let sandbox = &task.sandbox;
    let (trade, code) = sandbox.create_trade(read_order(task, TradeKind::Native)?).await?;
    let cashier_url = format!("{}/cashier/{code}", sandbox.options.public_url);
    let qr_code = match sandbox.knobs().code_url {
        CodeUrl::Provider => format!("https://qr.alipay.com/{code}"),
        CodeUrl::Cashier => cashier_url.clone(),
    };
    let body = json!({ "out_trade_no": trade.order.out_trade_no, "qr_code": qr_code });
    Ok(Answer { cashier_url: Some(cashier_url), ..Answer::ok(body) })
}

/// The buyer's browser comes here: he is sent on to the cashier.
pub(super) async fn page_pay(task: &Task) -> Outcome {
    let product = task.call.required("product_code")?;
    if product != "FAST_INSTANT_TRADE_PAY" {
        return Err(Problem::invalid("product_code"));
    }
    let (_, code) = task.sandbox.create_trade(read_order(task, TradeKind::Page)?).await?;
    let cashier_url = format!("{}/cashier/{code}", task.sandbox.options.public_url);
    Ok(Answer { cashier_url: Some(cashier_url), ..Answer::ok(json!({})) })
}

pub(super) async fn query(task: &Task) -> Outcome {
    let found = task.sandbox.find_trade(&which(task)?).await?;
    let trade = found.filter(Trade::is_known).ok_or(TradeRefusal::NotFound)?;
    let trade = if task.says_closed { trade.said_closed() } else { trade };
    let now_ms = task.sandbox.clocks.ledger_ms();
    Ok(Answer::ok(messages::trade(&trade, &task.sandbox.terms(), now_ms)))
}

pub(super) async fn close(task: &Task) -> Outcome {
    let which = which(task)?;
    let closed = |trade: Option<Trade>| {
        let number = trade.as_ref().and_then(|trade| trade.transaction_id.clone());
        let ours = trade.map(|trade| trade.order.out_trade_no);
        Answer::ok(json!({ "trade_no": number.unwrap_or_default(), "out_trade_no": ours.unwrap_or_default() }))
    };
    let lenient = task.sandbox.knobs().close_of_closed == Lenience::Accept;
    if task.is_void {
        return Ok(closed(task.sandbox.find_trade(&which).await?));
    }
    match task.sandbox.close_trade(&which).await {
        Ok(trade) => Ok(closed(Some(trade))),
        Err(Declined::Refused(TradeRefusal::Closed)) if lenient => Ok(closed(task.sandbox.find_trade(&which).await?)),
        Err(Declined::Refused(TradeRefusal::Paid | TradeRefusal::Closed)) => {
            Err(Problem::business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法 (the trade is not waiting for the buyer)"))
        }
        Err(declined) => Err(declined.into()),
    }
}

/// Alipay's certificate, for those who meet its number and do not have it.
pub(super) fn certificate(task: &Task) -> Answer {
    let pem = BASE64.encode(&task.sandbox.keys.alipay.cert_pem);
    Answer::ok(json!({ "alipay_cert_content": pem }))
}

/// The trade that a request names by either number.
pub(super) fn which(task: &Task) -> Result<TradeRef, Problem> {
    let (call, merchant) = (&task.call, task.sandbox.merchant().alipay.app_id.clone());
    match (call.optional("trade_no"), call.optional("out_trade_no")) {
        (Some(number), _) => {
            Ok(TradeRef::Theirs { provider: Provider::Alipay, merchant, transaction_id: number.to_owned() })
        }
        (None, Some(number)) => {
            let key = TradeKey { provider: Provider::Alipay, merchant, out_trade_no: number.to_owned() };
            Ok(TradeRef::Ours(key))
        }
        (None, None) => Err(Problem::missing("out_trade_no or trade_no")),
    }
}

fn read_order(task: &Task, kind: TradeKind) -> Result<NewTrade, Problem> {
    let (call, sandbox) = (&task.call, &task.sandbox);
    let out_trade_no = call.required("out_trade_no")?;
    let is_plain = out_trade_no.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if out_trade_no.len() > 64 || !is_plain {
        return Err(Problem::invalid("out_trade_no"));
    }
    let total_fen = call.amount("total_amount")?;
    if !(1..=FEN_MAX).contains(&total_fen) {
        return Err(Problem::invalid("total_amount"));
    }
    let subject = call.required("subject")?;
    if subject.chars().count() > 256 {
        return Err(Problem::invalid("subject"));
    }
    let notify_url = call.public("notify_url");
    if !notify_url.is_empty() {
        accepts_url(&notify_url, sandbox.knobs().http_notify_anywhere).map_err(|_| Problem::invalid("notify_url"))?;
    }
    let app_id = sandbox.merchant().alipay.app_id.clone();
    Ok(NewTrade {
        wire: Wire::Alipay,
        merchant: app_id.clone(),
        appid: app_id,
        out_trade_no: out_trade_no.to_owned(),
        kind,
        description: subject.to_owned(),
        attach: call.optional("passback_params").unwrap_or_default().to_owned(),
        total_fen,
        expires_ms: expiry(call, sandbox.clocks.ledger_ms())?,
        notify_url,
        return_url: call.public("return_url"),
        payer: None,
        signed_by: String::new(),
        parameters: json!({ "kind": kind, "content": call.content }),
    })
}

/// `time_expire` as a moment, or `timeout_express` from now on: minutes, hours, days, or `1c` for the end of the day.
fn expiry(call: &Call, now_ms: i64) -> Result<Option<i64>, Problem> {
    if let Some(text) = call.optional("time_expire") {
        return times::from_spaced(text).map(Some).ok_or_else(|| Problem::invalid("time_expire"));
    }
    let Some(text) = call.optional("timeout_express") else { return Ok(None) };
    let invalid = || Problem::invalid("timeout_express");
    let unit = text.chars().last().filter(char::is_ascii).ok_or_else(invalid)?;
    let count: i64 =
        text[..text.len() - 1].parse().ok().filter(|count| (1..=21_600).contains(count)).ok_or_else(invalid)?;
    let minute_ms = 60_000;
    match unit {
        'm' => Ok(Some(now_ms + count * minute_ms)),
        'h' => Ok(Some(now_ms + count * 60 * minute_ms)),
        'd' => Ok(Some(now_ms + count * 24 * 60 * minute_ms)),
        'c' => Ok(times::from_spaced(&format!("{} 23:59:59", &times::spaced(now_ms)[..10]))),
        _ => Err(invalid()),
    }
}

impl From<TradeRefusal> for Problem {
    fn from(refusal: TradeRefusal) -> Self {
        match refusal {
            TradeRefusal::ParametersDiffer | TradeRefusal::WindowDiffers => {
                Self::business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改 (same out_trade_no, other parameters)")
            }
            TradeRefusal::Paid => Self::business("ACQ.TRADE_HAS_SUCCESS", "交易已被支付 (the trade is paid)"),
            TradeRefusal::Closed => Self::business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭 (the trade is closed)"),
            TradeRefusal::NotFound => Self::business("ACQ.TRADE_NOT_EXIST", "交易不存在 (no such trade)"),
        }
    }
}
