//! Which shop is asked, and who asks: a token from a file or the environment, or a name with its password from standard
//! input or the environment.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::client::Shop;
use super::{OpsError, admin};

const TOKEN_VARIABLE: &str = "RUSHMALL_ADMIN_TOKEN";
const PASSWORD_VARIABLE: &str = "RUSHMALL_ADMIN_PASSWORD";

/// Which shop, and who asks.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Base URL of any node of the shop
    #[arg(long, value_name = "URL", env = "RUSHMALL_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// File that holds an administrator's access token [else the variable RUSHMALL_ADMIN_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Without a token: the administrator who signs in, with --password-stdin or RUSHMALL_ADMIN_PASSWORD
    #[arg(long, value_name = "NAME", env = "RUSHMALL_ADMIN_USER", default_value = "admin")]
    pub user: String,
    /// Read his password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The shop and an administrator's access token for it.
pub(in crate::ops) async fn gain(args: &ServerArgs) -> Result<(Shop, String), OpsError> {
    let shop = Shop::at(&args.server)?;
    if let Some(path) = &args.token_file {
        let action = format!("read the token file {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|source| OpsError::Io { action, source })?;
        return Ok((shop, text.trim().to_owned()));
    }
    let of_environment = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let (Some(token), false) = (of_environment(TOKEN_VARIABLE), args.password_stdin) {
        return Ok((shop, token));
    }
    let password =
        if args.password_stdin { Some(admin::password_from_stdin()?) } else { of_environment(PASSWORD_VARIABLE) };
    let Some(password) = password else {
        return Err(OpsError::Usage(format!(
            "who asks? Set {TOKEN_VARIABLE} or {PASSWORD_VARIABLE}, or give --token-file or --password-stdin"
        )));
    };
    let body = json!({ "username": args.user, "password": password });
    let data = shop.must_post("/api/user/login", "", &body).await?;
    let token = data["token"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
    let token = token.ok_or_else(|| OpsError::Remote("/api/user/login: answered without a token".to_owned()))?;
    Ok((shop, token))
}
