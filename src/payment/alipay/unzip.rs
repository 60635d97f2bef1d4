//! A ZIP file read front to back as its bytes arrive, in memory that does not grow with it.
//!
//! Enough for bills: entries stored or deflated, sizes before or behind the data. Encryption, ZIP64 and anything else
//! is refused. What is unpacked is bounded by whoever takes it line by line, and by a bound on the whole.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The most that is unpacked of one file: a bill of a million lines.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// Unpacked at once.
const PIECE_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 30;
const DESCRIPTOR_MAGIC: u32 = 0x0807_4b50;
const ENTRY_MAGIC: u32 = 0x0403_4b50;
const DIRECTORY_MAGIC: u32 = 0x0201_4b50;
const END_MAGIC: u32 = 0x0605_4b50;

/// Not a ZIP file, or one that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnzipError;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// More bytes are needed.
    Starved,
    /// A file begins.
    EntryBegins,
    /// The next bytes of it.
    Bytes(Vec<u8>),
    /// It ended, and its checksum is right.
    EntryEnds,
    /// All files are through.
    End,
}

#[derive(Default)]
pub(super) struct Unzip {
    input: Vec<u8>,
    state: State,
    unpacked: u64,
}

#[derive(Default)]
enum State {
    #[default]
    Header,
    /// Bytes of name and extra field to pass over.
    Names(usize, Entry),
    Data(Entry),
    Descriptor(Entry),
    Over,
}

struct Entry {
    /// `None`: stored.
    inflate: Option<Decompress>,
    crc: Crc,
    expected: Option<u32>,
    /// Of a stored entry.
    left: u64,
}

impl Unzip {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.is_over() {
            self.input.extend_from_slice(bytes);
        }
    }

    /// True once the directory at the end of the file has begun.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn next_event(&mut self) -> Result<Event, UnzipError> {
        match std::mem::take(&mut self.state) {
            State::Header => self.header(),
            State::Names(length, entry) => {
                let now = length.min(self.input.len());
                self.input.drain(..now);
                if now < length {
                    self.state = State::Names(length - now, entry);
                    return Ok(Event::Starved);
                }
                self.state = State::Data(entry);
                Ok(Event::EntryBegins)
            }
            State::Data(entry) => self.data(entry),
            State::Descriptor(entry) => self.descriptor(entry),
            State::Over => {
                self.state = State::Over;
                self.input.clear();
                Ok(Event::End)
            }
        }
    }

    fn header(&mut self) -> Result<Event, UnzipError> {
        let Some(magic) = self.u32_at(0) else { return Ok(Event::Starved) };
        match magic {
            DIRECTORY_MAGIC | END_MAGIC => {
                self.state = State::Over;
                return Ok(Event::End);
            }
            ENTRY_MAGIC => {}
            _ => return Err(UnzipError),
        }
        if self.input.len() < HEADER_BYTES {
            return Ok(Event::Starved);
        }
        let flags = self.u16_at(6);
        let (is_encrypted, is_descriptor_behind) = (flags & 1 != 0, flags & 8 != 0);
        let method = self.u16_at(8);
        let size = u64::from(self.u32_at(18).ok_or(UnzipError)?);
        // a stored entry whose size stands behind it has no end that could be found
        let is_understood = method == 8 || (method == 0 && !is_descriptor_behind);
        if is_encrypted || !is_understood || size == u64::from(u32::MAX) {
            return Err(UnzipError);
        }
        let entry = Entry {
            inflate: (method == 8).then(|| Decompress::new(false)),
            crc: Crc::new(),
            expected: if is_descriptor_behind { None } else { self.u32_at(14) },
            left: size,
        };
        let names = usize::from(self.u16_at(26)) + usize::from(self.u16_at(28));
        self.input.drain(..HEADER_BYTES);
        self.state = State::Names(names, entry);
        self.next_event()
    }

    fn data(&mut self, mut entry: Entry) -> Result<Event, UnzipError> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let is_end = match &mut entry.inflate {
            None => {
                let now = self.input.len().min(PIECE_BYTES).min(usize::try_from(entry.left).unwrap_or(usize::MAX));
                piece.extend(self.input.drain(..now));
                entry.left -= now as u64;
                entry.left == 0
            }
            Some(inflate) => {
                let before = inflate.total_in();
                let status =
                    inflate.decompress_vec(&self.input, &mut piece, FlushDecompress::None).map_err(|_| UnzipError)?;
                let taken = usize::try_from(inflate.total_in() - before).map_err(|_| UnzipError)?;
                self.input.drain(..taken);
                status == Status::StreamEnd
            }
        };
        self.unpacked += piece.len() as u64;
        if self.unpacked > UNPACKED_BYTES_MAX {
            return Err(UnzipError);
        }
        entry.crc.update(&piece);
        self.state = if is_end { State::Descriptor(entry) } else { State::Data(entry) };
        match (piece.is_empty(), is_end) {
            (false, _) => Ok(Event::Bytes(piece)),
            (true, true) => self.next_event(),
            (true, false) => Ok(Event::Starved),
        }
    }

    fn descriptor(&mut self, entry: Entry) -> Result<Event, UnzipError> {
        let expected = match entry.expected {
            Some(expected) => expected,
            None => {
                let Some(first) = self.u32_at(0) else { return Ok(self.wait(entry)) };
                let magic_bytes = if first == DESCRIPTOR_MAGIC { 4 } else { 0 };
                if self.input.len() < magic_bytes + 12 {
                    return Ok(self.wait(entry));
                }
                let expected = self.u32_at(magic_bytes).ok_or(UnzipError)?;
                self.input.drain(..magic_bytes + 12);
                expected
            }
        };
        if expected == entry.crc.sum() { Ok(Event::EntryEnds) } else { Err(UnzipError) }
    }

    fn wait(&mut self, entry: Entry) -> Event {
        self.state = State::Descriptor(entry);
        Event::Starved
    }

    fn u16_at(&self, at: usize) -> u16 {
        self.input.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.input.get(at..at + 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}
