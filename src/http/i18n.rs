//! The shop's words in Chinese and English: one line for every business code.

use std::convert::Infallible;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures::future::{Ready, ready};

use super::trace::RequestContext;
use crate::domain::codes::Code;
use crate::domain::order::OrderStatus;

/// The caller's language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// Chinese, for all who do not say otherwise.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// Picks by `Accept-Language` (RFC 9110 §12.5.4): the highest `q` among `zh` and `en`, the earlier on a tie.
    #[must_use]
    pub fn from_accept(header: &str) -> Self {
        let mut best = (Self::Zh, 0.0_f32);
        for entry in header.split(',') {
            let (tag, parameters) = entry.split_once(';').unwrap_or((entry, ""));
            let quality = match parameters.trim().strip_prefix("q=") {
                Some(q) => q.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let lang = match primary {
                p if p.eq_ignore_ascii_case("zh") => Self::Zh,
                p if p.eq_ignore_ascii_case("en") => Self::En,
                _ => continue,
            };
            if quality > best.1 {
                best = (lang, quality);
            }
        }
        best.0
    }
}

impl FromRequest for Lang {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(RequestContext::of(request).lang))
    }
}

/// A text in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    zh: &'static str,
    en: &'static str,
}

impl Words {
    /// In one of them.
    #[must_use]
    pub const fn text(self, lang: Lang) -> &'static str {
        match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        }
    }
}

/// Why a ledger that lies in the database is not written anew.
pub const LEDGER_DIFFERS: Words = Words {
    zh: "账目就在数据库里，没有可供重建的另一份；它与订单和库存表不一致，未作任何改动，请停机后核对（rushmall check）",
    en: "the ledger lies in the database itself, so nothing else is there to rebuild it from; it differs from orders and \
         stock, and nothing was changed: look into it (rushmall check)",
};

/// Why a command is not carried out that its actor's state does not fit; `data.state` names the state.
pub const WRONG_STATE: Words = Words {
    zh: "Actor 当前的状态不能执行此命令",
    en: "the actor is not in a state that this command fits",
};

/// The text of an order's status (`status_text`).
#[must_use]
pub const fn status_text(status: OrderStatus, lang: Lang) -> &'static str {
    let (zh, en) = match status {
        OrderStatus::Processing => ("处理中", "processing"),
        OrderStatus::PendingPayment => ("待支付", "unpaid"),
        OrderStatus::Paid => ("已支付", "paid"),
        OrderStatus::Shipped => ("已发货", "shipped"),
        OrderStatus::Completed => ("已完成", "completed"),
        OrderStatus::Cancelled => ("已取消", "cancelled"),
        OrderStatus::Refunding => ("退款中", "refunding"),
        OrderStatus::Refunded => ("已退款", "refunded"),
        OrderStatus::Failed => ("下单失败", "failed"),
        OrderStatus::Closing => ("关闭中", "closing"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The text of a code.
#[must_use]
pub fn text(code: Code, lang: Lang) -> &'static str {
    let (zh, en) = texts(code).unwrap_or(("系统错误", "system error"));
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

fn texts(code: Code) -> Option<(&'static str, &'static str)> {
    match code.0 {
        0..10_000 => system(code),
        10_000..20_000 => user(code),
        20_000..30_000 => product(code),
        30_000..40_000 => order(code),
        40_000..50_000 => payment(code),
        50_000..60_000 => cart(code),
        60_000..70_000 => seckill(code),
        _ => upload(code),
    }
}

fn system(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::OK => ("成功", "success"),
        Code::BAD_REQUEST => ("请求参数错误", "the request could not be read"),
        Code::UNAUTHORIZED => ("请先登录", "sign-in needed"),
        Code::FORBIDDEN => ("没有访问权限", "not allowed"),
        Code::NOT_FOUND => ("资源不存在", "not found"),
        Code::METHOD_NOT_ALLOWED => ("不支持的请求方法", "method not allowed"),
        Code::CONFLICT => ("相同请求正在处理中，请稍后再试", "the same request is still running"),
        Code::PAYLOAD_TOO_LARGE => ("请求内容过大", "the request is too large"),
        Code::UNSUPPORTED_MEDIA_TYPE => ("不支持的内容类型", "unsupported content type"),
        Code::UNPROCESSABLE => ("幂等键已用于另一个请求", "the idempotency key was used for another request"),
        Code::TOO_MANY_REQUESTS => ("请求过于频繁，请稍后再试", "too many requests, try again later"),
        Code::INTERNAL => ("服务器内部错误", "internal error"),
        Code::UNAVAILABLE => ("服务暂时不可用，请稍后再试", "service unavailable, try again later"),
        _ => return None,
    })
}

fn user(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::USER_NOT_FOUND => ("用户不存在", "user not found"),
        Code::USER_EXISTS => ("用户已存在", "user exists already"),
        Code::USER_DISABLED => ("用户已被禁用", "user is disabled"),
        Code::WRONG_CREDENTIALS => ("用户名或密码错误", "wrong name or password"),
        Code::TOKEN_EXPIRED => ("登录已过期，请重新登录", "the token has expired"),
        Code::TOKEN_INVALID => ("登录凭证无效，请重新登录", "the token is not valid"),
        Code::NO_PERMISSION => ("没有操作权限", "no permission"),
        Code::SIGN_IN_NEEDED => ("请先登录", "sign-in needed"),
        Code::USER_PARAMETER => ("用户参数错误", "invalid user parameter"),
        Code::NOT_ADMINISTRATOR => ("需要管理员权限", "administrators only"),
        _ => return None,
    })
}

fn product(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::PRODUCT_NOT_FOUND => ("商品不存在", "product not found"),
        Code::PRODUCT_OFF_SHELF => ("商品已下架", "product is off the shelf"),
        Code::PRODUCT_STOCK_SHORT => ("商品库存不足", "not enough stock"),
        Code::PRODUCT_CATEGORY => ("商品分类错误", "unknown or used category"),
        Code::PRODUCT_PARAMETER => ("商品参数错误", "invalid product parameter"),
        Code::PRODUCT_CREATE => ("商品创建失败", "product could not be created"),
        Code::PRODUCT_UPDATE => ("商品更新失败", "product could not be updated"),
        Code::PRODUCT_DELETE => ("商品删除失败", "product could not be deleted"),
        Code::PRODUCT_STATUS => ("商品状态错误", "wrong product status"),
        _ => return None,
    })
}

fn order(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::ORDER_NOT_FOUND => ("订单不存在", "order not found"),
        Code::ORDER_CREATE => ("订单创建失败", "order could not be created"),
        Code::ORDER_STATE => ("订单状态不允许此操作", "not possible in this state of the order"),
        Code::ORDER_PAY => ("订单支付失败", "order could not be paid"),
        Code::ORDER_CANCEL => ("订单无法取消", "order cannot be cancelled"),
        Code::ORDER_EXPIRED => ("订单已超过支付时限", "the time to pay is over"),
        Code::ORDER_ALREADY_PAID => ("订单已支付", "order is already paid"),
        Code::ORDER_NOT_PAID => ("订单未支付", "order is not paid"),
        Code::ORDER_PARAMETER => ("订单参数错误", "invalid order parameter"),
        Code::ORDER_PAY_METHOD => ("不支持的支付方式", "unknown pay method"),
        _ => return None,
    })
}

fn payment(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::PAYMENT_CREATE => ("支付创建失败", "payment could not be created"),
        Code::PAYMENT_AMOUNT => ("支付金额错误", "wrong amount"),
        Code::PAYMENT_TIMEOUT => ("支付超时", "payment timed out"),
        Code::PAYMENT_CANCELLED => ("支付已取消", "payment was cancelled"),
        Code::PAYMENT_REFUND => ("退款失败", "refund refused"),
        Code::PAYMENT_QUERY => ("支付查询失败", "payment could not be queried"),
        Code::PAYMENT_SIGNATURE => ("支付签名错误", "wrong payment signature"),
        Code::PAYMENT_CHANNEL => ("支付渠道不可用", "pay channel not available"),
        Code::PAYMENT_PARAMETER => ("支付参数错误", "invalid payment parameter"),
        Code::PAYMENT_NOT_FOUND => ("支付记录不存在", "payment not found"),
        _ => return None,
    })
}

fn cart(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::CART_EMPTY => ("购物车为空", "the cart is empty"),
        Code::CART_ITEM_MISSING => ("购物车中没有该商品", "no such item in the cart"),
        Code::CART_ADD => ("加入购物车失败", "item could not be added"),
        Code::CART_UPDATE => ("购物车更新失败", "cart could not be updated"),
        Code::CART_REMOVE => ("购物车删除失败", "item could not be removed"),
        Code::CART_CLEAR => ("购物车清空失败", "cart could not be cleared"),
        Code::CART_STOCK_SHORT => ("商品库存不足", "not enough stock"),
        Code::CART_PARAMETER => ("购物车参数错误", "invalid cart parameter"),
        Code::CART_OFF_SHELF => ("商品已下架", "product is off the shelf"),
        Code::CART_PRODUCT_MISSING => ("商品不存在", "product not found"),
        _ => return None,
    })
}

fn seckill(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::SECKILL_NOT_STARTED => ("秒杀尚未开始", "the sale has not started"),
        Code::SECKILL_ENDED => ("秒杀已结束", "the sale has ended"),
        Code::SECKILL_SOLD_OUT => ("商品已售罄", "sold out"),
        Code::SECKILL_ALREADY_BOUGHT => ("您已参与过该秒杀", "already bought in this sale"),
        Code::SECKILL_FAILED => ("秒杀失败", "the claim failed"),
        Code::SECKILL_PARAMETER => ("秒杀参数错误", "invalid sale parameter"),
        Code::SECKILL_LIMIT => ("超出每人限购数量", "over the limit per buyer"),
        Code::SECKILL_NOT_FOUND => ("秒杀活动不存在", "no such sale"),
        Code::SECKILL_NOT_RUNNING => ("秒杀活动未在进行", "the sale is not running"),
        Code::SECKILL_TOO_FREQUENT => ("操作过于频繁，请稍后再试", "too frequent, try again later"),
        Code::SECKILL_BUSY => ("系统繁忙，请稍后再试", "busy, try again later"),
        Code::SECKILL_WAITING => ("排队中，请等待轮到您", "in the queue, wait for your turn"),
        _ => return None,
    })
}

fn upload(code: Code) -> Option<(&'static str, &'static str)> {
    Some(match code {
        Code::UPLOAD_EMPTY => ("上传文件为空", "the file is empty"),
        Code::UPLOAD_TOO_LARGE => ("上传文件过大", "the file is too large"),
        Code::UPLOAD_TYPE => ("不支持的文件类型", "unsupported file type"),
        Code::UPLOAD_SAVE => ("文件保存失败", "the file could not be saved"),
        Code::UPLOAD_NOT_FOUND => ("文件不存在", "file not found"),
        Code::UPLOAD_DELETE => ("文件删除失败", "the file could not be deleted"),
        Code::UPLOAD_TOO_MANY => ("上传文件过多", "too many files"),
        Code::UPLOAD_PARAMETER => ("上传参数错误", "invalid upload parameter"),
        Code::UPLOAD_SERVER => ("文件服务错误", "file service failed"),
        Code::UPLOAD_NOT_ALLOWED => ("不允许上传", "upload not allowed"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::Problem;

    fn is_chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    #[test]
    fn every_code_has_a_text_in_both_languages() {
        for code in Code::ALL {
            let (zh, en) = texts(*code).unwrap_or_else(|| panic!("code {} has no text", code.0));
            assert!(is_chinese(zh), "{}", code.0);
            assert!(!en.is_empty() && en.is_ascii(), "{}", code.0);
        }
    }

    #[test]
    fn every_field_problem_has_a_text_in_both_languages() {
        for problem in [
            Problem::Missing,
            Problem::NotInRange { min: 1, max: 9 },
            Problem::NotInRange { min: 1, max: i64::MAX },
            Problem::Length { min: 1, max: 9 },
            Problem::NotText,
            Problem::ControlCharacters,
            Problem::NotBoolean,
            Problem::NotMoney,
            Problem::TooManyDecimals,
            Problem::NotTime,
            Problem::NotOrderNo,
            Problem::NotList { max: 9 },
            Problem::Unknown,
            Problem::NotJson,
            Problem::Malformed,
            Problem::NotOneOf("1, 2"),
        ] {
            assert!(is_chinese(&problem.text(Lang::Zh)), "{problem:?}");
            assert!(problem.text(Lang::En).is_ascii(), "{problem:?}");
        }
    }

    #[test]
    fn the_language_with_the_highest_quality_is_chosen() {
        for (header, lang) in [
            ("", Lang::Zh),
            ("fr", Lang::Zh),
            ("en", Lang::En),
            ("EN-us,zh;q=0.9", Lang::En),
            ("en;q=0.5, zh-CN;q=0.8", Lang::Zh),
            ("en;q=0", Lang::Zh),
            ("zh,en", Lang::Zh),
            ("de, en;q=0.3", Lang::En),
        ] {
            assert_eq!(Lang::from_accept(header), lang, "{header}");
        }
    }
}
