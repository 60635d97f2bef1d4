//! A request of Alipay that was verified: its method, its content, and how it was signed.

use actix_web::{HttpRequest, web};
use serde_json::Value;

use super::answer::Problem;
use crate::domain::Money;
use crate::payment::alipay::signing::{Params, read_form, verify_request};
use crate::payment::sandbox::state::Sandbox;
use crate::payment::times;

/// See the file's header.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) params: Params,
    pub(super) content: Value,
}

/// Parameters of query and form: SDKs spread them over both in their own ways.
pub(super) fn params(request: &HttpRequest, body: &web::Bytes) -> Result<Params, Problem> {
    let unreadable = |_| Problem::of_gateway("isv.invalid-parameter", "the form cannot be read");
    let mut params = read_form(request.query_string().as_bytes()).map_err(unreadable)?;
    for (name, value) in read_form(body).map_err(unreadable)? {
        if params.get(&name).is_some_and(|given| *given != value) {
            return Err(Problem::of_gateway("isv.invalid-parameter", format!("{name} is given twice")));
        }
        params.insert(name, value);
    }
    Ok(params)
}

impl Call {
    /// Verifies a request and reads it.
    pub(super) fn read(sandbox: &Sandbox, params: Params) -> Result<Self, Problem> {
        let of = |name: &str| params.get(name).map_or("", String::as_str);
        if of("app_id") != sandbox.merchant().alipay.app_id {
            return Err(Problem::of_gateway("isv.invalid-app-id", "无效的AppID参数 (unknown app_id)"));
        }
        if of("sign_type") != "RSA2" {
            return Err(Problem::of_gateway("isv.invalid-signature-type", "无效的签名类型 (RSA2 only)"));
        }
        if !of("charset").eq_ignore_ascii_case("utf-8") {
            return Err(Problem::of_gateway("isv.invalid-charset", "字符集错误 (utf-8 only)"));
        }
        if of("version") != "1.0" || !matches!(of("format"), "" | "JSON" | "json") {
            return Err(Problem::of_gateway("isv.invalid-version", "version is 1.0 and format JSON"));
        }
        if times::from_spaced(of("timestamp")).is_none() {
            return Err(Problem::of_gateway("isv.invalid-timestamp", "非法的时间戳参数 (timestamp)"));
        }
        let alipay = &sandbox.keys.alipay;
        if let Some(number) = params.get("app_cert_sn").filter(|number| **number != alipay.app_cert_sn) {
            return Err(Problem::of_gateway("isv.invalid-app-cert-sn", format!("unknown app_cert_sn {number}")));
        }
        if params.get("alipay_root_cert_sn").is_some_and(|number| *number != alipay.root_cert_sn) {
            return Err(Problem::of_gateway("isv.invalid-alipay-root-cert-sn", "unknown alipay_root_cert_sn"));
        }
        verify_request(&params, &alipay.app)
            .map_err(|error| Problem::of_gateway("isv.invalid-signature", format!("验签出错 (signature): {error}")))?;
        let content = match of("biz_content") {
            "" => Value::Object(serde_json::Map::new()),
            text => serde_json::from_str(text)
                .map_err(|_| Problem::of_gateway("isv.invalid-parameter", "biz_content is not JSON"))?,
        };
        Ok(Self { method: of("method").to_owned(), params, content })
    }

    /// True if the merchant works with certificates: the answer names Alipay's.
    pub(super) fn names_certificates(params: &Params) -> bool {
        params.contains_key("app_cert_sn")
    }

    /// A member of the content that is there and not empty.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.content.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The same, refused without it.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::missing(name))
    }

    /// An amount in yuan, as text or number; fen.
    pub(super) fn amount(&self, name: &str) -> Result<i64, Problem> {
        let text = match self.content.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(Problem::missing(name)),
        };
        text.parse::<Money>().map(Money::fen).map_err(|_| Problem::invalid(name))
    }

    /// A public parameter; empty if it is missing.
    pub(super) fn public(&self, name: &str) -> String {
        self.params.get(name).cloned().unwrap_or_default()
    }
}
