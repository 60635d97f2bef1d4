//! The flat XML of WeChat Pay v2: one element of elements of text, read and written.
//!
//! Everything that XML can do beyond that is refused: document types and entities of one's own (the XXE hole of 2018),
//! processing instructions, nesting, a field twice, sizes without a bound.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;

/// Names and texts of a message, sorted by name as its signature wants them.
pub type Fields = BTreeMap<String, String>;

/// The largest message that is read, bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most fields of a message: a refund query lists 50 refunds of at most 12 fields.
pub const FIELDS_MAX: usize = 1_000;

/// Why a text is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than [`MESSAGE_BYTES_MAX`] or more fields than [`FIELDS_MAX`].
    #[error("the message is too large")]
    TooLarge,
    /// Not well-formed, not UTF-8, or not one element of elements of text.
    #[error("not the XML of a message")]
    Malformed,
    /// A document type, an entity that XML does not define, or a processing instruction.
    #[error("document types, entities and processing instructions are refused")]
    Forbidden,
    /// The same field twice: a signature would cover either.
    #[error("a field stands there twice")]
    Repeated,
}

/// Writes `<root><name><![CDATA[text]]></name>…</root>`.
#[must_use]
pub fn write(root: &str, fields: &Fields) -> String {
    let mut text = format!("<{root}>");
    for (name, value) in fields {
        let value = value.replace("]]>", "]]]]><![CDATA[>");
        let _ = write!(text, "<{name}><![CDATA[{value}]]></{name}>");
    }
    let _ = write!(text, "</{root}>");
    text
}

/// Reads a message, whatever its root element is called. Text between the fields is ignored, text within a field is
/// taken as it stands.
///
/// # Errors
/// [`XmlError`].
pub fn read(message: &[u8]) -> Result<Fields, XmlError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(message).map_err(|_| XmlError::Malformed)?;
    let mut reader = Reader::from_str(text);
    let mut message = Message::default();
    loop {
        match reader.read_event().map_err(|_| XmlError::Malformed)? {
            Event::Start(start) => message.open(start.name().as_ref())?,
            Event::Empty(start) => {
                message.open(start.name().as_ref())?;
                message.close()?;
            }
            Event::End(_) => message.close()?,
            Event::Text(text) => message.push(&text.xml10_content())?,
            Event::CData(text) => message.push(&text.xml10_content())?,
            Event::GeneralRef(reference) => message.push_character(&reference)?,
            Event::DocType(_) | Event::PI(_) => return Err(XmlError::Forbidden),
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof => return message.finish(),
        }
    }
}

#[derive(Default)]
struct Message {
    fields: Fields,
    /// 0 before and after the root, 1 within it, 2 within a field.
    depth: u8,
    rooted: bool,
    name: String,
    value: String,
}

impl Message {
    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        match self.depth {
            0 if !self.rooted => self.rooted = true,
            1 if self.fields.len() >= FIELDS_MAX => return Err(XmlError::TooLarge),
            1 => {
                name.clone_into(&mut self.name);
                self.value.clear();
            }
            _ => return Err(XmlError::Malformed),
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        if self.depth == 2 {
            let (name, value) = (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
            if self.fields.insert(name, value).is_some() {
                return Err(XmlError::Repeated);
            }
        }
        self.depth = self.depth.checked_sub(1).ok_or(XmlError::Malformed)?;
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), XmlError> {
        match self.depth {
            2 => self.value.push_str(text),
            _ if text.trim().is_empty() => {}
            _ => return Err(XmlError::Malformed),
        }
        Ok(())
    }

    fn push_character(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlError> {
        let numbered = reference.resolve_char_ref().map_err(|_| XmlError::Malformed)?;
        let character = match (numbered, reference.as_ref()) {
            (Some(character), _) => character,
            (None, "lt") => '<',
            (None, "gt") => '>',
            (None, "amp") => '&',
            (None, "quot") => '"',
            (None, "apos") => '\'',
            _ => return Err(XmlError::Forbidden),
        };
        self.push(character.encode_utf8(&mut [0; 4]))
    }

    fn finish(self) -> Result<Fields, XmlError> {
        if self.rooted && self.depth == 0 { Ok(self.fields) } else { Err(XmlError::Malformed) }
    }
}
