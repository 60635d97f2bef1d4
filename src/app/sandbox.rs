//! The sandbox gateway inside the shop's own server, so that a shop without any account can be paid end to end: `make run`,
//! order, open the cashier's page, pay, and see the push arrive. Never in production unless it is asked for.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use actix_web::web;
use anyhow::Context as _;
use tokio::net::TcpSocket;

use super::reload::Account;
use crate::clock::Clock;
use crate::config::{PaymentSettings, Settings};
use crate::http::server::SANDBOX;
use crate::payment::sandbox::{Background, MOUNTED, Options, Sandbox, start_background};

/// Connections that may wait to be accepted; what actix-web takes by itself.
const BACKLOG: u32 = 2_048;

/// The port is taken before anything is built, because the sandbox's addresses hold it.
pub(super) fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let bind = |address: SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    let taken = || format!("cannot listen on {host}:{port}");
    let address = (host, port).to_socket_addrs().with_context(taken)?.next().with_context(taken)?;
    bind(address).with_context(taken)
}

/// A sandbox that is to be mounted.
pub(super) struct Mounted {
    /// For the server's workers.
    pub(super) sandbox: web::Data<Sandbox>,
    background: Background,
}

impl Mounted {
    /// Opens its books below the data directory and starts its deliveries; `None` if it is not to be mounted.
    pub(super) async fn open(
        settings: &Settings,
        data_dir: &Path,
        address: SocketAddr,
        clock: &Clock,
    ) -> anyhow::Result<Option<Self>> {
        if !settings.sandbox_payment() {
            return Ok(None);
        }
        let options = Options {
            data_dir: data_dir.join(MOUNTED),
            public_url: format!("{}{SANDBOX}", own_url(address)),
            time_scale: 1,
            control_token: None,
            shows_cashier: true,
            clock: clock.clone(),
        };
        let sandbox = web::Data::new(Sandbox::open(options).await.context("cannot open the sandbox gateway")?);
        let background = start_background(sandbox.clone().into_inner());
        Ok(Some(Self { sandbox, background }))
    }

    /// Makes of any settings those of a shop that is this sandbox's merchant.
    pub(super) fn account(&self, data_dir: &Path, address: SocketAddr) -> Account {
        let (sandbox, dir) = (self.sandbox.clone(), data_dir.join(MOUNTED));
        Arc::new(move |payment| {
            let account = sandbox.merchant().account(&dir, payment);
            PaymentSettings { notify_base_url: own_url(address), sandbox: Some(true), ..account }
        })
    }

    /// Ends its deliveries; what they owe stays in its books.
    pub(super) async fn close(self) {
        self.background.stop().await;
        self.sandbox.close().await;
    }
}

/// This server as it reaches itself.
fn own_url(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
