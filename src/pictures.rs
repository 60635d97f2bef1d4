//! Pictures that people upload: judged by what is in them, and written anew, so that nothing of the file that came is ever
//! served: no script, no metadata (where it was taken), no second format that hides behind the first.
//!
//! Sides and pixels are judged by the file's header before anything is decoded, memory is bounded while it is decoded, and few
//! are decoded at the same time, on threads of their own. Of an animation the first picture is kept.

use std::io::Cursor;
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use tokio::sync::Semaphore;

/// Longest side of a picture that is decoded, in pixels.
const SIDE_READ_MAX: u32 = 16_384;
/// Longest side of a picture without transparency as it is kept; a larger one is made smaller.
const SIDE_KEPT_MAX: u32 = 2_048;
/// The same with transparency, which is kept without loss: at most 4 MiB whatever is in it.
const SIDE_KEPT_CLEAR_MAX: u32 = 1_024;
/// Of 100.
const JPEG_QUALITY: u8 = 85;
/// Bytes a pixel while it is decoded, at most (16 bits of red, green, blue and alpha), with as much again for the decoder.
const BYTES_PER_PIXEL_MAX: u64 = 16;

/// How a picture is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// Without transparency.
    Jpeg,
    /// With transparency.
    Webp,
}

impl PictureKind {
    /// Its media type: the only one that it is ever served with.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The end of its name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// The kind whose names end so.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        [Self::Jpeg, Self::Webp].into_iter().find(|kind| kind.suffix() == suffix)
    }
}

/// A picture as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// How it is written.
    pub kind: PictureKind,
    /// The file.
    pub bytes: Vec<u8>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Why a file did not become a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureRefusal {
    /// Not a JPEG, PNG, GIF or WebP by its content.
    #[error("not a JPEG, PNG, GIF or WebP")]
    Type,
    /// Begins like one and cannot be read to its end.
    #[error("the picture is damaged")]
    Damaged,
    /// More pixels, or more memory, than is decoded.
    #[error("the picture has too many pixels")]
    TooLarge,
    /// It cannot be written anew, or the machine ended the work.
    #[error("the picture cannot be kept")]
    Failed,
}

/// Lets few pictures be worked on at the same time; clones share that.
#[derive(Clone, Debug)]
pub struct Pictures {
    permits: Arc<Semaphore>,
    pixels_max: u64,
}

impl Pictures {
    /// So many at the same time, of so many pixels.
    #[must_use]
    pub fn new(at_once: usize, pixels_max: u64) -> Self {
        Self { permits: Arc::new(Semaphore::new(at_once.max(1))), pixels_max }
    }

    /// Writes a picture anew. What was begun is ended, also if nobody waits for it any more, and holds its place until then.
    ///
    /// # Errors
    /// [`PictureRefusal`].
    pub async fn renew(&self, file: Vec<u8>) -> Result<Picture, PictureRefusal> {
        let pixels_max = self.pixels_max;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| PictureRefusal::Failed)?;
        let work = tokio::task::spawn_blocking(move || {
            let renewed = renew(&file, pixels_max);
            drop(permit);
            renewed
        });
        work.await.map_err(|_panicked| PictureRefusal::Failed)?
    }
}

fn renew(file: &[u8], pixels_max: u64) -> Result<Picture, PictureRefusal> {
    let format = image::guess_format(file).map_err(|_| PictureRefusal::Type)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Gif | ImageFormat::WebP) {
        return Err(PictureRefusal::Type);
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_READ_MAX), Some(SIDE_READ_MAX));
    limits.max_alloc = Some(pixels_max.saturating_mul(BYTES_PER_PIXEL_MAX));
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refusal(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > pixels_max {
        return Err(PictureRefusal::TooLarge);
    }
    // How the camera was held: the note itself is not kept.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| refusal(&error))?;
    picture.apply_orientation(orientation);
    write(&picture)
}

fn write(picture: &DynamicImage) -> Result<Picture, PictureRefusal> {
    let is_clear = picture.color().has_alpha() && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX);
    let side_max = if is_clear { SIDE_KEPT_CLEAR_MAX } else { SIDE_KEPT_MAX };
    let fitting = if picture.width().max(picture.height()) > side_max {
        &picture.resize(side_max, side_max, FilterType::Triangle)
    } else {
        picture
    };
    let (width, height) = (fitting.width(), fitting.height());
    let (kind, mut bytes) = (if is_clear { PictureKind::Webp } else { PictureKind::Jpeg }, Vec::new());
    let written = match kind {
        PictureKind::Webp => fitting.to_rgba8().write_with_encoder(WebPEncoder::new_lossless(&mut bytes)),
        PictureKind::Jpeg => {
            fitting.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
    };
    written.map_err(|_| PictureRefusal::Failed)?;
    Ok(Picture { kind, bytes, width, height })
}

fn refusal(error: &image::ImageError) -> PictureRefusal {
    match error {
        image::ImageError::Limits(_) => PictureRefusal::TooLarge,
        image::ImageError::Unsupported(_) => PictureRefusal::Type,
        _ => PictureRefusal::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    const PIXELS_MAX: u64 = 1_000_000;

    fn file(width: u32, height: u32, alpha: u8, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = RgbaImage::from_fn(width, height, |x, y| Rgba([x as u8, y as u8, 7, alpha]));
        let picture = DynamicImage::ImageRgba8(picture);
        let picture = if format == ImageFormat::Jpeg { picture.to_rgb8().into() } else { picture };
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_kind_is_written_anew_by_whether_one_can_see_through_it() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let opaque = renew(&file(40, 30, 255, format), PIXELS_MAX).unwrap();
            assert_eq!((opaque.kind, opaque.width, opaque.height), (PictureKind::Jpeg, 40, 30), "{format:?}");
            assert_eq!(image::guess_format(&opaque.bytes).unwrap(), ImageFormat::Jpeg);
        }
        let clear = renew(&file(40, 30, 100, ImageFormat::Png), PIXELS_MAX).unwrap();
        assert_eq!(clear.kind, PictureKind::Webp);
        assert_eq!(image::guess_format(&clear.bytes).unwrap(), ImageFormat::WebP);
    }

    #[test]
    fn a_large_picture_is_made_smaller_and_keeps_its_shape() {
        let wide = renew(&file(4_096, 20, 255, ImageFormat::Png), PIXELS_MAX).unwrap();
        assert_eq!((wide.width, wide.height), (SIDE_KEPT_MAX, 10));
        let clear = renew(&file(20, 4_096, 9, ImageFormat::Png), PIXELS_MAX).unwrap();
        assert_eq!((clear.width, clear.height), (5, SIDE_KEPT_CLEAR_MAX));
    }

    #[test]
    fn nothing_of_the_file_but_its_pixels_is_kept() {
        let mut png = file(8, 8, 255, ImageFormat::Png);
        png.extend_from_slice(b"<script>alert(1)</script>");
        let renewed = renew(&png, PIXELS_MAX).unwrap();
        assert!(!renewed.bytes.windows(7).any(|bytes| bytes == b"<script"));
    }

    #[test]
    fn what_is_no_picture_or_half_of_one_is_refused() {
        let html = b"<html><script>alert(1)</script></html>".as_slice();
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".as_slice();
        let bmp = [b"BM".as_slice(), &[0; 60]].concat();
        for other in [b"".as_slice(), b"x", html, svg, b"MZ\x90\x00", b"%PDF-1.7", &bmp] {
            assert_eq!(renew(other, PIXELS_MAX), Err(PictureRefusal::Type), "{other:?}");
        }
        for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let whole = file(64, 64, 255, format);
            for cut in [whole.len() / 2, 12] {
                assert_eq!(renew(&whole[..cut], PIXELS_MAX), Err(PictureRefusal::Damaged), "{format:?} at {cut}");
            }
        }
        let whole = file(64, 64, 255, ImageFormat::Jpeg);
        assert_eq!(renew(&whole[..24], PIXELS_MAX), Err(PictureRefusal::Damaged));
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A PNG of 60,000 by 60,000 pixels: the header is all that is looked at.
        let mut bomb = file(1, 1, 255, ImageFormat::Png);
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(renew(&bomb, PIXELS_MAX), Err(PictureRefusal::TooLarge));
        assert_eq!(renew(&file(1_001, 1_000, 255, ImageFormat::Gif), PIXELS_MAX), Err(PictureRefusal::TooLarge));
        assert!(renew(&file(1_000, 1_000, 255, ImageFormat::Gif), PIXELS_MAX).is_ok());
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
        })
    }
}
