//! The command line of RushMall: reads it, picks the runtime, runs the command, maps the outcome to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use rushmall::app::{self, ServeOptions, SettingsSource};
use rushmall::clock::Clock;
use rushmall::config::{Environment, Settings};
use rushmall::http::openapi;
use rushmall::ops::cli::{AdminCommand, AuditCommand, Cli, Command, ConfigCommand, SandboxPayArgs, ServeArgs};
use rushmall::ops::{
    OpsError, actors, admin, audit, audit_export, check_report, drill, healthcheck, output, reconcile, sale, seed,
    settings,
};
use rushmall::payment::sandbox;
use rushmall::telemetry::Telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or settings.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // two providers could be compiled in one day: rustls must not have to guess
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(error.downcast_ref().map_or(1, OpsError::exit_code))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve(&args),
        Command::Drill(args) => Ok(drill::run(args)?),
        command => actix_rt::System::new().block_on(run_short(command)),
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let sources = settings::sources_for_serving(args);
    let (setup, loaded) = settings::for_serving(args, &sources)?;
    let demo = !args.no_demo && setup.settings.environment != Environment::Production;
    actix_rt::System::new().block_on(async {
        let telemetry = Telemetry::start(&setup.settings.telemetry, &setup.settings.node.name)?;
        let source = SettingsSource { sources, loaded, log: telemetry.filter() };
        let outcome = app::serve(setup, source, ServeOptions { demo }).await;
        telemetry.shutdown().await;
        outcome
    })
}

async fn run_short(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Migrate(args) => settings::migrate(&args).await?,
        Command::Seed(args) => seed::run(&args).await?,
        Command::Admin(AdminCommand::Create(args)) => admin::create(&args).await?,
        Command::Admin(AdminCommand::ResetPassword(args)) => admin::reset_password(&args).await?,
        Command::Admin(AdminCommand::AuditExport(args)) => audit_export::run(&args).await?,
        Command::Actors(command) => actors::run(&command).await?,
        Command::Sale(command) => sale::run(&command).await?,
        Command::Config(ConfigCommand::Show(args)) => settings::show(&args)?,
        Command::Openapi => output::line(openapi::description()?),
        Command::Healthcheck(args) => healthcheck::run(&args).await?,
        Command::Check(args) => check_report::run(&args).await?,
        Command::Reconcile(args) => reconcile::run(&args).await?,
        Command::SandboxPay(args) => sandbox_pay(args).await?,
        Command::Audit(AuditCommand::Verify(args)) => audit::verify(&args).await?,
        Command::Audit(AuditCommand::Head(args)) => audit::head(&args).await?,
        Command::Serve(_) | Command::Drill(_) => {} // they bring their own runtime
    }
    Ok(())
}

async fn sandbox_pay(args: SandboxPayArgs) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&Settings::default().telemetry, "sandbox-pay")?;
    let merchant_dir = args.data_dir.join("merchant");
    let options = sandbox::Options {
        data_dir: args.data_dir,
        public_url: args.public_url.unwrap_or_default(),
        time_scale: args.time_scale,
        control_token: args.control_token.filter(|token| !token.is_empty()),
        shows_cashier: false,
        clock: Clock::default(),
    };
    let server = sandbox::Server::open(&args.host, args.port, options).await?;
    output::line(format!("merchant: {}", merchant_dir.join("merchant.json").display()));
    output::line(format!("control page: http://{}/control", server.address));
    output::line(format!("the sandbox gateway is open at http://{}", server.address));
    let outcome = server.run().await;
    telemetry.shutdown().await;
    Ok(outcome?)
}
