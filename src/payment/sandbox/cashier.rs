//! The page that a buyer sees after scanning: what he pays for, and three ways on. Plain HTML that works on any phone.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};

use super::desk::{Declined, PayOrder, TradeRef};
use super::ledger::{LedgerError, TradeKey, code};
use super::rules::{PayRefusal, Provider, Trade, TradeState};
use super::state::Sandbox;
use super::wire::{Shared, header, respond, to_its_end};
use crate::domain::Money;

const PAGE: &str = include_str!("cashier.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";

/// The cashier's paths.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/cashier/{code}", web::get().to(show)).route("/cashier/{code}/{action}", web::post().to(act));
}

/// Texts of one language.
struct Words {
    lang: &'static str,
    title: &'static str,
    pay: &'static str,
    fail: &'static str,
    cancel: &'static str,
    paid: &'static str,
    closed: &'static str,
    failed: &'static str,
    expired: &'static str,
    left: &'static str,
    unknown: &'static str,
    back: &'static str,
    note: &'static str,
}

const ZH: Words = Words {
    lang: "zh-CN",
    title: "沙箱收银台",
    pay: "确认支付",
    fail: "支付失败",
    cancel: "取消",
    paid: "支付成功",
    closed: "订单已关闭",
    failed: "支付失败，可以重试",
    expired: "已过期，不能支付",
    left: "已离开收银台，订单未支付",
    unknown: "二维码无效",
    back: "返回商家",
    note: "这是沙箱，不会产生真实扣款。",
};

const EN: Words = Words {
    lang: "en",
    title: "Sandbox cashier",
    pay: "Pay",
    fail: "Let it fail",
    cancel: "Cancel",
    paid: "Paid",
    closed: "The order is closed",
    failed: "The payment failed; you may try again",
    expired: "Too late: it can no longer be paid",
    left: "You left the cashier; nothing was paid",
    unknown: "This code is not known",
    back: "Back to the merchant",
    note: "This is a sandbox. No money moves.",
};

async fn show(sandbox: Shared, request: HttpRequest, number: web::Path<String>) -> HttpResponse {
    let words = words(&request);
    let shared = sandbox.clone();
    let number = number.into_inner();
    let looked = to_its_end(async move { look(&shared, &number).await }).await;
    match looked {
        Some(Ok(Some((trade, valid_until_ms)))) => {
            let left = request.query_string().contains("left=1");
            page(&sandbox, words, &number_of(&request), (&trade, valid_until_ms), left)
        }
        Some(Ok(None)) => html(404, words, &format!("<p class=state>{}</p>", words.unknown)),
        Some(Err(error)) => failed(&error),
        None => respond(500).finish(),
    }
}

/// Looking is scanning: from now on Alipay knows the trade.
async fn look(sandbox: &Sandbox, number: &str) -> Result<Option<(Trade, i64)>, LedgerError> {
    let Some((trade, valid_until_ms)) = code(sandbox.ledger.reader(), number).await? else { return Ok(None) };
    if trade.order.wire.provider() == Provider::Alipay && sandbox.clocks.ledger_ms() <= valid_until_ms {
        match sandbox.scan_trade(&TradeRef::Ours(TradeKey::of(&trade))).await {
            Ok(scanned) => return Ok(Some((scanned, valid_until_ms))),
            Err(Declined::Refused(_)) => {}
            Err(Declined::Failed(error)) => return Err(error),
        }
    }
    Ok(Some((trade, valid_until_ms)))
}

async fn act(sandbox: Shared, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (number, action) = path.into_inner();
    let back = match action.as_str() {
        "pay" | "fail" => format!("../{number}"),
        "cancel" => format!("../{number}?left=1"),
        _ => return HttpResponse::NotFound().finish(),
    };
    let back = if request.query_string().contains("lang=en") { with_language(&back) } else { back };
    let done = to_its_end(async move { perform(&sandbox, &number, &action).await }).await;
    match done {
        // whatever the rules said, the page shows how the trade stands
        Some(Ok(())) => HttpResponse::SeeOther().insert_header((LOCATION, back)).finish(),
        Some(Err(error)) => failed(&error),
        None => respond(500).finish(),
    }
}

fn with_language(path: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}lang=en")
}

async fn perform(sandbox: &Sandbox, number: &str, action: &str) -> Result<(), LedgerError> {
    let Some((trade, valid_until_ms)) = code(sandbox.ledger.reader(), number).await? else { return Ok(()) };
    if sandbox.clocks.ledger_ms() > valid_until_ms {
        return Ok(());
    }
    let which = TradeRef::Ours(TradeKey::of(&trade));
    let outcome = match action {
        "pay" => sandbox.pay_trade(&which, PayOrder::default()).await,
        "fail" => sandbox.fail_trade(&which).await,
        _ => return Ok(()),
    };
    match outcome {
        Ok(_) | Err(Declined::Refused::<PayRefusal>(_)) => Ok(()),
        Err(Declined::Failed(error)) => Err(error),
    }
}

fn page(
    sandbox: &Sandbox,
    words: &Words,
    number: &str,
    (trade, valid_until_ms): (&Trade, i64),
    left: bool,
) -> HttpResponse {
    let now_ms = sandbox.clocks.ledger_ms();
    let brand = match trade.order.wire.provider() {
        Provider::Wechat => "wechat",
        Provider::Alipay => "alipay",
    };
    let amount = Money::from_fen(trade.order.total_fen);
    let mut body = format!(
        "<p class=\"brand {brand}\">{}</p><p class=amount>¥{amount}</p><p class=what>{}</p><p class=number>{}</p>",
        words.title,
        escaped(&trade.order.description),
        escaped(&trade.order.out_trade_no),
    );
    let state = match trade.state_at(now_ms) {
        TradeState::Paid => Some(words.paid),
        TradeState::Closed => Some(words.closed),
        TradeState::NotPaid | TradeState::Paying | TradeState::Failed
            if now_ms > trade.window_end_ms.min(valid_until_ms) =>
        {
            Some(words.expired)
        }
        TradeState::NotPaid if left => Some(words.left),
        TradeState::NotPaid | TradeState::Paying => None,
        TradeState::Failed => Some(words.failed),
    };
    if let Some(state) = state {
        body.push_str(&format!("<p class=state>{state}</p>"));
    }
    let is_open = trade.state_at(now_ms).is_open();
    if is_open && now_ms <= trade.window_end_ms.min(valid_until_ms) {
        let suffix = if words.lang == "en" { "?lang=en" } else { "" };
        for (action, label) in [("pay", words.pay), ("fail", words.fail), ("cancel", words.cancel)] {
            body.push_str(&format!(
                "<form method=post action=\"{}/{action}{suffix}\"><button class={action}>{label}</button></form>",
                escaped(number)
            ));
        }
    }
    let back = &trade.order.return_url;
    if trade.state == TradeState::Paid && (back.starts_with("https://") || back.starts_with("http://")) {
        body.push_str(&format!("<p><a href=\"{}\" rel=noreferrer>{}</a></p>", escaped(back), words.back));
    }
    html(200, words, &body)
}

fn html(status: u16, words: &Words, body: &str) -> HttpResponse {
    let text = PAGE
        .replace("{{lang}}", words.lang)
        .replace("{{title}}", words.title)
        .replace("{{note}}", words.note)
        .replace("{{body}}", body);
    respond(status)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(text)
}

fn failed(error: &LedgerError) -> HttpResponse {
    tracing::error!(%error, "the sandbox's ledger failed");
    respond(500).finish()
}

fn words(request: &HttpRequest) -> &'static Words {
    if request.query_string().contains("lang=en") {
        return &EN;
    }
    let wanted = header(request, "Accept-Language").unwrap_or_default();
    if wanted.trim_start().to_ascii_lowercase().starts_with("zh") { &ZH } else { &EN }
}

fn number_of(request: &HttpRequest) -> String {
    request.match_info().get("code").unwrap_or_default().to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
