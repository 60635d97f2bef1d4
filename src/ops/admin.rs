//! Administrators are made here and nowhere else: never by who registers first.

use std::io::BufRead as _;

use super::cli::AdminArgs;
use super::{OpsError, output, settings};
use crate::clock::Clock;
use crate::domain::BuyerId;
use crate::domain::user::{FIRST_ADMIN, Login, PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN, Role, is_username};
use crate::persistence::Db;
use crate::persistence::users::{self, AccessChanges, NewUser, User, UserRejection};
use crate::{passwords, random};

/// Characters of a generated password, 6 random bits each.
const GENERATED_CHARS: usize = 20;

/// A name and password that can sign in. No `Debug`: it holds a password.
#[expect(missing_debug_implementations, reason = "nothing of it belongs in a log")]
pub struct Credentials {
    /// The account.
    pub id: BuyerId,
    /// Its name.
    pub username: String,
    /// Its password in clear text.
    pub password: String,
}

/// `rushmall admin create`.
///
/// # Errors
/// [`OpsError::Usage`] for a name or password out of bounds or taken; [`OpsError::Store`].
pub async fn create(args: &AdminArgs) -> Result<(), OpsError> {
    let password = password_from_stdin()?;
    let db = settings::open_migrated(&settings::for_node(&args.node)?).await?;
    let made = make(&db, &args.username, &password, Clock::default().now_ms()).await;
    db.close().await;
    output::line(format_args!("administrator {} can sign in", made?.username));
    Ok(())
}

/// `rushmall admin reset-password`.
///
/// # Errors
/// [`OpsError::Usage`] if there is no such user or the password is out of bounds; [`OpsError::Store`].
pub async fn reset_password(args: &AdminArgs) -> Result<(), OpsError> {
    let password = password_from_stdin()?;
    let db = settings::open_migrated(&settings::for_node(&args.node)?).await?;
    let done = replace_password(&db, &args.username, &password, Clock::default().now_ms()).await;
    db.close().await;
    done?;
    output::line(format_args!("password of {} is replaced, all sessions have ended", args.username));
    Ok(())
}

/// Makes the user `admin` with a random password if the shop has no administrator; `admin-2`, `admin-3`, … if the name
/// is taken (an administrator who was made a buyer). Whoever calls it shows the password: nobody can read it again.
///
/// # Errors
/// [`OpsError::Store`].
pub async fn create_first(db: &Db, now_ms: i64) -> Result<Option<Credentials>, OpsError> {
    if users::any_admin(db).await? {
        return Ok(None);
    }
    let password = generated_password();
    let username = free_name(db).await?;
    let user = make(db, &username, &password, now_ms).await?;
    Ok(Some(Credentials { id: user.id, username: user.username, password }))
}

async fn free_name(db: &Db) -> Result<String, OpsError> {
    let (mut name, mut number) = (FIRST_ADMIN.to_owned(), 1);
    while users::find_by_login(db, &Login::Username(name.clone())).await?.is_some() {
        number += 1;
        name = format!("{FIRST_ADMIN}-{number}");
    }
    Ok(name)
}

/// An administrator for one drill; end it with [`retire`].
///
/// # Errors
/// [`OpsError::Store`].
pub async fn make_temporary(db: &Db, now_ms: i64) -> Result<Credentials, OpsError> {
    let username = format!("drill-admin-{}", hex::encode(random::bytes::<6>()));
    let password = generated_password();
    let user = make(db, &username, &password, now_ms).await?;
    Ok(Credentials { id: user.id, username, password })
}

/// Disables a temporary administrator and ends his sessions.
///
/// # Errors
/// [`OpsError::Store`].
pub async fn retire(db: &Db, id: BuyerId, now_ms: i64) -> Result<(), OpsError> {
    let changes = AccessChanges { active: Some(false), role: Some(Role::User) };
    users::set_access(db, id, changes, now_ms).await?;
    Ok(())
}

async fn make(db: &Db, username: &str, password: &str, now_ms: i64) -> Result<User, OpsError> {
    if !is_username(username) {
        return Err(OpsError::Usage(format!("\"{username}\" is not a username: 3 to 50 letters, digits, _ - .")));
    }
    let new = NewUser {
        username: username.to_owned(),
        email: None,
        phone: None,
        password_hash: hash(password)?,
        role: Role::Admin,
    };
    match users::insert(db, &new, now_ms).await? {
        Ok(user) => Ok(user),
        Err(UserRejection::UsernameTaken) => Err(OpsError::Usage(format!("user {username} exists already"))),
        Err(rejection) => Err(OpsError::Internal(format!("user {username} was refused: {rejection:?}"))),
    }
}

async fn replace_password(db: &Db, username: &str, password: &str, now_ms: i64) -> Result<(), OpsError> {
    let new_hash = hash(password)?;
    let unknown = || OpsError::Usage(format!("there is no user {username}"));
    loop {
        let user = users::find_by_login(db, &Login::Username(username.to_owned())).await?.ok_or_else(unknown)?;
        if users::change_password(db, user.id, &user.password_hash, &new_hash, now_ms).await? {
            return Ok(());
        } // the user changed it in this very moment: the administrator's word is the later one
    }
}

/// Argon2id in PHC form.
fn hash(password: &str) -> Result<String, OpsError> {
    if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        let bounds = format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
        return Err(OpsError::Usage(format!("{bounds}, got {}", password.len())));
    }
    passwords::hash(password).map_err(|error| OpsError::Internal(error.to_string()))
}

fn generated_password() -> String {
    random::token().chars().take(GENERATED_CHARS).collect()
}

/// The first line of standard input without its end.
///
/// # Errors
/// [`OpsError::Io`] if it cannot be read.
pub fn password_from_stdin() -> Result<String, OpsError> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|source| OpsError::Io { action: "read the password from standard input".to_owned(), source })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;
    use argon2::{Argon2, PasswordVerifier as _, password_hash};

    use super::*;
    use crate::persistence::testing::{OwnDatabase, database};

    async fn shop() -> (OwnDatabase, Db) {
        let (db, own) = database().await;
        (own, db)
    }

    async fn user(db: &Db, name: &str) -> User {
        users::find_by_login(db, &Login::Username(name.to_owned())).await.unwrap().unwrap()
    }

    fn verify(password: &str, user: &User) -> password_hash::Result<()> {
        Argon2::default().verify_password(password.as_bytes(), &PasswordHash::new(&user.password_hash).unwrap())
    }

    #[actix_rt::test]
    async fn the_first_start_makes_one_administrator_and_the_second_none() {
        let (_dir, db) = shop().await;
        let first = create_first(&db, 1).await.unwrap().unwrap();
        assert_eq!((first.username.as_str(), first.password.len()), ("admin", GENERATED_CHARS));
        let admin = user(&db, "admin").await;
        assert_eq!(admin.role, Role::Admin);
        verify(&first.password, &admin).unwrap();
        assert!(create_first(&db, 2).await.unwrap().is_none());
    }

    #[actix_rt::test]
    async fn the_first_administrator_gets_another_name_if_admin_is_taken() {
        let (_dir, db) = shop().await;
        for expected in ["admin", "admin-2", "admin-3"] {
            let first = create_first(&db, 1).await.unwrap().unwrap();
            assert_eq!(first.username, expected);
            verify(&first.password, &user(&db, expected).await).unwrap();
            retire(&db, first.id, 2).await.unwrap();
        }
    }

    #[actix_rt::test]
    async fn a_reset_password_is_the_only_one_that_works() {
        let (_dir, db) = shop().await;
        let first = create_first(&db, 1).await.unwrap().unwrap();
        replace_password(&db, "admin", "correct horse", 2).await.unwrap();
        let admin = user(&db, "admin").await;
        verify("correct horse", &admin).unwrap();
        assert!(verify(&first.password, &admin).is_err());
        assert_eq!(replace_password(&db, "nobody", "correct horse", 3).await.unwrap_err().exit_code(), 2);
    }

    #[actix_rt::test]
    async fn names_and_passwords_out_of_bounds_and_taken_names_are_refused() {
        let (_dir, db) = shop().await;
        make(&db, "boss", "secret-1", 1).await.unwrap();
        for (name, password) in [("boss", "secret-1"), ("x", "secret-1"), ("a b c", "secret-1"), ("chief", "12345")] {
            assert_eq!(make(&db, name, password, 2).await.err().unwrap().exit_code(), 2, "{name} {password}");
        }
    }

    #[actix_rt::test]
    async fn a_retired_administrator_is_neither_active_nor_an_administrator() {
        let (_dir, db) = shop().await;
        let temporary = make_temporary(&db, 1).await.unwrap();
        retire(&db, temporary.id, 2).await.unwrap();
        let user = user(&db, &temporary.username).await;
        assert!(!user.active && user.role == Role::User);
        assert!(!users::any_admin(&db).await.unwrap());
    }
}
