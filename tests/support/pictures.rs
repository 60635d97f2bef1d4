//! Pictures to upload, and requests that carry them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::Method;

use super::client::{Answer, Person};

const BOUNDARY: &str = "a-boundary-of-a-test";

/// A PNG of so many pixels; another `hue` is another file.
pub fn drawn(width: u32, height: u32, hue: u8) -> Vec<u8> {
    drawn_as(width, height, hue, ImageFormat::Png)
}

/// The same in another format.
pub fn drawn_as(width: u32, height: u32, hue: u8, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, hue]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

/// A `multipart/form-data` body of these fields, each sent as a file that claims to be something else.
pub fn form(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file) in fields {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"../x.php\"\r\n\
             Content-Type: text/html\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

impl Person {
    /// Uploads one file.
    pub async fn upload(&self, fields: &[(&str, Vec<u8>)]) -> Answer {
        self.send_form("/api/upload", form(fields)).await
    }

    /// Uploads several.
    pub async fn upload_multi(&self, fields: &[(&str, Vec<u8>)]) -> Answer {
        self.send_form("/api/upload/multi", form(fields)).await
    }

    /// A body as it is, as a form.
    pub async fn send_form(&self, path: &str, body: Vec<u8>) -> Answer {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send_raw(Method::POST, path, &content_type, body).await
    }
}
