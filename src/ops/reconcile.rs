//! `rushmall reconcile`: compares a day's bills with the books beside a running or stopped shop.
//!
//! The orders are told by sagas of this process, on the same journal as those of the nodes: its compare-and-swap decides
//! who was first. The lease of the run keeps a node from comparing the same day at the same time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_rt::Arbiter;
use serde_json::json;

use super::cli::{BillChannel, ReconcileArgs};
use super::{OpsError, output, settings};
use crate::actors::kit::{Directory, Host, KindLimits};
use crate::actors::order_saga::{OrderSagaActor, SagaDeps};
use crate::actors::reconciliation::{Clerk, ClerkTerms, Findings, LookError, ReportLine, ReportWriter};
use crate::actors::relay::RelayBell;
use crate::clock::Clock;
use crate::config::{Settings, Setup};
use crate::domain::order::PayChannel;
use crate::domain::reconciliation::{BillDay, DifferenceKind};
use crate::payment::sandbox::{self, Merchant};
use crate::payment::setup::Gateways;
use crate::persistence::bill_differences::{self, DifferenceFilter};
use crate::persistence::bill_runs::{self, Ending};
use crate::persistence::{Db, Page, nothing_under_way, open_ledger};

/// No node has this slot (0..=15): the leases of this command end by themselves.
const NO_SLOT: u8 = 255;
/// Differences that are told on standard output; the report has all.
const TOLD_MAX: u64 = 20;

/// Compares the day; tells on standard output what differs.
///
/// # Errors
/// [`OpsError::Verdict`] if something is left for a human; [`OpsError::Usage`] if the day is not over, no gateway is on,
/// or there is no database; [`OpsError::Remote`] if a bill cannot be had; [`OpsError::Store`].
pub async fn run(args: &ReconcileArgs) -> Result<(), OpsError> {
    let setup = settings::for_reading(&args.node)?;
    let db = settings::open_existing(&setup).await?;
    let outcome = reconcile(args, &setup, &db).await;
    db.close().await;
    outcome
}

async fn reconcile(args: &ReconcileArgs, setup: &Setup, db: &Db) -> Result<(), OpsError> {
    let clerk = clerk(setup, db).await?;
    if args.date > clerk.yesterday() {
        return Err(OpsError::Usage(format!("{} is not over in Beijing: it has no bill", args.date)));
    }
    let wanted = args.channel.map(|channel| match channel {
        BillChannel::Wechat => PayChannel::Wechat,
        BillChannel::Alipay => PayChannel::Alipay,
    });
    let is_wanted = |channel: &PayChannel| wanted.is_none_or(|wanted| wanted == *channel);
    let channels: Vec<PayChannel> = clerk.channels().into_iter().filter(is_wanted).collect();
    if channels.is_empty() {
        return Err(OpsError::Usage("no gateway with bills is switched on (payment.*.enabled)".to_owned()));
    }
    let mut left = 0;
    let mut failure = None;
    for channel in &channels {
        let report = args.report.as_deref().map(|path| report_path(path, *channel, channels.len()));
        let day = Day { clerk: &clerk, db, channel: *channel, day: args.date, report };
        let outcome = if args.dry_run { day.look().await } else { day.compare().await };
        match outcome {
            Ok(of_channel) => left += of_channel,
            // the other gateways' bills are compared all the same
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        Some(error) => Err(error),
        None if left > 0 => Err(OpsError::Verdict(format!("{left} differences are left for a human"))),
        None => Ok(()),
    }
}

async fn clerk(setup: &Setup, db: &Db) -> Result<Clerk, OpsError> {
    let clock = Clock::default();
    let settings = &setup.settings;
    let gateways =
        Gateways::open(&with_sandbox(setup)?, &clock).map_err(|problems| OpsError::Usage(problems.to_string()))?;
    let ledger = open_ledger(settings, db, &clock, nothing_under_way()).await?;
    let unstarted = |source| OpsError::Io { action: "start the order sagas".to_owned(), source };
    let host = Host::start(vec![Arbiter::current()], clock.clone()).map_err(unstarted)?;
    // what is committed here is told by the nodes, which look for it by themselves
    let deps = SagaDeps { db: db.clone(), ledger, bell: RelayBell::default(), clock: clock.clone() };
    let orders: Directory<OrderSagaActor> = Directory::new(&Arc::clone(&host), deps, KindLimits::default());
    let terms = ClerkTerms::new(&settings.payment, NO_SLOT);
    Ok(Clerk::new(gateways, orders, (db.clone(), clock), terms, setup.data_dir.join("reports")))
}

/// The settings, with the account at the sandbox that the shop has mounted, if so. It answers while the shop runs.
fn with_sandbox(setup: &Setup) -> Result<Settings, OpsError> {
    let mut settings = setup.settings.clone();
    if settings.sandbox_payment() {
        let mounted = setup.data_dir.join(sandbox::MOUNTED);
        let merchant = Merchant::read(&mounted).map_err(|error| OpsError::Usage(error.to_string()))?;
        settings.payment = merchant.account(&mounted, &settings.payment);
    }
    Ok(settings)
}

/// `out.csv` of two gateways: `out-wechat.csv` and `out-alipay.csv`.
fn report_path(path: &Path, channel: PayChannel, channels: usize) -> PathBuf {
    if channels == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{}", bill_runs::channel_name(channel));
    match path.extension() {
        Some(extension) => path.with_file_name(name).with_extension(extension),
        None => path.with_file_name(name),
    }
}

/// One gateway's day.
struct Day<'a> {
    clerk: &'a Clerk,
    db: &'a Db,
    channel: PayChannel,
    day: BillDay,
    report: Option<PathBuf>,
}

impl Day<'_> {
    fn id(&self) -> String {
        bill_runs::id(self.channel, self.day)
    }

    /// Looks only; how many differences there are that concern the shop.
    async fn look(&self) -> Result<u64, OpsError> {
        let id = self.id();
        let findings = match self.clerk.look(self.channel, self.day, None).await {
            Ok(findings) => findings,
            Err(LookError::NotYet(why)) => {
                output::line(format_args!("{id}: no bill so far ({why})"));
                return Ok(0);
            }
            Err(LookError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(OpsError::Remote(format!("{id}: {error}"))),
        };
        let Findings { lines, expected, unknown, differences } = &findings;
        let concern = |kind: DifferenceKind| kind != DifferenceKind::UnknownNumber;
        let count = differences.iter().filter(|difference| concern(difference.kind)).count() as u64;
        output::line(format_args!(
            "{id}: {lines} lines, {expected} payments and refunds expected, {unknown} numbers of others, {count} differences (dry run)"
        ));
        for difference in differences.iter().filter(|found| concern(found.kind)).take(TOLD_MAX as usize) {
            output::line(format_args!("  {:<26} {}", difference.kind.name(), difference.number));
        }
        if let Some(path) = &self.report {
            let head = json!({"id": id, "channel": bill_runs::channel_name(self.channel), "date": self.day,
                "dry_run": true, "lines": lines, "expected": expected, "unknown_lines": unknown});
            let written = async {
                let mut writer = ReportWriter::begin(path, &head).await?;
                writer.add(differences.iter().map(ReportLine::from)).await?;
                writer.end().await
            };
            written.await.map_err(|source| unwritten(path, source))?;
        }
        Ok(count)
    }

    /// Compares and tells the orders; how many differences somebody has to look after.
    async fn compare(&self) -> Result<u64, OpsError> {
        let id = self.id();
        let busy = || OpsError::Remote(format!("{id}: a node is comparing it; see GET /api/admin/reconciliation"));
        let (run, ending) = self.clerk.compare_now(self.channel, self.day).await?.ok_or_else(busy)?;
        match ending {
            Ending::Done { lines, unknown, .. } => {
                output::line(format_args!("{id}: {lines} lines, {unknown} numbers of others"));
            }
            Ending::Waiting { why, .. } => {
                output::line(format_args!("{id}: {why}"));
                return Ok(0);
            }
            Ending::Failed { why, .. } => return Err(OpsError::Remote(format!("{id}: {why}"))),
        }
        for count in bill_differences::counts(self.db, std::slice::from_ref(&id)).await? {
            output::line(format_args!("  {:<26} {}", count.state.name(), count.count));
        }
        let open = DifferenceFilter { kind: None, open: Some(true) };
        let (left, total) = bill_differences::list(self.db, &id, open, Page::new(1, TOLD_MAX)).await?;
        for stored in &left {
            let (kind, number) = (stored.difference.kind.name(), &stored.difference.number);
            output::line(format_args!("  {:<10} {kind:<26} {number} {}", stored.state.name(), stored.note));
        }
        if let Some(path) = &self.report {
            self.clerk.write_report(&run, path).await.map_err(|source| unwritten(path, source))?;
        }
        Ok(total)
    }
}

fn unwritten(path: &Path, source: std::io::Error) -> OpsError {
    OpsError::Io { action: format!("write the report {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_gateways_have_reports_of_their_own() {
        let path = Path::new("/x/out.csv");
        assert_eq!(report_path(path, PayChannel::Wechat, 1), path);
        assert_eq!(report_path(path, PayChannel::Wechat, 2), Path::new("/x/out-wechat.csv"));
        assert_eq!(report_path(Path::new("out"), PayChannel::Alipay, 2), Path::new("out-alipay"));
    }
}
