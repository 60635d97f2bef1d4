//! Who prepares the sale: a token, a name with its password, or, for a shop on this machine, a temporary
//! administrator made in its database.

use serde_json::json;

use super::args::DrillArgs;
use super::client::Shop;
use crate::clock::Clock;
use crate::domain::BuyerId;
use crate::ops::admin::{self, Credentials};
use crate::ops::cli::NodeArgs;
use crate::ops::{OpsError, settings};
use crate::persistence::Db;

const PASSWORD_VARIABLE: &str = "RUSHMALL_ADMIN_PASSWORD";

/// An administrator's access; end it with [`Access::end`].
pub(super) struct Access {
    /// For the Authorization header.
    pub token: String,
    temporary: Option<(Db, BuyerId)>,
}

impl Access {
    /// Signs in by the first of: token, password (standard input, then environment), local database.
    pub(super) async fn gain(shop: &Shop, args: &DrillArgs) -> Result<Self, OpsError> {
        if let Some(token) = &args.admin_token {
            return Ok(Self { token: token.clone(), temporary: None });
        }
        let password = if args.admin_password_stdin {
            Some(admin::password_from_stdin()?)
        } else {
            std::env::var(PASSWORD_VARIABLE).ok()
        };
        if let Some(password) = password {
            return Ok(Self { token: sign_in(shop, &args.admin_user, &password).await?, temporary: None });
        }
        if !is_local(shop.base()) {
            return Err(OpsError::Usage(format!(
                "the shop is on another machine: give --admin-token, --admin-password-stdin or {PASSWORD_VARIABLE}"
            )));
        }
        Self::temporary(shop, args).await
    }

    async fn temporary(shop: &Shop, args: &DrillArgs) -> Result<Self, OpsError> {
        let node = NodeArgs { data_dir: args.data_dir.clone(), config: args.config.clone() };
        let db = settings::open_existing(&settings::for_reading(&node)?).await?;
        let Credentials { id, username, password } = admin::make_temporary(&db, Clock::default().now_ms()).await?;
        let access = Self { token: String::new(), temporary: Some((db, id)) };
        match sign_in(shop, &username, &password).await {
            Ok(token) => Ok(Self { token, ..access }),
            Err(error) => {
                access.end().await;
                Err(OpsError::Remote(format!(
                    "{error}: the shop at {} does not seem to use {}; say which with --data-dir, or sign in with \
                     --admin-password-stdin",
                    shop.base(),
                    args.data_dir.display()
                )))
            }
        }
    }

    /// Disables the temporary administrator, if there is one.
    pub(super) async fn end(self) {
        let Some((db, id)) = self.temporary else { return };
        if let Err(error) = admin::retire(&db, id, Clock::default().now_ms()).await {
            eprintln!("warning: the drill's administrator {id} is still active, disable him: {error}");
        }
        db.close().await;
    }
}

async fn sign_in(shop: &Shop, username: &str, password: &str) -> Result<String, OpsError> {
    let body = json!({ "username": username, "password": password });
    let data = shop.must_post("/api/user/login", "", &body).await?;
    let token = data["token"].as_str().filter(|token| !token.is_empty());
    token.map(str::to_owned).ok_or_else(|| OpsError::Remote("/api/user/login: answered without a token".to_owned()))
}

fn is_local(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for local in ["http://127.0.0.1:8080", "http://localhost", "https://[::1]:1"] {
            assert!(is_local(local), "{local}");
        }
        for remote in ["http://shop.example:8080", "http://10.0.0.1", "http://1.127.0.0"] {
            assert!(!is_local(remote), "{remote}");
        }
    }
}
