//! Creating, querying and closing trades over v2.

use serde_json::json;

use super::answer::{Answer, Outcome, Problem, fields};
use super::messages;
use super::routes::Task;
use crate::payment::sandbox::desk::{Declined, TradeRef};
use crate::payment::sandbox::knobs::Lenience;
use crate::payment::sandbox::ledger::TradeKey;
use crate::payment::sandbox::notify::accepts_url;
use crate::payment::sandbox::rules::{NewTrade, Provider, TradeKind, TradeRefusal, Wire};
use crate::payment::sandbox::v3::{code_url, is_trade_no, trade_type};
use crate::payment::times;

/// Fields that a repetition need not repeat, or that are compared apart.
const FREE: [&str; 6] = ["nonce_str", "sign", "sign_type", "spbill_create_ip", "time_start", "time_expire"];

pub(super) async fn create(task: &Task) -> Outcome {
    let order = read_order(task)?;
    let kind = order.kind;
    let sandbox = &task.sandbox;
    let (_, code) = sandbox.create_trade(order).await?;
    let cashier_url = format!("{}/cashier/{code}", sandbox.options.public_url);
    let mut fields = fields([("trade_type", trade_type(kind).to_owned()), ("prepay_id", format!("wx{code}"))]);
    match kind {
        TradeKind::Native => {
            fields.insert("code_url".to_owned(), code_url(sandbox, &code, &cashier_url));
        }
        TradeKind::H5 => {
            fields.insert("mweb_url".to_owned(), cashier_url.clone());
        }
        _ => {}
    }
    Ok(Answer { fields, cashier_url: Some(cashier_url), file: None })
}

pub(super) async fn query(task: &Task) -> Outcome {
    match task.sandbox.find_trade(&which(task)?).await? {
        Some(trade) => {
            let trade = if task.says_closed { trade.said_closed() } else { trade };
            let fields = messages::query_fields(&trade, task.sandbox.clocks.ledger_ms());
            Ok(Answer { fields, ..Answer::default() })
        }
        None => Err(TradeRefusal::NotFound.into()),
    }
}

pub(super) async fn close(task: &Task) -> Outcome {
    let out_trade_no = task.required("out_trade_no")?;
    let knobs = task.sandbox.knobs();
    if task.is_void {
        return Ok(Answer::default());
    }
    let is_forgiven = |refusal| match refusal {
        TradeRefusal::NotFound => knobs.close_of_unknown == Lenience::Accept,
        TradeRefusal::Closed => knobs.close_of_closed == Lenience::Accept,
        _ => false,
    };
    match task.sandbox.close_trade(&ours(task, out_trade_no)).await {
        Ok(_) => Ok(Answer::default()),
        Err(Declined::Refused(refusal)) if is_forgiven(refusal) => Ok(Answer::default()),
        Err(declined) => Err(declined.into()),
    }
}

/// The trade that a request names by either number.
pub(super) fn which(task: &Task) -> Result<TradeRef, Problem> {
    if let Some(number) = task.optional("transaction_id") {
        let merchant = task.sandbox.merchant().wechat.mchid.clone();
        return Ok(TradeRef::Theirs { provider: Provider::Wechat, merchant, transaction_id: number.to_owned() });
    }
    Ok(ours(task, task.required("out_trade_no")?))
}

fn ours(task: &Task, out_trade_no: &str) -> TradeRef {
    let merchant = task.sandbox.merchant().wechat.mchid.clone();
    TradeRef::Ours(TradeKey { provider: Provider::Wechat, merchant, out_trade_no: out_trade_no.to_owned() })
}

fn read_order(task: &Task) -> Result<NewTrade, Problem> {
    let invalid = |what: &str| Problem::transport("PARAM_ERROR", format!("参数错误 (parameter): {what}"));
    let kind = match task.required("trade_type")? {
        "NATIVE" => TradeKind::Native,
        "JSAPI" => TradeKind::Jsapi,
        "MWEB" => TradeKind::H5,
        "APP" => TradeKind::App,
        _ => return Err(invalid("trade_type")),
    };
    let out_trade_no = task.required("out_trade_no")?;
    if !is_trade_no(out_trade_no) {
        return Err(invalid("out_trade_no"));
    }
    let description = task.required("body")?;
    if description.chars().count() > 127 {
        return Err(invalid("body"));
    }
    task.required("spbill_create_ip")?;
    let payer = task.optional("openid").map(str::to_owned);
    if kind == TradeKind::Jsapi && payer.is_none() {
        return Err(Problem::transport("LACK_PARAMS", "缺少参数 (missing): openid"));
    }
    let total_fen = task.required("total_fee")?.parse().ok().filter(|fen| (1..=10_000_000_000).contains(fen));
    let expires_ms = match task.optional("time_expire") {
        Some(text) => Some(times::from_compact(text).ok_or_else(|| invalid("time_expire"))?),
        None => None,
    };
    let notify_url = task.required("notify_url")?;
    accepts_url(notify_url, task.sandbox.knobs().http_notify_anywhere).map_err(|_| invalid("notify_url"))?;
    let mut parameters = task.fields.clone();
    parameters.retain(|name, value| !FREE.contains(&name.as_str()) && !value.is_empty());
    let wechat = &task.sandbox.merchant().wechat;
    Ok(NewTrade {
        wire: Wire::V2,
        merchant: wechat.mchid.clone(),
        appid: wechat.appid.clone(),
        out_trade_no: out_trade_no.to_owned(),
        kind,
        description: description.to_owned(),
        attach: task.optional("attach").unwrap_or_default().to_owned(),
        total_fen: total_fen.ok_or_else(|| invalid("total_fee"))?,
        expires_ms,
        notify_url: notify_url.to_owned(),
        return_url: String::new(),
        payer,
        signed_by: task.sign_type.name().to_owned(),
        parameters: json!(parameters),
    })
}

impl From<TradeRefusal> for Problem {
    fn from(refusal: TradeRefusal) -> Self {
        match refusal {
            TradeRefusal::ParametersDiffer => {
                Self::business("OUT_TRADE_NO_USED", "商户订单号重复 (out_trade_no is taken)")
            }
            TradeRefusal::WindowDiffers => {
                Self::business("INVALID_REQUEST", "201 商户订单号重复 (parameters differ from the first call)")
            }
            TradeRefusal::Paid => Self::business("ORDERPAID", "该订单已支付 (the order is paid)"),
            TradeRefusal::Closed => Self::business("ORDERCLOSED", "订单已关闭 (the order is closed)"),
            TradeRefusal::NotFound => Self::business("ORDERNOTEXIST", "订单不存在 (no such order)"),
        }
    }
}
