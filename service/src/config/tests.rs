//! What the configuration accepts, and what it says about what it does not.

use super::*;

/// Loads `file` as `linli.toml` with an environment; the problems, one a line, or `ok`.
fn verdict(file: &str, environment: &[(&str, &str)], flags: &Flags) -> String {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match Config::layered(Some((file, "linli.toml")), environment, flags) {
        Ok(_) => "ok".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_documented_key_is_read() {
    let config = Config::layered(None, [], &Flags::default()).unwrap();
    assert_eq!(config.server.profile, Profile::Production);
    // A key that is documented but never read would be accepted with any text; none may be.
    let layers = Layers::new(DEFAULT);
    assert!(layers.problems.is_empty(), "{:?}", layers.problems);
    let source = concat!(
        include_str!("reader.rs"),
        include_str!("auth.rs"),
        include_str!("community.rs"),
        include_str!("nats.rs")
    );
    for key in layers.keys() {
        assert!(source.contains(&format!("\"{key}\"")), "`{key}` is documented and never read");
    }
}

#[test]
fn everything_in_the_data_folder_moves_with_it() {
    let mut layers = Layers::new(DEFAULT);
    let keys: Vec<String> = layers.keys().map(|key| key.to_string()).collect();
    let flags = Flags { data: Some("/srv/elsewhere".into()), ..Flags::default() };
    flags.lay_over(&mut layers);
    let mut moved = 0;
    for key in keys {
        let Value::Text(text) = &layers.get(&key).value else { continue };
        assert!(!text.starts_with("linli-data"), "`{key}` stays behind: {text}");
        moved += usize::from(text.starts_with("/srv/elsewhere"));
    }
    assert!(moved >= 7, "{moved}");
}

#[test]
fn every_key_is_explained() {
    let lines: Vec<_> = DEFAULT.lines().collect();
    for (above, line) in lines.iter().zip(lines.iter().skip(1)) {
        let second_of_pair = line.contains("_env = ") && above.contains("_file = ");
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || above.starts_with('#') || second_of_pair, "no comment above `{line}`");
    }
}

#[test]
fn complaints() {
    let check =
        |file: &str, expect: &str| assert_eq!(verdict(file, &[], &Flags::default()), expect, "{file}");
    check("", "ok");
    check(
        "\n[server]\nlisen = \"127.0.0.1:1\"\n",
        "linli.toml:3: unknown key `server.lisen`; did you mean `server.listen`?",
    );
    check(
        "[sever]\nlisten = \"x\"",
        "linli.toml:2: unknown key `sever.listen`; did you mean `server.listen`?",
    );
    check(
        "[server]\ncalls = 7",
        "linli.toml:2: unknown key `server.calls`; did you mean `server.limits.calls`?",
    );
    check("xyzzyplugh = 7", "linli.toml:1: unknown key `xyzzyplugh`");
    check(
        "[server.limits]\ncalls = \"many\"\nconnections = 0\n[log]\nformat = \"xml\"\nlevel = \"loud=x=y\"",
        "linli.toml:2: `server.limits.calls` takes a whole number, not a text\n\
         linli.toml:3: `server.limits.connections` must lie between 1 and 100000\n\
         linli.toml:5: `log.format` must be one of `pretty`, `json`, not `xml`\n\
         linli.toml:6: `log.level` is not usable: `loud=x=y` is not a level such as `info` or \
         `info,linli_store=debug`",
    );
    check("[server]\nlisten = 5.5", "linli.toml:2: `server.listen` cannot be of the kind float");
    check("[import.columns]\n\"住户.姓名\" = \"name\"", "ok");
    check("[plugins.isolation]\n\"cn.linli.elderly\" = \"in_process\"", "ok");
    check(
        "[plugins.isolation]\n\"cn.linli.elderly\" = \"nowhere\"",
        "linli.toml:2: `plugins.isolation` of `cn.linli.elderly` must be `child` or `in_process`",
    );
    check("[import.columns]\n\"住户\" = 3", "linli.toml:2: `import.columns` maps `住户` to no text");
    check(
        "[auth]\ndevelopment_token = true\n[clock]\nsimulated_start = \"2026-03-16T09:00:00+08:00\"",
        "linli.toml:2: `auth.development_token` is refused in the production profile\n\
         linli.toml:4: `clock.simulated_start` is refused in the production profile",
    );
    check(
        "server.listen = \"0.0.0.0:50051\"",
        "linli.toml:1: `server.listen` is reached from other machines without TLS: set `server.tls.cert_file` and \
         `server.tls.key_file`, listen on loopback or a Unix socket, or set `server.allow_plaintext` where a proxy in front terminates TLS",
    );
    check(
        "store.backend = \"postgres\"\nstore.postgres.keys_url_env = \"DB\"",
        "default: `store.postgres.url_file` or `store.postgres.url_env` must be set",
    );
    check(
        "keys.root_key_file = \"a\"\nkeys.root_key_env = \"A\"",
        "linli.toml:2: `keys.root_key_env` and `keys.root_key_file` are both set: keep one",
    );
    check(
        "clock.simulated_start = \"yesterday\"",
        "linli.toml:1: `clock.simulated_start` is not usable: `yesterday` is not an instant such as \
         2026-03-16T09:00:00+08:00",
    );
}

#[test]
fn events_leave_protected_and_by_one_name() {
    let check = |file: &str, expect: &str| {
        let found = verdict(&format!("[events.nats]\n{file}"), &[], &Flags::default());
        assert!(found.contains(expect) && (expect == "ok") == (found == "ok"), "{file}: {found}");
    };
    for url in
        ["tls://nats.example:4222", "nats://127.0.0.1:4222", "nats://localhost", "nats://[::1]:4222", ""]
    {
        check(&format!("url = \"{url}\""), "ok");
    }
    for url in ["nats.example:4222", "tls://", "tls://u:p@nats.example", "http://nats.example", "tls://a/b"] {
        check(&format!("url = \"{url}\""), "must be like `tls://nats.example:4222`");
    }
    for url in ["nats://nats.example:4222", "nats://10.0.0.1", "nats://127.0.0.1.example"] {
        check(&format!("url = \"{url}\""), "leaves this machine in clear text");
        check(&format!("url = \"{url}\"\nallow_plaintext = true"), "ok");
    }
    let on = "url = \"tls://nats.example\"\n";
    check(&format!("{on}stream = \"a.b\""), "`events.nats.stream` must have");
    check(&format!("{on}subject_prefix = \"a..b\""), "`events.nats.subject_prefix` must be");
    check(&format!("{on}subject_prefix = \"a.>\""), "`events.nats.subject_prefix` must be");
    check(&format!("{on}user = \"linli\""), "belong together");
    check(&format!("{on}password_env = \"P\""), "belong together");
    check(&format!("{on}user = \"linli\"\npassword_env = \"P\""), "ok");
    check(&format!("{on}token_env = \"T\""), "ok");
    check(&format!("{on}user = \"linli\"\npassword_env = \"P\"\ntoken_env = \"T\""), "belong together");
}

#[test]
fn broken_toml_is_named_by_line() {
    let found = verdict("[server]\nlisten = \n", &[], &Flags::default());
    assert!(found.starts_with("linli.toml:2: "), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn environment_wins_over_file_and_flags_over_both() {
    let load = |environment: &[(&str, &str)], flags: &Flags| {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let file = "server.listen = \"127.0.0.1:1\"\nserver.limits.calls = 1";
        Config::layered(Some((file, "linli.toml")), environment, flags).unwrap().server
    };
    let variables = [
        ("LINLI__SERVER__LISTEN", "127.0.0.1:2"),
        ("LINLI__SERVER__LIMITS__CALLS", "2"),
        ("LINLI_OTHER", "x"),
        ("PATH", "/bin"),
    ];
    assert_eq!(load(&[], &Flags::default()).listen.to_string(), "127.0.0.1:1");
    let server = load(&variables, &Flags::default());
    assert_eq!((server.listen.to_string().as_str(), server.limits.calls), ("127.0.0.1:2", 2));
    let flags = Flags { listen: Some("unix:/x".into()), ..Flags::default() };
    assert_eq!(load(&variables, &flags).listen, Address::Unix("/x".into()));
}

#[test]
fn complaints_about_the_environment() {
    let check = |name: &str, value: &str, expect: &str| {
        assert_eq!(verdict("", &[(name, value)], &Flags::default()), expect, "{name}={value}");
    };
    check("LINLI__PLUGINS__FOLDERS", "[\"/a\", \"/b\"]", "ok");
    check("LINLI__SERVER__REFLECTION", "false", "ok");
    check(
        "LINLI__SERVER__REFLECTION",
        "no",
        "LINLI__SERVER__REFLECTION: `server.reflection` takes true or false, not a text",
    );
    check(
        "LINLI__SERVER__LISEN",
        "x",
        "LINLI__SERVER__LISEN: unknown key `server.lisen`; did you mean `server.listen`?",
    );
}

#[test]
fn dev_needs_no_file() {
    let flags = Flags { dev: true, data: Some("/tmp/estate".into()), ..Flags::default() };
    let config = Config::layered(None, [], &flags).unwrap();
    assert_eq!(config.server.profile, Profile::Development);
    assert!(config.auth.development_token && config.server.listen.is_local() && config.store.migrate);
    assert_eq!(config.keys, SecretRef::File("/tmp/estate/root.key".into()));
    let file = "server.profile = \"production\"";
    let found = verdict(file, &[], &flags);
    assert_eq!(found, "--dev: `auth.development_token` is refused in the production profile");
}

#[test]
fn secrets_come_by_reference() {
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("linli-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("url");
    std::fs::write(&path, "postgres://u:geheim@h/d\n").unwrap();
    let secret = SecretRef::File(path.clone());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(secret.read().unwrap_err().contains("mode 0600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(secret.read().unwrap().expose_secret(), "postgres://u:geheim@h/d");
    assert!(!format!("{secret:?} {:?}", secret.read()).contains("geheim"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        SecretRef::Environment("LINLI_TEST_NOT_SET".into())
            .read()
            .unwrap_err()
            .contains("LINLI_TEST_NOT_SET")
    );
}
