//! The command line of RushMall: reads it, picks the runtime, runs the command, maps the outcome to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use rushmall::app::{self, ServeOptions};
use rushmall::config::Environment;
use rushmall::ops::cli::{AdminCommand, Cli, Command, ConfigCommand, ServeArgs};
use rushmall::ops::{OpsError, admin, check_report, drill, healthcheck, seed, settings};
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
    let setup = settings::for_serving(args)?;
    let demo = !args.no_demo && setup.settings.environment != Environment::Production;
    actix_rt::System::new().block_on(async {
        let telemetry = Telemetry::start(&setup.settings.telemetry, &setup.settings.node.name)?;
        let outcome = app::serve(setup, ServeOptions { demo }).await;
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
        Command::Config(ConfigCommand::Show(args)) => settings::show(&args)?,
        Command::Healthcheck(args) => healthcheck::run(&args).await?,
        Command::Check(args) => check_report::run(&args).await?,
        Command::Serve(_) | Command::Drill(_) => {} // they bring their own runtime
    }
    Ok(())
}
