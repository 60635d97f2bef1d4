//! Files inside the binary: the pictures of the demo catalogue, drawn for this shop.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/photos"]
struct Photos;

/// The picture called `name`, e.g. `phone.svg`; all are SVG.
#[must_use]
pub fn photo(name: &str) -> Option<Cow<'static, [u8]>> {
    Photos::get(name).map(|file| file.data)
}

/// The names of all pictures.
pub fn photo_names() -> impl Iterator<Item = Cow<'static, str>> {
    Photos::iter()
}
