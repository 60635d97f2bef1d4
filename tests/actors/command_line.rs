//! `rushmall actors` and `rushmall admin audit-export` against a running shop.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::ShopProcess;

const DESCRIBED_WITHIN: Duration = Duration::from_secs(30);

struct Console {
    server: String,
    token: String,
}

impl Console {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_rushmall"))
            .args(arguments)
            .env("RUSHMALL_SERVER", &self.server)
            .env("RUSHMALL_ADMIN_TOKEN", &self.token)
            .output()
            .expect("the binary runs")
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn code(&self, arguments: &[&str]) -> Option<i32> {
        self.run(arguments).status.code()
    }
}

#[tokio::test]
async fn actors_are_listed_held_and_let_go_from_the_command_line() {
    let shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("typed", 1.0, 9).await;
    shop.register("ann").await.place_order(&product, 1).await.accepted();
    let (key, console) = (product.id.to_string(), Console { server: shop.address.base(), token: admin.token.clone() });
    let listed = console.text(&["actors", "list", "--kind", "inventory"]);
    assert!(listed.starts_with("1 of 1 actors\n") && listed.contains("running"), "{listed}");
    let watched =
        console.text(&["actors", "list", "--watch", "--rounds", "2", "--every-ms", "100", "--sort", "handled"]);
    assert_eq!(watched.matches("per second").count(), 2, "{watched}");
    let json: Value = serde_json::from_str(&console.text(&["actors", "list", "--json"])).expect("JSON");
    assert!(json["total"].as_u64() >= Some(3), "{json}");

    let paused = console.text(&["actors", "pause", "--kind", "inventory", "--key", &key, "--node", "node-0"]);
    assert!(paused.contains("node-0") && paused.lines().count() == 2, "{paused}");
    let until = Instant::now() + DESCRIBED_WITHIN;
    let inspected = loop {
        let told = console.text(&["actors", "inspect", "--kind", "inventory", "--key", &key]);
        if told.contains("inside.name") {
            break told;
        }
        assert!(Instant::now() < until, "it never tells of itself: {told}");
    };
    assert!(inspected.contains("state: \"paused\"") && inspected.contains("inside.name: \"typed\""), "{inspected}");
    assert!(inspected.contains("last messages:\n") && inspected.contains(": answered, waited "), "{inspected}");
    for command in ["resume", "restart", "stop", "restart", "drain", "restart", "quarantine", "lift", "replay"] {
        let results = console.text(&["actors", command, "--kind", "inventory", "--key", &key, "--json"]);
        assert!(serde_json::from_str::<Value>(&results).expect("JSON")[0]["reached"].is_u64(), "{command}: {results}");
    }
    shop.register("bob").await.place_order(&product, 1).await.accepted();

    assert_eq!(console.code(&["actors", "stop"]), Some(2), "nobody is stopped by accident");
    assert_eq!(console.code(&["actors", "pause", "--kind", "a/b"]), Some(2));
    assert_eq!(console.code(&["actors", "lift", "--kind", "inventory", "--key", &key]), Some(1), "refused");
    let nobody = Console { token: String::new(), ..console };
    assert_eq!(nobody.code(&["actors", "list"]), Some(2), "who asks?");
    let wrong = Console { token: "x".to_owned(), ..nobody };
    assert_eq!(wrong.code(&["actors", "list"]), Some(1));

    let export = |arguments: &[&str]| {
        let mut command = shop.command(&["admin", "audit-export"]);
        command.args(arguments);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let lines = export(&["--action", "actor.*"]);
    let (looks, orders): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| line.contains(r#""actor.list""#) || line.contains(r#""actor.inspect""#));
    assert_eq!(orders.len(), 11, "{lines}");
    assert!(!looks.is_empty(), "who looked is written down as well: {lines}");
    assert!(export(&["--format", "csv"]).starts_with("id,at,"));
    shop.assert_clean().await;
}
