//! Faults, knobs, clocks and certificates.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::forms::{TravelForm, WhichClock, done, failed, finished, not_found, read, refused};
use crate::payment::sandbox::faults::{FAULTS_MAX, Fault, FaultKind};
use crate::payment::sandbox::knobs::Knobs;
use crate::payment::sandbox::travel::Offsets;
use crate::payment::sandbox::wire::{Shared, to_its_end};
use crate::payment::times;

/// A fault waits no longer than this, ms.
const WAIT_MS_MAX: u64 = 3_600_000;
const COPIES_MAX: u8 = 100;
/// Clocks travel a hundred years at most.
const TRAVEL_MS_MAX: i64 = 100 * 366 * 24 * 3_600_000;

pub(super) async fn faults(sandbox: Shared) -> HttpResponse {
    done(sandbox.faults.list().await)
}

pub(super) async fn add_fault(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    let fault: Fault = match read(&body) {
        Ok(fault) => fault,
        Err(why) => return refused(400, &why),
    };
    if let Err(why) = usable(&fault) {
        return refused(400, why);
    }
    let work = async move {
        let set = sandbox.faults.add(fault).await?;
        Ok(set.map_or_else(|| refused(409, &format!("at most {FAULTS_MAX} faults stand at a time")), done))
    };
    finished(to_its_end(work).await)
}

fn usable(fault: &Fault) -> Result<(), &'static str> {
    if fault.operation.is_some_and(|operation| !fault.kind.fits(operation)) {
        return Err("this kind of fault does not fit the operation");
    }
    if fault.percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
        return Err("percent is 1 to 100");
    }
    match fault.kind {
        FaultKind::Delay { ms }
        | FaultKind::Hang { ms }
        | FaultKind::CommitThenHang { ms }
        | FaultKind::Reorder { ms }
        | FaultKind::Replay { after_ms: ms }
            if ms > WAIT_MS_MAX =>
        {
            Err("a fault waits for an hour at most")
        }
        FaultKind::Duplicate { times } if !(1..=COPIES_MAX).contains(&times) => Err("times is 1 to 100"),
        _ => Ok(()),
    }
}

pub(super) async fn remove_faults(sandbox: Shared) -> HttpResponse {
    let work = async move { Ok(done(json!({ "removed": sandbox.faults.remove(None).await? }))) };
    finished(to_its_end(work).await)
}

pub(super) async fn remove_fault(sandbox: Shared, id: web::Path<u64>) -> HttpResponse {
    let work = async move {
        let removed = sandbox.faults.remove(Some(*id)).await?;
        Ok(if removed == 0 { not_found() } else { done(json!({ "removed": removed })) })
    };
    finished(to_its_end(work).await)
}

pub(super) async fn knobs(sandbox: Shared) -> HttpResponse {
    done(sandbox.knobs())
}

pub(super) async fn turn_knobs(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    let patch: Value = match read(&body) {
        Ok(patch) => patch,
        Err(why) => return refused(400, &why),
    };
    match sandbox.knobs().patched(&patch) {
        Ok(knobs) => set_knobs(sandbox, knobs).await,
        Err(why) => refused(400, &why),
    }
}

pub(super) async fn reset_knobs(sandbox: Shared) -> HttpResponse {
    let knobs = Knobs::of(sandbox.options.shows_cashier);
    set_knobs(sandbox, knobs).await
}

async fn set_knobs(sandbox: Shared, knobs: Knobs) -> HttpResponse {
    let work = async move {
        sandbox.set_knobs(knobs.clone()).await?;
        Ok(done(knobs))
    };
    finished(to_its_end(work).await)
}

pub(super) async fn clock(sandbox: Shared) -> HttpResponse {
    done(json!({
        "ledger_time": times::rfc3339(sandbox.clocks.ledger_ms()),
        "wire_time": times::rfc3339(sandbox.clocks.wire_ms()),
        "offsets": sandbox.clocks.offsets(),
    }))
}

pub(super) async fn travel(sandbox: Shared, body: web::Bytes) -> HttpResponse {
    let form: TravelForm = match read(&body) {
        Ok(form) => form,
        Err(why) => return refused(400, &why),
    };
    let mut offsets = sandbox.clocks.offsets();
    if form.clock != WhichClock::Wire {
        offsets.ledger_ms = offsets.ledger_ms.saturating_add(form.by_ms);
    }
    if form.clock != WhichClock::Ledger {
        offsets.wire_ms = offsets.wire_ms.saturating_add(form.by_ms);
    }
    if [offsets.ledger_ms, offsets.wire_ms].iter().any(|offset| offset.unsigned_abs() > TRAVEL_MS_MAX.unsigned_abs()) {
        return refused(400, "clocks travel a hundred years at most");
    }
    set_clock(sandbox, offsets).await
}

pub(super) async fn reset_clock(sandbox: Shared) -> HttpResponse {
    set_clock(sandbox, Offsets::default()).await
}

async fn set_clock(sandbox: Shared, offsets: Offsets) -> HttpResponse {
    let shared = sandbox.clone();
    match to_its_end(async move { shared.travel_to(offsets).await }).await {
        Some(Ok(())) => clock(sandbox).await,
        Some(Err(error)) => failed(&error),
        None => refused(500, "the work panicked"),
    }
}

pub(super) async fn certificates(sandbox: Shared) -> HttpResponse {
    let certificates = sandbox.keys.certificates();
    let listed: Vec<Value> = certificates
        .iter()
        .map(|one| json!({ "serial": one.signer.serial, "until": times::rfc3339(one.certificate.valid_until_ms) }))
        .collect();
    done(json!({ "certificates": listed, "signs": sandbox.keys.certificate_mode().serial }))
}

/// A new platform certificate that signs from now on.
pub(super) async fn rotate(sandbox: Shared) -> HttpResponse {
    let (keys, now_ms) = (Arc::clone(&sandbox.keys), sandbox.clocks.wire_ms());
    match tokio::task::spawn_blocking(move || keys.rotate(now_ms)).await {
        Ok(Ok(serial)) => done(json!({ "serial": serial })),
        Ok(Err(error)) => {
            tracing::error!(%error, "a certificate was not made");
            refused(500, "a certificate was not made")
        }
        Err(_) => refused(500, "the work panicked"),
    }
}
