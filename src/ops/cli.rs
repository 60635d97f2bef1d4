//! The command line: every command with its flags. `docs/OPERATIONS.md` describes them at length.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::actors::ActorsCommand;
use super::drill::DrillArgs;
use super::sale::SaleCommand;
use crate::domain::reconciliation::BillDay;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (or the finding is bad), 2 wrong usage or settings.\n\
Settings: defaults < --config file < environment RUSHMALL__SECTION__KEY < flags; see `rushmall config show`.";

/// A flash-sale shop server of supervised actors: correct under every crash.
#[derive(Clone, Debug, Parser)]
#[command(name = "rushmall", version, about, after_help = EXIT_CODES, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the shop until SIGINT or SIGTERM, then finish what is running and stop
    ///
    /// On an empty data directory it creates the database, an administrator whose password is printed once, and
    /// (outside production, unless --no-demo) the demo catalogue with four open flash sales.
    Serve(ServeArgs),
    /// Bring the database schema up to date; does nothing if it is
    Migrate(NodeArgs),
    /// Put the demo catalogue into an empty shop; does nothing if any product exists
    Seed(NodeArgs),
    /// Create administrators, reset passwords, export the audit log
    #[command(subcommand)]
    Admin(AdminCommand),
    /// See and control the actors of a running shop, on all its nodes
    ///
    /// Exit code 1 if a command was refused, or if a node gave no answer within its time.
    #[command(subcommand)]
    Actors(ActorsCommand),
    /// See and control the flash sales of a running shop
    #[command(subcommand)]
    Sale(SaleCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI description of the HTTP interface, as the server gives it at /openapi.json
    Openapi,
    /// Ask a running shop whether it is healthy: exit code 0 or 1
    Healthcheck(HealthcheckArgs),
    /// Check the shop's books: no unit oversold or lost, every order's history unbroken
    ///
    /// Reads the database of a running or stopped shop and changes nothing, unless --repair is given: then accounts in Redis
    /// that disagree with the database are written anew, and everything is checked again. Exit code 1 if anything is violated.
    Check(CheckArgs),
    /// Audit the log of payments and refunds
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Compare the gateways' bill of a day with the books, and tell the orders what they missed
    ///
    /// Works on the database of a running or stopped shop, through the same rules as the shop itself; compared twice, a
    /// day changes nothing. Exit code 1 if something is left for a human, or the bill could not be had. A bill that is
    /// not there yet is no failure.
    Reconcile(ReconcileArgs),
    /// Rehearse a flash sale against a running shop and reconcile every answer with its books
    ///
    /// Makes a product, a sale and buyers of its own, opens their WebSockets, fires the clicks at their planned
    /// instants whether or not the shop keeps up (latency counts from the planned instant), pays and cancels a
    /// share, waits for the dust to settle, and compares. Exit code 1 if a unit was oversold, lost or unaccounted.
    Drill(DrillArgs),
    /// Run the sandbox gateway: WeChat Pay v3 and v2 and Alipay to develop against, with real signatures
    ///
    /// Makes merchant and platform keys at the first start; merchant/merchant.json under the data directory names all
    /// that an SDK needs. The control page is at /control. docs/SANDBOX.md describes it at length.
    SandboxPay(SandboxPayArgs),
}

/// Where this node's files and settings are.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// Directory of the database file, generated keys and uploads; made if missing
    #[arg(long, value_name = "DIR", env = "RUSHMALL_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Settings file (.toml, .yaml, .yml); without it the defaults hold
    #[arg(long, value_name = "FILE", env = "RUSHMALL_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Port to listen on instead of http.port; 0 takes a free one
    #[arg(long, short, value_name = "PORT")]
    pub port: Option<u16>,
    /// Do not put the demo catalogue into an empty shop
    #[arg(long)]
    pub no_demo: bool,
}

/// `rushmall admin …`.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// Create an administrator; the password is the first line of standard input
    Create(AdminArgs),
    /// Set a new password for a user and end all his sessions; the password is the first line of standard input
    ResetPassword(AdminArgs),
    /// Write the audit log to standard output: who did what, oldest first
    AuditExport(AuditExportArgs),
}

/// Flags of `admin audit-export`.
#[derive(Clone, Debug, Args)]
pub struct AuditExportArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// One JSON object a line, or CSV with a header line
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = ["jsonl", "csv"])]
    pub format: String,
    /// Only this action, e.g. actor.pause; all that begin alike with an asterisk, e.g. 'actor.*'
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// From this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// Flags of `admin create` and `admin reset-password`.
#[derive(Clone, Debug, Args)]
pub struct AdminArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Who: 3 to 50 letters, digits, `_`, `-` or `.`
    #[arg(long, value_name = "NAME")]
    pub username: String,
    /// Read the password (6 to 72 bytes) from standard input, so that it never stands in a process list
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

/// `rushmall config …`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its value and where it came from; secrets are masked
    Show(NodeArgs),
}

/// Flags of `healthcheck`.
#[derive(Clone, Debug, Args)]
pub struct HealthcheckArgs {
    /// Base URL of the shop [default: http.host and http.port of the settings]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Settings file, for the default of --url
    #[arg(long, value_name = "FILE", env = "RUSHMALL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Longest wait for an answer
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,
}

/// Flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Rebuild accounts in Redis that disagree with the database; their sales pause for a moment
    #[arg(long)]
    pub repair: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Flags of `sandbox-pay`.
#[derive(Clone, Debug, Args)]
pub struct SandboxPayArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, short, value_name = "PORT", default_value_t = 9090)]
    pub port: u16,
    /// Directory of its books, keys and merchant.json; made if missing
    #[arg(long, value_name = "DIR", env = "RUSHMALL_SANDBOX_DATA_DIR", default_value = "./sandbox")]
    pub data_dir: PathBuf,
    /// Retry notifications and process refunds so many times faster than the providers do
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub time_scale: u32,
    /// How merchants and buyers reach it [default: the address it listens on]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Opens the control page and API to other machines that show this token; without it only this machine gets in
    #[arg(long, value_name = "TOKEN", env = "RUSHMALL_SANDBOX_CONTROL_TOKEN", hide_env_values = true)]
    pub control_token: Option<String>,
}

/// `rushmall audit …`.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Prove that no payment or refund was changed, removed or slipped in: exit code 1 and a list of what differs if not
    ///
    /// Reads the database of a running or stopped shop and changes nothing. A head that was saved earlier, outside the
    /// shop's reach, also proves that history was not rewritten as a whole.
    Verify(AuditVerifyArgs),
    /// Print the latest signed head; save it where nobody who can write the database can write
    Head(NodeArgs),
}

/// Flags of `audit verify`.
#[derive(Clone, Debug, Args)]
pub struct AuditVerifyArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// A head that `rushmall audit head` or GET /api/audit/head (its note) gave earlier
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Verifier key of the heads (name+id+key) [default: that of audit.key_file]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// A gateway that has bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BillChannel {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
}

/// Flags of `reconcile`.
#[derive(Clone, Debug, Args)]
pub struct ReconcileArgs {
    /// Files and settings.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Which day in Beijing, e.g. 2026-11-20; it must be over
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: BillDay,
    /// Only this gateway [default: all that are switched on]
    #[arg(long, value_enum)]
    pub channel: Option<BillChannel>,
    /// Only say what differs: nothing is written and no order is told
    #[arg(long)]
    pub dry_run: bool,
    /// Write the differences into this file, as CSV if it ends in .csv, else as JSON; with several gateways their
    /// names are put before the ending
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_takes_its_flags() {
        let Ok(Command::Serve(args)) = parse("rushmall serve --port 0 --data-dir /x --config c.yaml --no-demo") else {
            panic!("not serve")
        };
        assert_eq!((args.port, args.no_demo), (Some(0), true));
        assert_eq!((args.node.data_dir, args.node.config), ("/x".into(), Some("c.yaml".into())));
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        for line in [
            "rushmall",
            "rushmall fly",
            "rushmall serve --port 99999",
            "rushmall admin create --username boss",
            "rushmall healthcheck --timeout-ms 0",
            "rushmall sandbox-pay --time-scale 0",
            "rushmall actors list --sort size",
            "rushmall actors inspect --kind inventory",
            "rushmall actors replay --kind inventory --id 7",
            "rushmall actors pause --token abc",
            "rushmall sale room",
            "rushmall sale room 7 --per-second 5 --off",
            "rushmall sale room 7 --per-second 0",
            "rushmall reconcile",
            "rushmall reconcile --date 2026-02-30",
            "rushmall reconcile --date 2026-11-20 --channel card",
            "rushmall drill --pay 1.5",
            "rushmall drill --rate 5 --burst",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_explains_itself() {
        fn undocumented(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            for argument in command.get_arguments().filter(|argument| argument.get_help().is_none()) {
                found.push(format!("{path} --{}", argument.get_id()));
            }
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                if inner.get_about().is_none() {
                    found.push(path.clone());
                }
                undocumented(inner, &path, found);
            }
        }
        let mut found = Vec::new();
        undocumented(&Cli::command(), "rushmall", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
