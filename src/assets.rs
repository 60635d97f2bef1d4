//! Files inside the binary: the pictures of the demo catalogue, drawn for this shop, and the web client if it was built.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/photos"]
struct Photos;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Web;

/// The picture called `name`, e.g. `phone.svg`; all are SVG.
#[must_use]
pub fn photo(name: &str) -> Option<Cow<'static, [u8]>> {
    Photos::get(name).map(|file| file.data)
}

/// The names of all pictures.
pub fn photo_names() -> impl Iterator<Item = Cow<'static, str>> {
    Photos::iter()
}

/// Every file of the web client with its path, e.g. `index.html`; none if it was not built.
pub fn web_files() -> impl Iterator<Item = (Cow<'static, str>, Cow<'static, [u8]>)> {
    let built = Web::iter().filter(|path| !path.starts_with('.')); // its .gitignore keeps the directory
    built.filter_map(|path| Web::get(&path).map(|file| (path, file.data)))
}
