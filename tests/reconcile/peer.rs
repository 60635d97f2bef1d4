//! A gateway that speaks WeChat Pay v2 on the loopback, as far as a reconciliation needs it: charges, queries, refunds
//! that never tell, and bills in the provider's own table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use rushmall::domain::Money;
use rushmall::payment::wechat_v2::signing::{ApiV2Key, SignType};
use rushmall::payment::wechat_v2::xml::{self, Fields};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub const MCHID: &str = "1900007291";
pub const APPID: &str = "wx8888888888888888";
pub const API_KEY: &str = "0123456789abcdef0123456789abcdef";
const TITLE: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,\
付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,\
商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUMS: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";

/// A line of a bill.
#[derive(Clone, Debug)]
pub enum Line {
    Paid { payment_no: String, fen: i64 },
    Refunded { payment_no: String, refund_no: String, fen: i64 },
}

/// What the gateway has for a day.
#[derive(Clone)]
pub enum Bill {
    Lines(Vec<Line>),
    /// Cut off: the sums at its end do not fit.
    Damaged(Vec<Line>),
    /// So many lines, made as they are sent.
    Made(usize, Arc<dyn Fn(usize) -> Line + Send + Sync>),
}

#[derive(Default)]
struct State {
    totals: BTreeMap<String, String>,
    paid: BTreeSet<String>,
    bills: BTreeMap<String, Bill>,
    asked: Vec<String>,
}

/// The gateway; ends when it is dropped.
pub struct Peer {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Peer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _ = serve(stream, &state).await; // the shop may have gone
                });
            }
        });
        Self { url, state, task }
    }

    /// From now on the gateway says of this charge that it is paid, when it is asked.
    pub fn pay(&self, payment_no: &str) {
        self.state.lock().unwrap().paid.insert(payment_no.to_owned());
    }

    /// The bill of a day (`2026-11-20`).
    pub fn bill(&self, day: impl ToString, bill: Bill) {
        self.state.lock().unwrap().bills.insert(day.to_string().replace('-', ""), bill);
    }

    /// The days whose bills were asked for.
    pub fn bills_asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (path, asked) = read(&mut stream).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n").await?;
    if path == "/pay/downloadbill" {
        let day = asked["bill_date"].clone();
        let bill = {
            let mut state = state.lock().unwrap();
            state.asked.push(day.clone());
            state.bills.get(&day).cloned()
        };
        return match bill {
            Some(bill) => send_bill(&mut stream, bill).await,
            None => {
                let refusal = [("return_code", "FAIL"), ("return_msg", "No Bill Exist")];
                stream.write_all(xml::write("xml", &fields(&refusal)).as_bytes()).await?;
                stream.shutdown().await
            }
        };
    }
    let answer = answer(&path, &asked, &mut state.lock().unwrap());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn answer(path: &str, asked: &Fields, state: &mut State) -> String {
    let mut answer = fields(&[
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", APPID),
        ("mch_id", MCHID),
        ("nonce_str", "0123456789"),
    ]);
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let mut say = |name: &str, value: String| answer.insert(name.to_owned(), value);
    let number = of("out_trade_no");
    match path {
        "/pay/unifiedorder" => {
            state.totals.insert(number, of("total_fee"));
            say("code_url", "weixin://wxpay/bizpayurl?pr=x".to_owned());
        }
        "/pay/orderquery" => {
            let is_paid = state.paid.contains(&number);
            say("trade_state", if is_paid { "SUCCESS" } else { "NOTPAY" }.to_owned());
            if is_paid {
                say("total_fee", state.totals[&number].clone());
                say("transaction_id", format!("42{number}"));
            }
            say("out_trade_no", number);
        }
        "/secapi/pay/refund" => {
            let refund_no = of("out_refund_no");
            say("refund_id", format!("50{refund_no}"));
            say("refund_fee", of("refund_fee"));
            state.totals.insert(refund_no.clone(), number.clone());
            say("out_refund_no", refund_no);
            say("out_trade_no", number);
        }
        "/pay/refundquery" => {
            let refund_no = of("out_refund_no");
            say("out_trade_no", state.totals.get(&refund_no).cloned().unwrap_or_default());
            say("refund_id_0", format!("50{refund_no}"));
            say("refund_status_0", "PROCESSING".to_owned());
            say("out_refund_no_0", refund_no);
        }
        _ => {} // a close is always taken
    }
    ApiV2Key::from_text(API_KEY).unwrap().sign(&mut answer, SignType::HmacSha256);
    xml::write("xml", &answer)
}

async fn send_bill(stream: &mut TcpStream, bill: Bill) -> std::io::Result<()> {
    stream.write_all(format!("\u{feff}{TITLE}\r\n").as_bytes()).await?;
    let (lines, surplus): (Box<dyn Iterator<Item = Line> + Send>, usize) = match bill {
        Bill::Lines(lines) => (Box::new(lines.into_iter()), 0),
        Bill::Damaged(lines) => (Box::new(lines.into_iter()), 1),
        Bill::Made(count, make) => (Box::new((0..count).map(move |number| make(number))), 0),
    };
    let (mut count, mut text) = (surplus, String::new());
    for line in lines {
        text.push_str(&written(&line));
        count += 1;
        if text.len() > 64 * 1024 {
            stream.write_all(text.as_bytes()).await?;
            text.clear();
        }
    }
    text.push_str(&format!("{SUMS}\r\n`{count},`0.00,`0.00,`0.00,`0.00,`0.00,`0.00\r\n"));
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

fn written(line: &Line) -> String {
    let yuan = |fen: i64| Money::from_fen(fen).to_string();
    let (payment_no, state, total, refund) = match line {
        Line::Paid { payment_no, fen } => (payment_no, "SUCCESS", *fen, None),
        Line::Refunded { payment_no, refund_no, fen } => (payment_no, "REFUND", 0, Some((refund_no, *fen))),
    };
    let (refund_id, refund_no, refunded, refund_state) = match refund {
        None => ("0".to_owned(), "0", 0, ""),
        Some((number, fen)) => (format!("50{number}"), number.as_str(), fen, "SUCCESS"),
    };
    let (total, refunded) = (yuan(total), yuan(refunded));
    let gateway_no = format!("42{payment_no}");
    let fields = [
        "2026-11-20 12:00:00",
        APPID,
        MCHID,
        "0",
        "",
        &gateway_no,
        payment_no,
        "openid",
        "NATIVE",
        state,
        "OTHERS",
        "CNY",
        &total,
        "0.00",
        &refund_id,
        refund_no,
        &refunded,
        "0.00",
        "",
        refund_state,
        "goods",
        "",
        "0.00",
        "0.60%",
        &total,
        &refunded,
        "",
    ];
    fields.map(|field| format!("`{field}")).join(",") + "\r\n"
}

async fn read(stream: &mut TcpStream) -> std::io::Result<(String, Fields)> {
    let mut text = Vec::new();
    let head_end = loop {
        if let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&text[..head_end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |value| value.trim().parse().unwrap());
    let path = String::from_utf8_lossy(&text[..head_end]).split(' ').nth(1).unwrap_or_default().to_owned();
    while text.len() < head_end + 4 + length {
        if stream.read_buf(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((path, xml::read(&text[head_end + 4..]).unwrap()))
}
