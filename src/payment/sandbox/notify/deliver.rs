//! Sending what is due: at most so many at a time, five seconds each, no redirects, until it is acknowledged or the
//! schedule is at its end. What comes of it is committed before anything else is sent for the same notification.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::envelope::{Manner, Parcel, Twist, parcel};
use super::{hostile, schedule};
use crate::payment::sandbox::error::SandboxError;
use crate::payment::sandbox::faults::{FaultKind, Operation};
use crate::payment::sandbox::ledger::{
    LedgerError, LogLine, Notice, NoticeState, due_notice, due_notices, finish_notice, postpone_notice, resend_notice,
};
use crate::payment::sandbox::rules::Wire;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::sandbox::wire::{kind_name, sleep};
use crate::payment::wechat_v2::xml;

/// Notifications that are being delivered at a time.
const DELIVERIES_MAX: usize = 32;
/// Due ones that are looked at: those that run or wait aside are among them.
const DUE_MAX: u32 = 1_000;
/// Of an endpoint's answer this much is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const STATUS_CHARS_MAX: usize = 120;

/// Notifications that wait in memory: running deliveries, and those that a fault holds back.
#[derive(Debug, Default)]
pub(in super::super) struct Held {
    running: Mutex<BTreeSet<String>>,
    back: Mutex<BTreeSet<String>>,
    /// Held back once already: not again, or nothing would ever go out.
    was_back: Mutex<BTreeSet<String>>,
}

impl Held {
    fn begin(&self, id: &str) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    fn end(&self, id: &str) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// False if it was held back before.
    fn hold_back(&self, id: &str) -> bool {
        let is_first = self.was_back.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        if is_first {
            self.back.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        }
        is_first
    }

    /// Those that were held back, this one not among them.
    fn let_go(&self, except: &str) -> Vec<String> {
        let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<String> = back.iter().filter(|id| *id != except).cloned().collect();
        back.retain(|id| id == except);
        gone
    }
}

/// True if no delivery is running.
pub(in super::super) fn deliveries_rest(sandbox: &Sandbox) -> bool {
    sandbox.deliveries.load(Ordering::SeqCst) == 0
}

/// Starts the delivery of everything that is due, as far as there is room.
pub(in super::super) async fn deliver_due(sandbox: &Arc<Sandbox>) -> Result<(), SandboxError> {
    let room = DELIVERIES_MAX.saturating_sub(sandbox.deliveries.load(Ordering::SeqCst));
    if room == 0 {
        return Ok(());
    }
    let due = due_notices(sandbox.ledger.reader(), sandbox.clocks.ledger_ms(), DUE_MAX).await?;
    let mut started = 0;
    for state in due {
        if started == room {
            break;
        }
        if !sandbox.held.begin(&state.notice.id) {
            continue;
        }
        started += 1;
        sandbox.deliveries.fetch_add(1, Ordering::SeqCst);
        let sandbox = Arc::clone(sandbox);
        actix_web::rt::spawn(async move {
            let id = state.notice.id.clone();
            if let Err(error) = deliver_if_due(&sandbox, &id).await {
                tracing::error!(%error, %id, "a notification was not delivered");
            }
            sandbox.held.end(&id);
            sandbox.deliveries.fetch_sub(1, Ordering::SeqCst);
            sandbox.wake.notify_one();
        });
    }
    Ok(())
}

/// The list of what is due was read before this delivery began: another one may have ended in between.
async fn deliver_if_due(sandbox: &Arc<Sandbox>, id: &str) -> Result<(), LedgerError> {
    match due_notice(sandbox.ledger.reader(), id, sandbox.clocks.ledger_ms()).await? {
        Some(state) => deliver(sandbox, state).await,
        None => Ok(()),
    }
}

async fn deliver(sandbox: &Arc<Sandbox>, state: NoticeState) -> Result<(), LedgerError> {
    let notice = &state.notice;
    let faults = sandbox.faults.strike(notice.wire, Operation::Notify, &notice.out_trade_no).await?;
    let mut copies = 0;
    for fault in &faults {
        match *fault {
            FaultKind::Delay { ms } => aside(sandbox, ms).await,
            FaultKind::Duplicate { times } => copies = times,
            FaultKind::Reorder { .. } if !sandbox.held.hold_back(&notice.id) => {}
            FaultKind::Reorder { ms } => {
                let until_ms = sandbox.clocks.ledger_ms() + i64::try_from(ms).unwrap_or(i64::MAX / 2);
                return settle(sandbox, &state, Some(until_ms), "held back", false).await;
            }
            FaultKind::Drop => return again(sandbox, &state, "dropped").await,
            kind => {
                if let Some(made) = hostile::instead(sandbox, notice, kind) {
                    return mislead(sandbox, &state, kind, made).await;
                }
            }
        }
    }
    let parcel = match parcel(&sandbox.keys, notice, Manner::of(sandbox), Twist::default()) {
        Ok(parcel) => parcel,
        Err(error) => return again(sandbox, &state, &error.to_string()).await,
    };
    let sent = futures::future::join_all((0..=copies).map(|_| send(sandbox, notice, &parcel))).await;
    release_held(sandbox, &notice.id).await?;
    let is_taken = sent.iter().any(|(is_taken, _)| *is_taken);
    let status = sent.into_iter().map(|(_, status)| status).collect::<Vec<_>>().join(", ");
    record(sandbox, notice, &status, &faults);
    if !is_taken {
        return again(sandbox, &state, &status).await;
    }
    let change = sandbox.ledger.begin().await?;
    finish_notice(&change, &state, sandbox.clocks.ledger_ms(), &cut(&status)).await?;
    change.commit().await?;
    for fault in faults {
        if let FaultKind::Replay { after_ms } = fault {
            aside(sandbox, after_ms).await;
            let (_, status) = send(sandbox, notice, &parcel).await;
            record(sandbox, notice, &status, &[fault]);
        }
    }
    Ok(())
}

/// Waits without taking the place of another delivery.
async fn aside(sandbox: &Sandbox, ms: u64) {
    sandbox.deliveries.fetch_sub(1, Ordering::SeqCst);
    sleep(ms).await;
    sandbox.deliveries.fetch_add(1, Ordering::SeqCst);
}

/// Sends a parcel that must be refused; the true one is still owed, a step of the schedule later.
async fn mislead(
    sandbox: &Sandbox,
    state: &NoticeState,
    kind: FaultKind,
    made: Result<Parcel, crate::payment::crypto::CryptoError>,
) -> Result<(), LedgerError> {
    let name = kind_name(&kind).unwrap_or_default();
    let status = match made {
        Ok(parcel) => {
            let (is_taken, status) = send(sandbox, &state.notice, &parcel).await;
            format!("{name}: {}{status}", if is_taken { "ACKNOWLEDGED " } else { "" })
        }
        Err(error) => format!("{name}: {error}"),
    };
    record(sandbox, &state.notice, &status, &[kind]);
    again(sandbox, state, &status).await
}

/// One more attempt was made in vain.
async fn again(sandbox: &Sandbox, state: &NoticeState, status: &str) -> Result<(), LedgerError> {
    let wait_ms = schedule::wait_ms(state.notice.wire, state.attempts + 1, sandbox.options.time_scale);
    let due_ms = wait_ms.map(|wait_ms| sandbox.clocks.ledger_ms() + wait_ms);
    settle(sandbox, state, due_ms, status, true).await
}

async fn settle(
    sandbox: &Sandbox,
    state: &NoticeState,
    due_ms: Option<i64>,
    status: &str,
    counts: bool,
) -> Result<(), LedgerError> {
    let change = sandbox.ledger.begin().await?;
    let attempts = state.attempts + u32::from(counts);
    postpone_notice(&change, state, due_ms, attempts, &cut(status)).await?;
    Ok(change.commit().await?)
}

/// A notification went out: those that were held back may follow.
async fn release_held(sandbox: &Sandbox, went_out: &str) -> Result<(), LedgerError> {
    let waiting = sandbox.held.let_go(went_out);
    if waiting.is_empty() {
        return Ok(());
    }
    let change = sandbox.ledger.begin().await?;
    for id in waiting {
        resend_notice(&change, &id, sandbox.clocks.ledger_ms()).await?;
    }
    change.commit().await?;
    sandbox.wake.notify_one();
    Ok(())
}

/// True if it was acknowledged, and what came back in a few words.
async fn send(sandbox: &Sandbox, notice: &Notice, parcel: &Parcel) -> (bool, String) {
    let mut request =
        sandbox.client.post(&notice.url).header("Content-Type", parcel.content_type).header("Accept", "*/*");
    for (name, value) in &parcel.headers {
        request = request.header(*name, value);
    }
    let mut answer = match request.body(parcel.body.clone()).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return (false, "no answer in time".to_owned()),
        Err(error) if error.is_connect() => return (false, "cannot connect".to_owned()),
        Err(_) => return (false, "connection broke".to_owned()),
    };
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return (false, format!("{status}, then the connection broke")),
        }
    }
    let is_taken = match notice.wire {
        Wire::V3 => matches!(status, 200 | 204),
        Wire::V2 => {
            status == 200
                && xml::read(&body).is_ok_and(|fields| fields.get("return_code").is_some_and(|code| code == "SUCCESS"))
        }
        Wire::Alipay => status == 200 && body.trim_ascii() == b"success",
    };
    let text = if status == 204 || body.is_empty() {
        String::new()
    } else {
        format!(" {}", String::from_utf8_lossy(&body).trim())
    };
    (is_taken, cut(&format!("{status}{text}")))
}

fn record(sandbox: &Sandbox, notice: &Notice, status: &str, faults: &[FaultKind]) {
    let channel = serde_json::to_value(notice.wire).ok().and_then(|name| name.as_str().map(str::to_owned));
    sandbox.note(LogLine {
        at_ms: sandbox.clocks.ledger_ms(),
        channel: channel.unwrap_or_default(),
        operation: "notify".to_owned(),
        number: notice.out_trade_no.clone(),
        outcome: cut(status),
        fault: faults.iter().filter_map(kind_name).collect::<Vec<_>>().join(" "),
    });
}

fn cut(text: &str) -> String {
    text.chars().take(STATUS_CHARS_MAX).collect()
}
