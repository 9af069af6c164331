//! What each API is asked, and what its answers come to.

use crate::support::fake_cloud::{Api, Says};
use crate::{World, ask, look_up, parcel, sent};
use expect_test::expect;
use hearth::egress::{Content, Parcel, Piece, Role, ToolCall, Turn};
use hearth::model::cloud::Ending;
use serde_json::json;
use std::fs;

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
