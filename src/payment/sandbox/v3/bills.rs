//! Bills over v3: first where the file lies and its hash, then the file.

use serde_json::json;

use super::answer::{Answer, Outcome, Problem};
use super::call::Call;
use super::routes::Task;
use crate::payment::crypto::sha1_hex_lower;
use crate::payment::sandbox::bills::{self, BillError, Book};
use crate::payment::sandbox::state::Sandbox;

/// The kinds of bills, as the address of the file names them.
pub(super) const TRADES: &str = "trade";
pub(super) const FUND_FLOW: &str = "fundflow";

pub(super) async fn offer(task: &Task, kind: &'static str) -> Outcome {
    let query = &task.call.query;
    let date = query.get("bill_date").ok_or_else(|| Problem::parameter("bill_date", "missing"))?;
    let which = query.get("bill_type").map_or("ALL", String::as_str);
    if kind == TRADES && !["ALL", "SUCCESS", "REFUND"].contains(&which) {
        return Err(Problem::parameter("bill_type", "ALL, SUCCESS or REFUND"));
    }
    if query.contains_key("tar_type") {
        return Err(Problem::parameter("tar_type", "the sandbox does not compress bills"));
    }
    let text = written(&task.sandbox, kind, date, which).await?;
    let url = format!("{}/v3/billdownload/file?kind={kind}&date={date}&type={which}", task.sandbox.options.public_url);
    Ok(Answer::ok(json!({ "hash_type": "SHA1", "hash_value": sha1_hex_lower(text.as_bytes()), "download_url": url })))
}

pub(super) async fn file(sandbox: &Sandbox, call: &Call) -> Result<String, Problem> {
    let of = |name: &'static str| call.query.get(name).map_or("", String::as_str);
    let kind = if of("kind") == FUND_FLOW { FUND_FLOW } else { TRADES };
    written(sandbox, kind, of("date"), of("type")).await
}

async fn written(sandbox: &Sandbox, kind: &str, date: &str, which: &str) -> Result<String, Problem> {
    let book = if kind == FUND_FLOW { Book::FundFlow } else { Book::of_type(which) };
    bills::of_day(sandbox, book, date).await.map_err(|error| match error {
        BillError::Date => Problem::parameter("bill_date", "a day of the past, as 2026-01-31"),
        BillError::Empty => Problem::new(400, "NO_STATEMENT_EXIST", "账单文件不存在 (no bill of this day)"),
        BillError::Failed(error) => error.into(),
    })
}
