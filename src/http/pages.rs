//! Lists: which page is asked for, and the envelope `{"list", "total", "page", "page_size", "total_page"}`.

use serde::Serialize;

use super::fields::{Fields, FromFields};
use crate::domain::codes::Code;

/// Entries on a page unless asked for otherwise.
pub const PAGE_SIZE_DEFAULT: i64 = 10;
/// Most entries on a page.
pub const PAGE_SIZE_MAX: i64 = 100;
const PAGE_MAX: i64 = 1_000_000;

/// Which page: `page` from 1, `page_size` 1..=100, 10 if absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// From 1.
    pub page: u64,
    /// 1..=100.
    pub page_size: u64,
}

impl PageQuery {
    /// Reads `page` and `page_size` among other fields.
    pub fn read(fields: &mut Fields) -> Self {
        let page = fields.whole_or("page", 1, 1..=PAGE_MAX);
        let page_size = fields.whole_or("page_size", PAGE_SIZE_DEFAULT, 1..=PAGE_SIZE_MAX);
        Self { page: page.unsigned_abs(), page_size: page_size.unsigned_abs() }
    }

    /// Entries before this page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.page - 1) * self.page_size
    }

    /// The answer: these entries out of `total`.
    pub fn of<T>(self, list: Vec<T>, total: u64) -> PageOf<T> {
        let total_page = total.div_ceil(self.page_size);
        PageOf { list, total, page: self.page, page_size: self.page_size, total_page }
    }
}

impl FromFields for PageQuery {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self::read(fields)
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PageOf<T> {
    /// The entries, in a stable order.
    pub list: Vec<T>,
    /// Entries on all pages.
    pub total: u64,
    /// From 1.
    pub page: u64,
    /// Entries a page.
    pub page_size: u64,
    /// Pages in all; 0 if there is no entry.
    pub total_page: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<PageQuery, crate::http::ApiError> {
        Fields::from_query(query).parse()
    }

    #[test]
    fn absent_and_empty_parameters_mean_the_first_ten() {
        for query in ["", "page=&page_size=", "status=", "page=1&page_size=10"] {
            assert_eq!(read(query).unwrap(), PageQuery { page: 1, page_size: 10 }, "{query}");
        }
    }

    #[test]
    fn pages_out_of_bounds_are_refused() {
        for query in
            ["page=0", "page=-1", "page=x", "page=1.5", "page_size=0", "page_size=101", "page=99999999999999999999"]
        {
            assert_eq!(read(query).unwrap_err().status().as_u16(), 400, "{query}");
        }
    }

    #[test]
    fn the_last_page_may_be_short() {
        let page = PageQuery { page: 3, page_size: 10 };
        let of = page.of(vec![1], 21);
        assert_eq!((page.offset(), of.total_page), (20, 3));
        assert_eq!(page.of(Vec::<i32>::new(), 0).total_page, 0);
    }
}
