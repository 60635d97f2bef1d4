//! Messages, layers, formats, origins, and the files under `conf/`.

use super::*;

fn variable(name: &str, value: &str) -> Sources {
    Sources { environment: vec![(name.to_owned(), value.to_owned())], ..Sources::default() }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, Sources { file: Some(path), ..Sources::default() })
}

/// The messages for a TOML file of this text, with `F` for its path.
fn complaints(text: &str) -> Vec<String> {
    let (_dir, sources) = file("x.toml", text);
    let path = sources.file.clone().unwrap().display().to_string();
    let Err(problems) = load(&sources) else { return Vec::new() };
    problems.0.iter().map(|problem| problem.to_string().replace(&path, "F")).collect()
}

#[test]
fn nothing_said_means_the_defaults() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.provenance.of("http.port"), &Origin::Default);
}

#[test]
fn a_wrong_value_is_told_with_place_key_value_and_bounds() {
    for (text, message) in [
        ("[http]\nport = \"abc\"", "F: http.port: got \"abc\", expected a whole number 0..65535"),
        ("[http]\nport = 70000", "F: http.port: got 70000, expected a whole number 0..65535"),
        ("[http]\nport = 80.5", "F: http.port: got 80.5, expected a whole number 0..65535"),
        ("[node]\nslot = 16", "F: node.slot: got 16, expected a whole number 0..15"),
        ("[node]\nname = \"\"", "F: node.name: got \"\", expected a text that is not empty"),
        ("http = 3", "F: http: unknown key"),
        ("[http]\nprot = 1", "F: http.prot: unknown key, did you mean http.port?"),
        ("[http.port]\nx = 1", "F: http.port: got a section, expected a whole number 0..65535"),
        ("environment = \"prod\"", "F: environment: got \"prod\", expected one of development, production"),
        ("[features]\nrehearsal = \"yes\"", "F: features.rehearsal: got \"yes\", expected true or false"),
        (
            "[limits]\nexempt = [\"home\"]",
            "F: limits.exempt: got a list, expected a list of IP addresses and networks like 10.0.0.0/8",
        ),
        (
            "[http]\nallowed_origins = [\"https://shop.example/\"]",
            "F: http.allowed_origins: got a list, expected a list of origins like https://shop.example, or *",
        ),
        (
            "[http]\ntls_key_file = \"key.pem\"",
            "F: http.tls_key_file: got a file alone, \
             expected http.tls_certificate_file and http.tls_key_file together, or neither (no TLS)",
        ),
        (
            "[http]\ntls_certificate_file = \"a.pem\"\ntls_key_file = \"b.pem\"\n[payment]\nsandbox = true",
            "F: payment.sandbox: got true beside TLS, expected false, and `rushmall sandbox-pay` of its own",
        ),
        (
            "[database]\nurl = \"oracle://scott:tiger@db\"",
            "F: database.url: got \"oracle://scott:***@db\", \
             expected a URL that begins with sqlite://, mysql://, postgres://, or an empty text",
        ),
        (
            "[database]\nurl = \"mysql://root@db/shop\"\nconnections_max = 3",
            "F: database.connections_max: got 3, expected at least 4 with a database server",
        ),
        (
            "[telemetry]\nlog = \"rushmall=loud\"",
            "F: telemetry.log: got \"rushmall=loud\", expected a log filter like info or info,rushmall=debug",
        ),
        (
            "environment = \"production\"\n[auth]\njwt_secret = \"short\"",
            "F: auth.jwt_secret: got 5 bytes, expected at least 32 random bytes",
        ),
        ("[limits]\nseckill_burst = 1", "F: limits.seckill_burst: got 1, expected at least limits.seckill_per_second"),
    ] {
        assert_eq!(complaints(text), [message], "{text}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let told = complaints("nonsense = 1\n[http]\nport = -1\nhost = \"\"");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_broken_or_missing_file_is_told_with_its_line() {
    assert!(complaints("[http\nport = 1")[0].starts_with("F: "), "{:?}", complaints("[http\nport = 1"));
    let missing = Sources { file: Some("no/such.toml".into()), ..Sources::default() };
    assert!(load(&missing).unwrap_err().to_string().starts_with("no/such.toml: cannot be read: "));
    let (_dir, ini) = file("x.ini", "port=1");
    assert!(load(&ini).unwrap_err().to_string().ends_with("expected a file that ends in .toml, .yaml or .yml"));
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let problems = load(&variable("RUSHMALL__HTTP__PORT", "eighty")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "RUSHMALL__HTTP__PORT: http.port: got \"eighty\", expected a whole number 0..65535"
    );
    let problems = load(&variable("RUSHMALL__HTTP__PROT", "80")).unwrap_err();
    assert_eq!(problems.to_string(), "RUSHMALL__HTTP__PROT: http.prot: unknown key, did you mean http.port?");
    assert!(load(&variable("RUSHMALL_DATA_DIR", "/x")).is_ok());
}

#[test]
fn flags_beat_variables_beat_the_file_beat_the_defaults() {
    let (_dir, mut sources) = file("x.toml", "[http]\nport = 1\nhost = \"0.0.0.0\"\nworkers = 3");
    sources.environment.push(("RUSHMALL__HTTP__PORT".to_owned(), "2".to_owned()));
    sources.environment.push(("RUSHMALL__HTTP__WORKERS".to_owned(), "5".to_owned()));
    sources.flags.push(("--port", "http.port", "3".to_owned()));
    let Loaded { settings, provenance } = load(&sources).unwrap();
    assert_eq!((settings.http.port, settings.http.workers), (3, 5));
    assert_eq!(settings.http.host, "0.0.0.0");
    assert_eq!(provenance.of("http.port"), &Origin::Flag("--port"));
    assert_eq!(provenance.of("http.workers"), &Origin::Variable("RUSHMALL__HTTP__WORKERS".to_owned()));
    assert_eq!(provenance.of("http.host"), &Origin::File(sources.file.unwrap()));
    assert_eq!(provenance.of("node.slot"), &Origin::Default);
}

#[test]
fn lists_in_variables_are_separated_by_commas() {
    let settings = load(&variable("RUSHMALL__HTTP__ALLOWED_ORIGINS", "https://a.cn, https://b.cn")).unwrap().settings;
    assert_eq!(settings.http.allowed_origins.unwrap(), ["https://a.cn", "https://b.cn"]);
    let settings = load(&variable("RUSHMALL__LIMITS__EXEMPT", "")).unwrap().settings;
    assert_eq!(settings.limits.exempt, Some(Vec::new()));
}

#[test]
fn yaml_of_the_same_shape_means_the_same() {
    let toml = "environment = \"development\"\n[http]\nport = 9000\nallowed_origins = [\"https://a.cn\"]\n\
                [features]\nrehearsal = false\n[limits]\nexempt = [\"10.0.0.1\"]";
    let yaml = "environment: development\nhttp:\n  port: 9000\n  allowed_origins: [\"https://a.cn\"]\n\
                features:\n  rehearsal: false\nlimits:\n  exempt:\n    - 10.0.0.1\nfeed:\n";
    let (_toml_dir, toml) = file("x.toml", toml);
    let (_yaml_dir, yaml) = file("x.yml", yaml);
    let settings = load(&yaml).unwrap().settings;
    assert_eq!(settings, load(&toml).unwrap().settings);
    assert_eq!((settings.http.port, settings.features.rehearsal), (9_000, Some(false)));
    let (_dir, wrong) = file("x.yaml", "http:\n  port: abc\n");
    assert!(load(&wrong).unwrap_err().to_string().ends_with("got \"abc\", expected a whole number 0..65535"));
}

#[test]
fn production_refuses_weak_secrets_and_never_repeats_them() {
    let production = |secret: &str| {
        let mut sources = variable("RUSHMALL__ENVIRONMENT", "production");
        sources.environment.push(("RUSHMALL__AUTH__JWT_SECRET".to_owned(), secret.to_owned()));
        load(&sources)
    };
    for weak in
        ["", "0123456789abcdef", "gomall-secret-key-gomall-secret-key-1", "abababababababababababababababababab"]
    {
        let told = production(weak).unwrap_err().to_string();
        assert!(told.starts_with("RUSHMALL__AUTH__JWT_SECRET: auth.jwt_secret: got "), "{told}");
        assert!(weak.is_empty() || !told.contains(weak), "{told}");
    }
    assert!(production("q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca").is_ok());
}

#[test]
fn conf_default_toml_is_the_defaults_with_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/default.toml");
    let loaded = load(&Sources { file: Some(path.into()), ..Sources::default() }).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    let text = std::fs::read_to_string(path).unwrap();
    for key in all_keys() {
        let name = key.rsplit('.').next().unwrap();
        let optional = text.lines().any(|line| line.starts_with(&format!("# {name} = ")));
        assert!(optional || loaded.provenance.of(key) != &Origin::Default, "{key} is not in conf/default.toml");
    }
}

#[test]
fn the_other_files_under_conf_can_be_loaded() {
    for (name, environment) in [
        ("dev.toml", Environment::Development),
        ("prod.toml", Environment::Production),
        ("cluster.toml", Environment::Production),
    ] {
        let mut sources = variable("RUSHMALL__AUTH__JWT_SECRET", "q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca");
        sources.file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name));
        assert_eq!(load(&sources).unwrap().settings.environment, environment);
    }
    let without =
        Sources { file: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prod.toml")), ..Sources::default() };
    assert!(load(&without).is_err());
}

#[test]
fn production_shares_its_answers_only_with_pages_that_are_named() {
    let of = |environment: &str, origins: Option<&str>| {
        let mut sources = variable("RUSHMALL__ENVIRONMENT", environment);
        let secret = ("RUSHMALL__AUTH__JWT_SECRET".to_owned(), "q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca".to_owned());
        sources.environment.push(secret);
        sources.environment.extend(origins.map(|list| ("RUSHMALL__HTTP__ALLOWED_ORIGINS".to_owned(), list.to_owned())));
        load(&sources).unwrap().settings
    };
    assert!(of("development", None).allows_any_origin() && !of("production", None).allows_any_origin());
    assert!(!of("production", None).allows_origin(b"https://a.cn"));
    let named = of("production", Some("https://a.cn"));
    assert!(named.allows_origin(b"https://a.cn") && !named.allows_origin(b"https://b.cn"));
    assert!(of("production", Some("*")).allows_origin(b"https://b.cn"), "said");
    assert!(!of("development", Some("https://a.cn")).allows_any_origin());
}
