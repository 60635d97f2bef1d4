//! Who a user is and which names, addresses and passwords he may have.
//!
//! A user signs in with his username, email or mobile number. The three never collide: an email has an `@`, which a
//! username cannot have, and a username that looks like a mobile number must be the user's own.

use serde::{Deserialize, Serialize};

/// Shortest username, in characters.
pub const USERNAME_CHARS_MIN: usize = 3;
/// Longest username, in characters.
pub const USERNAME_CHARS_MAX: usize = 50;
/// Shortest password, in bytes.
pub const PASSWORD_BYTES_MIN: usize = 6;
/// Longest password, in bytes (api.md; the bound of bcrypt, which older shops used).
pub const PASSWORD_BYTES_MAX: usize = 72;
/// Longest email address, in bytes.
pub const EMAIL_BYTES_MAX: usize = 190;

/// Username of the administrator that the first start makes.
pub const FIRST_ADMIN: &str = "admin";

/// What a user may do; stored and sent as 1 or 2. Only an administrator or the command line changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i16", into = "i16")]
pub enum Role {
    /// Buys.
    #[default]
    User,
    /// Runs the shop.
    Admin,
}

/// Neither 1 nor 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role must be 1 (user) or 2 (administrator)")]
pub struct RoleError;

impl TryFrom<i16> for Role {
    type Error = RoleError;

    fn try_from(number: i16) -> Result<Self, RoleError> {
        match number {
            1 => Ok(Self::User),
            2 => Ok(Self::Admin),
            _ => Err(RoleError),
        }
    }
}

impl From<Role> for i16 {
    fn from(role: Role) -> Self {
        match role {
            Role::User => 1,
            Role::Admin => 2,
        }
    }
}

/// What somebody typed to say who he is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Lower case, with an `@`.
    Email(String),
    /// A mobile number of mainland China, 11 digits.
    Mobile(String),
    /// Anything else.
    Username(String),
}

impl Login {
    /// Reads `text` by its form; surrounding blanks do not count.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        if text.contains('@') {
            Self::Email(text.to_lowercase())
        } else if is_mobile(text) {
            Self::Mobile(text.to_owned())
        } else {
            Self::Username(text.to_owned())
        }
    }
}

/// True for 3 to 50 letters, digits, `_`, `-`, `.` (Chinese letters too).
#[must_use]
pub fn is_username(text: &str) -> bool {
    let chars = text.chars().count();
    (USERNAME_CHARS_MIN..=USERNAME_CHARS_MAX).contains(&chars)
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// True for the names of administrators that the shop makes itself, `admin` and `admin-2`, `admin-3`, …, in any case:
/// nobody registers under them.
#[must_use]
pub fn is_reserved(username: &str) -> bool {
    let lower = username.to_lowercase();
    let number = lower.strip_prefix(FIRST_ADMIN).map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// True for a mobile number of mainland China: 11 digits, `1` then 3..=9.
#[must_use]
pub fn is_mobile(text: &str) -> bool {
    let digits = text.as_bytes();
    digits.len() == 11
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] == b'1'
        && (b'3'..=b'9').contains(&digits[1])
}

/// True for something one can write to: one `@`, a local part of visible ASCII, a domain with a dot.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let visible = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= EMAIL_BYTES_MAX
        && visible(local)
        && local.len() <= 64
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_by_its_form() {
        assert_eq!(Login::read(" A@B.cn "), Login::Email("a@b.cn".to_owned()));
        assert_eq!(Login::read("13800138000"), Login::Mobile("13800138000".to_owned()));
        assert_eq!(Login::read("12345678901"), Login::Username("12345678901".to_owned()));
        assert_eq!(Login::read("小明_01"), Login::Username("小明_01".to_owned()));
    }

    #[test]
    fn names_are_bounded_in_characters_and_alphabet() {
        for (name, fine) in [
            ("abc", true),
            ("ab", false),
            ("张三丰", true),
            ("a b c", false),
            ("a@b.c", false),
            ("a<b>c", false),
            ("x-1_2.3", true),
        ] {
            assert_eq!(is_username(name), fine, "{name}");
        }
        assert!(is_username(&"字".repeat(50)) && !is_username(&"a".repeat(51)));
    }

    #[test]
    fn names_of_administrators_are_reserved() {
        for (name, reserved) in [
            ("admin", true),
            ("ADMIN", true),
            ("admin-2", true),
            ("admin2", true),
            ("admin-x", false),
            ("administrator", false),
            ("my-admin", false),
        ] {
            assert_eq!(is_reserved(name), reserved, "{name}");
        }
    }

    #[test]
    fn emails_need_a_domain() {
        for (email, fine) in [
            ("a@b.cn", true),
            ("first.last+tag@mail.example.com", true),
            ("a@b", false),
            ("a@@b.cn", false),
            ("@b.cn", false),
            ("a@.cn", false),
            ("a b@c.cn", false),
            ("a@-b.cn", false),
        ] {
            assert_eq!(is_email(email), fine, "{email}");
        }
    }
}
