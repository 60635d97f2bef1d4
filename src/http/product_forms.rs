//! What requests about products may say.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::fields::{Fields, FromFields, Problem};
use super::pages::PageQuery;
use crate::domain::Money;
use crate::domain::codes::Code;
use crate::domain::stock::POOL_UNITS_MAX;
use crate::persistence::product_list::{CategoryFilter, ProductSort};
use crate::persistence::products::{Attributes, STATUS_OFF_SHELF, STATUS_ON_SHELF};

const NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 20_000;
const URL_CHARS_MAX: usize = 255;
const IMAGES_MAX: usize = 20;
const ATTRIBUTES_BYTES_MAX: usize = 10_000;
pub(super) const KEYWORD_CHARS_MAX: usize = 100;
const SORTS: &str = "default, newest, price_asc, price_desc, sales, rating";

/// Which products in which order.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListProducts {
    /// `page` from 1 and `page_size`, 1..=100.
    #[param(ignore)]
    pub(super) page: PageQuery,
    /// Name or id; includes all categories below it.
    #[param(value_type = Option<String>)]
    pub(super) category: Option<CategoryFilter>,
    /// Part of the name or description.
    #[param(value_type = Option<String>)]
    pub(super) keyword: String,
    /// Yuan.
    #[param(value_type = Option<f64>)]
    pub(super) min_price: Option<Money>,
    /// Yuan.
    #[param(value_type = Option<f64>)]
    pub(super) max_price: Option<Money>,
    /// default, newest, price_asc, price_desc, sales or rating.
    #[param(value_type = Option<String>)]
    pub(super) sort: ProductSort,
    /// Administrators only: 0 off the shelf.
    pub(super) status: Option<i16>,
}

impl FromFields for ListProducts {
    const CODE: Code = Code::PRODUCT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            page: PageQuery::read(fields),
            category: category_if(fields),
            keyword: fields.text_if("keyword", 0..=KEYWORD_CHARS_MAX).unwrap_or_default(),
            min_price: fields.money_if("min_price"),
            max_price: fields.money_if("max_price"),
            sort: sort(fields),
            status: status_if(fields),
        }
    }
}

/// A product to add.
#[derive(Clone, Debug, ToSchema)]
pub struct AddProduct {
    /// 1..=200 characters.
    pub(super) name: String,
    #[schema(value_type = Option<String>)]
    pub(super) description: String,
    /// Yuan, above zero.
    #[schema(value_type = f64)]
    pub(super) price: Money,
    /// Units, at least 0.
    #[schema(value_type = Option<i64>)]
    pub(super) stock: i64,
    /// Name; or give `category_id`.
    #[schema(value_type = Option<String>)]
    pub(super) category: Option<CategoryFilter>,
    #[schema(value_type = Option<String>)]
    pub(super) image_url: String,
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) images: Vec<String>,
    #[schema(value_type = Option<Object>)]
    pub(super) attributes: Attributes,
    /// 1 on, 0 off the shelf; 1 if absent.
    #[schema(value_type = Option<i16>)]
    pub(super) status: i16,
}

impl FromFields for AddProduct {
    const CODE: Code = Code::PRODUCT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name", 1..=NAME_CHARS_MAX),
            description: fields.text_if("description", 0..=DESCRIPTION_CHARS_MAX).unwrap_or_default(),
            price: fields.price("price"),
            stock: fields.whole_or("stock", 0, 0..=POOL_UNITS_MAX),
            category: category_if(fields),
            image_url: fields.text_if("image_url", 0..=URL_CHARS_MAX).unwrap_or_default(),
            images: fields.texts_if("images", IMAGES_MAX, URL_CHARS_MAX).unwrap_or_default(),
            attributes: attributes_if(fields).unwrap_or_default(),
            status: status_if(fields).unwrap_or(STATUS_ON_SHELF),
        }
    }
}

/// What changes in a product; an absent field stays as it is.
#[derive(Debug, ToSchema)]
pub struct UpdateProduct {
    /// 1..=200 characters.
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// Yuan, above zero.
    #[schema(value_type = Option<f64>)]
    pub(super) price: Option<Money>,
    /// Units that shall be free.
    pub(super) stock: Option<i64>,
    /// Name; or give `category_id`, 0 for none.
    #[schema(value_type = Option<String>)]
    pub(super) category: Option<CategoryFilter>,
    pub(super) image_url: Option<String>,
    pub(super) images: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub(super) attributes: Option<Attributes>,
    /// 1 on, 0 off the shelf.
    pub(super) status: Option<i16>,
}

impl FromFields for UpdateProduct {
    const CODE: Code = Code::PRODUCT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let price = fields.money_if("price");
        if price == Some(Money::ZERO) {
            fields.refuse("price", Problem::NotMoney);
        }
        Self {
            name: fields.text_if("name", 1..=NAME_CHARS_MAX),
            description: fields.text_if("description", 0..=DESCRIPTION_CHARS_MAX),
            price,
            stock: fields.whole_if("stock", 0..=POOL_UNITS_MAX),
            category: category_if(fields),
            image_url: fields.text_if("image_url", 0..=URL_CHARS_MAX),
            images: fields.texts_if("images", IMAGES_MAX, URL_CHARS_MAX),
            attributes: attributes_if(fields),
            status: status_if(fields),
        }
    }
}

impl UpdateProduct {
    /// What of it the audit log keeps.
    pub(super) fn audited(&self) -> Value {
        serde_json::json!({
            "name": self.name,
            "price_fen": self.price.map(Money::fen),
            "stock": self.stock,
            "status": self.status,
        })
    }
}

/// `category_id`, or `category` as an id or name.
pub(super) fn category_if(fields: &mut Fields) -> Option<CategoryFilter> {
    let id = fields.whole_if("category_id", 0..=i64::MAX).map(CategoryFilter::Id);
    let named = fields.text_if("category", 0..=50).map(|text| match text.parse() {
        Ok(id) => CategoryFilter::Id(id),
        Err(_) => CategoryFilter::Name(text),
    });
    id.or(named)
}

fn status_if(fields: &mut Fields) -> Option<i16> {
    let range = i64::from(STATUS_OFF_SHELF)..=i64::from(STATUS_ON_SHELF);
    fields.whole_if("status", range).and_then(|status| i16::try_from(status).ok())
}

fn attributes_if(fields: &mut Fields) -> Option<Attributes> {
    let raw = fields.json_if("attributes", ATTRIBUTES_BYTES_MAX)?;
    let read = serde_json::from_str(raw.get()).ok();
    if read.is_none() {
        fields.refuse("attributes", Problem::Malformed);
    }
    read
}

fn sort(fields: &mut Fields) -> ProductSort {
    match fields.text_if("sort", 0..=20).as_deref() {
        None | Some("default" | "newest") => ProductSort::Newest,
        Some("price_asc") => ProductSort::PriceAscending,
        Some("price_desc") => ProductSort::PriceDescending,
        Some("sales") => ProductSort::Sales,
        Some("rating") => ProductSort::Rating,
        Some(_) => {
            fields.refuse("sort", Problem::NotOneOf(SORTS));
            ProductSort::Newest
        }
    }
}
