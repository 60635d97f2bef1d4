//! Standard output of the commands.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to standard output. A reader that has gone (`rushmall config show | head`) is no error: whoever left
/// has seen enough.
pub fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
