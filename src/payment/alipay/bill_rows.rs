//! The table of an Alipay bill: comments with `#`, a header, rows, comments that sum up.

use encoding_rs::GBK;
use tokio::sync::mpsc;

use crate::domain::Money;
use crate::payment::error::PaymentError;
use crate::payment::facts::{BillLine, BillRefund, RefundState};
use crate::payment::fields::yuan;
use crate::payment::times;

/// Longest line that is read, bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
const PAYMENT: &str = "交易";
const REFUND: &str = "退款";

/// Reads one table piece by piece.
pub(super) struct BillTable {
    lines: mpsc::Sender<BillLine>,
    partial: Vec<u8>,
    columns: Option<Columns>,
    payments: u64,
    refunds: u64,
    summed: [bool; 2],
}

struct Columns {
    count: usize,
    subject: usize,
    trade_no: usize,
    payment_no: usize,
    kind: usize,
    done_at: usize,
    amount: usize,
    refund_no: usize,
}

impl BillTable {
    pub(super) const fn new(lines: mpsc::Sender<BillLine>) -> Self {
        Self { lines, partial: Vec::new(), columns: None, payments: 0, refunds: 0, summed: [false; 2] }
    }

    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<(), PaymentError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&rest[..end]);
            let line = std::mem::take(&mut self.partial);
            self.line(&line).await?;
            rest = &rest[end + 1..];
        }
        if self.partial.len() + rest.len() > LINE_BYTES_MAX {
            return Err(PaymentError::unreadable());
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// The number of rows; `None` if this was not a table of payments at all.
    pub(super) async fn finish(mut self) -> Result<Option<u64>, PaymentError> {
        let line = std::mem::take(&mut self.partial);
        self.line(&line).await?;
        match (&self.columns, self.summed) {
            (None, _) => Ok(None),
            (Some(_), [true, true]) => Ok(Some(self.payments + self.refunds)),
            (Some(_), _) => Err(PaymentError::unreadable()),
        }
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), PaymentError> {
        // valid UTF-8 of several bytes is hardly ever meant as GBK, and Alipay writes no other encoding
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.to_owned(),
            Err(_) => GBK.decode_without_bom_handling(line).0.into_owned(),
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        if let Some(comment) = text.strip_prefix('#') {
            return self.comment(comment);
        }
        let Some(columns) = &self.columns else {
            self.columns = Columns::read(text);
            return Ok(());
        };
        if text.is_empty() {
            return Ok(());
        }
        let line = columns.line(text).ok_or(PaymentError::unreadable())?;
        *(if line.refund.is_some() { &mut self.refunds } else { &mut self.payments }) += 1;
        self.lines.send(line).await.map_err(|_| PaymentError::Unacceptable("nobody reads the bill"))
    }

    /// `交易合计：2笔，…` and `退款合计：1笔，…` must agree with the rows before them.
    fn comment(&mut self, comment: &str) -> Result<(), PaymentError> {
        for (at, name, seen) in [(0, PAYMENT, self.payments), (1, REFUND, self.refunds)] {
            let sum = comment.strip_prefix(name).and_then(|rest| rest.strip_prefix("合计"));
            let Some(sum) = sum.map(|sum| sum.trim_start_matches(['：', ':', ' '])) else { continue };
            let digits: String = sum.chars().take_while(char::is_ascii_digit).collect();
            if digits.parse() != Ok(seen) {
                return Err(PaymentError::unreadable());
            }
            self.summed[at] = true;
        }
        Ok(())
    }
}

impl Columns {
    fn read(header: &str) -> Option<Self> {
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        let at = |name: &str| names.iter().position(|known| known.starts_with(name));
        Some(Self {
            count: names.len(),
            subject: at("商品名称")?,
            trade_no: at("支付宝交易号")?,
            payment_no: at("商户订单号")?,
            kind: at("业务类型")?,
            done_at: at("完成时间")?,
            amount: at("订单金额")?,
            refund_no: at("退款批次号")?,
        })
    }

    fn line(&self, row: &str) -> Option<BillLine> {
        let mut values: Vec<&str> = row.split(',').map(str::trim).collect();
        // commas of the shop's own description are not escaped: what is too much belongs there
        let surplus = values.len().checked_sub(self.count)?;
        values.drain(self.subject..self.subject + surplus);
        let kind = *values.get(self.kind)?;
        let amount = *values.get(self.amount)?;
        let (total, refund) = match kind {
            PAYMENT => (Some(yuan(amount)?), None),
            REFUND => {
                let amount = yuan(amount.trim_start_matches('-')).filter(|amount| *amount > Money::ZERO)?;
                let refund_no = (*values.get(self.refund_no)?).to_owned();
                let state = RefundState::Succeeded;
                (None, Some(BillRefund { refund_no, gateway_refund_no: String::new(), amount, state }))
            }
            _ => return None,
        };
        Some(BillLine {
            at_ms: times::from_spaced(values.get(self.done_at)?)?,
            payment_no: (*values.get(self.payment_no)?).to_owned(),
            gateway_no: (*values.get(self.trade_no)?).to_owned(),
            total,
            refund,
        })
    }
}
