//! The bill of a day at Alipay: a signed answer says where it lies. The real one is a ZIP of tables in GBK; this one is
//! the plain table in UTF-8.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::answer::{Answer, Outcome, Problem};
use super::routes::Task;
use crate::domain::Money;
use crate::payment::crypto::hmac_sha256_hex_upper;
use crate::payment::sandbox::bills::{BillError, Movement, movements};
use crate::payment::sandbox::rules::Provider;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{Shared, respond, to_its_end};
use crate::payment::times;

const TITLE: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,对方账户,订单金额（元）,\
商家实收（元）,退款批次号/请求号,服务费（元）,备注";

pub(super) async fn offer(task: &Task) -> Outcome {
    let date = task.call.required("bill_date")?;
    if task.call.required("bill_type")? != "trade" {
        return Err(Problem::invalid("bill_type"));
    }
    match movements(&task.sandbox, Provider::Alipay, date).await {
        Ok(movements) if !movements.is_empty() => {
            let ticket = ticket(&task.sandbox, date);
            let url = format!("{}/alipay/bill?date={date}&ticket={ticket}", task.sandbox.options.public_url);
            Ok(Answer::ok(json!({ "bill_download_url": url })))
        }
        Ok(_) => Err(Problem::business("isp.bill_not_exist", "账单不存在 (no bill of this day)")),
        Err(BillError::Failed(error)) => Err(error.into()),
        Err(_) => Err(Problem::invalid("bill_date")),
    }
}

/// Whoever has the address has the bill, as at Alipay.
pub(super) async fn download(sandbox: Shared, query: web::Query<BTreeMap<String, String>>) -> HttpResponse {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (date, given) = (of("date"), of("ticket"));
    let fits: bool = ticket(&sandbox, &date).as_bytes().ct_eq(given.as_bytes()).into();
    if !fits {
        return respond(403).finish();
    }
    let work = async move { movements(&sandbox, Provider::Alipay, &date).await.map(|movements| written(&movements)) };
    match to_its_end(work).await {
        Some(Ok(text)) => HttpResponse::Ok().content_type("text/csv; charset=utf-8").body(text),
        Some(Err(BillError::Failed(_))) | None => respond(500).finish(),
        Some(Err(_)) => respond(404).finish(),
    }
}

fn ticket(sandbox: &Sandbox, date: &str) -> String {
    let key = sandbox.merchant().wechat.api_v2_key.as_bytes();
    hmac_sha256_hex_upper(key, format!("alipay bill {date}").as_bytes())
}

fn written(movements: &[Movement]) -> String {
    let mut text = format!("#支付宝业务明细查询\r\n#-----业务明细列表-----\r\n{TITLE}\r\n");
    let (mut payments, mut refunds, mut paid_fen, mut refunded_fen) = (0, 0, 0, 0);
    for movement in movements {
        let (trade, refund) = match movement {
            Movement::Payment(trade) => (&**trade, None),
            Movement::Refund(both) => (&both.0, Some(&both.1)),
        };
        let fen = match refund {
            Some(refund) => -refund.asked.refund_fen,
            None => trade.order.total_fen,
        };
        if refund.is_some() {
            (refunds, refunded_fen) = (refunds + 1, refunded_fen + fen);
        } else {
            (payments, paid_fen) = (payments + 1, paid_fen + fen);
        }
        let subject: String =
            trade.order.description.chars().map(|c| if ",\r\n\t".contains(c) { ' ' } else { c }).collect();
        let number = trade.transaction_id.as_deref().unwrap_or_default();
        let (kind, request_no) = refund.map_or(("交易", ""), |refund| ("退款", refund.asked.out_refund_no.as_str()));
        let (created, done) = (times::spaced(trade.created_ms), times::spaced(movement.at_ms()));
        let amount = Money::from_fen(fen);
        text.push_str(&format!(
            "{number}\t,{}\t,{kind},{subject},{created},{done},,{},{amount},{amount},{request_no},0.00,\r\n",
            trade.order.out_trade_no,
            super::messages::BUYER_LOGIN,
        ));
    }
    let (paid, refunded) = (Money::from_fen(paid_fen), Money::from_fen(refunded_fen));
    text.push_str(&format!("#-----业务明细列表结束-----\r\n#交易合计：{payments}笔，商家实收共{paid}元\r\n"));
    text.push_str(&format!("#退款合计：{refunds}笔，商家实收退款共{refunded}元\r\n"));
    text
}
