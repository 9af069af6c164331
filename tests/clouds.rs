//! Clouds, asked with real permits, played by a real server that speaks both of their APIs.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use expect_test::{Expect, expect};
use hearth::{
    config::{Layer, Layers, Settings},
    egress::{
        Border, Consent, Content, Destination, Parcel, Permit, Piece, Role, Tool, ToolCall, Trust,
        Turn, audit,
    },
    model::cloud::{CloudError, Ending},
    route::{Answer, CloudLine, Clouds, Retries},
};
use serde_json::{Value, json};

mod support;
use support::fake_cloud::{Api, FakeCloud, Says};

const APIS: [Api; 2] = [Api::Anthropic, Api::OpenAi];

/// Printed by the command that fetches it.
const KEY: &str = "sk-test-0123456789";

/// A workspace, a cloud, and what leads from the one to the other.
struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    clouds: Clouds,
    cloud: FakeCloud,
}

impl World {
    async fn new(api: Api) -> Self {
        Self::with(api, json!({ "api_key_command": ["printf", "%s\\n", KEY] })).await
    }

    async fn with(api: Api, more: Value) -> Self {
        let cloud = FakeCloud::start(api).await;
        let mut fields = json!({
            "kind": match api { Api::Anthropic => "anthropic", Api::OpenAi => "openai" },
            "endpoint": cloud.url(),
            "model": "frontier-1",
            "input_price": 3,
            "output_price": 15,
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut layers = Layers::default();
        layers.set(Layer::UserFile, json!({ "router": { "cloud": { "frontier": fields } } }));
        let (settings, complaints) = layers.resolve();
        assert_eq!(complaints, []);
        let (clouds, complaints) = Clouds::new(&settings);
        assert_eq!(complaints, Vec::<String>::new());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("work/src")).unwrap();
        Self { folder, settings, clouds, cloud }
    }

    fn line(&self) -> &CloudLine {
        self.clouds.iter().next().unwrap()
    }

    fn destination(&self) -> Destination {
        self.line().cloud().destination().clone()
    }

    /// What the border makes of a parcel when the user says yes.
    fn permit(&self, parcel: Parcel) -> Permit {
        let (root, state) = (self.folder.path().join("work"), self.folder.path().join("state"));
        let border = Border::new(&root, &self.settings, &state, Trust::Editor(true)).unwrap();
        let examined = border.examine(parcel, |text| text.len() / 4).unwrap();
        examined.seal(Consent::Once).unwrap()
    }

    fn question(&self) -> Permit {
        self.permit(parcel(self.destination(), vec![ask("What is 6 × 7?")]))
    }

    async fn ask(&self, permit: &Permit) -> Result<Answer, CloudError> {
        self.line().ask(permit, None, Retries::default(), &|_| {}).await
    }
}

fn parcel(destination: Destination, turns: Vec<Turn>) -> Parcel {
    Parcel {
        destination,
        system: "You answer in one word.",
        turns,
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 500,
        private: false,
    }
}

fn ask(words: &str) -> Turn {
    Turn { role: Role::User, contents: vec![Content::Words(words.to_owned())] }
}

fn look_up() -> Tool {
    Tool {
        name: "read_symbol",
        description: "Reads the text of a symbol.",
        input_schema: json!({ "type": "object", "properties": { "name": { "type": "string" } } }),
    }
}

/// The last request, without what a test does not look at.
fn sent(cloud: &FakeCloud, expected: Expect) {
    let request = cloud.requests().pop().expect("a request");
    let headers: Vec<String> = ["anthropic-version", "x-api-key", "authorization"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}\n", request.headers.get(name)?)))
        .collect();
    expected.assert_eq(&format!(
        "{} {}\n{}{:#}\n",
        request.method,
        request.path,
        headers.concat(),
        request.body
    ));
}

#[tokio::test]
async fn anthropic_is_asked_in_its_own_words() {
    let world = World::new(Api::Anthropic).await;
    world.cloud.says(Says::text(["Forty", "-two"]));
    let answer = world.ask(&world.question()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.ending), ("Forty-two", Ending::Complete));
    sent(
        &world.cloud,
        expect![[r#"
        POST /v1/messages
        anthropic-version: 2023-06-01
        x-api-key: sk-test-0123456789
        {
          "model": "frontier-1",
          "max_tokens": 500,
          "stream": true,
          "messages": [
            {
              "role": "user",
              "content": [
                {
                  "type": "text",
                  "text": "What is 6 × 7?",
                  "cache_control": {
                    "type": "ephemeral"
                  }
                }
              ]
            }
          ],
          "system": [
            {
              "type": "text",
              "text": "You answer in one word.",
              "cache_control": {
                "type": "ephemeral"
              }
            }
          ]
        }
    "#]],
    );
    expect![[r#"
        Bill {
            answers: 1,
            input: 300,
            cached: 600,
            written: 100,
            output: 50,
            dollars: 0.002205,
            unpriced: 0,
        }
    "#]]
    .assert_debug_eq(&answer.bill);
}

#[tokio::test]
async fn openai_is_asked_in_its_own_words() {
    let world = World::new(Api::OpenAi).await;
    world.cloud.says(Says::text(["Forty", "-two"]));
    let answer = world.ask(&world.question()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.ending), ("Forty-two", Ending::Complete));
    sent(
        &world.cloud,
        expect![[r#"
        POST /chat/completions
        authorization: Bearer sk-test-0123456789
        {
          "model": "frontier-1",
          "max_completion_tokens": 500,
          "stream": true,
          "stream_options": {
            "include_usage": true
          },
          "messages": [
            {
              "role": "system",
              "content": "You answer in one word."
            },
            {
              "role": "user",
              "content": "What is 6 × 7?"
            }
          ]
        }
    "#]],
    );
    expect![[r#"
        Bill {
            answers: 1,
            input: 400,
            cached: 600,
            written: 0,
            output: 50,
            dollars: 0.00375,
            unpriced: 0,
        }
    "#]]
    .assert_debug_eq(&answer.bill);
}

/// A conversation in which the model called a tool and was answered.
async fn conversation(api: Api) -> World {
    let world = World::new(api).await;
    world.cloud.says(Says::call("call_1", "read_symbol", &["{\"na", "me\": \"Lex", "er\"}"]));
    let with_tools =
        |turns| Parcel { tools: vec![look_up()], ..parcel(world.destination(), turns) };
    let first = world.ask(&world.permit(with_tools(vec![ask("What is a Lexer?")]))).await.unwrap();
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "read_symbol".to_owned(),
        input: json!({ "name": "Lexer" }),
    };
    assert_eq!((first.text.as_str(), first.ending), ("Let me look. ", Ending::Calls));
    assert_eq!(first.calls.as_slice(), std::slice::from_ref(&call));
    world.cloud.says(Says::text(["A struct"]));
    let piece = Piece::file("src/lexer.rs", "struct Lexer;\n");
    fs::write(world.folder.path().join("work/src/lexer.rs"), "struct Lexer;\n").unwrap();
    let outcome = Content::Outcome { call_id: "call_1".to_owned(), note: "", pieces: vec![piece] };
    let turns = vec![
        ask("What is a Lexer?"),
        Turn {
            role: Role::Assistant,
            contents: vec![Content::Said(first.text), Content::Call(call)],
        },
        Turn { role: Role::User, contents: vec![outcome] },
    ];
    let second = world.ask(&world.permit(with_tools(turns))).await.unwrap();
    assert_eq!(second.text, "A struct");
    world
}

#[tokio::test]
async fn tool_calls_go_to_and_fro_with_anthropic() {
    sent(
        &conversation(Api::Anthropic).await.cloud,
        expect![[r#"
        POST /v1/messages
        anthropic-version: 2023-06-01
        x-api-key: sk-test-0123456789
        {
          "model": "frontier-1",
          "max_tokens": 500,
          "stream": true,
          "messages": [
            {
              "role": "user",
              "content": [
                {
                  "type": "text",
                  "text": "What is a Lexer?",
                  "cache_control": {
                    "type": "ephemeral"
                  }
                }
              ]
            },
            {
              "role": "assistant",
              "content": [
                {
                  "type": "text",
                  "text": "Let me look. "
                },
                {
                  "type": "tool_use",
                  "id": "call_1",
                  "name": "read_symbol",
                  "input": {
                    "name": "Lexer"
                  }
                }
              ]
            },
            {
              "role": "user",
              "content": [
                {
                  "type": "tool_result",
                  "tool_use_id": "call_1",
                  "content": "src/lexer.rs:1-1\nstruct Lexer;\n",
                  "cache_control": {
                    "type": "ephemeral"
                  }
                }
              ]
            }
          ],
          "system": [
            {
              "type": "text",
              "text": "You answer in one word.",
              "cache_control": {
                "type": "ephemeral"
              }
            }
          ],
          "tools": [
            {
              "name": "read_symbol",
              "description": "Reads the text of a symbol.",
              "input_schema": {
                "type": "object",
                "properties": {
                  "name": {
                    "type": "string"
                  }
                }
              }
            }
          ]
        }
    "#]],
    );
}

#[tokio::test]
async fn tool_calls_go_to_and_fro_with_openai() {
    sent(
        &conversation(Api::OpenAi).await.cloud,
        expect![[r#"
        POST /chat/completions
        authorization: Bearer sk-test-0123456789
        {
          "model": "frontier-1",
          "max_completion_tokens": 500,
          "stream": true,
          "stream_options": {
            "include_usage": true
          },
          "messages": [
            {
              "role": "system",
              "content": "You answer in one word."
            },
            {
              "role": "user",
              "content": "What is a Lexer?"
            },
            {
              "role": "assistant",
              "content": "Let me look. ",
              "tool_calls": [
                {
                  "id": "call_1",
                  "type": "function",
                  "function": {
                    "name": "read_symbol",
                    "arguments": "{\"name\":\"Lexer\"}"
                  }
                }
              ]
            },
            {
              "role": "tool",
              "tool_call_id": "call_1",
              "content": "src/lexer.rs:1-1\nstruct Lexer;\n"
            }
          ],
          "tools": [
            {
              "type": "function",
              "function": {
                "name": "read_symbol",
                "description": "Reads the text of a symbol.",
                "parameters": {
                  "type": "object",
                  "properties": {
                    "name": {
                      "type": "string"
                    }
                  }
                }
              }
            }
          ]
        }
    "#]],
    );
}

#[tokio::test]
async fn an_answer_with_a_schema_is_json() {
    let schema = json!({ "type": "object", "required": ["n"], "additionalProperties": false,
        "properties": { "n": { "type": "integer" } } });
    for (api, asked) in [(Api::Anthropic, "tools"), (Api::OpenAi, "response_format")] {
        let world = World::new(api).await;
        world.cloud.says(match api {
            Api::Anthropic => Says::Answer {
                text: Vec::new(),
                calls: vec![("c".into(), "answer".into(), vec!["{\"n\":".into(), "42}".into()])],
                reason: "call",
            },
            Api::OpenAi => Says::text(["{\"n\":", "42}"]),
        });
        let permit = world.permit(Parcel {
            answer_schema: Some(schema.clone()),
            ..parcel(world.destination(), vec![ask("What is 6 × 7?")])
        });
        let answer = world.ask(&permit).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.ending), ("{\"n\":42}", Ending::Complete));
        assert_eq!(answer.calls, []);
        let asked = world.cloud.requests()[0].body[asked].to_string();
        assert!(asked.contains(&schema.to_string()), "{asked}");
    }
}

#[tokio::test]
async fn a_busy_cloud_is_asked_again_after_the_time_that_it_named() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after", "1")], "slow down"));
        world.cloud.says(Says::status(529, &[("Retry-After-Ms", "50")], "overloaded"));
        world.cloud.says(Says::text(["yes"]));
        let began = Instant::now();
        let answer = world.ask(&world.question()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(1_050), "{:?}", began.elapsed());
        assert_eq!(answer.text, "yes");
        let requests = world.cloud.requests();
        assert_eq!(requests.len(), 3);
        // The very same bytes.
        assert!(requests.iter().all(|request| request.bytes == requests[0].bytes));
    }
}

#[tokio::test]
async fn half_an_answer_is_none_and_is_asked_for_again() {
    for api in APIS {
        for broken in [
            Says::cut(["Forty"]),
            Says::Ends(vec!["Forty".to_owned()]),
            Says::Overloaded(vec!["Forty".to_owned()]),
        ] {
            let world = World::new(api).await;
            world.cloud.says(broken);
            world.cloud.says(Says::text(["Forty", "-two"]));
            let heard = Mutex::new(Vec::new());
            let hear = |text: &str| heard.lock().unwrap().push(text.to_owned());
            let permit = world.question();
            let answer = world.line().ask(&permit, None, Retries::default(), &hear).await.unwrap();
            assert_eq!(answer.text, "Forty-two");
            assert_eq!(*heard.lock().unwrap(), ["Forty", "Forty", "Forty-two"]);
            // Only a whole answer has a bill.
            assert_eq!(world.clouds.bill().answers, 1);
        }
    }
}

#[tokio::test]
async fn a_wait_beyond_all_patience_is_not_begun() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after", "3600")], "come back tomorrow"));
        let error = world.ask(&world.question()).await.unwrap_err();
        assert!(error.is_outage());
        let said = error.to_string().replace(&world.cloud.url(), "URL");
        expect!["URL cannot answer now: 429 come back tomorrow"].assert_eq(&said);
        assert_eq!(world.cloud.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_is_not_asked_about_again() {
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(400, &[], "max_tokens: too large"));
        let error = world.ask(&world.question()).await.unwrap_err();
        let said = error.to_string().replace(&world.cloud.url(), "URL");
        expect!["the server at URL refused: 400 max_tokens: too large"].assert_eq(&said);
        assert_eq!(world.cloud.requests().len(), 1);
    }
}

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
async fn a_cloud_that_takes_no_connection_is_not_waited_for() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for api in APIS {
        let more = json!({ "endpoint": endpoint, "api_key_command": ["printf", "%s", KEY] });
        let world = World::with(api, more).await;
        let began = Instant::now();
        let error = world.ask(&world.question()).await.unwrap_err();
        // For a cloud that is busy, 47 seconds would be waited.
        assert!(began.elapsed() < Duration::from_secs(10), "{error}: {:?}", began.elapsed());
        assert!(error.is_outage() && error.wait().is_none(), "{error}");
    }
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

#[tokio::test]
async fn a_permit_is_good_for_one_host() {
    let (one, other) = (World::new(Api::Anthropic).await, World::new(Api::Anthropic).await);
    let error = other.ask(&one.question()).await.unwrap_err();
    assert!(matches!(error, CloudError::Border(_)), "{error}");
    assert_eq!((one.cloud.connections(), other.cloud.connections()), (0, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for api in APIS {
        let elsewhere = FakeCloud::start(api).await;
        let world = World::new(api).await;
        let refused = async |location: &str| {
            world.cloud.says(Says::status(307, &[("location", location)], ""));
            let error = world.ask(&world.question()).await.unwrap_err();
            let said = error.to_string().replace(&world.cloud.url(), "URL");
            said.replace(&elsewhere.url(), "ELSEWHERE")
        };
        expect!["the server at URL refused: 307 it redirects, and redirects are not followed"]
            .assert_eq(&refused("/elsewhere").await);
        expect!["this request may go to URL; ELSEWHERE is another host"]
            .assert_eq(&refused(&elsewhere.url()).await);
        assert_eq!(elsewhere.connections(), 0);
        let log = audit::Log::new(&world.folder.path().join("state"));
        let reasons: Vec<String> =
            log.entries().unwrap().into_iter().map(|entry| entry.reason).collect();
        assert_eq!(reasons, ["once", "once", "other-host"]);
    }
}

#[tokio::test]
async fn secrets_stay_here_and_are_back_in_the_answer() {
    let secret = "ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX";
    for api in APIS {
        let world = World::new(api).await;
        let text = format!("const TOKEN: &str = \"{secret}\";\n");
        fs::write(world.folder.path().join("work/src/a.rs"), &text).unwrap();
        let piece = Content::Piece(Piece::file("src/a.rs", &text));
        let turn = Turn { role: Role::User, contents: vec![piece] };
        let permit = world.permit(parcel(world.destination(), vec![turn]));
        let hearth::egress::Cleared::Text(cleared) = &permit.turns()[0].contents[0] else {
            panic!("a text")
        };
        let at = cleared.find("HEARTH_SECRET_").expect("a placeholder");
        let placeholder = &cleared[at..at + 26];
        let (front, back) = placeholder.split_at(9);
        world.cloud.says(Says::text(["It is ", front, back, "."]));
        let answer = world.ask(&permit).await.unwrap();
        assert_eq!(answer.text, format!("It is {secret}."));
        let bytes = String::from_utf8(world.cloud.requests()[0].bytes.clone()).unwrap();
        assert!(bytes.contains(placeholder) && !bytes.contains(secret));
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_holds_a_key_or_a_text() {
    let log = Written::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for api in APIS {
        let world = World::new(api).await;
        world.cloud.says(Says::status(429, &[("retry-after-ms", "1")], "slow down"));
        world.cloud.says(Says::cut(["Forty"]));
        world.cloud.says(Says::text(["Forty", "-two"]));
        world.ask(&world.question()).await.unwrap();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("asked again"), "{log}");
    for word in [KEY, "Forty", "6 × 7"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}

/// Compiles only as long as whoever asks a cloud can wait for it on another thread.
#[test]
fn asking_can_be_a_task_of_its_own() {
    fn is_send<T: Send>(_: &T) {}
    fn check(line: &CloudLine, permit: &Permit) {
        is_send(&line.ask(permit, None, Retries::default(), &|_| {}));
    }
    let _ = check;
}
