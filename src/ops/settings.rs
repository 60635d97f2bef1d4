//! From the command line to a [`Setup`], and `rushmall config show`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::cli::{NodeArgs, ServeArgs};
use super::{OpsError, output};
use crate::config::{Loaded, Setup, Sources, load, rows};
use crate::persistence::Db;

/// The layers of the settings for `serve`, with `--port` on top: to be read at the start, and again while it serves.
#[must_use]
pub fn sources_for_serving(args: &ServeArgs) -> Sources {
    let flags = args.port.map(|port| ("--port", "http.port", port.to_string())).into_iter().collect();
    sources(args.node.config.as_deref(), flags)
}

/// What these layers say, and the data directory, made if it is missing.
///
/// # Errors
/// [`OpsError::Settings`] with every problem, [`OpsError::Io`] for the directory.
pub fn for_serving(args: &ServeArgs, sources: &Sources) -> Result<(Setup, Loaded), OpsError> {
    let loaded = load(sources)?;
    make_data_dir(&args.node.data_dir)?;
    Ok((Setup { settings: loaded.settings.clone(), data_dir: args.node.data_dir.clone() }, loaded))
}

/// The settings for a command that works on the data directory, made if it is missing.
///
/// # Errors
/// As [`for_serving`].
pub fn for_node(args: &NodeArgs) -> Result<Setup, OpsError> {
    let Loaded { settings, .. } = loaded(args.config.as_deref(), Vec::new())?;
    make_data_dir(&args.data_dir)?;
    Ok(Setup { settings, data_dir: args.data_dir.clone() })
}

/// The settings for a command that only looks: nothing is made.
///
/// # Errors
/// [`OpsError::Settings`].
pub fn for_reading(args: &NodeArgs) -> Result<Setup, OpsError> {
    let Loaded { settings, .. } = loaded(args.config.as_deref(), Vec::new())?;
    Ok(Setup { settings, data_dir: args.data_dir.clone() })
}

/// The database of `setup` with its schema brought up to date.
///
/// # Errors
/// [`OpsError::Store`].
pub async fn open_migrated(setup: &Setup) -> Result<Db, OpsError> {
    let db = Db::connect(&setup.settings.database, &setup.data_dir).await?;
    db.migrate().await?;
    Ok(db)
}

/// The database of `setup` as it is; nothing is created.
///
/// # Errors
/// [`OpsError::Usage`] if the data directory holds no database, [`OpsError::Store`].
pub async fn open_existing(setup: &Setup) -> Result<Db, OpsError> {
    let file = setup.data_dir.join("rushmall.db");
    if setup.settings.database.url.is_empty() && !file.exists() {
        return Err(OpsError::Usage(format!("there is no database at {}", file.display())));
    }
    Ok(Db::connect(&setup.settings.database, &setup.data_dir).await?)
}

/// `rushmall migrate`.
///
/// # Errors
/// [`OpsError`] if the database cannot be opened or changed.
pub async fn migrate(args: &NodeArgs) -> Result<(), OpsError> {
    let db = open_migrated(&for_node(args)?).await?;
    db.close().await;
    output::line("the schema is up to date");
    Ok(())
}

/// `rushmall config show`.
///
/// # Errors
/// [`OpsError::Settings`].
pub fn show(args: &NodeArgs) -> Result<(), OpsError> {
    let loaded = loaded(args.config.as_deref(), Vec::new())?;
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["key", "value", "origin", "live"]);
    for row in rows(&loaded) {
        let live = if row.live { "live" } else { "" };
        table.add_row([row.key, &row.value, &row.origin, live]);
    }
    output::line(table.trim_fmt());
    Ok(())
}

/// The settings from a file, this process's environment and flags.
///
/// # Errors
/// [`OpsError::Settings`].
pub fn loaded(file: Option<&Path>, flags: Vec<(&'static str, &'static str, String)>) -> Result<Loaded, OpsError> {
    Ok(load(&sources(file, flags))?)
}

fn sources(file: Option<&Path>, flags: Vec<(&'static str, &'static str, String)>) -> Sources {
    // names and values that are not UTF-8 cannot be settings of ours
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Sources { file: file.map(Path::to_owned), environment: environment.collect(), flags }
}

/// Readable by its owner alone: it holds keys and personal data.
fn make_data_dir(path: &Path) -> Result<(), OpsError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| OpsError::Io { action: format!("make the data directory {}", path.display()), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[actix_rt::test]
    async fn a_missing_data_directory_is_made_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let args = NodeArgs { data_dir: dir.path().join("a/b"), config: None };
        migrate(&args).await.unwrap();
        assert_eq!(args.data_dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(args.data_dir.join("rushmall.db").exists());
    }

    #[actix_rt::test]
    async fn looking_at_a_shop_that_is_not_there_creates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let setup = for_reading(&NodeArgs { data_dir: dir.path().to_owned(), config: None }).unwrap();
        assert_eq!(open_existing(&setup).await.unwrap_err().exit_code(), 2);
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn the_port_flag_reaches_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let node = NodeArgs { data_dir: dir.path().to_owned(), config: None };
        let args = ServeArgs { node, port: Some(0), no_demo: false };
        let (setup, _) = for_serving(&args, &sources_for_serving(&args)).unwrap();
        assert_eq!(setup.settings.http.port, 0);
    }
}
