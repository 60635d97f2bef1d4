//! The daily bill of Alipay: a signed answer says where it lies; the file is a ZIP of tables in GBK, or (from the
//! sandbox) the plain table in UTF-8.
//!
//! Everything is read as it arrives: bytes, entries, lines. The file itself is not signed, so the sums at its end are
//! what shows that it is whole.

use chrono::NaiveDate;
use reqwest::{Method, Response, Url};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::bill_rows::BillTable;
use super::client::Alipay;
use super::faults;
use super::unzip::{Event, Unzip};
use crate::payment::error::PaymentError;
use crate::payment::facts::BillLine;
use crate::payment::link::{Outgoing, on_the_way, settle};

#[derive(Deserialize)]
struct Place {
    bill_download_url: String,
}

impl Alipay {
    pub(super) async fn download_bill(
        &self,
        day: NaiveDate,
        lines: mpsc::Sender<BillLine>,
    ) -> Result<u64, PaymentError> {
        let content = serde_json::json!({ "bill_type": "trade", "bill_date": day.to_string() });
        let method = "alipay.data.dataservice.bill.downloadurl.query";
        let place: Place = self.ask(method, &content, None).await?;
        let url = Url::parse(&place.bill_download_url).map_err(|_| PaymentError::unreadable())?;
        if url.scheme() != "https" && url.origin() != self.link.base().origin() {
            return Err(PaymentError::unbelieved("the bill lies at an unsafe place"));
        }
        let outgoing = Outgoing { method: Method::GET, url, headers: &[], body: String::new() };
        let (permit, response) = self.link.download(outgoing).await?;
        settle(permit, read_bill(response, lines).await)
    }
}

async fn read_bill(mut response: Response, lines: mpsc::Sender<BillLine>) -> Result<u64, PaymentError> {
    let status = response.status().as_u16();
    if status != 200 {
        return Err(faults::by_status(status));
    }
    let mut bill = BillFile::new(lines);
    while let Some(chunk) = response.chunk().await.map_err(|error| on_the_way(&error))? {
        bill.push(&chunk).await?;
    }
    bill.finish().await
}

/// A bill in either form.
pub(super) struct BillFile {
    lines: mpsc::Sender<BillLine>,
    form: Form,
    tables: u32,
    count: u64,
}

enum Form {
    /// The first bytes decide.
    Unknown(Vec<u8>),
    Plain(BillTable),
    Zipped(Unzip, Option<BillTable>),
}

const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

impl BillFile {
    pub(super) const fn new(lines: mpsc::Sender<BillLine>) -> Self {
        Self { lines, form: Form::Unknown(Vec::new()), tables: 0, count: 0 }
    }

    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<(), PaymentError> {
        let mut first = Vec::new();
        if let Form::Unknown(begun) = &mut self.form {
            begun.extend_from_slice(chunk);
            if begun.len() < ZIP_MAGIC.len() {
                return Ok(());
            }
            first = std::mem::take(begun);
            self.form = if first.starts_with(ZIP_MAGIC) {
                Form::Zipped(Unzip::default(), None)
            } else {
                Form::Plain(BillTable::new(self.lines.clone()))
            };
        }
        let chunk = if first.is_empty() { chunk } else { &first };
        match &mut self.form {
            Form::Plain(table) => table.push(chunk).await,
            Form::Zipped(..) => self.push_zipped(chunk).await,
            Form::Unknown(_) => Ok(()),
        }
    }

    async fn push_zipped(&mut self, chunk: &[u8]) -> Result<(), PaymentError> {
        let Form::Zipped(unzip, table) = &mut self.form else { return Ok(()) };
        unzip.push(chunk);
        loop {
            match unzip.next_event().map_err(|_| PaymentError::unreadable())? {
                Event::Starved | Event::End => return Ok(()),
                Event::EntryBegins => *table = Some(BillTable::new(self.lines.clone())),
                Event::Bytes(bytes) => {
                    table.as_mut().ok_or(PaymentError::unreadable())?.push(&bytes).await?;
                }
                Event::EntryEnds => {
                    // beside the table of payments lies one that sums it up, with other columns
                    let rows = table.take().ok_or(PaymentError::unreadable())?.finish().await?;
                    self.tables += u32::from(rows.is_some());
                    self.count += rows.unwrap_or(0);
                }
            }
        }
    }

    pub(super) async fn finish(self) -> Result<u64, PaymentError> {
        match self.form {
            Form::Plain(table) => table.finish().await?.ok_or(PaymentError::unreadable()),
            Form::Zipped(unzip, None) if unzip.is_over() && self.tables == 1 => Ok(self.count),
            _ => Err(PaymentError::unreadable()),
        }
    }
}
