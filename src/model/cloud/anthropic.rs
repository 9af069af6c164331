//! Anthropic's Messages API.
//!
//! The prefix that stays the same is marked for the service's cache in three places: behind the
//! tools and the system prompt, behind the first turn (where a codebase's map stands), and behind the
//! last one, where the next request goes on. A schema for the answer becomes a tool that the model
//! has to call, which every model of theirs can. Source: the API reference, version 2023-06-01.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use url::Url;

use super::{
    Bill, Ending,
    bill::CacheRates,
    joined,
    key::Key,
    replies::{End, Fault, Said, Wire},
};
use crate::egress::{Cleared, Permit};

const VERSION: &str = "2023-06-01";

/// The tool by which an answer with a schema comes.
const ANSWER: &str = "answer";

pub(super) fn path(base: &Url) -> String {
    joined(base, "/v1", "/v1/messages")
}

pub(super) fn headers(key: Option<&Key>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static(VERSION));
    if let Some(key) = key.and_then(|key| key.header("")) {
        headers.insert("x-api-key", key);
    }
    headers
}

pub(super) fn request(permit: &Permit, temperature: Option<f32>) -> Json {
    let cached = json!({ "type": "ephemeral" });
    let mut messages: Vec<Json> = Vec::new();
    for turn in permit.turns() {
        let mut blocks: Vec<Json> = turn.contents.iter().map(block).collect();
        // An empty text is refused, and says nothing.
        blocks.retain(|block| block["type"] != "text" || block["text"] != "");
        if !blocks.is_empty() {
            messages.push(json!({ "role": turn.role, "content": blocks }));
        }
    }
    let ends = [0, messages.len().saturating_sub(1)];
    for end in ends.into_iter().take(messages.len().min(2)) {
        if let Some(last) = messages[end]["content"].as_array_mut().and_then(|all| all.last_mut()) {
            last["cache_control"] = cached.clone();
        }
    }
    let mut request = json!({
        "model": permit.model(),
        "max_tokens": permit.max_output_tokens(),
        "stream": true,
        "messages": messages,
    });
    if !permit.system().is_empty() {
        let system = json!({ "type": "text", "text": permit.system(), "cache_control": cached });
        request["system"] = json!([system]);
    }
    let mut tools: Vec<Json> = permit.tools().iter().map(|tool| json!(tool)).collect();
    if let Some(schema) = permit.answer_schema() {
        let only = tools.is_empty();
        tools.push(json!({
            "name": ANSWER,
            "description": "Gives the answer, once it is complete.",
            "input_schema": schema,
        }));
        request["tool_choice"] =
            if only { json!({ "type": "tool", "name": ANSWER }) } else { json!({ "type": "any" }) };
    }
    if !tools.is_empty() {
        request["tools"] = Json::Array(tools);
    }
    if let Some(temperature) = temperature {
        request["temperature"] = json!(temperature);
    }
    request
}

fn block(content: &Cleared) -> Json {
    match content {
        Cleared::Text(text) => json!({ "type": "text", "text": text }),
        Cleared::Call(call) => {
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.input })
        }
        Cleared::Outcome { call_id, text } => {
            json!({ "type": "tool_result", "tool_use_id": call_id, "content": text })
        }
    }
}

/// Reads the events of a streamed message.
#[derive(Debug)]
pub(super) struct Messages {
    /// The answer comes as a call of [`ANSWER`].
    structured: bool,
    used: Bill,
    ending: Option<Ending>,
    answered: bool,
    /// Calls that are being written, by the index of their block.
    calls: BTreeMap<usize, Call>,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    input: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: MessageDelta,
        #[serde(default)]
        usage: Option<Usage>,
    },
    MessageStop,
    Error {
        error: Failure,
    },
    /// Pings, and whatever comes later.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Counts so far; a later one replaces an earlier one.
#[derive(Deserialize)]
struct Usage {
    #[serde(default, rename = "input_tokens")]
    input: Option<usize>,
    #[serde(default, rename = "cache_read_input_tokens")]
    read: Option<usize>,
    #[serde(default, rename = "cache_creation_input_tokens")]
    written: Option<usize>,
    #[serde(default, rename = "output_tokens")]
    output: Option<usize>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Messages {
    pub(super) fn new(structured: bool) -> Self {
        Self {
            structured,
            used: Bill::default(),
            ending: None,
            answered: false,
            calls: BTreeMap::new(),
        }
    }

    fn count(&mut self, usage: Option<&Usage>) {
        let Some(usage) = usage else { return };
        let used = &mut self.used;
        used.input = usage.input.unwrap_or(used.input);
        used.cached = usage.read.unwrap_or(used.cached);
        used.written = usage.written.unwrap_or(used.written);
        used.output = usage.output.unwrap_or(used.output);
    }
}

impl Wire for Messages {
    /// As the price list has it for entries of five minutes.
    const RATES: CacheRates = CacheRates { read: 0.1, write: 1.25 };

    fn read(&mut self, message: &[u8], said: &mut Vec<Said>) -> Result<(), Fault> {
        match serde_json::from_slice(message)? {
            Event::MessageStart { message } => self.count(message.usage.as_ref()),
            Event::ContentBlockStart { index, content_block: Block::ToolUse { id, name } } => {
                self.calls.insert(index, Call { id, name, input: String::new() });
            }
            Event::ContentBlockStart { content_block: Block::Text { text }, .. }
            | Event::ContentBlockDelta { delta: Delta::Text { text }, .. } => {
                said.push(Said::Text(text));
            }
            Event::ContentBlockDelta { index, delta: Delta::Input { partial_json } } => {
                if let Some(call) = self.calls.get_mut(&index) {
                    if self.structured && call.name == ANSWER {
                        said.push(Said::Text(partial_json));
                        self.answered = true;
                    } else {
                        call.input.push_str(&partial_json);
                    }
                }
            }
            Event::ContentBlockStop { index } => {
                if let Some(Call { id, name, input }) = self.calls.remove(&index)
                    && !(self.structured && name == ANSWER)
                {
                    said.push(Said::Call { id, name, input });
                }
            }
            Event::MessageDelta { delta, usage } => {
                self.count(usage.as_ref());
                self.ending = delta.stop_reason.map(|reason| match reason.as_str() {
                    "max_tokens" | "model_context_window_exceeded" => Ending::Limit,
                    "tool_use" if !self.answered => Ending::Calls,
                    "refusal" => Ending::Refused,
                    _ => Ending::Complete,
                });
            }
            Event::MessageStop => said.push(Said::Over),
            Event::Error { error } => {
                let status = match error.kind.as_str() {
                    "rate_limit_error" => 429,
                    "overloaded_error" => 529,
                    _ => 500,
                };
                return Err(Fault::Failed { status, detail: error.message });
            }
            Event::ContentBlockStart { .. } | Event::ContentBlockDelta { .. } | Event::Other => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Option<End> {
        Some(End { used: self.used, ending: self.ending?, charged: None })
    }
}
