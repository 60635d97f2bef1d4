//! Runs one `rushmall actors` command: asks, shows, and fails if a node gave no answer.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{ActorsCommand, InspectArgs, ListArgs, OrderArgs, SelectorArgs};
use super::tables::{self, Rates};
use crate::ops::client::Shop;
use crate::ops::{OpsError, access, output};

const ANY: &str = "*";
/// Clears a terminal and goes to its corner.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Runs the command.
///
/// # Errors
/// [`OpsError::Usage`], [`OpsError::Remote`] if it was refused or not answered, [`OpsError::Verdict`] if it was carried out
/// but a node gave no answer.
pub async fn run(command: &ActorsCommand) -> Result<(), OpsError> {
    match command {
        ActorsCommand::List(args) => list(args).await,
        ActorsCommand::Inspect(args) => inspect(args).await,
        ActorsCommand::Pause(args) => order("pause", args, None).await,
        ActorsCommand::Resume(args) => order("resume", args, None).await,
        ActorsCommand::Restart(args) => order("restart", args, None).await,
        ActorsCommand::Stop(args) => order("stop", args, None).await,
        ActorsCommand::Drain(args) => order("drain", args, None).await,
        ActorsCommand::Quarantine(args) => order("quarantine", args, None).await,
        ActorsCommand::Lift(args) => order("lift", args, None).await,
        ActorsCommand::Replay(args) => order("replay", &args.order, args.id).await,
    }
}

async fn list(args: &ListArgs) -> Result<(), OpsError> {
    let (shop, token) = access::gain(&args.server).await?;
    let path = list_path(args)?;
    let (mut rates, mut round) = (Rates::default(), 0);
    loop {
        let page = shop.must_get(&path, &token).await?;
        let is_screen = args.watch && !args.server.json && std::io::stdout().is_terminal();
        let text = if args.server.json { page.to_string() } else { tables::actors(&page, &mut rates) };
        output::line(if is_screen { format!("{CLEAR}{text}") } else { text });
        round += 1;
        if !args.watch || round == args.rounds {
            return all_answered(page["no_answer"].as_array().into_iter().flatten().filter_map(Value::as_str));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(args.every_ms)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn list_path(args: &ListArgs) -> Result<String, OpsError> {
    let mut path = format!("/api/admin/actors?sort={}&page_size={}", args.sort, args.limit);
    let SelectorArgs { kind, key, node, state } = &args.selector;
    for (name, value) in [("kind", kind), ("key", key), ("node", node), ("state", state)] {
        if let Some(value) = value.as_deref().filter(|value| *value != ANY) {
            path.push_str(&format!("&{name}={}", plain(value)?));
        }
    }
    Ok(path)
}

async fn inspect(args: &InspectArgs) -> Result<(), OpsError> {
    let (shop, token) = access::gain(&args.server).await?;
    let path = format!("/api/admin/actors/{}/{}", plain(&args.kind)?, plain(&args.key)?);
    let mut found = shop.must_get(&path, &token).await?;
    if let (Some(wanted), Some(nodes)) = (&args.node, found["nodes"].as_array_mut()) {
        nodes.retain(|one| one["node"].as_str() == Some(wanted));
        if nodes.is_empty() {
            return Err(OpsError::Remote(format!("{} {} is not in memory on {wanted}", args.kind, args.key)));
        }
    }
    output::line(if args.server.json { found.to_string() } else { tables::inspected(&found) });
    all_answered(found["no_answer"].as_array().into_iter().flatten().filter_map(Value::as_str))
}

async fn order(word: &str, args: &OrderArgs, id: Option<u64>) -> Result<(), OpsError> {
    let SelectorArgs { kind, key, node, state } = &args.selector;
    if args.selector.is_silent() {
        return Err(OpsError::Usage(format!("{word} whom? Give --kind, --key, --node or --state; --kind '*' is all")));
    }
    let (kind, key) = (kind.as_deref().unwrap_or(ANY), key.as_deref().unwrap_or(ANY));
    let path = format!("/api/admin/actors/{}/{}/{word}", plain(kind)?, plain(key)?);
    let (shop, token) = access::gain(&args.server).await?;
    let body = json!({ "node": node, "state": state, "id": id });
    let results = carried_out(&shop, &path, &token, &body).await?;
    output::line(if args.server.json { results.to_string() } else { tables::results(&results) });
    let silent = results.as_array().into_iter().flatten().filter(|node| node["error"] == "no_answer");
    all_answered(silent.filter_map(|node| node["node"].as_str()))
}

/// Asks, and asks once more under the same key if no answer came: it is carried out once.
async fn carried_out(shop: &Shop, path: &str, token: &str, body: &Value) -> Result<Value, OpsError> {
    let key = crate::random::token();
    let first = shop.post_once(path, token, body, &key).await;
    let answer = match first {
        Err(_) => shop.post_once(path, token, body, &key).await,
        answer => answer,
    };
    Shop::accepted(path, answer)
}

/// A name as it may stand in a path: kinds, keys, nodes and states are made of these.
fn plain(text: &str) -> Result<&str, OpsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.*".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(OpsError::Usage(format!("\"{text}\": letters, digits, _ - . or * were expected")))
}

fn all_answered<'a>(silent: impl Iterator<Item = &'a str>) -> Result<(), OpsError> {
    let silent: Vec<&str> = silent.collect();
    if silent.is_empty() { Ok(()) } else { Err(OpsError::Verdict(format!("no answer from {}", silent.join(", ")))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_change_the_path_are_refused() {
        for good in ["*", "order_saga", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "node-1.eu"] {
            assert_eq!(plain(good).unwrap(), good);
        }
        for bad in ["", "a/b", "..?", "a b", "a&b", "字"] {
            assert_eq!(plain(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn a_silent_node_is_a_failure() {
        assert!(all_answered(std::iter::empty()).is_ok());
        let error = all_answered(["b", "c"].into_iter()).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (1, "no answer from b, c"));
    }
}
