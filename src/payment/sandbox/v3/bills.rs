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
    let tar = match query.get("tar_type").map(String::as_str) {
        None | Some("") => "",
        Some("GZIP") => "GZIP",
        Some(_) => return Err(Problem::parameter("tar_type", "GZIP or nothing")),
    };
    let text = written(&task.sandbox, kind, date, which).await?;
    let url = format!(
        "{}/v3/billdownload/file?kind={kind}&date={date}&type={which}&tar={tar}",
        task.sandbox.options.public_url
    );
    Ok(Answer::ok(json!({ "hash_type": "SHA1", "hash_value": sha1_hex_lower(text.as_bytes()), "download_url": url })))
}

/// The hash that was told before is of the text, compressed or not.
pub(super) async fn file(sandbox: &Sandbox, call: &Call) -> Result<Vec<u8>, Problem> {
    let of = |name: &'static str| call.query.get(name).map_or("", String::as_str);
    let kind = if of("kind") == FUND_FLOW { FUND_FLOW } else { TRADES };
    let text = written(sandbox, kind, of("date"), of("type")).await?;
    if of("tar") != "GZIP" {
        return Ok(text.into_bytes());
    }
    bills::gzipped(&text).ok_or_else(Problem::system_error)
}

async fn written(sandbox: &Sandbox, kind: &str, date: &str, which: &str) -> Result<String, Problem> {
    let book = if kind == FUND_FLOW { Book::FundFlow } else { Book::of_type(which) };
    bills::of_day(sandbox, book, date).await.map_err(|error| match error {
        BillError::Date => Problem::parameter("bill_date", "a day of the past, as 2026-01-31"),
        BillError::Empty => Problem::new(400, "NO_STATEMENT_EXIST", "账单文件不存在 (no bill of this day)"),
        BillError::Failed(error) => error.into(),
    })
}
