//! Signed heads of the log, as C2SP writes them: a checkpoint (`tlog-checkpoint`) in a signed note, Ed25519.
//!
//! ```text
//! shop.example/money            origin, which is also the name of the key
//! 1234                          leaves
//! q8J0…=                        root, base64
//! time 1795000000000            an extension line: milliseconds since 1970
//!
//! — shop.example/money AbCd…=   key id and signature over the four lines, base64
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::tree::Hash;

/// Marks an Ed25519 key in a key id and in an encoded key.
const ED25519: u8 = 1;
const KEY_ID_BYTES: usize = 4;
/// No head is longer; more is not looked at.
pub const NOTE_BYTES_MAX: usize = 4_096;

/// Why a text is not a head that this key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It does not have the form of a signed checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// No line under it is by this key.
    #[error("not signed by this key")]
    OtherKey,
    /// The signature is not of this text.
    #[error("the signature does not fit")]
    WrongSignature,
    /// Not `name+keyid+key`.
    #[error("not a verifier key: name+keyid+base64")]
    MalformedKey,
    /// Empty, or with a space or a plus.
    #[error("the origin must not be empty, nor contain spaces or plus signs")]
    Origin,
}

/// What a head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of which log.
    pub origin: String,
    /// Leaves.
    pub tree_size: u64,
    /// Their root.
    pub root: Hash,
    /// When it was signed, in milliseconds since 1970.
    pub at_ms: i64,
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, tree_size, root, at_ms } = self;
        write!(f, "{origin}\n{tree_size}\n{}\ntime {at_ms}\n", BASE64.encode(root))
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(NoteError::Malformed);
        let (origin, size, root, time) = (line()?, line()?, line()?, line()?);
        let root = BASE64.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        let checkpoint = Self {
            origin: origin.to_owned(),
            tree_size: size.parse().map_err(|_| NoteError::Malformed)?,
            root: root.ok_or(NoteError::Malformed)?,
            at_ms: time.strip_prefix("time ").and_then(|ms| ms.parse().ok()).ok_or(NoteError::Malformed)?,
        };
        // One head has one text: no leading zeros, no other base64, nothing behind it.
        if checkpoint.to_string() == text { Ok(checkpoint) } else { Err(NoteError::Malformed) }
    }
}

/// The public key that heads are verified with; as text `name+keyid+key` (a C2SP verifier key).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadKey {
    name: String,
    key: VerifyingKey,
}

impl HeadKey {
    /// Its name: the origin of the heads.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let hash =
            Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519]).chain_update(self.key.as_bytes());
        let hash: Hash = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The text of `note` if this key signed it.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Malformed);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = &note[..=text.len()]; // with the line feed that ends it
        let mut outcome = Err(NoteError::OtherKey);
        for line in signatures.lines() {
            let named = line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(NoteError::Malformed)?;
            let bytes = BASE64.decode(named.1).map_err(|_| NoteError::Malformed)?;
            let Some((id, signature)) = bytes.split_first_chunk::<KEY_ID_BYTES>() else {
                return Err(NoteError::Malformed);
            };
            if named.0 != self.name || *id != self.id() {
                continue; // somebody else's, a witness perhaps
            }
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::WrongSignature)?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| NoteError::WrongSignature)?;
            outcome = Ok(text);
        }
        outcome
    }

    /// The head in `note` if this key signed it.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn head(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint: Checkpoint = self.open(note)?.parse()?;
        if checkpoint.origin == self.name { Ok(checkpoint) } else { Err(NoteError::OtherKey) }
    }
}

impl fmt::Display for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64.encode(key))
    }
}

impl FromStr for HeadKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::MalformedKey);
        };
        let bytes = BASE64.decode(key).map_err(|_| NoteError::MalformedKey)?;
        let bytes: Hash = match bytes.split_first() {
            Some((&ED25519, key)) => key.try_into().map_err(|_| NoteError::MalformedKey)?,
            _ => return Err(NoteError::MalformedKey),
        };
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NoteError::MalformedKey)?;
        let key = Self { name: name.to_owned(), key };
        if hex::encode(key.id()) == id { Ok(key) } else { Err(NoteError::MalformedKey) }
    }
}

/// Signs heads. The secret is wiped from memory when the last clone goes.
#[derive(Clone)]
pub struct HeadSigner {
    secret: SigningKey,
    public: HeadKey,
}

impl fmt::Debug for HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadSigner({})", self.public)
    }
}

impl HeadSigner {
    /// With the secret of a key file.
    ///
    /// # Errors
    /// [`NoteError::Origin`].
    pub fn new(origin: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        if origin.is_empty() || origin.contains(|letter: char| letter.is_whitespace() || letter == '+') {
            return Err(NoteError::Origin);
        }
        let secret = SigningKey::from_bytes(secret);
        let public = HeadKey { name: origin.to_owned(), key: secret.verifying_key() };
        Ok(Self { secret, public })
    }

    /// What others verify with.
    #[must_use]
    pub const fn public(&self) -> &HeadKey {
        &self.public
    }

    /// The signed note of a head of this log.
    #[must_use]
    pub fn sign(&self, tree_size: u64, root: Hash, at_ms: i64) -> String {
        let text = Checkpoint { origin: self.public.name.clone(), tree_size, root, at_ms }.to_string();
        let signature = self.secret.sign(text.as_bytes());
        let line = [self.public.id().as_slice(), &signature.to_bytes()].concat();
        format!("{text}\n— {} {}\n", self.public.name, BASE64.encode(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> HeadSigner {
        HeadSigner::new("shop.example/money", &[7; 32]).unwrap()
    }

    #[test]
    fn a_note_of_another_implementation_is_verified() {
        // The example of golang.org/x/mod/sumdb/note.
        let key: HeadKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let note = format!("{text}\n— PeterNeumann {signature}\n");
        assert_eq!(key.open(&note), Ok(text));
        assert_eq!(key.open(&note.replace("your problem is", "my problem is")), Err(NoteError::WrongSignature));
        assert_eq!(key.to_string().parse::<HeadKey>().unwrap(), key);
    }

    #[test]
    fn a_head_says_what_was_signed_and_nothing_else_is_believed() {
        let (signer, root) = (signer(), [9; 32]);
        let note = signer.sign(12, root, 1_795_000_000_000);
        let key: HeadKey = signer.public().to_string().parse().unwrap();
        let head = Checkpoint { origin: key.name().to_owned(), tree_size: 12, root, at_ms: 1_795_000_000_000 };
        assert_eq!(key.head(&note), Ok(head));
        assert_eq!(key.head(&note.replacen("12", "13", 1)), Err(NoteError::WrongSignature));
        assert_eq!(key.head(&note.replacen("time", "tide", 1)), Err(NoteError::WrongSignature));
        assert_eq!(key.head("nonsense"), Err(NoteError::Malformed));
        assert_eq!(key.head(&"x".repeat(NOTE_BYTES_MAX + 1)), Err(NoteError::Malformed));
        let other = HeadSigner::new("shop.example/money", &[8; 32]).unwrap();
        assert_eq!(other.public().head(&note), Err(NoteError::OtherKey));
        let witnessed = format!("{note}— witness.example AAAAAAAA\n");
        assert!(key.head(&witnessed).is_ok());
    }

    #[test]
    fn a_name_that_would_spoil_the_note_is_refused() {
        for origin in ["", "two words", "a+b", "line\nfeed"] {
            assert_eq!(HeadSigner::new(origin, &[7; 32]).unwrap_err(), NoteError::Origin, "{origin:?}");
        }
        assert!(!format!("{:?}", signer()).contains(&hex::encode([7; 32])));
    }
}
