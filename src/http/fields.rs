//! Reads a request's parameters one by one and says exactly which is wrong, in both languages.
//!
//! A JSON object, a query string and a form all become the same [`Fields`]: name -> JSON text. Nothing passes through a
//! float, so money and ids keep every digit. A reader returns a stand-in when a field is wrong and notes why;
//! [`Fields::parse`] hands the value out only if no field was wrong, so a stand-in never leaves it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::error::ApiError;
pub use super::problem::{FieldError, Problem};
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::money::MoneyError;
use crate::domain::stock::QUANTITY_MAX;
use crate::domain::{Money, ProductId, Quantity};
use crate::persistence::orders::NumberStart;

/// A request type that knows how to read itself.
pub trait FromFields: Sized {
    /// The resource's parameter code, e.g. `SECKILL_PARAMETER`.
    const CODE: Code;
    /// Refuse names in body and query that are not read: a misspelled one would be as good as absent, and a command that is
    /// narrowed by it would do more than was asked. Off where old clients send more than they need.
    const STRICT: bool = false;

    /// Reads every field; wrong ones are noted in `fields`.
    fn from_fields(fields: &mut Fields) -> Self;
}

/// Parameters of one request, by name.
#[derive(Debug, Default)]
pub struct Fields {
    query: BTreeMap<String, Box<RawValue>>,
    body: BTreeMap<String, Box<RawValue>>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// From a query string or a form; later values win.
    #[must_use]
    pub fn from_query(text: &str) -> Self {
        Self { query: pairs(text), ..Self::default() }
    }

    /// Adds the pairs of a form body; they win over the query.
    pub fn add_form(&mut self, text: &str) {
        self.body = pairs(text);
    }

    /// Adds a JSON object; its members win over the query. Anything else is noted as wrong.
    pub fn add_json(&mut self, text: &[u8]) {
        match serde_json::from_slice(text) {
            Ok(members) => self.body = members,
            Err(_) => self.errors.push(FieldError::new("body", Problem::NotJson)),
        }
    }

    /// Reads a whole request type.
    ///
    /// # Errors
    /// `T::CODE` with every field that is wrong.
    pub fn parse<T: FromFields>(mut self) -> Result<T, ApiError> {
        if !self.errors.is_empty() {
            return Err(ApiError::fields(T::CODE, self.errors)); // no JSON: every field would be "missing"
        }
        let value = T::from_fields(&mut self);
        if T::STRICT {
            self.refuse_unread();
        }
        if self.errors.is_empty() { Ok(value) } else { Err(ApiError::fields(T::CODE, self.errors)) }
    }

    /// Notes every name that nobody has read.
    fn refuse_unread(&mut self) {
        let unread: BTreeSet<String> =
            std::mem::take(&mut self.body).into_keys().chain(std::mem::take(&mut self.query).into_keys()).collect();
        self.errors.extend(unread.into_iter().map(|name| FieldError::new(name, Problem::Unknown)));
    }

    /// Notes every name in a query string as unknown, for requests that are read from their body alone.
    pub fn refuse_query(&mut self, text: &str) {
        self.errors.extend(pairs(text).into_keys().map(|name| FieldError::new(name, Problem::Unknown)));
    }

    /// Notes that a field is wrong, for rules of the request's own.
    pub fn refuse(&mut self, field: &'static str, problem: Problem) {
        self.errors.push(FieldError::new(field, problem));
    }

    /// The JSON text of a field; absent if null or an empty string (old clients send those for unused ones).
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let (of_body, of_query) = (self.body.remove(name), self.query.remove(name));
        of_body.or(of_query).filter(|raw| !matches!(raw.get(), "null" | "\"\""))
    }

    /// A whole number, as a JSON number or a string of one; `None` if absent or wrong.
    pub fn whole_if(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let raw = self.take(name)?;
        let number = raw.get().trim_matches('"').trim().parse::<i64>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.refuse(name, Problem::NotInRange { min: *range.start(), max: *range.end() });
        }
        number
    }

    /// A whole number, or `absent`.
    pub fn whole_or(&mut self, name: &'static str, absent: i64, range: RangeInclusive<i64>) -> i64 {
        self.whole_if(name, range).unwrap_or(absent)
    }

    /// A whole number that must be given.
    pub fn whole(&mut self, name: &'static str, range: RangeInclusive<i64>) -> i64 {
        let least = *range.start();
        self.required(name, least, |fields| fields.whole_if(name, range))
    }

    /// A positive id of anything.
    pub fn id(&mut self, name: &'static str) -> i64 {
        self.whole(name, 1..=i64::MAX)
    }

    /// A product's id.
    pub fn product(&mut self, name: &'static str) -> ProductId {
        ProductId(self.id(name))
    }

    /// Units of one line, 1..=999; `absent` if not given, required if there is no `absent`.
    pub fn quantity(&mut self, name: &'static str, absent: Option<Quantity>) -> Quantity {
        let units = match absent {
            Some(absent) => self.whole_or(name, absent.units(), 1..=QUANTITY_MAX),
            None => self.whole(name, 1..=QUANTITY_MAX),
        };
        Quantity::try_from(units).unwrap_or(Quantity::ONE)
    }

    /// A text without surrounding blanks and control characters, its length in characters; `None` if absent or wrong.
    pub fn text_if(&mut self, name: &'static str, length: RangeInclusive<usize>) -> Option<String> {
        let raw = self.take(name)?;
        let Ok(text) = serde_json::from_str::<String>(raw.get()) else {
            self.refuse(name, Problem::NotText);
            return None;
        };
        let text = text.trim();
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.refuse(name, Problem::ControlCharacters);
            return None;
        }
        if !length.contains(&text.chars().count()) {
            self.refuse(name, Problem::Length { min: *length.start(), max: *length.end() });
            return None;
        }
        Some(text.to_owned())
    }

    /// A text that must be given.
    pub fn text(&mut self, name: &'static str, length: RangeInclusive<usize>) -> String {
        self.required(name, String::new(), |fields| fields.text_if(name, length))
    }

    /// A password or token: taken as it is, not trimmed; its length in bytes. Must be given.
    pub fn secret(&mut self, name: &'static str, length: RangeInclusive<usize>) -> String {
        self.required(name, String::new(), |fields| {
            let raw = fields.take(name)?;
            let text: Option<String> = serde_json::from_str(raw.get()).ok();
            let fits = text.filter(|text| length.contains(&text.len()));
            if fits.is_none() {
                fields.refuse(name, Problem::Length { min: *length.start(), max: *length.end() });
            }
            fits
        })
    }

    /// An amount in yuan with at most two decimals, not negative; `None` if absent or wrong.
    pub fn money_if(&mut self, name: &'static str) -> Option<Money> {
        let raw = self.take(name)?;
        match raw.get().trim_matches('"').parse::<Money>() {
            Ok(money) if money >= Money::ZERO => return Some(money),
            Err(MoneyError::TooManyDecimals) => self.refuse(name, Problem::TooManyDecimals),
            Ok(_) | Err(MoneyError::NotANumber | MoneyError::OutOfRange) => self.refuse(name, Problem::NotMoney),
        }
        None
    }

    /// An amount above zero that must be given.
    pub fn price(&mut self, name: &'static str) -> Money {
        let money = self.required(name, Money::from_fen(1), |fields| fields.money_if(name));
        if !money.is_positive() {
            self.refuse(name, Problem::NotMoney);
        }
        money
    }

    /// True or false (also as 0, 1 or a string); `None` if absent or wrong.
    pub fn flag_if(&mut self, name: &'static str) -> Option<bool> {
        let raw = self.take(name)?;
        match raw.get().trim_matches('"') {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.refuse(name, Problem::NotBoolean);
                None
            }
        }
    }

    /// One of these words as what it stands for; `words` are all of them, for the message. `None` if absent or wrong.
    pub fn one_of_if<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], words: &'static str) -> Option<T> {
        let word = self.text_if(name, 1..=40)?;
        let chosen = choices.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
        if chosen.is_none() {
            self.refuse(name, Problem::NotOneOf(words));
        }
        chosen
    }

    /// The beginning of an order number; `None` if absent or wrong.
    pub fn number_start_if(&mut self, name: &'static str) -> Option<NumberStart> {
        let start = NumberStart::read(&self.text_if(name, 1..=26)?);
        if start.is_none() {
            self.refuse(name, Problem::NotOrderNo);
        }
        start
    }

    /// A time in milliseconds since 1970; `None` if absent or wrong.
    pub fn time_if(&mut self, name: &'static str) -> Option<i64> {
        let raw = self.take(name)?;
        let time = serde_json::from_str::<Cow<'_, str>>(raw.get()).ok().and_then(|text| Time::parse(text.trim()));
        if time.is_none() {
            self.refuse(name, Problem::NotTime);
        }
        time.map(|time| time.0)
    }

    /// A time that must be given.
    pub fn time(&mut self, name: &'static str) -> i64 {
        self.required(name, 0, |fields| fields.time_if(name))
    }

    /// A list of texts, each at most `entry_max` characters; `None` if absent or wrong.
    pub fn texts_if(&mut self, name: &'static str, entries_max: usize, entry_max: usize) -> Option<Vec<String>> {
        let raw = self.take(name)?;
        let list: Option<Vec<String>> = serde_json::from_str(raw.get()).ok();
        let fits =
            |list: &Vec<String>| list.len() <= entries_max && list.iter().all(|e| e.chars().count() <= entry_max);
        let list = list.filter(fits);
        if list.is_none() {
            self.refuse(name, Problem::NotList { max: entries_max });
        }
        list
    }

    /// Any JSON up to `bytes_max`, kept as its text; `None` if absent or too large.
    pub fn json_if(&mut self, name: &'static str, bytes_max: usize) -> Option<Box<RawValue>> {
        let raw = self.take(name)?;
        if raw.get().len() <= bytes_max {
            return Some(raw);
        }
        self.refuse(name, Problem::Length { min: 0, max: bytes_max });
        None
    }

    /// `read`, or "is required" if it read nothing and noted nothing.
    fn required<T>(&mut self, name: &'static str, stand_in: T, read: impl FnOnce(&mut Self) -> Option<T>) -> T {
        let errors_before = self.errors.len();
        if let Some(value) = read(self) {
            return value;
        }
        if self.errors.len() == errors_before {
            self.refuse(name, Problem::Missing);
        }
        stand_in
    }
}

fn pairs(text: &str) -> BTreeMap<String, Box<RawValue>> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(text);
    let pairs = pairs.map(actix_web::web::Query::into_inner).unwrap_or_default();
    let quoted = |value: String| serde_json::value::to_raw_value(&value).ok();
    pairs.into_iter().filter_map(|(name, value)| Some((name, quoted(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::i18n::Lang;

    #[derive(Debug, PartialEq)]
    struct Buy {
        product: ProductId,
        quantity: Quantity,
    }

    impl FromFields for Buy {
        const CODE: Code = Code::SECKILL_PARAMETER;
        const STRICT: bool = true;

        fn from_fields(fields: &mut Fields) -> Self {
            Self { product: fields.product("product_id"), quantity: fields.quantity("quantity", Some(Quantity::ONE)) }
        }
    }

    fn buy(body: &str) -> Result<Buy, ApiError> {
        let mut fields = Fields::default();
        fields.add_json(body.as_bytes());
        fields.parse()
    }

    #[test]
    fn t27_bad_quantities_are_refused_with_the_field_named() {
        for quantity in
            ["0", "-1", "1.5", "\"x\"", "1000000000000", "99999999999999999999", "true", "[1]", "{}", "1e3", "1000"]
        {
            let error = buy(&format!(r#"{{"product_id": 1, "quantity": {quantity}}}"#)).unwrap_err();
            assert_eq!((error.code(), error.status().as_u16()), (Code::SECKILL_PARAMETER, 400), "{quantity}");
            assert_eq!(error.data(Lang::En)["errors"][0]["field"], "quantity", "{quantity}");
        }
    }

    #[test]
    fn absent_null_and_empty_mean_the_default() {
        for body in
            [r#"{"product_id":1}"#, r#"{"product_id":"1","quantity":""}"#, r#"{"product_id":1,"quantity":null}"#]
        {
            assert_eq!(buy(body).unwrap(), Buy { product: ProductId(1), quantity: Quantity::ONE }, "{body}");
        }
    }

    #[test]
    fn broken_bodies_and_unknown_fields_are_told_apart() {
        for (body, field) in [
            ("", "body"),
            ("{", "body"),
            ("[]", "body"),
            ("null", "body"),
            ("\"x\"", "body"),
            ("{}", "product_id"),
            (r#"{"product_id":0}"#, "product_id"),
            (r#"{"product_id":1,"quantty":5}"#, "quantty"),
        ] {
            let error = buy(body).unwrap_err();
            assert_eq!(error.data(Lang::Zh)["errors"][0]["field"], field, "{body}");
        }
    }

    #[test]
    fn the_body_wins_over_the_query() {
        let mut fields = Fields::from_query("product_id=7&quantity=2");
        fields.add_json(br#"{"quantity": 3}"#);
        let bought: Buy = fields.parse().unwrap();
        assert_eq!((bought.product, bought.quantity.units()), (ProductId(7), 3));
    }

    #[test]
    fn names_in_the_query_are_known_or_refused_as_those_in_the_body_are() {
        let mut fields = Fields::from_query("product_id=7&quantty=2&other=%E6%89%8B");
        fields.add_json(br#"{"other": 3}"#);
        let error = fields.parse::<Buy>().unwrap_err();
        let blamed =
            error.data(Lang::En)["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect::<Vec<_>>();
        assert_eq!(blamed, ["other", "quantty"]);
    }

    #[test]
    fn money_keeps_its_digits() {
        let mut fields = Fields::default();
        fields.add_json(br#"{"a": 19.99, "b": "0.1", "c": 1.005, "d": -1, "e": "x"}"#);
        assert_eq!(fields.money_if("a"), Some(Money::from_fen(1_999)));
        assert_eq!(fields.money_if("b"), Some(Money::from_fen(10)));
        assert_eq!([fields.money_if("c"), fields.money_if("d"), fields.money_if("e")], [None; 3]);
        let problems: Vec<Problem> = fields.errors.into_iter().map(|error| error.problem).collect();
        assert_eq!(problems, [Problem::TooManyDecimals, Problem::NotMoney, Problem::NotMoney]);
    }

    #[test]
    fn texts_are_trimmed_bounded_and_printable() {
        let mut fields = Fields::default();
        fields.add_json("{\"a\": \" 张三 \", \"b\": \"x\\u0000y\", \"c\": 5, \"d\": \"abcdef\"}".as_bytes());
        assert_eq!(fields.text_if("a", 1..=2).as_deref(), Some("张三"));
        assert_eq!(
            [fields.text_if("b", 1..=9), fields.text_if("c", 1..=9), fields.text_if("d", 1..=5)],
            [None, None, None]
        );
        assert_eq!(fields.errors.len(), 3);
    }
}
