//! Bills are read as they come, in whatever pieces, and a damaged one is never taken for whole.

use proptest::prelude::*;

use super::*;
use crate::domain::Money;
use crate::payment::facts::RefundState;

const BILL: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r
`2026-11-21 09:00:00,`wx1,`1900007291,`0,`,`4200000001,`ORDER_1,`openid,`NATIVE,`SUCCESS,`OTHERS,`CNY,`88.80,`0.00,`0,`0,`0.00,`0.00,`,`,`手机壳, 红色,`,`0.53,`0.60%,`88.80,`0.00,`\r
`2026-11-21 09:05:00,`wx1,`1900007291,`0,`,`4200000001,`ORDER_1,`openid,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030000001,`ORDER_r1,`10.00,`0.00,`ORIGINAL,`SUCCESS,`手机壳,`,`-0.06,`0.60%,`0.00,`10.00,`\r
总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r
`2,`88.80,`10.00,`0.00,`0.47,`88.80,`10.00\r
";

async fn read(bill: &str, piece: usize) -> Result<(u64, Vec<BillLine>), PaymentError> {
    let (sender, mut receiver) = mpsc::channel(1_000);
    let mut reader = BillReader::new(sender);
    for piece in bill.as_bytes().chunks(piece.max(1)) {
        reader.push(piece).await?;
    }
    let count = reader.finish().await?;
    let mut lines = Vec::new();
    while let Ok(line) = receiver.try_recv() {
        lines.push(line);
    }
    Ok((count, lines))
}

#[actix_rt::test]
async fn payments_and_refunds_are_read_in_whatever_pieces() {
    for piece in [1, 7, 64, 10_000] {
        let (count, lines) = read(BILL, piece).await.unwrap();
        assert_eq!((count, lines.len()), (2, 2));
        assert_eq!(lines[0].payment_no, "ORDER_1");
        assert_eq!(lines[0].gateway_no, "4200000001");
        assert_eq!(lines[0].total, Some(Money::from_fen(8_880)));
        assert_eq!(lines[0].at_ms, times::from_spaced("2026-11-21 09:00:00").unwrap());
        assert_eq!(lines[0].refund, None);
        let refund = lines[1].refund.clone().unwrap();
        assert_eq!((refund.refund_no.as_str(), refund.amount.fen()), ("ORDER_r1", 1_000));
        assert_eq!((refund.gateway_refund_no.as_str(), refund.state), ("5030000001", RefundState::Succeeded));
        assert_eq!(lines[1].total, None, "the bill gives no total beside a refund");
    }
}

#[actix_rt::test]
async fn a_bill_that_is_cut_off_or_miscounted_is_not_whole() {
    let whole: Vec<&str> = BILL.split_inclusive('\n').collect();
    for lines in 0..whole.len() {
        assert!(read(&whole[..lines].concat(), 64).await.is_err(), "{lines} lines");
    }
    let miscounted = BILL.replace("`2,`88.80", "`3,`88.80");
    assert!(read(&miscounted, 64).await.is_err());
    assert!(read(&BILL.replace("`88.80,`0.00,`\r", "`eighty,`0.00,`\r"), 64).await.is_err());
    assert!(read(&BILL.replace("商户订单号", "别的"), 64).await.is_err());
}

#[actix_rt::test]
async fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let (sender, _receiver) = mpsc::channel(1);
    let mut reader = BillReader::new(sender);
    let piece = [b'x'; 1_024];
    let mut pushed = 0;
    while reader.push(&piece).await.is_ok() {
        pushed += 1;
        assert!(pushed <= LINE_BYTES_MAX / piece.len(), "{pushed} KiB were taken");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(text in ".{0,300}", bytes: Vec<u8>) {
        actix_rt::System::new().block_on(async {
            let _ = read(&text, 10).await;
            let header = BILL.lines().next().unwrap();
            let _ = read(&format!("{header}\n`{text}\n"), 10).await;
            let (sender, _receiver) = mpsc::channel(100);
            let _ = BillReader::new(sender).push(&bytes).await;
        });
    }
}
