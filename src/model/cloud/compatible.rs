//! OpenAI's chat completions, as OpenAI, OpenRouter, Azure and gateways speak them.
//!
//! The cache needs no marks here: these services recognize a prefix that they have seen. Source:
//! OpenAI's API reference; OpenRouter's for `usage.cost`.

use std::collections::BTreeMap;

use reqwest::header::{AUTHORIZATION, HeaderMap};
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
use crate::egress::{Cleared, ClearedTurn, Permit, Role};

pub(super) fn path(base: &Url) -> String {
    joined(base, "", "/chat/completions")
}

pub(super) fn headers(key: Option<&Key>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(key) = key.and_then(|key| key.header("Bearer ")) {
        headers.insert(AUTHORIZATION, key);
    }
    headers
}

pub(super) fn request(permit: &Permit, temperature: Option<f32>) -> Json {
    let mut messages = Vec::new();
    if !permit.system().is_empty() {
        messages.push(json!({ "role": "system", "content": permit.system() }));
    }
    for turn in permit.turns() {
        match turn.role {
            Role::User => ask(turn, &mut messages),
            Role::Assistant => messages.push(answered(turn)),
        }
    }
    let mut request = json!({
        "model": permit.model(),
        "max_completion_tokens": permit.max_output_tokens(),
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": messages,
    });
    if !permit.tools().is_empty() {
        let tool = |tool: &crate::egress::Tool| {
            json!({ "type": "function", "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            } })
        };
        request["tools"] = permit.tools().iter().map(tool).collect();
    }
    if let Some(schema) = permit.answer_schema() {
        request["response_format"] = json!({ "type": "json_schema", "json_schema": {
            "name": "answer",
            "schema": schema,
            "strict": is_strict(schema),
        } });
    }
    if let Some(temperature) = temperature {
        request["temperature"] = json!(temperature);
    }
    request
}

/// Outcomes of calls come before what the user says beside them.
fn ask(turn: &ClearedTurn, messages: &mut Vec<Json>) {
    let mut said = String::new();
    for content in &turn.contents {
        match content {
            Cleared::Outcome { call_id, text } => {
                messages.push(json!({ "role": "tool", "tool_call_id": call_id, "content": text }));
            }
            Cleared::Text(text) => said.push_str(text),
            // Calls are the model's.
            Cleared::Call(_) => {}
        }
    }
    if !said.is_empty() {
        messages.push(json!({ "role": "user", "content": said }));
    }
}

fn answered(turn: &ClearedTurn) -> Json {
    let mut said = String::new();
    let mut calls = Vec::new();
    for content in &turn.contents {
        match content {
            Cleared::Text(text) => said.push_str(text),
            Cleared::Call(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.input.to_string() },
            })),
            Cleared::Outcome { .. } => {}
        }
    }
    let said = if said.is_empty() { Json::Null } else { Json::String(said) };
    let mut message = json!({ "role": "assistant", "content": said });
    if !calls.is_empty() {
        message["tool_calls"] = Json::Array(calls);
    }
    message
}

/// Whether the service takes the schema in its strict mode: each object names all its properties as
/// required and allows no others.
fn is_strict(schema: &Json) -> bool {
    let object = match schema.get("properties") {
        Some(Json::Object(properties)) => {
            let required = schema["required"].as_array().map_or(0, Vec::len);
            schema["additionalProperties"] == false && required == properties.len()
        }
        _ => schema["type"] != "object",
    };
    let nested = match schema {
        Json::Object(fields) => fields.values().all(is_strict),
        Json::Array(items) => items.iter().all(is_strict),
        _ => true,
    };
    object && nested
}

/// Reads the chunks of a streamed answer. Usage comes in a chunk of its own behind the last one.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    used: Bill,
    charged: Option<f64>,
    ending: Option<Ending>,
    calls: BTreeMap<usize, Call>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    input: String,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Function,
}

#[derive(Default, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: usize,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    /// OpenRouter's, in US dollars.
    #[serde(default)]
    cost: Option<f64>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
    /// A status with OpenRouter, a word elsewhere.
    #[serde(default)]
    code: Option<Json>,
}

impl Chunks {
    fn calls(&mut self, said: &mut Vec<Said>) {
        let calls = std::mem::take(&mut self.calls);
        // A call that the output limit cut is none.
        if self.ending != Some(Ending::Limit) {
            said.extend(calls.into_values().map(|Call { id, name, input }| Said::Call {
                id,
                name,
                input,
            }));
        }
    }
}

impl Wire for Chunks {
    /// What cached tokens cost differs by model; this is the most.
    const RATES: CacheRates = CacheRates { read: 1.0, write: 1.0 };

    fn read(&mut self, message: &[u8], said: &mut Vec<Said>) -> Result<(), Fault> {
        if message == b"[DONE]" {
            said.push(Said::Over);
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(message)?;
        if let Some(Failure { message, code }) = chunk.error {
            let status = code.and_then(|code| u16::try_from(code.as_u64()?).ok()).unwrap_or(500);
            return Err(Fault::Failed { status, detail: message });
        }
        if let Some(usage) = chunk.usage {
            let cached = usage.prompt_tokens_details.and_then(|told| told.cached_tokens);
            self.used.cached = cached.unwrap_or_default().min(usage.prompt_tokens);
            self.used.input = usage.prompt_tokens - self.used.cached;
            self.used.output = usage.completion_tokens;
            self.charged = usage.cost;
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        said.extend(choice.delta.content.map(Said::Text));
        for delta in choice.delta.tool_calls.unwrap_or_default() {
            let call = self.calls.entry(delta.index).or_default();
            call.id.push_str(&delta.id.unwrap_or_default());
            call.name.push_str(&delta.function.name.unwrap_or_default());
            call.input.push_str(&delta.function.arguments.unwrap_or_default());
        }
        if let Some(reason) = choice.finish_reason {
            self.ending = Some(match reason.as_str() {
                "length" => Ending::Limit,
                "tool_calls" | "function_call" => Ending::Calls,
                "content_filter" => Ending::Refused,
                _ => Ending::Complete,
            });
            self.calls(said);
        }
        Ok(())
    }

    fn end(&mut self) -> Option<End> {
        Some(End { used: self.used, ending: self.ending?, charged: self.charged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_schemas_are_strict() {
        let closed = json!({ "type": "object", "additionalProperties": false,
            "required": ["a"], "properties": { "a": { "type": "array", "items": { "type": "string" } } } });
        assert!(is_strict(&closed));
        let mut open = closed.clone();
        open["additionalProperties"] = json!(true);
        assert!(!is_strict(&open));
        let mut optional = closed.clone();
        optional["required"] = json!([]);
        assert!(!is_strict(&optional));
        let mut nested = closed;
        nested["properties"]["a"]["items"] = json!({ "type": "object" });
        assert!(!is_strict(&nested));
    }
}
