//! A language server that answers at once, always the same: what an editor needs by itself from a key
//! to what stands on the screen is measured with it, next to Hearth in the same run.
//!
//! It suggests `nswer = 42;` (`textDocument/inlineCompletion`), where it stands behind `let a` and not behind
//! `let `, which it tells by the column alone: indents are multiples of four. And `answer = 42;` for the
//! word at the cursor (`textDocument/completion`).

use std::io::{BufRead as _, Read as _, Write as _};

use anyhow::Context as _;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", value)) => length = value.parse().context("a length")?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body)?;
        if message["method"] == "exit" {
            return Ok(());
        }
        let Some(id) = message.get("id").filter(|_| message["method"].is_string()) else {
            continue;
        };
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result(&message) }).to_string();
        write!(output, "Content-Length: {}\r\n\r\n{answer}", answer.len())?;
        output.flush()?;
    }
}

fn result(request: &Value) -> Value {
    let position = &request["params"]["position"];
    match request["method"].as_str() {
        Some("initialize") => json!({ "capabilities": {
            "textDocumentSync": 2,
            "inlineCompletionProvider": {},
            "completionProvider": {},
        } }),
        Some("textDocument/inlineCompletion")
            if position["character"].as_u64().is_none_or(|at| at % 4 != 1) =>
        {
            json!({ "items": [] })
        }
        Some("textDocument/inlineCompletion") => json!({ "items": [{
            "insertText": "nswer = 42;",
            "range": { "start": position, "end": position },
        }] }),
        Some("textDocument/completion") => {
            json!({ "isIncomplete": true, "items": [{ "label": "answer = 42;" }] })
        }
        _ => Value::Null,
    }
}
