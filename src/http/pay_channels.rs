//! How a buyer can pay here: what a client offers on its pay page.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::server::SANDBOX;
use super::state::AppState;
use crate::domain::order::PayChannel;

/// The ways to pay.
#[derive(Debug, Serialize, ToSchema)]
pub struct PayChannels {
    /// Parts of the path in `/api/pay/{channel}/…`: `wechat`, `alipay`.
    pub channels: Vec<&'static str>,
    /// True if `POST /api/order/{order_no}/pay` captures at once and no money moves.
    pub simulated: bool,
    /// Where the sandbox gateway is mounted in this server; null if the gateways are real.
    pub sandbox: Option<&'static str>,
}

/// Which channels are switched on.
#[utoipa::path(get, path = "/api/pay/channels", tag = "payment",
    responses((status = 200, body = EnvelopeOf<PayChannels>)))]
pub async fn list_channels(state: web::Data<AppState>) -> ApiResult<PayChannels> {
    let is_on = |channel: PayChannel| state.shop.desk.notify_url(channel).is_some();
    let known = [(PayChannel::Wechat, "wechat"), (PayChannel::Alipay, "alipay")];
    ok(PayChannels {
        channels: known.into_iter().filter(|(channel, _)| is_on(*channel)).map(|(_, name)| name).collect(),
        simulated: state.settings.simulated_payment(),
        sandbox: state.settings.sandbox_payment().then_some(SANDBOX),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::shop;

    #[actix_rt::test]
    async fn a_shop_without_gateways_offers_none() {
        let shop = shop().await;
        let answer = shop.ask("", "GET", "/api/pay/channels", json!(null)).await;
        assert_eq!(answer.data()["channels"], json!([]));
        assert_eq!(answer.data()["simulated"], true);
    }
}
