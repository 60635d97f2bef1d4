//! One drill from start to end.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::access::Access;
use super::aftermath;
use super::args::DrillArgs;
use super::arrivals::{self, Arrivals};
use super::client::Shop;
use super::figures::{Books, Figures, Verdict};
use super::report;
use super::sockets::Sockets;
use super::stage::{self, Stage};
use super::stampede::{self, Journal};
use crate::clock::monotonic;
use crate::ops::{OpsError, output};

/// Clicks per second if neither `--rate` nor `--burst` is given.
const RATE_DEFAULT: u64 = 1_000;
/// How long books that do not add up yet may take to do so.
const SETTLE_MAX: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_secs(10) };
/// How long pushes may lag behind the books.
const PUSH_MAX: Duration = Duration::from_secs(3);

/// Runs the drill on a runtime of its own and prints the report.
///
/// # Errors
/// [`OpsError::Verdict`] if a unit or an order is not accounted for; otherwise what stood in the way of the drill.
pub fn run(args: DrillArgs) -> Result<(), OpsError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| OpsError::Io { action: "start the drill's threads".to_owned(), source })?;
    let figures = runtime.block_on(rehearse(&args))?;
    output::line(if args.json { report::json(&figures)? } else { report::table(&figures) });
    if figures.verdict.is_clean() {
        Ok(())
    } else {
        Err(OpsError::Verdict("the drill found units or orders that are not accounted for".to_owned()))
    }
}

async fn rehearse(args: &DrillArgs) -> Result<Figures, OpsError> {
    let until = monotonic() + args.time_limit();
    let shop = Shop::at(&args.url)?;
    let access = Access::gain(&shop, args).await?;
    // whatever happens, the temporary administrator does not stay
    let outcome = tokio::time::timeout_at(until.into(), on_stage(&shop, &access.token, args, until)).await;
    access.end().await;
    outcome.unwrap_or_else(|_| Err(OpsError::Remote(format!("the drill did not end in {} s", args.timeout))))
}

/// Orders that wait for money.
const UNPAID: &[&str] = &["pending_payment", "closing"];

async fn on_stage(shop: &Shop, admin_token: &str, args: &DrillArgs, until: Instant) -> Result<Figures, OpsError> {
    let mut stage = stage::prepare(shop, admin_token, args).await?;
    let making = bar("making buyers", args.buyers);
    let made = stage::make_buyers(shop, admin_token, args, &mut stage, |made| making.set_position(made)).await;
    making.finish_and_clear();
    let outcome = match made {
        Ok(()) => play(shop, admin_token, args, &stage, until).await,
        Err(error) => Err(error),
    };
    stage::clear(shop, admin_token, &stage).await;
    outcome
}

async fn play(
    shop: &Shop,
    admin_token: &str,
    args: &DrillArgs,
    stage: &Stage,
    until: Instant,
) -> Result<Figures, OpsError> {
    let sockets = Sockets::open(shop.base(), &stage.buyers, args.sockets()).await;
    let clicks_each = usize::try_from(args.clicks).unwrap_or(1);
    let plan = arrivals::plan(arrivals_of(args), stage.buyers.len(), clicks_each, args.seed);
    let clicking = bar("clicks", plan.len() as u64);
    let started = monotonic();
    let journal = stampede::run(shop, stage, &plan, args.in_flight_max(), until, &clicking).await;
    clicking.finish_and_clear();
    let mut figures = figures_of(args, stage, &journal, &sockets);

    let accepted = journal.clicks.accepted;
    let arrived = |books: &Books| books.unsettled == 0 && books.orders_total() >= accepted;
    let patience = (monotonic() + SETTLE_MAX).min(until);
    let at_rest = aftermath::books_when(shop, admin_token, stage.product_id, patience, arrived).await?;
    figures.persisted = at_rest.orders_total();
    figures.persisted_after_s = started.elapsed().as_secs_f64();
    let before = Verdict::of(args.stock, &journal.clicks, accepted, &at_rest);

    pay_and_cancel(shop, args, stage, &journal, &mut figures).await;
    if args.await_deadline {
        let nobody_owes = |books: &Books| books.orders_with(UNPAID) == 0;
        aftermath::books_when(shop, admin_token, stage.product_id, until, nobody_owes).await?;
    }
    let patience = (monotonic() + SETTLE_MAX).min(until);
    let found = aftermath::find(shop, &stage.buyers, &journal.promises, patience).await;
    let adds_up = |books: &Books| Verdict::of(args.stock, &journal.clicks, found, books).is_clean();
    let patience = (monotonic() + SETTLE_MAX).min(until);
    let books = aftermath::books_when(shop, admin_token, stage.product_id, patience, adds_up).await?;
    figures.verdict = Verdict::of(args.stock, &journal.clicks, found, &books);
    figures.verdict.oversold = figures.verdict.oversold.max(before.oversold); // cancelling would hide it
    figures.pending = books.orders_with(UNPAID);
    figures.timed_out = books.orders_with(&["cancelled"]).saturating_sub(figures.cancelled);
    count_pushes(&sockets, &journal, &mut figures).await;
    Ok(figures)
}

fn figures_of(args: &DrillArgs, stage: &Stage, journal: &Journal, sockets: &Sockets) -> Figures {
    let mut notes = journal.notes.clone();
    if let Some(failure) = &sockets.failure {
        notes.push(format!("only {} of {} sockets opened: {failure}", sockets.open, args.sockets()));
    }
    Figures {
        product_id: stage.product_id,
        stock: args.stock,
        buyers: args.buyers,
        clicks: journal.clicks,
        clicks_took_s: journal.took.as_secs_f64(),
        latency: journal.latency(),
        accepted_latency: journal.accepted_latency(),
        notes,
        ..Figures::default()
    }
}

async fn pay_and_cancel(shop: &Shop, args: &DrillArgs, stage: &Stage, journal: &Journal, figures: &mut Figures) {
    let (to_pay, to_cancel) = aftermath::shares(&journal.promises, args.pay, args.cancel, args.seed);
    let (paid, pay_note) = aftermath::pay(shop, &stage.buyers, &to_pay).await;
    let (cancelled, cancel_note) = aftermath::cancel(shop, &stage.buyers, &to_cancel).await;
    (figures.paid, figures.cancelled) = (paid, cancelled);
    figures.notes.extend(pay_note.into_iter().chain(cancel_note));
}

/// Waits a little for the last pushes, then counts.
async fn count_pushes(sockets: &Sockets, journal: &Journal, figures: &mut Figures) {
    let expected: Vec<&str> = journal
        .promises
        .iter()
        .filter(|promise| promise.buyer < sockets.open)
        .map(|promise| promise.order_no.as_str())
        .collect();
    let arrived = || expected.iter().filter(|number| sockets.has_pushed(number)).count();
    let until = monotonic() + PUSH_MAX;
    while arrived() < expected.len() && monotonic() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figures.pushes_expected = expected.len() as u64;
    figures.pushed = arrived() as u64;
    if sockets.resumed() > 0 {
        figures.notes.push(format!("sockets broke and were resumed {} times", sockets.resumed()));
    }
    if figures.pushed < figures.pushes_expected {
        figures.notes.push(format!("{} pushes did not arrive", figures.pushes_expected - figures.pushed));
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a million")]
fn arrivals_of(args: &DrillArgs) -> Arrivals {
    let rate = args.rate.unwrap_or(RATE_DEFAULT) as f64;
    match (args.burst, args.even) {
        (true, _) => Arrivals::Burst,
        (false, true) => Arrivals::Even(rate),
        (false, false) => Arrivals::Poisson(rate),
    }
}

/// A progress bar on standard error; hidden if that is not a terminal.
fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    match ProgressStyle::with_template("{msg:14} {bar:40} {pos}/{len} {per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar, // the template above is valid; without it the bar has its usual look
    }
}

#[cfg(test)]
mod tests;
