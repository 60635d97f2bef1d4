//! Creating, querying and closing trades over v3.

use serde_json::{Value, json};

use super::answer::{Answer, Outcome, Problem};
use super::messages::transaction;
use super::routes::Task;
use crate::payment::sandbox::desk::{Declined, TradeRef};
use crate::payment::sandbox::knobs::{CodeUrl, Lenience, PaidCode, TakenCode};
use crate::payment::sandbox::notify::accepts_url;
use crate::payment::sandbox::rules::{NewTrade, TradeKind, TradeRefusal, Wire};
use crate::payment::sandbox::state::Sandbox;
use crate::payment::times;

const FEN_MAX: i64 = 10_000_000_000;
/// Members of the body that a repetition need not repeat, or that are compared apart.
const FREE: [&str; 2] = ["scene_info", "time_expire"];

pub(super) async fn create(task: &Task, kind: TradeKind) -> Outcome {
    let order = read_order(task, kind)?;
    let sandbox = &task.sandbox;
    let (_, code) = match sandbox.create_trade(order).await {
        Ok(created) => created,
        Err(Declined::Refused(refusal)) => return Err(refused(sandbox, refusal)),
        Err(Declined::Failed(error)) => return Err(error.into()),
    };
    let cashier_url = format!("{}/cashier/{code}", sandbox.options.public_url);
    let body = match kind {
        TradeKind::Native => json!({ "code_url": code_url(sandbox, &code, &cashier_url) }),
        TradeKind::H5 => json!({ "h5_url": cashier_url }),
        TradeKind::Jsapi | TradeKind::App | TradeKind::Page => json!({ "prepay_id": format!("wx{code}") }),
    };
    Ok(Answer { cashier_url: Some(cashier_url), ..Answer::ok(body) })
}

/// What the QR code of a native trade says.
pub(in super::super) fn code_url(sandbox: &Sandbox, code: &str, cashier_url: &str) -> String {
    match sandbox.knobs().code_url {
        CodeUrl::Provider => format!("weixin://wxpay/bizpayurl?pr={code}"),
        CodeUrl::Cashier => cashier_url.to_owned(),
    }
}

pub(super) async fn query(task: &Task, which: &TradeRef) -> Outcome {
    task.call.check_mchid(&task.sandbox, task.call.query.get("mchid").map(String::as_str))?;
    match task.sandbox.find_trade(which).await? {
        Some(trade) if task.says_closed => {
            Ok(Answer::ok(transaction(&trade.said_closed(), task.sandbox.clocks.ledger_ms())))
        }
        Some(trade) => Ok(Answer::ok(transaction(&trade, task.sandbox.clocks.ledger_ms()))),
        None => Err(Problem::new(404, "ORDER_NOT_EXIST", "订单不存在 (no such order)")),
    }
}

pub(super) async fn close(task: &Task, which: &TradeRef) -> Outcome {
    let sandbox = &task.sandbox;
    task.call.check_mchid(sandbox, task.call.body.get("mchid").and_then(Value::as_str))?;
    let knobs = sandbox.knobs();
    if task.is_void {
        return Ok(Answer::empty(knobs.close_status));
    }
    let is_forgiven = |refusal| match refusal {
        TradeRefusal::NotFound => knobs.close_of_unknown == Lenience::Accept,
        TradeRefusal::Closed => knobs.close_of_closed == Lenience::Accept,
        _ => false,
    };
    match sandbox.close_trade(which).await {
        Ok(_) => Ok(Answer::empty(knobs.close_status)),
        Err(Declined::Refused(refusal)) if is_forgiven(refusal) => Ok(Answer::empty(knobs.close_status)),
        Err(Declined::Refused(refusal)) => Err(refused(sandbox, refusal)),
        Err(Declined::Failed(error)) => Err(error.into()),
    }
}

fn refused(sandbox: &Sandbox, refusal: TradeRefusal) -> Problem {
    let knobs = sandbox.knobs();
    let taken = || Problem::new(403, "OUT_TRADE_NO_USED", "商户订单号重复 (out_trade_no is taken by other parameters)");
    let invalid = || {
        Problem::new(
            400,
            "INVALID_REQUEST",
            "请求重入时，参数与首次请求时不一致 (parameters differ from the first call)",
        )
    };
    match (refusal, knobs.taken_code) {
        (TradeRefusal::ParametersDiffer, TakenCode::ByKind | TakenCode::OutTradeNoUsed) => taken(),
        (TradeRefusal::WindowDiffers, TakenCode::OutTradeNoUsed) => taken(),
        (TradeRefusal::ParametersDiffer | TradeRefusal::WindowDiffers, _) => invalid(),
        (TradeRefusal::Paid, _) => {
            let code = match knobs.paid_code {
                PaidCode::Joined => "ORDERPAID",
                PaidCode::Parted => "ORDER_PAID",
            };
            Problem::new(knobs.paid_status, code, "该订单已支付 (the order is paid)")
        }
        (TradeRefusal::Closed, _) => Problem::new(400, "ORDER_CLOSED", "订单已关闭 (the order is closed)"),
        (TradeRefusal::NotFound, _) => Problem::new(404, "ORDER_NOT_EXIST", "订单不存在 (no such order)"),
    }
}

fn read_order(task: &Task, kind: TradeKind) -> Result<NewTrade, Problem> {
    let (sandbox, body) = (&task.sandbox, &task.call.body);
    let wechat = &sandbox.merchant().wechat;
    let optional = |name: &str| body.get(name).and_then(Value::as_str);
    task.call.check_mchid(sandbox, optional("mchid"))?;
    if text(body, "appid", 32)? != wechat.appid {
        return Err(Problem::new(
            400,
            "APPID_MCHID_NOT_MATCH",
            "appid 和 mch_id 不匹配 (appid and mchid do not match)",
        ));
    }
    let out_trade_no = text(body, "out_trade_no", 32)?;
    if !is_trade_no(out_trade_no) {
        return Err(Problem::parameter("out_trade_no", "6 to 32 of [0-9A-Za-z_-|*]"));
    }
    let notify_url = text(body, "notify_url", 255)?;
    accepts_url(notify_url, sandbox.knobs().http_notify_anywhere)
        .map_err(|issue| Problem::parameter("notify_url", issue))?;
    if notify_url.contains('?') {
        return Err(Problem::parameter("notify_url", "must not have a query"));
    }
    let attach = optional("attach").unwrap_or_default();
    if attach.chars().count() > 128 {
        return Err(Problem::parameter("attach", "at most 128 characters"));
    }
    let payer = body.pointer("/payer/openid").and_then(Value::as_str).map(str::to_owned);
    if kind == TradeKind::Jsapi && payer.is_none() {
        return Err(Problem::parameter("payer", "payer.openid is missing"));
    }
    if kind == TradeKind::H5 && body.pointer("/scene_info/payer_client_ip").is_none() {
        return Err(Problem::parameter("scene_info", "scene_info.payer_client_ip is missing"));
    }
    Ok(NewTrade {
        wire: Wire::V3,
        merchant: wechat.mchid.clone(),
        appid: wechat.appid.clone(),
        out_trade_no: out_trade_no.to_owned(),
        kind,
        description: text(body, "description", 127)?.to_owned(),
        attach: attach.to_owned(),
        total_fen: total(body)?,
        expires_ms: expiry(body)?,
        notify_url: notify_url.to_owned(),
        return_url: String::new(),
        payer,
        signed_by: task.call.signed_by.clone(),
        parameters: parameters(body, kind),
    })
}

/// What a repetition must repeat.
fn parameters(body: &Value, kind: TradeKind) -> Value {
    let mut parameters = body.as_object().cloned().unwrap_or_default();
    parameters.retain(|name, _| !FREE.contains(&name.as_str()));
    json!({ "kind": kind, "body": parameters })
}

fn total(body: &Value) -> Result<i64, Problem> {
    if body.pointer("/amount/currency").and_then(Value::as_str).is_some_and(|currency| currency != "CNY") {
        return Err(Problem::parameter("amount", "amount.currency is CNY"));
    }
    let total = body.pointer("/amount/total").and_then(Value::as_i64);
    total
        .filter(|total| (1..=FEN_MAX).contains(total))
        .ok_or_else(|| Problem::parameter("amount", "amount.total is a positive integer of fen"))
}

fn expiry(body: &Value) -> Result<Option<i64>, Problem> {
    let Some(given) = body.get("time_expire").filter(|given| !given.is_null()) else { return Ok(None) };
    let read = given.as_str().and_then(times::from_rfc3339);
    read.map(Some).ok_or_else(|| Problem::parameter("time_expire", "RFC 3339, as 2026-01-31T10:00:00+08:00"))
}

/// A text that must be there and not empty.
pub(super) fn text<'a>(body: &'a Value, name: &'static str, chars_max: usize) -> Result<&'a str, Problem> {
    let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Problem::parameter(name, "missing"))?;
    if text.chars().count() > chars_max { Err(Problem::parameter(name, "too long")) } else { Ok(text) }
}

/// What WeChat Pay accepts as a number of a trade.
pub(in super::super) fn is_trade_no(text: &str) -> bool {
    (6..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-|*".contains(&byte))
}
