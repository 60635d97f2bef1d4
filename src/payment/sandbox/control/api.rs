//! Looking into the books, and playing the buyer and the provider.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::forms::{ListQuery, PayForm, ProviderQuery, RefundForm, done, failed, finished, not_found, read, refused};
use crate::payment::sandbox::desk::{Declined, PayOrder, TradeRef};
use crate::payment::sandbox::ledger::{
    LedgerError, RefundKey, TradeKey, add_code, list_notices, list_refunds, list_trades, log_lines, refund_by_id,
    refunds_of, resend_notice, totals, trade as find_trade,
};
use crate::payment::sandbox::numbers;
use crate::payment::sandbox::rules::{PayRefusal, Provider, Trade, TradeRefusal};
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{Shared, to_its_end};
use crate::payment::times;

pub(super) async fn state(sandbox: Shared) -> HttpResponse {
    let sums = match totals(sandbox.ledger.reader()).await {
        Ok(sums) => sums,
        Err(error) => return failed(&error),
    };
    let (merchant, offsets) = (sandbox.merchant(), sandbox.clocks.offsets());
    done(json!({
        "gateway_url": merchant.gateway_url,
        "mchid": merchant.wechat.mchid,
        "appid": merchant.wechat.appid,
        "certificate_serial": merchant.wechat.certificate_serial,
        "public_key_id": merchant.wechat.public_key_id,
        "alipay_app_id": merchant.alipay.app_id,
        "time_scale": sandbox.options.time_scale,
        "ledger_time": times::rfc3339(sandbox.clocks.ledger_ms()),
        "wire_time": times::rfc3339(sandbox.clocks.wire_ms()),
        "offsets": offsets,
        "totals": sums,
    }))
}

pub(super) async fn trades(sandbox: Shared, query: web::Query<ListQuery>) -> HttpResponse {
    let now_ms = sandbox.clocks.ledger_ms();
    match list_trades(sandbox.ledger.reader(), query.state, query.limit()).await {
        Ok(trades) => done(trades.iter().map(|trade| shown(trade, now_ms)).collect::<Vec<_>>()),
        Err(error) => failed(&error),
    }
}

/// One trade with its refunds and notifications, and a fresh address of its cashier.
pub(super) async fn trade(
    sandbox: Shared,
    number: web::Path<String>,
    query: web::Query<ProviderQuery>,
) -> HttpResponse {
    let work = async move {
        let Some(trade) = find(&sandbox, &number, query.provider).await? else { return Ok(not_found()) };
        let (key, now_ms) = (TradeKey::of(&trade), sandbox.clocks.ledger_ms());
        let (code, valid_ms) = (numbers::code(), sandbox.terms().code_valid_ms);
        let change = sandbox.ledger.begin().await?;
        add_code(&change, &code, &key, trade.window_end_ms.min(now_ms + valid_ms)).await?;
        change.commit().await?;
        let mut body = shown(&trade, now_ms);
        body["cashier_url"] = json!(format!("{}/cashier/{code}", sandbox.options.public_url));
        body["refunds"] = json!(refunds_of(sandbox.ledger.reader(), &key).await?);
        body["notifications"] = json!(list_notices(sandbox.ledger.reader(), Some(&key.out_trade_no), 100).await?);
        Ok(done(body))
    };
    finished(to_its_end(work).await)
}

/// `pay`, `enter`, `fail`, `scan` as the buyer; `close` as the provider.
pub(super) async fn act(
    sandbox: Shared,
    path: web::Path<(String, String)>,
    query: web::Query<ProviderQuery>,
    body: web::Bytes,
) -> HttpResponse {
    let form: PayForm = match read(&body) {
        Ok(form) => form,
        Err(why) => return refused(400, &why),
    };
    let (number, action) = path.into_inner();
    let work = async move {
        let Some(trade) = find(&sandbox, &number, query.provider).await? else { return Ok(not_found()) };
        let which = TradeRef::Ours(TradeKey::of(&trade));
        let PayForm { payer, coupon_fen, in_time, before_close } = form;
        let how = PayOrder { payer, coupon_fen, in_time, before_close };
        let outcome = match action.as_str() {
            "pay" => sandbox.pay_trade(&which, how).await.map_err(|declined| declined.map(pay_word)),
            "enter" => sandbox.enter_trade(&which).await.map_err(|declined| declined.map(pay_word)),
            "fail" => sandbox.fail_trade(&which).await.map_err(|declined| declined.map(pay_word)),
            "scan" => sandbox.scan_trade(&which).await.map_err(|declined| declined.map(pay_word)),
            "close" => sandbox.close_trade(&which).await.map_err(|declined| declined.map(close_word)),
            _ => return Ok(refused(404, "the actions are pay, enter, fail, scan and close")),
        };
        match outcome {
            Ok(trade) => Ok(done(shown(&trade, sandbox.clocks.ledger_ms()))),
            Err(Declined::Refused(why)) => Ok(refused(409, why)),
            Err(Declined::Failed(error)) => Err(error),
        }
    };
    finished(to_its_end(work).await)
}

const fn pay_word(refusal: PayRefusal) -> &'static str {
    match refusal {
        PayRefusal::NotFound => "there is no such trade",
        PayRefusal::Paid => "the trade is paid",
        PayRefusal::Closed => "the trade is closed; {\"before_close\": true} pays as if before",
        PayRefusal::Expired => "the pay window has ended; {\"in_time\": true} pays as if before",
        PayRefusal::Coupon => "the coupon is negative or more than the price",
    }
}

const fn close_word(refusal: TradeRefusal) -> &'static str {
    match refusal {
        TradeRefusal::Paid => "the trade is paid",
        TradeRefusal::Closed => "the trade is closed",
        _ => "there is no such trade (Alipay: nobody has scanned it)",
    }
}

pub(super) async fn refunds(sandbox: Shared, query: web::Query<ListQuery>) -> HttpResponse {
    match list_refunds(sandbox.ledger.reader(), query.limit()).await {
        Ok(refunds) => done(refunds),
        Err(error) => failed(&error),
    }
}

/// `settle`: the refund ends now; `plan`: what it will end in. By either number.
pub(super) async fn end_refund(sandbox: Shared, path: web::Path<(String, String)>, body: web::Bytes) -> HttpResponse {
    let form: RefundForm = match read(&body) {
        Ok(form) => form,
        Err(why) => return refused(400, &why),
    };
    let (number, action) = path.into_inner();
    let work = async move {
        let Some(refund_id) = refund_id(&sandbox, &number).await? else { return Ok(not_found()) };
        let stands = match action.as_str() {
            "settle" => sandbox.settle_refund(&refund_id, form.status).await?,
            "plan" => sandbox.plan_refund(&refund_id, form.status).await?,
            _ => return Ok(refused(404, "the actions are settle and plan")),
        };
        Ok(stands.map_or_else(not_found, done))
    };
    finished(to_its_end(work).await)
}

pub(super) async fn notices(sandbox: Shared, query: web::Query<ListQuery>) -> HttpResponse {
    match list_notices(sandbox.ledger.reader(), query.out_trade_no.as_deref(), query.limit()).await {
        Ok(notices) => done(notices),
        Err(error) => failed(&error),
    }
}

/// Delivers a notification now, whatever became of it before.
pub(super) async fn send_notice(sandbox: Shared, id: web::Path<String>) -> HttpResponse {
    let work = async move {
        let change = sandbox.ledger.begin().await?;
        let is_known = resend_notice(&change, &id, sandbox.clocks.ledger_ms()).await?;
        change.commit().await?;
        sandbox.wake.notify_one();
        Ok(if is_known { done(json!({ "due": "now" })) } else { not_found() })
    };
    finished(to_its_end(work).await)
}

pub(super) async fn log(sandbox: Shared, query: web::Query<ListQuery>) -> HttpResponse {
    let work = async move {
        sandbox.write_log().await?;
        Ok(done(log_lines(sandbox.ledger.reader(), query.limit()).await?))
    };
    finished(to_its_end(work).await)
}

/// The trade with this number at the provider named, or at either.
async fn find(sandbox: &Sandbox, number: &str, provider: Option<Provider>) -> Result<Option<Trade>, LedgerError> {
    let providers = provider.map_or_else(|| vec![Provider::Wechat, Provider::Alipay], |provider| vec![provider]);
    for provider in providers {
        let merchant = match provider {
            Provider::Wechat => sandbox.merchant().wechat.mchid.clone(),
            Provider::Alipay => sandbox.merchant().alipay.app_id.clone(),
        };
        let key = TradeKey { provider, merchant, out_trade_no: number.to_owned() };
        if let Some(trade) = find_trade(sandbox.ledger.reader(), &key).await? {
            return Ok(Some(trade));
        }
    }
    Ok(None)
}

async fn refund_id(sandbox: &Sandbox, number: &str) -> Result<Option<String>, LedgerError> {
    if let Some((_, refund)) = refund_by_id(sandbox.ledger.reader(), number).await? {
        return Ok(Some(refund.refund_id));
    }
    let key = RefundKey {
        provider: Provider::Wechat,
        merchant: sandbox.merchant().wechat.mchid.clone(),
        out_trade_no: String::new(),
        out_refund_no: number.to_owned(),
    };
    Ok(sandbox.find_refund(&key).await?.map(|(_, refund)| refund.refund_id))
}

/// A trade with what the provider says of it.
fn shown(trade: &Trade, now_ms: i64) -> Value {
    let mut body = json!(trade);
    body["state"] = json!(trade.state_at(now_ms));
    body["is_known"] = json!(trade.is_known());
    body
}
