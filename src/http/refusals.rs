//! What actors and stores refuse, as codes of the HTTP contract. The HTTP status follows in `error.rs`.

use super::error::ApiError;
use super::times::Time;
use crate::actors::checkout::OrderRejection;
use crate::actors::inventory::{MoveStockError, ReserveRefusal};
use crate::actors::kit::AskError;
use crate::actors::order_saga::SagaRejection;
use crate::actors::payments::PayRefusal;
use crate::actors::session::{BuyRejection, SessionRejection};
use crate::domain::codes::Code;
use crate::domain::order::{OrderStatus, Rejection};
use crate::domain::stock::ClaimRejection;
use crate::payment::{Action, PaymentError};
use crate::persistence::sales::SaleRefusal;
use crate::persistence::stock_moves::MoveRefusal;

/// When an actor that was just restarted is worth another try.
const RETRY_AFTER_DEATH_MS: u64 = 1_000;
const RETRY_AFTER_QUARANTINE_MS: u64 = 30_000;

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Busy { retry_after_ms } => Self::from(Code::SECKILL_BUSY).retry_after_ms(retry_after_ms),
            AskError::Quarantined { .. } => {
                let refusal = Self::from(Code::UNAVAILABLE).with("reason", "quarantined");
                refusal.retry_after_ms(RETRY_AFTER_QUARANTINE_MS)
            }
            AskError::Died | AskError::TimedOut | AskError::StartFailed { .. } | AskError::Stopped => {
                tracing::warn!(%error, "an actor did not answer");
                Self::from(Code::UNAVAILABLE).retry_after_ms(RETRY_AFTER_DEATH_MS)
            }
        }
    }
}

impl From<SessionRejection> for ApiError {
    fn from(rejection: SessionRejection) -> Self {
        match rejection {
            SessionRejection::Revoked => Code::TOKEN_INVALID.into(),
            SessionRejection::Disabled => Code::USER_DISABLED.into(),
        }
    }
}

impl From<BuyRejection> for ApiError {
    fn from(rejection: BuyRejection) -> Self {
        match rejection {
            BuyRejection::TooFrequent { retry_after_ms } => {
                Self::from(Code::SECKILL_TOO_FREQUENT).retry_after_ms(retry_after_ms)
            }
            BuyRejection::Claim(rejection) => in_sale(rejection),
            BuyRejection::OffShelf => Code::PRODUCT_OFF_SHELF.into(),
            BuyRejection::NoProduct => Code::PRODUCT_NOT_FOUND.into(),
            BuyRejection::TotalTooLarge => Self::from(Code::SECKILL_PARAMETER).with("reason", "total too large"),
            BuyRejection::NotNow(error) => error.into(),
            BuyRejection::OutcomeUnknown { order_no } => {
                Self::from(Code::SECKILL_BUSY).with("order_no", order_no.to_string())
            }
        }
    }
}

fn in_sale(rejection: ClaimRejection) -> ApiError {
    match rejection {
        ClaimRejection::PoolNotFound => Code::SECKILL_NOT_FOUND.into(),
        ClaimRejection::NotStarted { opens_at_ms } => {
            ApiError::from(Code::SECKILL_NOT_STARTED).with("start_at", Time(opens_at_ms).to_string())
        }
        ClaimRejection::Ended => Code::SECKILL_ENDED.into(),
        ClaimRejection::AlreadyBought { order_no } => {
            ApiError::from(Code::SECKILL_ALREADY_BOUGHT).with("order_no", order_no.to_string())
        }
        ClaimRejection::OverLimit { units_per_buyer_max } => {
            ApiError::from(Code::SECKILL_LIMIT).with("per_user_limit", units_per_buyer_max)
        }
        ClaimRejection::SoldOut => Code::SECKILL_SOLD_OUT.into(),
        ClaimRejection::StockShort { units_left } => ApiError::from(Code::SECKILL_SOLD_OUT).with("stock", units_left),
        ClaimRejection::Withdrawn => ApiError::from(Code::SECKILL_BUSY).spent(),
    }
}

impl From<OrderRejection> for ApiError {
    fn from(rejection: OrderRejection) -> Self {
        match rejection {
            OrderRejection::Line { product, refusal } => from_shelf(refusal).with("product_id", product.0),
            OrderRejection::CartGone => Code::CART_EMPTY.into(),
            OrderRejection::NotNow(error) => error.into(),
            OrderRejection::Withdrawn => Self::from(Code::UNAVAILABLE).spent(),
            OrderRejection::OutcomeUnknown => Code::UNAVAILABLE.into(),
            OrderRejection::Store(error) => error.into(),
        }
    }
}

/// Outside a sale.
fn from_shelf(refusal: ReserveRefusal) -> ApiError {
    match refusal {
        ReserveRefusal::NoProduct => Code::PRODUCT_NOT_FOUND.into(),
        ReserveRefusal::OffShelf => Code::PRODUCT_OFF_SHELF.into(),
        ReserveRefusal::TotalTooLarge => ApiError::from(Code::ORDER_PARAMETER).with("reason", "total too large"),
        ReserveRefusal::OutcomeUnknown | ReserveRefusal::NotSafe => Code::UNAVAILABLE.into(),
        ReserveRefusal::Overloaded { retry_after_ms } => AskError::Busy { retry_after_ms }.into(),
        ReserveRefusal::Rejected(ClaimRejection::SoldOut | ClaimRejection::PoolNotFound) => {
            ApiError::from(Code::PRODUCT_STOCK_SHORT).with("stock", 0)
        }
        ReserveRefusal::Rejected(ClaimRejection::StockShort { units_left }) => {
            ApiError::from(Code::PRODUCT_STOCK_SHORT).with("stock", units_left)
        }
        ReserveRefusal::Rejected(ClaimRejection::Withdrawn) => ApiError::from(Code::UNAVAILABLE).spent(),
        ReserveRefusal::Rejected(other) => in_sale(other),
    }
}

/// What was wanted of an order: the same state is refused with different codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Money in.
    Pay,
    /// End it.
    Cancel,
    /// Hand to the carrier, or confirm receipt.
    Deliver,
    /// Money back.
    Refund,
}

/// The saga's refusal of `wish`.
#[must_use]
pub fn of_saga(wish: Wish, rejection: SagaRejection) -> ApiError {
    match rejection {
        SagaRejection::NotFound => Code::ORDER_NOT_FOUND.into(),
        SagaRejection::Rule(rejection) => of_rule(wish, rejection),
        SagaRejection::Contended => Code::UNAVAILABLE.into(),
        SagaRejection::Store(error) => error.into(),
    }
}

/// The payment desk's refusal of `wish`.
#[must_use]
pub fn of_payment(wish: Wish, refusal: PayRefusal) -> ApiError {
    match refusal {
        PayRefusal::NoGateway => Code::PAYMENT_CHANNEL.into(),
        PayRefusal::Saga(rejection) => of_saga(wish, rejection),
        PayRefusal::NotNow(error) => error.into(),
        PayRefusal::Store(error) => error.into(),
        PayRefusal::Gateway(error) => of_gateway(&error),
    }
}

/// What may help the buyer: to wait, to ask what became of it, or nothing.
fn of_gateway(error: &PaymentError) -> ApiError {
    match (error, error.action()) {
        (PaymentError::HeldBack { retry_after_ms }, _) => {
            ApiError::from(Code::UNAVAILABLE).retry_after_ms(*retry_after_ms)
        }
        (_, Action::Ask) => ApiError::from(Code::PAYMENT_TIMEOUT).retry_after_ms(RETRY_AFTER_DEATH_MS),
        (_, Action::BackOff) => ApiError::from(Code::UNAVAILABLE).retry_after_ms(RETRY_AFTER_DEATH_MS),
        (_, Action::AlreadyPaid) => Code::ORDER_ALREADY_PAID.into(),
        (_, Action::NotFound) => Code::PAYMENT_NOT_FOUND.into(),
        (PaymentError::Unacceptable(what), _) => ApiError::from(Code::PAYMENT_PARAMETER).with("reason", *what),
        (_, Action::Closed | Action::Permanent | Action::ShortOfFunds | Action::Configuration) => {
            Code::PAYMENT_CREATE.into()
        }
    }
}

fn of_rule(wish: Wish, rejection: Rejection) -> ApiError {
    match rejection {
        Rejection::AlreadyPaid => Code::ORDER_ALREADY_PAID.into(),
        Rejection::DeadlinePassed => Code::ORDER_EXPIRED.into(),
        Rejection::PaymentInProgress { attempt } => ApiError::from(Code::ORDER_PAY).with("attempt", attempt),
        Rejection::TooMany => if wish == Wish::Refund { Code::PAYMENT_REFUND } else { Code::ORDER_PAY }.into(),
        Rejection::RefundTooLarge { left } => ApiError::from(Code::PAYMENT_REFUND).with("refundable_fee", left.fen()),
        Rejection::Unknown => Code::PAYMENT_NOT_FOUND.into(),
        Rejection::WrongState(status) => of_state(wish, status).with("status", status.code()),
    }
}

fn of_state(wish: Wish, status: OrderStatus) -> ApiError {
    let is_unpaid = matches!(status, OrderStatus::Processing | OrderStatus::PendingPayment | OrderStatus::Closing);
    match wish {
        Wish::Cancel => Code::ORDER_CANCEL.into(),
        Wish::Deliver | Wish::Refund if is_unpaid => Code::ORDER_NOT_PAID.into(),
        Wish::Refund => Code::PAYMENT_REFUND.into(),
        Wish::Pay | Wish::Deliver => Code::ORDER_STATE.into(),
    }
}

impl From<MoveStockError> for ApiError {
    fn from(error: MoveStockError) -> Self {
        match error {
            MoveStockError::Store(error) => error.into(),
            MoveStockError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<MoveRefusal> for ApiError {
    fn from(refusal: MoveRefusal) -> Self {
        match refusal {
            MoveRefusal::Short { units_left } => Self::from(Code::PRODUCT_STOCK_SHORT).with("stock", units_left),
            MoveRefusal::NoSuchSale => Code::SECKILL_NOT_FOUND.into(),
            MoveRefusal::SaleClosed => Code::SECKILL_ENDED.into(),
            MoveRefusal::OutOfRange => Code::PRODUCT_PARAMETER.into(),
        }
    }
}

impl From<SaleRefusal> for ApiError {
    fn from(refusal: SaleRefusal) -> Self {
        match refusal {
            SaleRefusal::Overlaps { other } => {
                Self::from(Code::SECKILL_PARAMETER).with("reason", "overlaps").with("sale_id", other.0)
            }
            SaleRefusal::NotFound => Code::SECKILL_NOT_FOUND.into(),
            SaleRefusal::Closed => Code::SECKILL_ENDED.into(),
        }
    }
}
