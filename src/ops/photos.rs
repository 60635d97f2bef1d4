//! The pictures of the demo catalogue, in the binary: served at `/photos/{name}.svg`, drawn for this shop.

use std::borrow::Cow;

use rust_embed::RustEmbed;

use super::seed::catalogue;

/// Media type of every picture.
const SVG: &str = "image/svg+xml";

#[derive(RustEmbed)]
#[folder = "assets/photos"]
struct Photos;

/// The picture called `name` with its media type: `phone.svg`, or for old clients a product's number with any
/// picture extension (`1.jpg`), which is answered with the SVG of the catalogue's product of that number.
#[must_use]
pub fn photo(name: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
    let file = Photos::get(name).or_else(|| {
        let (stem, extension) = name.rsplit_once('.')?;
        if !matches!(extension, "svg" | "jpg" | "jpeg" | "png" | "webp") {
            return None;
        }
        let number = stem.parse::<usize>().ok()?;
        let product = catalogue().ok()?.products.into_iter().nth(number.checked_sub(1)?)?;
        Photos::get(&format!("{}.svg", product.photo))
    })?;
    Some((file.data, SVG))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PICTURE_BYTES_MAX: usize = 6_000;

    #[test]
    fn every_product_has_a_small_picture_of_its_own() {
        let products = catalogue().unwrap().products;
        let pictures: HashSet<_> =
            products.iter().map(|product| photo(&format!("{}.svg", product.photo)).expect(&product.photo).0).collect();
        assert_eq!(pictures.len(), products.len());
        for picture in pictures {
            assert!(picture.starts_with(b"<svg ") && picture.len() < PICTURE_BYTES_MAX);
        }
        assert_eq!(Photos::iter().count(), products.len(), "a picture without a product");
    }

    #[test]
    fn old_paths_by_product_number_are_answered_with_the_drawing() {
        let (phone, media_type) = photo("phone.svg").unwrap();
        assert_eq!(media_type, "image/svg+xml");
        for old in ["1.jpg", "1.png", "1.svg"] {
            assert_eq!(photo(old).unwrap().0, phone);
        }
        for unknown in ["0.jpg", "999.jpg", "1.exe", "1", "", "../Cargo.toml", "phone.jpg/.."] {
            assert!(photo(unknown).is_none(), "{unknown}");
        }
    }
}
