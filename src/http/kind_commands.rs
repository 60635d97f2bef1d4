//! What an administrator can do to one kind of actor only. Each goes the way of the endpoint that does the same.
//!
//! | kind | key | commands |
//! |---|---|---|
//! | `inventory` | product | `restock`, `close-sale`, `rebuild`, `set-sold-out`, `clear-sold-out` |
//! | `session` | user | `tokens`, `revoke`, `disconnect` |
//! | `order_saga` | order number | `journal`, `retry`, `cancel`, `refund`, `resync`, `clear-review` |
//!
//! A move of units has the turn's number for its identity, so a repeat under the same `Idempotency-Key` goes on with it.

use serde_json::{Value, json};

use super::actor_commands::{Asked, CommandParams, NodeResult};
use super::auth::Caller;
use super::error::ApiError;
use super::extract::from_path;
use super::fields::{FieldError, Problem};
use super::i18n::{LEDGER_DIFFERS, Lang};
use super::idempotent::Turn;
use super::order_reads::{self, Viewer};
use super::orders::drive;
use super::refusals::{Wish, of_payment};
use super::sessions::SessionView;
use super::state::AppState;
use super::times::Time;
use crate::actors::control::ActorCommand;
use crate::actors::order_saga::Party;
use crate::actors::peers::NodeMessage;
use crate::domain::codes::Code;
use crate::domain::order::{CancelReason, Command, PayChannel, RefundAsker};
use crate::domain::stock::POOL_UNITS_MAX;
use crate::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use crate::persistence::drift::{self, Verdict};
use crate::persistence::stock_moves::StockPlan;
use crate::persistence::{effects, journal, products, sales, sessions, sold_out, users};

/// Differences that a refusal names.
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Carries a kind's own command out.
///
/// # Errors
/// `NOT_FOUND` for a word that the kind does not know, and what the command refuses.
pub async fn run(state: &AppState, admin: &Caller, lang: Lang, turn: &Turn, asked: &Asked) -> Result<Value, ApiError> {
    let Asked { kind, key, word, params } = asked;
    match kind.as_str() {
        "inventory" => {
            let product = ProductId(from_path(key, Code::PRODUCT_NOT_FOUND)?);
            inventory(state, admin, turn, product, word, params).await
        }
        "session" => {
            let user = BuyerId(from_path(key, Code::USER_NOT_FOUND)?);
            session(state, user, word, params).await
        }
        "order_saga" => {
            let order_no: OrderNo = from_path(key, Code::ORDER_NOT_FOUND)?;
            order(state, lang, turn, order_no, word, params).await
        }
        _ => Err(Code::NOT_FOUND.into()),
    }
}

async fn inventory(
    state: &AppState,
    admin: &Caller,
    turn: &Turn,
    product: ProductId,
    word: &str,
    params: &CommandParams,
) -> Result<Value, ApiError> {
    products::card(&state.db, product).await?.ok_or(ApiError::from(Code::PRODUCT_NOT_FOUND))?;
    let plan = match word {
        "restock" => restock(params)?,
        "close-sale" => StockPlan::CloseSale { sale: sale_to_close(state, product, params).await? },
        "rebuild" => return rebuild(state, product).await,
        "set-sold-out" => {
            sold_out::set(&state.db, product, state.clock.now_ms()).await?;
            state.shop.announce(NodeMessage::InventoryChanged { product }).await;
            return units(state, product).await;
        }
        "clear-sold-out" => {
            sold_out::clear(&state.db, product).await?;
            state.shop.announce(NodeMessage::InventoryChanged { product }).await;
            return units(state, product).await;
        }
        _ => return Err(Code::NOT_FOUND.into()),
    };
    let moved = state.end_move_by(admin, &params.reason, turn.order_no()?.to_string(), (product, plan)).await?;
    let mut shown = units(state, product).await?;
    shown["units_moved"] = json!(moved.units);
    Ok(shown)
}

fn restock(params: &CommandParams) -> Result<StockPlan, ApiError> {
    let missing = || {
        let problem = Problem::NotInRange { min: -POOL_UNITS_MAX, max: POOL_UNITS_MAX };
        ApiError::fields(Code::PRODUCT_PARAMETER, vec![FieldError::new("units", problem)])
    };
    Ok(match (params.units.filter(|units| *units != 0).ok_or_else(missing)?, params.sale_id) {
        (units, Some(sale)) => StockPlan::RestockSale { sale: SaleId(sale), units },
        (units, None) if units > 0 => StockPlan::PutIn { units },
        (units, None) => StockPlan::TakeOut { units: -units },
    })
}

/// The sale that is named, or the only one that is not closed.
async fn sale_to_close(state: &AppState, product: ProductId, params: &CommandParams) -> Result<SaleId, ApiError> {
    let known = sales::of_product(&state.db, product).await?;
    if let Some(wanted) = params.sale_id.map(SaleId) {
        let is_known = known.iter().any(|known| known.sale.terms.sale == wanted);
        return if is_known { Ok(wanted) } else { Err(Code::SECKILL_NOT_FOUND.into()) };
    }
    let mut open = known.iter().map(|known| known.sale.terms).filter(|terms| !terms.closed);
    match (open.next(), open.next()) {
        (Some(only), None) => Ok(only.sale),
        (None, _) => Err(Code::SECKILL_NOT_FOUND.into()),
        (Some(_), Some(_)) => {
            Err(ApiError::fields(Code::SECKILL_PARAMETER, vec![FieldError::new("sale_id", Problem::Missing)]))
        }
    }
}

/// Has the ledger's account written anew from the database: nobody can claim until it is, and whoever asks next waits for
/// tickets on their way. A ledger that lies in the database cannot be suspended, and claims that it takes between the read and
/// the write would be sold once more: it is compared with orders and stock instead, and nothing is written.
async fn rebuild(state: &AppState, product: ProductId) -> Result<Value, ApiError> {
    let ledger = &state.shop.ledger;
    let mut compared = None;
    if ledger.is_shared() {
        ledger.suspend(product).await?;
        ledger.snapshot(product).await?;
    } else {
        compared = Some(compared_rows(state, product).await?);
    }
    state.shop.announce(NodeMessage::InventoryChanged { product }).await;
    let mut shown = units(state, product).await?;
    if let Some(rows) = compared {
        shown["agrees"] = json!(rows.map(|_| true));
        shown["compared"] = json!(rows.unwrap_or(0));
    }
    Ok(shown)
}

/// How many pools and buyers' accounts were compared, all of which agree; `None` if buyers were too busy to tell.
async fn compared_rows(state: &AppState, product: ProductId) -> Result<Option<u64>, ApiError> {
    match drift::look_for_a_while(&state.db, &*state.shop.ledger, product, &state.clock).await? {
        Verdict::Agrees { rows } => Ok(Some(rows)),
        Verdict::Moving => Ok(None),
        Verdict::Lost => Err(Code::UNAVAILABLE.into()),
        Verdict::Differs { told } => {
            tracing::error!(%product, differences = told.len(), "the ledger differs from orders and stock");
            let shown: Vec<String> = told.into_iter().take(DIFFERENCES_SHOWN_MAX).collect();
            Err(ApiError::from(Code::CONFLICT).saying(LEDGER_DIFFERS).with("differences", shown))
        }
    }
}

/// Units by pool, as the ledger has them, and since when an administrator has them refused as sold out.
async fn units(state: &AppState, product: ProductId) -> Result<Value, ApiError> {
    let pools = state.shop.ledger.snapshot(product).await?.pools;
    let shown = pools.iter().map(|pool| {
        let sale_id = pool.terms.map(|terms| terms.sale);
        json!({"pool": pool.pool, "sale_id": sale_id, "free": pool.free, "unsettled": pool.unsettled, "epoch": pool.epoch})
    });
    let flagged_since = sold_out::since(&state.db, product).await?.map(Time);
    Ok(json!({"product_id": product, "pools": shown.collect::<Vec<_>>(), "sold_out_since": flagged_since}))
}

async fn session(state: &AppState, user: BuyerId, word: &str, params: &CommandParams) -> Result<Value, ApiError> {
    users::find(&state.db, user).await?.ok_or(ApiError::from(Code::USER_NOT_FOUND))?;
    let now_ms = state.clock.now_ms();
    match word {
        "tokens" => {}
        "revoke" => {
            match &params.sid {
                Some(sid) if !sessions::revoke(&state.db, user, sid, now_ms).await? => {
                    return Err(Code::NOT_FOUND.into());
                }
                Some(_) => {}
                None => sessions::revoke_all(&state.db, user, now_ms).await?,
            }
            state.sessions_changed(user).await;
        }
        "disconnect" => {
            let answers = state.shop.ask_nodes(ActorCommand::Disconnect { user }).await;
            return Ok(json!(answers.into_iter().map(NodeResult::from).collect::<Vec<_>>()));
        }
        _ => return Err(Code::NOT_FOUND.into()),
    }
    let live = sessions::list(&state.db, user, now_ms).await?;
    Ok(json!(live.into_iter().map(|session| SessionView::of(session, "")).collect::<Vec<_>>()))
}

async fn order(
    state: &AppState,
    lang: Lang,
    turn: &Turn,
    order_no: OrderNo,
    word: &str,
    params: &CommandParams,
) -> Result<Value, ApiError> {
    match word {
        "journal" => return journal_of(state, order_no).await,
        "retry" => {
            let due = effects::hurry(&state.db, order_no, state.clock.now_ms()).await?;
            let mut shown = journal_of(state, order_no).await?;
            shown["retried"] = json!(due);
            return Ok(shown);
        }
        "resync" => resync(state, order_no).await?,
        _ => {
            let wish = meant(state, order_no, word, params, turn.order_no()?).await?;
            drive(state, Party::Administrator, order_no, wish).await?;
        }
    }
    Ok(json!(order_reads::order(state, Viewer::Administrator, order_no, lang).await?))
}

/// Every event with its place, whether the hashes fit, and what is owed to gateways and the ledger.
async fn journal_of(state: &AppState, order_no: OrderNo) -> Result<Value, ApiError> {
    let entries = journal::timeline(&state.db, order_no).await?;
    if entries.is_empty() {
        return Err(Code::ORDER_NOT_FOUND.into());
    }
    let verdict = journal::verify(&state.db, order_no).await?;
    let events = entries.iter().map(|entry| json!({"seq": entry.seq, "at": Time(entry.at_ms), "event": entry.event}));
    let owed = effects::of_order(&state.db, order_no).await?;
    let owed = owed.iter().map(|owed| {
        let (seq, attempts) = (owed.key.seq, owed.attempts);
        json!({"seq": seq, "effect": owed.effect, "attempts": attempts, "last_error": owed.last_error})
    });
    Ok(json!({
        "order_no": order_no, "intact": verdict.is_ok(), "broken_at": verdict.err(),
        "events": events.collect::<Vec<_>>(), "owed": owed.collect::<Vec<_>>(),
    }))
}

/// Asks the gateway of each channel that the order was to be paid through, and has what is owed to gateways done now.
async fn resync(state: &AppState, order_no: OrderNo) -> Result<(), ApiError> {
    let loaded = journal::load(&state.db, order_no).await?.ok_or(ApiError::from(Code::ORDER_NOT_FOUND))?;
    let mut channels: Vec<PayChannel> = Vec::new();
    for attempt in loaded.order.attempts.iter().filter(|attempt| attempt.terms.is_some()) {
        if !channels.contains(&attempt.channel) {
            channels.push(attempt.channel);
        }
    }
    if channels.is_empty() {
        return Err(Code::PAYMENT_NOT_FOUND.into());
    }
    for channel in channels {
        let looked = state.shop.desk.look(order_no, Party::Administrator, channel).await;
        looked.map_err(|refusal| of_payment(Wish::Pay, refusal))?;
    }
    effects::hurry(&state.db, order_no, state.clock.now_ms()).await?;
    Ok(())
}

/// `number` is the identity of a refund: under one key it stays the same, so a repeat asks for no second one.
async fn meant(
    state: &AppState,
    order_no: OrderNo,
    word: &str,
    wanted: &CommandParams,
    number: OrderNo,
) -> Result<(Wish, Command), ApiError> {
    Ok(match word {
        "cancel" => (Wish::Cancel, Command::Cancel { reason: CancelReason::Administrator }),
        "clear-review" if wanted.reason.trim().is_empty() => {
            return Err(ApiError::fields(Code::ORDER_PARAMETER, vec![FieldError::new("reason", Problem::Missing)]));
        }
        "clear-review" => (Wish::Deliver, Command::ClearReview { note: wanted.reason.clone() }),
        "refund" => {
            let amount = match wanted.refund_fee {
                Some(fen) => Money::from_fen(fen),
                None => left_to_refund(state, order_no).await?,
            };
            let (by, reason) = (RefundAsker::Administrator, wanted.reason.clone());
            (Wish::Refund, Command::RequestRefund { by, amount, reason, request: number.to_string() })
        }
        _ => return Err(Code::NOT_FOUND.into()),
    })
}

async fn left_to_refund(state: &AppState, order_no: OrderNo) -> Result<Money, ApiError> {
    let loaded = journal::load(&state.db, order_no).await?.ok_or(ApiError::from(Code::ORDER_NOT_FOUND))?;
    Ok(loaded.order.total.minus(loaded.order.refund_promised()))
}
