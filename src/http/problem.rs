//! What can be wrong with a field, in both languages.

use std::borrow::Cow;

use serde_json::Value;

use super::i18n::Lang;

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Name on the wire.
    pub field: Cow<'static, str>,
    /// What is wrong.
    pub problem: Problem,
}

impl FieldError {
    /// For rules that are checked after reading.
    pub fn new(field: impl Into<Cow<'static, str>>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }

    /// `{"field", "message"}`.
    #[must_use]
    pub fn json(&self, lang: Lang) -> Value {
        serde_json::json!({"field": self.field, "message": self.problem.text(lang)})
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Must be given.
    Missing,
    /// Not a whole number within bounds.
    NotInRange {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// Too short or too long, in characters.
    Length {
        /// Least.
        min: usize,
        /// Most.
        max: usize,
    },
    /// Not a text.
    NotText,
    /// Characters that are not printable.
    ControlCharacters,
    /// Neither true nor false.
    NotBoolean,
    /// Not an amount in yuan.
    NotMoney,
    /// More than two decimals.
    TooManyDecimals,
    /// Not a time.
    NotTime,
    /// Not an order number.
    NotOrderNo,
    /// Not a list, or with more entries than allowed.
    NotList {
        /// Most entries.
        max: usize,
    },
    /// No such field.
    Unknown,
    /// The whole body is not a JSON object.
    NotJson,
    /// Not in the required form (e-mail, phone, …).
    Malformed,
    /// Not a day that is over.
    NotPastDay,
    /// Not one of the allowed values.
    NotOneOf(&'static str),
}

impl Problem {
    /// The text after the field's name.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        match lang {
            Lang::Zh => self.zh(),
            Lang::En => self.en(),
        }
    }

    fn zh(&self) -> String {
        match self {
            Self::Missing => "不能为空".to_owned(),
            Self::NotInRange { min, max } if *max == i64::MAX => format!("必须是不小于 {min} 的整数"),
            Self::NotInRange { min, max } => format!("必须是 {min} 到 {max} 的整数"),
            Self::Length { min, max } => format!("长度必须为 {min} 到 {max} 个字符"),
            Self::NotText => "必须是文本".to_owned(),
            Self::ControlCharacters => "含有不可见字符".to_owned(),
            Self::NotBoolean => "必须是 true 或 false".to_owned(),
            Self::NotMoney => "必须是以元为单位的金额".to_owned(),
            Self::TooManyDecimals => "最多两位小数".to_owned(),
            Self::NotTime => "时间格式应为 2006-01-02T15:04:05+08:00".to_owned(),
            Self::NotOrderNo => "不是有效的订单号".to_owned(),
            Self::NotList { max } => format!("必须是列表，最多 {max} 项"),
            Self::Unknown => "是未知字段".to_owned(),
            Self::NotJson => "不是有效的 JSON 对象".to_owned(),
            Self::Malformed => "格式不正确".to_owned(),
            Self::NotPastDay => "必须是已经结束的日期，格式为 2006-01-02".to_owned(),
            Self::NotOneOf(values) => format!("必须是以下之一：{values}"),
        }
    }

    fn en(&self) -> String {
        match self {
            Self::Missing => "is required".to_owned(),
            Self::NotInRange { min, max } if *max == i64::MAX => format!("must be a whole number of at least {min}"),
            Self::NotInRange { min, max } => format!("must be a whole number from {min} to {max}"),
            Self::Length { min, max } => format!("must have {min} to {max} characters"),
            Self::NotText => "must be a text".to_owned(),
            Self::ControlCharacters => "has control characters".to_owned(),
            Self::NotBoolean => "must be true or false".to_owned(),
            Self::NotMoney => "must be an amount in yuan".to_owned(),
            Self::TooManyDecimals => "must have at most two decimals".to_owned(),
            Self::NotTime => "must be a time like 2006-01-02T15:04:05+08:00".to_owned(),
            Self::NotOrderNo => "is not an order number".to_owned(),
            Self::NotList { max } => format!("must be a list of at most {max}"),
            Self::Unknown => "is not a known field".to_owned(),
            Self::NotJson => "is not a JSON object".to_owned(),
            Self::Malformed => "is not in the required form".to_owned(),
            Self::NotPastDay => "must be a day that is over, like 2006-01-02".to_owned(),
            Self::NotOneOf(values) => format!("must be one of: {values}"),
        }
    }
}
