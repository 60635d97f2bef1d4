//! The Lua scripts, each put together from its parts: the fence first, then what it shares with others, then its own.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    // `include_str!` of each part, joined at compile time; a function could not take the file names.
    ($name:ident = $($part:literal)+) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("../lua/", $part, ".lua"))),+)));
    };
}

script!(RESERVE = "fence" "accounts" "reserve");
script!(SETTLE = "fence" "accounts" "marks" "settle");
script!(RELEASE = "fence" "accounts" "marks" "release");
script!(RETAKE = "fence" "accounts" "marks" "retake");
script!(MOVE = "fence" "marks" "move");
script!(SET_TERMS = "fence" "set_terms");
script!(SNAPSHOT = "fence" "snapshot");
script!(FIND = "fence" "find");
script!(TICKETS_OF = "fence" "tickets_of");
script!(ORPHANS = "fence" "orphans");
script!(BEGIN = "begin");
script!(REBUILD = "rebuild");
