//! Layers, origins, refusals.

use std::{collections::BTreeMap, io::Write};

use serde::{Deserialize, Serialize};

use crate::{ByteSize, Duration, Loaded, MASK, Origin, Secret, SettingsError, Sources};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    http: Http,
    modules: Vec<String>,
    databases: BTreeMap<String, String>,
    token: Option<Secret<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: String,
    keep_alive: Duration,
    body_limit: ByteSize,
    workers: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            keep_alive: Duration::from_secs(75),
            body_limit: ByteSize::new(64 * 1024),
            workers: 2,
        }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shown(loaded: &Loaded<Config>, key: &str) -> (String, Origin) {
    let setting = loaded.settings.iter().find(|setting| setting.key == key).unwrap();
    (setting.value.clone(), setting.origin.clone())
}

#[test]
fn defaults_stand_where_nothing_is_said() {
    let loaded = Sources::new("BANYAN").load::<Config>().unwrap();
    assert_eq!(loaded.config.http.workers, 2);
    assert_eq!(shown(&loaded, "http.keep_alive"), ("75s".into(), Origin::Default));
    assert_eq!(shown(&loaded, "http.body_limit"), ("64KiB".into(), Origin::Default));
}

#[test]
fn later_layers_win_and_are_named() {
    let file = file("[http]\nkeep_alive = \"1m\"\nworkers = 3\nlisten = \"0.0.0.0:80\"\n");
    let loaded = Sources::new("BANYAN")
        .file(file.path())
        .environment(variables(&[("BANYAN_HTTP_WORKERS", "4"), ("BANYAN__HTTP__LISTEN", "a:1")]))
        .flag("--listen", "http.listen", "b:2")
        .load::<Config>()
        .unwrap();
    let from_file = Origin::File(file.path().display().to_string());
    assert_eq!(shown(&loaded, "http.keep_alive"), ("1m".into(), from_file));
    let variable = Origin::Environment("BANYAN_HTTP_WORKERS".into());
    assert_eq!(shown(&loaded, "http.workers"), ("4".into(), variable));
    assert_eq!(shown(&loaded, "http.listen"), ("b:2".into(), Origin::Flag("--listen".into())));
}

#[test]
fn lists_and_tables_come_from_the_environment_too() {
    let loaded = Sources::new("BANYAN")
        .environment(variables(&[
            ("BANYAN_MODULES", "catalog, inventory"),
            ("BANYAN__DATABASES__CATALOG", "postgres://x"),
        ]))
        .load::<Config>()
        .unwrap();
    assert_eq!(loaded.config.modules, ["catalog", "inventory"]);
    assert_eq!(loaded.config.databases["catalog"], "postgres://x");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let cases = [
        Sources::new("BANYAN")
            .file(file("[http]\nkeepalive = \"1m\"\n").into_temp_path().keep().unwrap()),
        Sources::new("BANYAN").environment(variables(&[("BANYAN_HTTP_KEEPALIVE", "1m")])),
        Sources::new("BANYAN").flag("--keepalive", "http.keepalive", "1m"),
    ];
    for sources in cases {
        match sources.load::<Config>() {
            Err(SettingsError::UnknownKey { suggestion, .. }) => {
                assert_eq!(suggestion.as_deref(), Some("http.keep_alive"), "{sources:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn other_peoples_variables_are_left_alone() {
    let sources = Sources::new("BANYAN").ignoring("BANYAN_TEST_").environment(variables(&[
        ("BANYAN_TEST_POSTGRES", "x"),
        ("BANYANTREE", "y"),
        ("PATH", "z"),
    ]));
    assert!(sources.load::<Config>().is_ok());
}

#[test]
fn a_wrong_value_names_its_key_and_origin() {
    let cases = [
        ("BANYAN_HTTP_KEEP_ALIVE", "75", "http.keep_alive", "with its unit"),
        ("BANYAN_HTTP_BODY_LIMIT", "64kilos", "http.body_limit", "no size"),
        ("BANYAN_HTTP_WORKERS", "many", "http.workers", "many"),
        ("BANYAN_HTTP_WORKERS", "-1", "http.workers", "-1"),
    ];
    for (variable, value, key, part) in cases {
        let sources = Sources::new("BANYAN").environment(variables(&[(variable, value)]));
        let text = sources.load::<Config>().unwrap_err().to_string();
        assert!(text.contains(key) && text.contains(variable) && text.contains(part), "{text}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let kept = file("hush hush\n");
    let table = format!("token = {{ file = {:?} }}\n", kept.path());
    let in_file = file(&table);
    let cases = [
        (Sources::new("BANYAN").environment(variables(&[("BANYAN_TOKEN", "hush hush")])), "value"),
        (
            Sources::new("BANYAN").flag(
                "--token",
                "token",
                format!("file:{}", kept.path().display()),
            ),
            "file:",
        ),
        (Sources::new("BANYAN").file(in_file.path()), "table"),
    ];
    for (sources, name) in cases {
        let loaded = sources.load::<Config>().unwrap();
        assert_eq!(loaded.config.token.as_ref().unwrap().expose(), "hush hush", "{name}");
        let (value, origin) = shown(&loaded, "token");
        assert_eq!(value, MASK);
        assert_ne!(origin, Origin::Default, "{name}");
        assert!(!format!("{loaded:?}").contains("hush"));
        assert!(!serde_json::to_string(&loaded.config).unwrap().contains("hush"));
    }
}

#[test]
fn a_broken_file_is_one_line() {
    let broken = file("[http\nworkers = 3\n");
    let text = Sources::new("BANYAN").file(broken.path()).load::<Config>().unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    let missing = Sources::new("BANYAN").file("/nowhere/banyan.toml").load::<Config>();
    assert!(matches!(missing, Err(SettingsError::File { .. })));
}

#[test]
fn times_and_sizes_are_read_and_written_with_units() {
    for (text, millis) in
        [("250ms", 250), ("10s", 10_000), ("15m", 900_000), ("2h", 7_200_000), ("7d", 604_800_000)]
    {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(duration, Duration::from_millis(millis));
        assert_eq!(duration.to_string(), text);
    }
    for bad in [
        "",
        "10",
        "s",
        "1.5s",
        "-1s",
        "10 parsecs",
        "99999999999999999999s",
        "18446744073709551615d",
    ] {
        assert!(bad.parse::<Duration>().is_err(), "{bad}");
    }
    for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("2MB", 2_000_000), ("1GiB", 1 << 30)] {
        let size: ByteSize = text.parse().unwrap();
        assert_eq!(size, ByteSize::new(bytes));
        assert_eq!(size.to_string(), text);
    }
    for bad in ["", "64", "KiB", "64 apples", "18446744073709551615GiB"] {
        assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
    }
}
