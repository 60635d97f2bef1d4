//! What a user may do. The integers are part of the HTTP contract (`role`).

use serde::{Deserialize, Serialize};

/// A user's role, as the database has it; never inferred from the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i16", into = "i16")]
pub enum Role {
    /// Buys.
    User = 1,
    /// Runs the shop.
    Admin = 2,
}

/// Not the number of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role must be 1 or 2")]
pub struct RoleError;

impl Role {
    /// The number in the database and on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }
}

impl TryFrom<i16> for Role {
    type Error = RoleError;

    fn try_from(code: i16) -> Result<Self, RoleError> {
        match code {
            1 => Ok(Self::User),
            2 => Ok(Self::Admin),
            _ => Err(RoleError),
        }
    }
}

impl From<Role> for i16 {
    fn from(role: Role) -> Self {
        role.code()
    }
}
