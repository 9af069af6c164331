use std::{fmt::Write as _, path::Path};

use expect_test::{Expect, expect, expect_file};
use serde_json::json;

use super::{Auto, Cloud, Layer, Layers, json_schema, reference};

fn check(layers: &[(Layer, serde_json::Value)], expected: Expect) {
    let mut all = Layers::default();
    for (layer, tree) in layers {
        all.set(*layer, tree.clone());
    }
    let (settings, complaints) = all.resolve();
    let mut seen = format!(
        "endpoint {}, ceiling {}, debounce {}\n",
        settings.local_endpoint.set().map_or("auto", |url| url.as_str()),
        settings.max_local_context_tokens.get(),
        settings.debounce_ms.set().map_or("auto".to_owned(), |ms| ms.get().to_string()),
    );
    for complaint in complaints {
        let _ = writeln!(seen, "{complaint}");
    }
    expected.assert_eq(&seen);
}

#[test]
fn later_layers_win() {
    check(
        &[
            (Layer::CommandLine, json!({ "completion": { "debounce_ms": 3 } })),
            (
                Layer::UserFile,
                json!({ "completion": { "debounce_ms": 1 }, "router": { "thresholds": { "max_local_context_tokens": 8000 } } }),
            ),
            (
                Layer::EditorStart,
                json!({ "completion": { "debounce_ms": 2 }, "router": { "local_endpoint": "http://127.0.0.1:9931" } }),
            ),
        ],
        expect![[r#"
            endpoint http://127.0.0.1:9931/, ceiling 8000, debounce 3
        "#]],
    );
}

#[test]
fn dotted_keys_and_null_as_editors_send_them() {
    check(
        &[(
            Layer::EditorChange,
            json!({ "completion.debounce_ms": 7, "router": { "local_endpoint": null } }),
        )],
        expect![[r#"
            endpoint auto, ceiling 24000, debounce 7
        "#]],
    );
}

#[test]
fn a_workspace_cannot_set_where_code_goes() {
    check(
        &[(
            Layer::EditorChange,
            json!({ "router": { "local_endpoint": "http://127.0.0.1:6666" }, "completion": { "debounce_ms": 5 } }),
        )],
        expect![[r#"
            endpoint auto, ceiling 24000, debounce 5
            setting 'router.local_endpoint' decides where code is sent or what runs, so it is taken from the user's file, the editor's start options or the command line only, not from a workspace
        "#]],
    );
}

#[test]
fn bad_values_and_unknown_keys_are_named() {
    check(
        &[(
            Layer::UserFile,
            json!({
                "completion": { "debounce_ms": "fast", "debounce": 3 },
                "router": { "local_endpoint": "not a url", "thresholds": { "max_local_context_tokens": 12 } },
                "local": { "local_endpoint": "auto", "provider": "gpt" },
                "nonsense": 1,
            }),
        )],
        expect![[r#"
            endpoint auto, ceiling 24000, debounce auto
            setting 'completion.debounce_ms' is "fast", expected "auto" or a whole number from 0 to 5000; using "auto"
            unknown setting 'completion.debounce' (did you mean 'completion.debounce_ms'?)
            setting 'router.local_endpoint' is "not a url", expected "auto" or a URL such as "http://127.0.0.1:11434" or "unix:///run/llama.sock"; using "auto"
            setting 'router.thresholds.max_local_context_tokens' is 12, expected a whole number from 512 to 1000000; using 24000
            unknown setting 'local.local_endpoint' (did you mean 'router.local_endpoint'?)
            setting 'local.provider' is "gpt", expected "auto" or one of "ollama", "llama-server", "openai", "built-in"; using "auto"
            unknown setting 'nonsense'
        "#]],
    );
}

#[test]
fn assignments_from_the_command_line() {
    let mut layers = Layers::default();
    let assignments = [
        "local.provider=ollama",
        "completion.debounce_ms=0",
        "model_routing.local.completion=qwen2.5-coder:1.5b",
    ];
    layers.assign(&assignments.map(str::to_owned)).expect("well formed");
    let (settings, complaints) = layers.resolve();
    assert_eq!(complaints, []);
    assert_eq!(settings.completion_model, Auto::Set("qwen2.5-coder:1.5b".to_owned()));
    assert_eq!(settings.debounce_ms.set().map(|ms| ms.get()), Some(0));
    assert_eq!(
        layers.assign(&["nothing".to_owned()]).map_err(|error| error.to_string()),
        Err("'nothing' is not KEY=VALUE".to_owned())
    );
}

/// What each cloud comes to.
fn check_clouds(tree: serde_json::Value, expected: Expect) {
    let mut layers = Layers::default();
    layers.set(Layer::UserFile, tree);
    let (settings, complaints) = layers.resolve();
    let mut seen = String::new();
    for cloud in settings.clouds.resolve() {
        let _ = match cloud {
            Ok(Cloud { name, kind, endpoint, model, key, price }) => writeln!(
                seen,
                "{name}: {model} at {endpoint} ({kind:?}), key {:?} {:?}, {price:?}",
                key.variable, key.command
            ),
            Err(lacks) => writeln!(seen, "{lacks}"),
        };
    }
    for complaint in complaints {
        let _ = writeln!(seen, "{complaint}");
    }
    expected.assert_eq(&seen);
}

#[test]
fn clouds_come_in_the_users_order() {
    check_clouds(
        json!({ "router": { "cloud": {
            "zulu": { "kind": "anthropic", "model": "m", "input_price": 3, "output_price": 15 },
            "alpha": { "endpoint": "https://openrouter.ai/api/v1", "model": "n",
                "api_key_command": ["pass", "openrouter"] },
            "mike": { "kind": "openai" },
            "none": { "model": "o" },
        } } }),
        expect![[r#"
            zulu: m at https://api.anthropic.com/ (Anthropic), key Some("ANTHROPIC_API_KEY") [], Some((3.0, 15.0))
            alpha: n at https://openrouter.ai/api/v1 (OpenAi), key None ["pass", "openrouter"], None
            the cloud 'mike' has no model (router.cloud.mike.model)
            the cloud 'none' has no endpoint (router.cloud.none.endpoint)
        "#]],
    );
}

#[test]
fn widely_copied_names_mean_the_same() {
    check_clouds(
        json!({
            "router": { "cloud_endpoint": "https://api.anthropic.com",
                "cloud_api_key": "${MY_KEY}" },
            "model_routing": { "cloud": { "default": "large", "fallback": "small" } },
        }),
        expect![[r#"
            default: large at https://api.anthropic.com/ (Anthropic), key Some("MY_KEY") [], None
            fallback: small at https://api.anthropic.com/ (Anthropic), key Some("MY_KEY") [], None
        "#]],
    );
}

#[test]
fn the_schema_knows_the_copied_names() {
    let schema = json_schema();
    for (alias, ..) in super::clouds::ALIASES {
        let place = alias.split('.').fold(&schema, |place, part| &place["properties"][part]);
        assert!(place["description"].is_string(), "{alias}");
    }
}

#[test]
fn a_unix_socket_is_an_endpoint() {
    let mut layers = Layers::default();
    for (url, taken) in
        [("unix:///run/llama.sock", true), ("unix://host/a.sock", false), ("unix:", false)]
    {
        layers.set(Layer::UserFile, json!({ "router": { "local_endpoint": url } }));
        let (settings, complaints) = layers.resolve();
        assert_eq!(
            (settings.local_endpoint.set().is_some(), complaints.is_empty()),
            (taken, taken)
        );
    }
}

#[test]
fn a_usual_key_goes_to_its_own_service_alone() {
    check_clouds(
        json!({ "router": { "cloud": {
            "own": { "kind": "openai", "model": "m" },
            "other": { "kind": "openai", "model": "m", "endpoint": "https://elsewhere.example/v1" },
            "like": { "model": "m", "endpoint": "https://api.anthropic.com.example" },
        } } }),
        expect![[r#"
            own: m at https://api.openai.com/v1 (OpenAi), key Some("OPENAI_API_KEY") [], None
            other: m at https://elsewhere.example/v1 (OpenAi), key None [], None
            like: m at https://api.anthropic.com.example/ (OpenAi), key None [], None
        "#]],
    );
}

#[test]
fn a_key_in_the_settings_is_refused_and_not_repeated() {
    check_clouds(
        json!({ "router": { "cloud": { "c": { "kind": "anthropic", "model": "m",
            "api_key": "sk-ant-secret", "api_key_command": "" } } } }),
        expect![[r#"
            c: m at https://api.anthropic.com/ (Anthropic), key Some("ANTHROPIC_API_KEY") [], None
            setting 'router.cloud.c.api_key' is not shown here, expected "auto" or a reference to the environment such as "${ANTHROPIC_API_KEY}"; keys are not kept in settings; using "auto"
            setting 'router.cloud.c.api_key_command' is not shown here, expected a list, each a name in quotes; using []
        "#]],
    );
}

#[test]
fn schema_and_reference_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let schema = serde_json::to_string_pretty(&json_schema()).expect("plain JSON") + "\n";
    expect_file![docs.join("settings.schema.json")].assert_eq(&schema);
    expect_file![docs.join("settings.md")].assert_eq(&reference());
}
