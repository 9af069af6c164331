//! Where keys come from, and who is shown them.

use crate::support::fake_cloud::{Api, Says};
use crate::{APIS, KEY, World};
use expect_test::expect;
use serde_json::json;
use std::fs;

#[tokio::test]
async fn a_key_that_was_refused_is_fetched_anew_and_shown_to_nobody() {
    for api in APIS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "sk-old-0123456789\nsecond line").unwrap();
        let command = json!({ "api_key_command": ["cat", file] });
        let world = World::with(api, command).await;
        // A server that repeats the key.
        world.cloud.says(Says::status(401, &[], "no such key: sk-old-0123456789"));
        let error = world.ask(&world.question()).await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", world.clouds);
        assert!(!said.contains("sk-old"), "{said}");
        assert!(said.contains("no such key: (the key)"), "{said}");
        fs::write(&file, "sk-new-0123456789").unwrap();
        world.cloud.says(Says::text(["yes"]));
        world.ask(&world.question()).await.unwrap();
        let headers = &world.cloud.requests()[1].headers;
        let key = headers.get("x-api-key").or(headers.get("authorization")).unwrap();
        assert_eq!(key.trim_start_matches("Bearer "), "sk-new-0123456789");
    }
}

#[tokio::test]
async fn keys_come_from_the_environment_before_the_command() {
    // Set wherever a command can be found, whoever runs this test.
    let source = json!({ "api_key": "${PATH}", "api_key_command": ["printf", "%s", KEY] });
    let world = World::with(Api::OpenAi, source).await;
    world.cloud.says(Says::text(["yes"]));
    world.ask(&world.question()).await.unwrap();
    let path = std::env::var_os("PATH").expect("there is one");
    let expected = format!("Bearer {}", path.to_str().expect("text").trim());
    assert_eq!(world.cloud.requests()[0].headers["authorization"], expected);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    for (source, expected) in [
        (
            json!({ "api_key": "${HEARTH_NO_SUCH_KEY}" }),
            expect!["there is no key for URL: HEARTH_NO_SUCH_KEY is not set in the environment"],
        ),
        (
            json!({ "api_key_command": ["false"] }),
            expect!["there is no key for URL: false: exit status: 1"],
        ),
        (
            json!({ "api_key_command": ["true"] }),
            expect!["there is no key for URL: true: it prints nothing"],
        ),
        (
            json!({ "api_key_command": ["/no/such/program"] }),
            expect![
                "there is no key for URL: /no/such/program: No such file or directory (os error 2)"
            ],
        ),
    ] {
        let world = World::with(Api::Anthropic, source).await;
        let error = world.ask(&world.question()).await.unwrap_err();
        expected.assert_eq(&error.to_string().replace(&world.cloud.url(), "URL"));
        assert_eq!(world.cloud.connections(), 0);
    }
}
