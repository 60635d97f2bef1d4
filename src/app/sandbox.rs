//! The sandbox gateway inside the shop's own server, so that a shop without any account can be paid end to end: `make run`,
//! order, open the cashier's page, pay, and see the push arrive. Never in production unless it is asked for.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use actix_web::web;
use anyhow::Context as _;
use tokio::net::TcpSocket;

use crate::clock::Clock;
use crate::config::{PaymentSettings, Secret};
use crate::http::server::SANDBOX;
use crate::payment::sandbox::{Background, Options, Sandbox, start_background};

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
    /// Opens its books below the data directory and starts its deliveries.
    pub(super) async fn open(data_dir: &Path, address: SocketAddr, clock: &Clock) -> anyhow::Result<Self> {
        let options = Options {
            data_dir: data_dir.join("sandbox"),
            public_url: format!("{}{SANDBOX}", own_url(address)),
            time_scale: 1,
            control_token: None,
            clock: clock.clone(),
        };
        let sandbox = web::Data::new(Sandbox::open(options).await.context("cannot open the sandbox gateway")?);
        let background = start_background(sandbox.clone().into_inner());
        Ok(Self { sandbox, background })
    }

    /// The settings of a shop that is this sandbox's merchant.
    pub(super) fn account(&self, data_dir: &Path, address: SocketAddr, payment: &PaymentSettings) -> PaymentSettings {
        let (merchant, files) = (self.sandbox.merchant(), data_dir.join("sandbox/merchant"));
        let file = |name: &str| files.join(name).display().to_string();
        let mut account = PaymentSettings { notify_base_url: own_url(address), ..payment.clone() };
        let wechat = &mut account.wechat_v3;
        wechat.enabled = true;
        wechat.base_url.clone_from(&merchant.wechat.base_url);
        wechat.mchid.clone_from(&merchant.wechat.mchid);
        wechat.appid.clone_from(&merchant.wechat.appid);
        wechat.serial.clone_from(&merchant.wechat.certificate_serial);
        wechat.private_key_file = file(&merchant.wechat.private_key_file);
        wechat.api_v3_key = Secret(merchant.wechat.api_v3_key.clone());
        wechat.public_key_id.clone_from(&merchant.wechat.public_key_id);
        wechat.public_key_file = file(&merchant.wechat.public_key_file);
        let alipay = &mut account.alipay;
        alipay.enabled = true;
        alipay.gateway_url.clone_from(&merchant.alipay.gateway_url);
        alipay.app_id.clone_from(&merchant.alipay.app_id);
        alipay.seller_id.clone_from(&merchant.alipay.seller_id);
        alipay.private_key_file = file(&merchant.alipay.private_key_file);
        alipay.public_key_file = file(&merchant.alipay.alipay_public_key_file);
        account
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
