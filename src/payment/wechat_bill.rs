//! The daily bill of WeChat Pay, the same table for v3 and v2, read line by line as it arrives.
//!
//! A header names the columns; each value of a row stands behind a backtick; a second header and one row sum up. A row
//! is at most a few hundred bytes, so memory does not grow with the bill. The sums at the end must agree with the
//! rows: a download that was cut off is noticed.

use tokio::sync::mpsc;

use super::error::PaymentError;
use super::facts::{BillLine, BillRefund};
use super::fields::yuan;
use super::times;
use super::wechat_v3::refund_state;

/// Longest line that is read, bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Reads a bill piece by piece.
#[derive(Debug)]
pub(super) struct BillReader {
    lines: mpsc::Sender<BillLine>,
    partial: Vec<u8>,
    columns: Option<Columns>,
    section: Section,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Header,
    Rows,
    Sums,
    End,
}

/// Where the columns that are used stand.
#[derive(Debug)]
struct Columns {
    time: usize,
    gateway_no: usize,
    payment_no: usize,
    state: usize,
    total: Option<usize>,
    settled: usize,
    gateway_refund_no: Option<usize>,
    refund_no: Option<usize>,
    refund: Option<usize>,
    refund_asked: Option<usize>,
    refund_state: Option<usize>,
}

impl BillReader {
    pub(super) const fn new(lines: mpsc::Sender<BillLine>) -> Self {
        Self { lines, partial: Vec::new(), columns: None, section: Section::Header, count: 0 }
    }

    /// Takes the next piece of the download.
    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<(), PaymentError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.partial.extend_from_slice(line);
            let line = std::mem::take(&mut self.partial);
            self.line(&line).await?;
            rest = &after[1..];
        }
        if self.partial.len() + rest.len() > LINE_BYTES_MAX {
            return Err(PaymentError::unreadable());
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// The number of rows, once all of the bill has been pushed.
    pub(super) async fn finish(mut self) -> Result<u64, PaymentError> {
        let line = std::mem::take(&mut self.partial);
        self.line(&line).await?;
        if self.section == Section::End { Ok(self.count) } else { Err(PaymentError::unreadable()) }
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), PaymentError> {
        let text = std::str::from_utf8(line).map_err(|_| PaymentError::unreadable())?;
        let text = text.trim_start_matches('\u{feff}').trim_end_matches('\r');
        if text.trim().is_empty() {
            return Ok(());
        }
        match (self.section, text.strip_prefix('`')) {
            (Section::Header, None) => {
                self.columns = Some(Columns::read(text).ok_or(PaymentError::unreadable())?);
                self.section = Section::Rows;
            }
            (Section::Rows, Some(row)) => {
                let columns = self.columns.as_ref().ok_or(PaymentError::unreadable())?;
                let line = columns.line(&values(row)).ok_or(PaymentError::unreadable())?;
                self.count += 1;
                let gone = |_| PaymentError::Unacceptable("nobody reads the bill");
                self.lines.send(line).await.map_err(gone)?;
            }
            (Section::Rows, None) => self.section = Section::Sums,
            (Section::Sums, Some(row)) => {
                let count: Option<u64> = values(row).first().and_then(|count| count.parse().ok());
                if count != Some(self.count) {
                    return Err(PaymentError::unreadable());
                }
                self.section = Section::End;
            }
            _ => return Err(PaymentError::unreadable()),
        }
        Ok(())
    }
}

fn values(row: &str) -> Vec<&str> {
    row.split(",`").map(str::trim).collect()
}

impl Columns {
    fn read(header: &str) -> Option<Self> {
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        let at = |name: &str| names.iter().position(|known| *known == name);
        Some(Self {
            time: at("交易时间")?,
            gateway_no: at("微信订单号")?,
            payment_no: at("商户订单号")?,
            state: at("交易状态")?,
            total: at("订单金额"),
            settled: at("应结订单金额").or_else(|| at("总金额"))?,
            gateway_refund_no: at("微信退款单号"),
            refund_no: at("商户退款单号"),
            refund: at("退款金额"),
            refund_asked: at("申请退款金额"),
            refund_state: at("退款状态"),
        })
    }

    fn line(&self, values: &[&str]) -> Option<BillLine> {
        let of = |at: Option<usize>| at.and_then(|at| values.get(at)).copied().filter(|value| !value.is_empty());
        let is_refund = matches!(of(Some(self.state))?, "REFUND" | "REVOKED");
        // the order's amount, before coupons; on a refund's line the settled amount is 0
        let total = of(self.total).or_else(|| of(Some(self.settled)).filter(|_| !is_refund));
        let refund = if is_refund { Some(self.refund(&of)?) } else { None };
        Some(BillLine {
            at_ms: times::from_spaced(of(Some(self.time))?)?,
            payment_no: of(Some(self.payment_no))?.to_owned(),
            gateway_no: of(Some(self.gateway_no))?.to_owned(),
            total: match total {
                Some(total) => Some(yuan(total)?).filter(|total| total.is_positive()),
                None => None,
            },
            refund,
        })
    }

    fn refund<'a>(&self, of: &impl Fn(Option<usize>) -> Option<&'a str>) -> Option<BillRefund> {
        let asked = of(self.refund_asked).and_then(yuan).filter(|amount| amount.is_positive());
        Some(BillRefund {
            refund_no: of(self.refund_no)?.to_owned(),
            gateway_refund_no: of(self.gateway_refund_no)?.to_owned(),
            amount: asked.or_else(|| of(self.refund).and_then(yuan))?,
            state: refund_state(of(self.refund_state)?)?,
        })
    }
}

#[cfg(test)]
mod tests;
