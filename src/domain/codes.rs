//! The business codes of the HTTP contract (api.md), one table for Rust, JSON, docs and translations.
//!
//! A code is what old clients read; the HTTP status is chosen by `http/error.rs` alone.

/// A business code with its stable name, e.g. `SECKILL_SOLD_OUT` = 60003.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i32);

macro_rules! codes {
    // A table of constants and their list: written once so that neither can miss a row.
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*
            /// Every code, in the order of api.md.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    /// Success.
    OK = 0;
    /// The request could not be read.
    BAD_REQUEST = 400;
    /// No valid token.
    UNAUTHORIZED = 401;
    /// Not allowed.
    FORBIDDEN = 403;
    /// No such route or thing.
    NOT_FOUND = 404;
    /// Wrong method.
    METHOD_NOT_ALLOWED = 405;
    /// Conflicts with a request that is still running.
    CONFLICT = 409;
    /// Body too large.
    PAYLOAD_TOO_LARGE = 413;
    /// Wrong content type.
    UNSUPPORTED_MEDIA_TYPE = 415;
    /// The idempotency key was used for another request.
    UNPROCESSABLE = 422;
    /// Too many requests.
    TOO_MANY_REQUESTS = 429;
    /// A bug or a broken store.
    INTERNAL = 500;
    /// Busy, paused, quarantined or shutting down.
    UNAVAILABLE = 503;
    /// User not found.
    USER_NOT_FOUND = 10001;
    /// User exists.
    USER_EXISTS = 10002;
    /// User disabled.
    USER_DISABLED = 10003;
    /// Wrong name or password.
    WRONG_CREDENTIALS = 10004;
    /// Token expired.
    TOKEN_EXPIRED = 10005;
    /// Token invalid.
    TOKEN_INVALID = 10006;
    /// No permission.
    NO_PERMISSION = 10007;
    /// Sign-in needed.
    SIGN_IN_NEEDED = 10008;
    /// User parameter.
    USER_PARAMETER = 10009;
    /// Not an administrator.
    NOT_ADMINISTRATOR = 10010;
    /// Product not found.
    PRODUCT_NOT_FOUND = 20001;
    /// Product off the shelf.
    PRODUCT_OFF_SHELF = 20002;
    /// Product stock short.
    PRODUCT_STOCK_SHORT = 20003;
    /// Category unknown.
    PRODUCT_CATEGORY = 20005;
    /// Product parameter.
    PRODUCT_PARAMETER = 20006;
    /// Product not created.
    PRODUCT_CREATE = 20007;
    /// Product not updated.
    PRODUCT_UPDATE = 20008;
    /// Product not deleted.
    PRODUCT_DELETE = 20009;
    /// Product status.
    PRODUCT_STATUS = 20010;
    /// Order not found.
    ORDER_NOT_FOUND = 30001;
    /// Order not created.
    ORDER_CREATE = 30002;
    /// Order in the wrong state.
    ORDER_STATE = 30003;
    /// Order not paid for: payment refused.
    ORDER_PAY = 30004;
    /// Order cannot be cancelled.
    ORDER_CANCEL = 30005;
    /// Payment deadline passed.
    ORDER_EXPIRED = 30006;
    /// Order already paid.
    ORDER_ALREADY_PAID = 30007;
    /// Order not paid.
    ORDER_NOT_PAID = 30008;
    /// Order parameter.
    ORDER_PARAMETER = 30009;
    /// Unknown pay method.
    ORDER_PAY_METHOD = 30010;
    /// Payment not created.
    PAYMENT_CREATE = 40001;
    /// Payment amount.
    PAYMENT_AMOUNT = 40002;
    /// Payment timed out.
    PAYMENT_TIMEOUT = 40003;
    /// Payment cancelled.
    PAYMENT_CANCELLED = 40004;
    /// Refund refused.
    PAYMENT_REFUND = 40005;
    /// Payment query failed.
    PAYMENT_QUERY = 40006;
    /// Payment signature.
    PAYMENT_SIGNATURE = 40007;
    /// Payment channel not available.
    PAYMENT_CHANNEL = 40008;
    /// Payment parameter.
    PAYMENT_PARAMETER = 40009;
    /// Payment not found.
    PAYMENT_NOT_FOUND = 40010;
    /// Cart is empty.
    CART_EMPTY = 50001;
    /// Cart item missing.
    CART_ITEM_MISSING = 50002;
    /// Cart item not added.
    CART_ADD = 50003;
    /// Cart not updated.
    CART_UPDATE = 50004;
    /// Cart item not removed.
    CART_REMOVE = 50005;
    /// Cart not cleared.
    CART_CLEAR = 50006;
    /// Stock short for the cart.
    CART_STOCK_SHORT = 50007;
    /// Cart parameter.
    CART_PARAMETER = 50008;
    /// Cart product off the shelf.
    CART_OFF_SHELF = 50009;
    /// Cart product missing.
    CART_PRODUCT_MISSING = 50010;
    /// Sale not started.
    SECKILL_NOT_STARTED = 60001;
    /// Sale ended.
    SECKILL_ENDED = 60002;
    /// Sold out.
    SECKILL_SOLD_OUT = 60003;
    /// Already bought.
    SECKILL_ALREADY_BOUGHT = 60004;
    /// Claim failed.
    SECKILL_FAILED = 60005;
    /// Sale parameter.
    SECKILL_PARAMETER = 60006;
    /// Over the sale's limit.
    SECKILL_LIMIT = 60007;
    /// No such sale.
    SECKILL_NOT_FOUND = 60008;
    /// Sale not running.
    SECKILL_NOT_RUNNING = 60009;
    /// Too frequent.
    SECKILL_TOO_FREQUENT = 60010;
    /// Busy.
    SECKILL_BUSY = 60011;
    /// His turn is still to come.
    SECKILL_WAITING = 60012;
    /// Upload empty.
    UPLOAD_EMPTY = 70001;
    /// Upload too large.
    UPLOAD_TOO_LARGE = 70002;
    /// Upload type.
    UPLOAD_TYPE = 70003;
    /// Upload not saved.
    UPLOAD_SAVE = 70004;
    /// Upload not found.
    UPLOAD_NOT_FOUND = 70005;
    /// Upload not deleted.
    UPLOAD_DELETE = 70006;
    /// Too many uploads.
    UPLOAD_TOO_MANY = 70007;
    /// Upload parameter.
    UPLOAD_PARAMETER = 70008;
    /// Upload server.
    UPLOAD_SERVER = 70009;
    /// Upload not allowed.
    UPLOAD_NOT_ALLOWED = 70010;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_used_twice_and_the_list_ascends() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
