//! All keys of a sandbox in memory, and how they come there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::authority::Authority;
use super::files::{self, KeyError};
use super::merchant::Merchant;
use super::platform::{self, PlatformCertificate};
use crate::payment::crypto::{ApiV3Key, Certificate, PrivateKey, PublicKey, alipay_root_cert_sn};
use crate::payment::keyring::PlatformKeys;
use crate::payment::wechat_v2::signing::ApiV2Key;
use crate::payment::wechat_v3::signing::Signer;

const PUBLIC_MODE_KEY: &str = "wechatpay_key.pem";
const ROOT_KEY: &str = "root_key.pem";
const ALIPAY_KEY: &str = "alipay_key.pem";
const FOREIGN_KEY: &str = "foreign_key.pem";

/// See the module's header.
#[derive(Debug)]
pub struct Keys {
    /// What the merchant was given.
    pub merchant: Merchant,
    /// Verifies requests of v3.
    pub merchants: PlatformKeys,
    /// Seals resources.
    pub api_v3: ApiV3Key,
    /// Signs and verifies messages of v2.
    pub api_v2: ApiV2Key,
    /// Alipay's.
    pub alipay: AlipayKeys,
    /// Belongs to nobody whom merchants know: signs forgeries.
    pub foreign: PrivateKey,
    public_mode: Arc<Signer>,
    certificates: RwLock<Vec<PlatformCertificate>>,
    rotation: Mutex<()>,
    platform_dir: PathBuf,
    merchant_dir: PathBuf,
}

/// Keys of Alipay's wire.
#[derive(Debug)]
pub struct AlipayKeys {
    /// Verifies requests.
    pub app: PublicKey,
    /// Signs answers and notifications.
    pub own: PrivateKey,
    /// Number of the application's certificate.
    pub app_cert_sn: String,
    /// Number of Alipay's certificate.
    pub cert_sn: String,
    /// Number of the root certificate.
    pub root_cert_sn: String,
    /// Alipay's certificate in PEM.
    pub cert_pem: String,
}

impl Keys {
    /// Reads the keys under `data_dir`, makes them at the first start; `url` is where merchants find the gateway. Takes
    /// a second or two when it makes them: not on an arbiter.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(data_dir: &Path, url: &str, now_ms: i64) -> Result<Self, KeyError> {
        let (merchant_dir, platform_dir) = (data_dir.join("merchant"), data_dir.join("platform"));
        files::make_directory(&merchant_dir)?;
        files::make_directory(&platform_dir)?;
        let is_known = merchant_dir.join("merchant.json").exists();
        let merchant = if is_known { Merchant::read(data_dir)? } else { make(&merchant_dir, &platform_dir, now_ms)? };
        let keys = Self::read(merchant.at(url), merchant_dir, platform_dir)?;
        keys.write_merchant()?;
        Ok(keys)
    }

    fn read(merchant: Merchant, merchant_dir: PathBuf, platform_dir: PathBuf) -> Result<Self, KeyError> {
        let mine = |name: &str| files::read(&merchant_dir.join(name));
        let theirs = |name: &str| files::read(&platform_dir.join(name));
        let mut merchants = PlatformKeys::new();
        merchants.add_certificate(&Certificate::from_pem(&mine(&merchant.wechat.certificate_file)?)?)?;
        let cert_pem = mine(&merchant.alipay.alipay_certificate_file)?;
        let app_certificate = Certificate::from_pem(&mine(&merchant.alipay.app_certificate_file)?)?;
        let alipay = AlipayKeys {
            app: PublicKey::from_pem(&mine(&merchant.alipay.public_key_file)?)?,
            own: PrivateKey::from_pem(&theirs(ALIPAY_KEY)?)?,
            app_cert_sn: app_certificate.alipay_sn,
            cert_sn: Certificate::from_pem(&cert_pem)?.alipay_sn,
            root_cert_sn: alipay_root_cert_sn(&mine(&merchant.alipay.alipay_root_certificate_file)?)?,
            cert_pem,
        };
        let key = PrivateKey::from_pem(&theirs(PUBLIC_MODE_KEY)?)?;
        Ok(Self {
            merchants,
            api_v3: ApiV3Key::from_text(&merchant.wechat.api_v3_key)?,
            api_v2: ApiV2Key::from_text(&merchant.wechat.api_v2_key)?,
            alipay,
            foreign: PrivateKey::from_pem(&theirs(FOREIGN_KEY)?)?,
            public_mode: Arc::new(Signer { serial: merchant.wechat.public_key_id.clone(), key }),
            certificates: RwLock::new(platform::load(&platform_dir)?),
            rotation: Mutex::new(()),
            merchant,
            platform_dir,
            merchant_dir,
        })
    }

    /// The signer of public-key mode.
    #[must_use]
    pub fn public_mode(&self) -> Arc<Signer> {
        Arc::clone(&self.public_mode)
    }

    /// The platform's certificates, the one that signs last.
    #[must_use]
    pub fn certificates(&self) -> Vec<PlatformCertificate> {
        self.certificates.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The signer of certificate mode; that of public-key mode if there is no certificate.
    #[must_use]
    pub fn certificate_mode(&self) -> Arc<Signer> {
        self.certificates().last().map_or_else(|| self.public_mode(), |newest| Arc::clone(&newest.signer))
    }

    /// Makes a new platform certificate that signs from now on; earlier ones are still listed. Returns its serial
    /// number. Takes some tenths of a second: not on an arbiter.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn rotate(&self, now_ms: i64) -> Result<String, KeyError> {
        let _one_at_a_time = self.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        let authority = Authority::new(&files::read(&self.platform_dir.join(ROOT_KEY))?, now_ms)?;
        let added = platform::add(&self.platform_dir, &authority, now_ms)?;
        let serial = added.signer.serial.clone();
        self.certificates.write().unwrap_or_else(PoisonError::into_inner).push(added);
        self.write_merchant()?;
        Ok(serial)
    }

    /// `merchant.json` and the files that change with a rotation.
    fn write_merchant(&self) -> Result<(), KeyError> {
        let mut merchant = self.merchant.clone();
        if let Some(newest) = self.certificates().last() {
            merchant.wechat.platform_certificate_serial.clone_from(&newest.signer.serial);
            files::write(&self.merchant_dir.join(&merchant.wechat.platform_certificate_file), &newest.pem)?;
        }
        let path = self.merchant_dir.join("merchant.json");
        let text = serde_json::to_string_pretty(&merchant).map_err(|source| platform::content(&path, source))?;
        files::write(&path, &text)
    }
}

/// Makes all keys and certificates; `merchant.json` is left to the caller.
fn make(merchant_dir: &Path, platform_dir: &Path, now_ms: i64) -> Result<Merchant, KeyError> {
    let mut merchant = Merchant::new();
    let mine = |name: &str, text: &str| files::write(&merchant_dir.join(name), text);
    let theirs = |name: &str, text: &str| files::write(&platform_dir.join(name), text);

    let root_key = PrivateKey::generate()?.to_pkcs8_pem()?;
    theirs(ROOT_KEY, &root_key)?;
    let authority = Authority::new(&root_key, now_ms)?;
    theirs(FOREIGN_KEY, &PrivateKey::generate()?.to_pkcs8_pem()?)?;

    let wechat = &mut merchant.wechat;
    let key = PrivateKey::generate()?;
    let certificate = authority.certify(&wechat.mchid, &key, now_ms)?;
    mine(&wechat.private_key_file, &key.to_pkcs8_pem()?)?;
    mine(&wechat.certificate_file, &certificate)?;
    wechat.certificate_serial = Certificate::from_pem(&certificate)?.serial;
    let key = PrivateKey::generate()?;
    theirs(PUBLIC_MODE_KEY, &key.to_pkcs8_pem()?)?;
    mine(&wechat.public_key_file, &key.public_key()?.to_pem())?;
    if platform::load(platform_dir)?.is_empty() {
        platform::add(platform_dir, &authority, now_ms)?;
    }

    let alipay = &merchant.alipay;
    let key = PrivateKey::generate()?;
    mine(&alipay.private_key_file, &key.to_pkcs8_pem()?)?;
    mine(&alipay.public_key_file, &key.public_key()?.to_pem())?;
    mine(&alipay.app_certificate_file, &authority.certify(&alipay.app_id, &key, now_ms)?)?;
    let key = PrivateKey::generate()?;
    theirs(ALIPAY_KEY, &key.to_pkcs8_pem()?)?;
    mine(&alipay.alipay_public_key_file, &key.public_key()?.to_pem())?;
    mine(&alipay.alipay_certificate_file, &authority.certify("Alipay sandbox", &key, now_ms)?)?;
    mine(&alipay.alipay_root_certificate_file, &authority.certificate()?)?;
    Ok(merchant)
}
