//! The JSON Schema says what the parser does.

use nshost_plan::Limits;
use nshost_policy::Grants;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Map, Value};

fn schema() -> Value {
    serde_json::from_str(include_str!("../grants.schema.json")).unwrap()
}

fn refuses(text: &str) -> bool {
    Grants::parse(text, "g").is_err()
}

/// A property, with its reference followed.
fn property<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    match property.get("$ref") {
        Some(path) => schema.pointer(path.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(),
        None => property,
    }
}

/// The sections that are lists of tables: name and table.
fn sections(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema["properties"].as_object().unwrap().iter();
    properties.filter_map(|(name, section)| Some((name, section.get("items")?)))
}

fn properties(table: &Value) -> &Map<String, Value> {
    assert_eq!(table["additionalProperties"], Value::Bool(false));
    table["properties"].as_object().unwrap()
}

fn is_required(table: &Value, key: &str) -> bool {
    table["required"].as_array().is_some_and(|keys| keys.iter().any(|name| name == key))
}

/// A file with one table, of these keys and values; a JSON scalar or list of strings is TOML too.
fn file<'a>(section: &str, keys: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let lines: String = keys.map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("schema = 1\n[[{section}]]\n{lines}")
}

/// A table with the first example of every property.
fn full<'a>(schema: &'a Value, table: &'a Value) -> Vec<(&'a String, &'a Value)> {
    properties(table).iter().map(|(key, value)| (key, &property(schema, value)["examples"][0])).collect()
}

/// The keys that the parser names when it meets one that it does not know.
fn known_keys(text: &str) -> Vec<String> {
    let error = Grants::parse(text, "g").unwrap_err().what;
    let (_, known) = error.split_once(" here: there is ").unwrap_or_else(|| panic!("{error}"));
    let mut keys: Vec<String> = known.split(", ").map(String::from).collect();
    keys.sort();
    keys
}

fn keys(table: &Value) -> Vec<String> {
    let mut keys: Vec<String> = properties(table).keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn its_keys_are_the_parsers() {
    let schema = schema();
    assert_eq!(keys(&schema), known_keys("schema = 1\nunknown = 1"));
    assert_eq!(keys(&schema["properties"]["limits"]), known_keys("schema = 1\n[limits]\nunknown = 1"));
    assert_eq!(keys(&schema["properties"]["firewall"]), known_keys("schema = 1\n[firewall]\nunknown = 1"));
    let mut count = 0;
    for (section, table) in sections(&schema) {
        assert_eq!(keys(table), known_keys(&format!("schema = 1\n[[{section}]]\nunknown = 1")), "{section}");
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn its_required_keys_are_the_parsers() {
    let schema = schema();
    assert!(refuses("") && is_required(&schema, "schema"));
    for (section, table) in sections(&schema) {
        let full = full(&schema, table);
        assert!(!refuses(&file(section, full.iter().copied())), "{section}");
        for (missing, _) in &full {
            let rest = full.iter().copied().filter(|(key, _)| key != missing);
            assert_eq!(
                refuses(&file(section, rest)),
                is_required(table, missing),
                "{section} without {missing}"
            );
        }
    }
}

#[test]
fn its_values_are_the_parsers() {
    let schema = schema();
    for (section, table) in sections(&schema) {
        for (key, value) in properties(table) {
            let value = property(&schema, value);
            let with = |new: &Value| {
                let full = full(&schema, table);
                file(section, full.iter().map(|(name, old)| (*name, if *name == key { new } else { old })))
            };
            let list = |value: &Value| Value::Array(vec![value.clone()]);
            let wanted = if value.get("items").is_some() { list } else { Value::clone };
            let allowed = value.get("enum").or(value["items"].get("enum")).and_then(Value::as_array);
            for good in allowed.into_iter().flatten() {
                assert!(!refuses(&with(&wanted(good))), "{section} {key} {good}");
            }
            for good in value["examples"].as_array().unwrap() {
                assert!(!refuses(&with(good)), "{section} {key} {good}");
            }
            let may_be_empty = value["examples"].as_array().unwrap().contains(&"".into());
            assert!(may_be_empty || refuses(&with(&wanted(&"".into()))), "{section} {key}");
            assert!(allowed.is_none() || refuses(&with(&wanted(&"another".into()))), "{section} {key}");
            let wrong_type = if value["type"] == "integer" { Value::from("1") } else { Value::from(1) };
            assert!(refuses(&with(&wrong_type)), "{section} {key} {wrong_type}");
            if value["type"] == "integer" {
                assert_bounds(value, |number| refuses(&with(&number.into())));
            }
        }
    }
    let every = "schema = 1\n[[exec]]\npath = '*'\n";
    assert!(refuses(every) && !refuses(&format!("{every}arguments = 'any'")));
    let deny_and_max = "schema = 1\n[[link]]\nkind = 'veth'\nhost-name = 'a'\nmax = 1\ndeny = ";
    assert!(refuses(&format!("{deny_and_max}true")) && !refuses(&format!("{deny_and_max}false")));
}

fn assert_bounds(value: &Value, refuses: impl Fn(i64) -> bool) {
    let (minimum, maximum) = (value["minimum"].as_i64().unwrap(), value["maximum"].as_i64().unwrap());
    assert!(!refuses(minimum) && !refuses(maximum), "{value}");
    assert!(refuses(minimum - 1) && refuses(maximum + 1), "{value}");
}

#[test]
fn its_limits_are_the_parsers() {
    let schema = schema();
    let with_defaults: String = properties(&schema["properties"]["limits"])
        .iter()
        .map(|(key, value)| {
            assert_bounds(value, |number| refuses(&format!("schema = 1\n[limits]\n{key} = {number}")));
            format!("{key} = {}\n", value["default"])
        })
        .collect();
    let grants = Grants::parse(&format!("schema = 1\n[limits]\n{with_defaults}"), "g").unwrap();
    assert_eq!(grants.limits(), Limits::DEFAULT);
}

/// What a pattern lets through, the parser takes, but for what a pattern cannot say.
#[test]
fn its_patterns_are_the_parsers() {
    let schema = schema();
    let mut runner = TestRunner::deterministic();
    let mut samples = |value: &Value| -> Vec<String> {
        let pattern =
            value["pattern"].as_str().unwrap().trim_start_matches('^').trim_end_matches('$').to_string();
        let strings = proptest::string::string_regex(&pattern).unwrap();
        (0..200).map(|_| strings.new_tree(&mut runner).unwrap().current()).collect()
    };
    for name in samples(&schema["definitions"]["name"]) {
        let reserved = [".", "..", "lo", "all", "default"].contains(&name.as_str());
        let text = format!("schema = 1\n[[link]]\nkind = 'veth'\nhost-name = '{name}'\n");
        assert_eq!(refuses(&text), reserved, "{name}");
    }
    for name in samples(&schema["properties"]["variable"]["items"]["properties"]["name"]) {
        assert!(!refuses(&format!("schema = 1\n[[variable]]\nname = '{name}'\n")), "{name}");
    }
    for script in samples(&schema["properties"]["script"]) {
        assert!(!refuses(&format!("schema = 1\nscript = '{script}'\n")), "{script}");
    }
    for ports in samples(&schema["properties"]["forward"]["items"]["properties"]["ports"]) {
        let numbers: Vec<u32> = ports.split('-').map(|number| number.parse().unwrap()).collect();
        let sensible = numbers.iter().all(|port| *port < 65536) && numbers.is_sorted();
        let text = format!("schema = 1\n[[forward]]\nprotocol = 'tcp'\nports = '{ports}'\n");
        assert_eq!(refuses(&text), !sensible, "{ports}");
    }
}
