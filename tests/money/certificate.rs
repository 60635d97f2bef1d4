//! WeChat Pay v2 refunds only to whoever shows the merchant's certificate: a gateway that speaks TLS to nobody else takes a
//! charge, its payment and its refund from a shop that has `identity_file`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::stage::pays_and_gets_it_back;
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;

const HOST: &str = "127.0.0.1";

/// The sandbox behind TLS, for its merchant alone.
struct Gate {
    address: SocketAddr,
    certificate_pem: String,
    handle: actix_web::dev::ServerHandle,
}

impl Gate {
    fn before(sandbox: &SandboxProcess) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let mut merchants = RootCertStore::empty();
        let root = sandbox.merchant_file(&sandbox.merchant.alipay.alipay_root_certificate_file);
        merchants.add(CertificateDer::from_pem_file(root).expect("the sandbox's root")).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(merchants), provider.clone()).build();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_client_cert_verifier(verifier.expect("a verifier"))
            .with_single_cert(vec![cert.der().clone()], key.into())
            .expect("a server's certificate");
        let behind = web::Data::new(Behind { url: sandbox.url.clone(), client: plain() });
        let server = HttpServer::new(move || App::new().app_data(behind.clone()).default_service(web::to(forward)));
        let server = server.workers(1).disable_signals().bind_rustls_0_23((HOST, 0), config).expect("a port");
        let (address, server) = (server.addrs()[0], server.run());
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, certificate_pem: cert.pem(), handle }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

struct Behind {
    url: String,
    client: reqwest::Client,
}

async fn forward(request: HttpRequest, body: web::Bytes, behind: web::Data<Behind>) -> HttpResponse {
    let url = format!("{}{}", behind.url, request.uri());
    let answer = behind.client.post(url).header("content-type", "text/xml").body(body).send().await.expect("an answer");
    let status = actix_web::http::StatusCode::from_u16(answer.status().as_u16()).expect("a status");
    HttpResponse::build(status).body(answer.bytes().await.expect("a body"))
}

fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// What the merchant shows: certificate and key in one file.
fn identity(sandbox: &SandboxProcess, into: &Path) {
    let wechat = &sandbox.merchant.wechat;
    let read = |file: &str| std::fs::read_to_string(sandbox.merchant_file(file)).expect("a merchant's file");
    let both = read(&wechat.certificate_file) + &read(&wechat.private_key_file);
    std::fs::write(into, both).expect("written");
}

#[tokio::test]
async fn a_v2_refund_shows_the_merchants_certificate() {
    let sandbox = SandboxProcess::start();
    let gate = Gate::before(&sandbox);
    let trusted = reqwest::Certificate::from_pem(gate.certificate_pem.as_bytes()).expect("a certificate");
    let nobody = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().expect("a client");
    assert!(nobody.post(gate.url()).send().await.is_err(), "the gate lets in whoever shows nothing");

    let mut shop = ShopProcess::prepare();
    shop.is_merchant_of(&sandbox);
    let [pem, trust] = ["identity.pem", "trusted.pem"].map(|name| shop.data_dir().join(name));
    identity(&sandbox, &pem);
    std::fs::write(&trust, &gate.certificate_pem).expect("written");
    shop.set("SSL_CERT_FILE", &trust.display().to_string());
    shop.set("RUSHMALL__PAYMENT__WECHAT_V3__ENABLED", "false");
    shop.set("RUSHMALL__PAYMENT__WECHAT_V2__BASE_URL", &gate.url());
    shop.set("RUSHMALL__PAYMENT__WECHAT_V2__IDENTITY_FILE", &pem.display().to_string());
    shop.start().await;
    pays_and_gets_it_back(&shop, &sandbox).await;
    gate.handle.stop(false).await;
}
