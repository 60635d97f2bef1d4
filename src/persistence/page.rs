//! Which slice of a list is wanted, and how a search text becomes a `LIKE` that every engine reads alike.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait as _, Func};

/// Rows of the largest page.
pub const PAGE_SIZE_MAX: u64 = 100;
/// Rows of a page if the caller does not say.
pub const PAGE_SIZE_DEFAULT: u64 = 10;
/// The last page that can be asked for: no list is walked to its end by deep offsets.
pub const PAGE_NUMBER_MAX: u64 = 1_000_000;

/// A page of a list: number from 1, size 1..=[`PAGE_SIZE_MAX`]; values beyond are brought to the nearest bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    number: u64,
    size: u64,
}

impl Page {
    /// Page `number` of `size` rows.
    #[must_use]
    pub fn new(number: u64, size: u64) -> Self {
        Self { number: number.clamp(1, PAGE_NUMBER_MAX), size: size.clamp(1, PAGE_SIZE_MAX) }
    }

    /// From 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// Rows in it, 1..=[`PAGE_SIZE_MAX`].
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Rows before it.
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.number - 1) * self.size
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { number: 1, size: PAGE_SIZE_DEFAULT }
    }
}

/// True for rows whose `column` contains `text`, whatever the case of letters as far as the engine knows it; `%` and
/// `_` stand for themselves.
pub(super) fn contains<C: ColumnTrait>(column: C, text: &str) -> Expr {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    let escaped = Expr::expr(Func::lower(Expr::val(pattern))).binary(BinOper::Escape, Expr::Constant('!'.into()));
    Expr::expr(Func::lower(Expr::col((C::EntityName::default(), column)))).binary(BinOper::Like, escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stays_within_its_bounds() {
        assert_eq!((Page::new(0, 0).offset(), Page::new(0, 0).size()), (0, 1));
        assert_eq!((Page::new(3, 1_000).offset(), Page::new(u64::MAX, 100).number()), (200, PAGE_NUMBER_MAX));
        assert_eq!(Page::default().size(), PAGE_SIZE_DEFAULT);
    }
}
