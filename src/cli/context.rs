//! `hearth context FILE:LINE:COL`: what a model would be shown there, and why.

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use anyhow::Context as _;
use serde_json::{Value as Json, json};

use super::{place::Place, workspace::Workspace};
use crate::{
    context::{
        prompt::Built,
        recall::{Part, Piece, Reason},
    },
    model::Client,
    route::{Serving, router},
    task::{self, Preview},
};

/// Of what was left out, so much is printed.
const MAX_LEFT_OUT: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where, lines and columns counted from 1
    #[arg(value_name = "FILE:LINE:COL")]
    place: String,
    /// Print one JSON object, with the text of each piece
    #[arg(long)]
    json: bool,
}

/// Exits with 1 when not even the cursor's line fits into a prompt.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let place: Place = arguments.place.parse()?;
    let settings = super::settings(assignments)?;
    let workspace = Workspace::around(&place.file)?;
    let snapshot = workspace.document.snapshot();
    let offset = place.offset(&snapshot.text)?;
    let index = workspace.index(&settings);
    let serving = super::runtime()?.block_on(async {
        let search = router::search(&Client::new()?, &settings);
        let (found, ()) = futures::join!(search.discover(), index.settled());
        anyhow::Ok(found.choice.ok())
    })?;
    let preview = task::preview(&index, &settings, serving.as_ref(), &snapshot, offset)
        .map_err(anyhow::Error::msg)?;
    let Some(built) = &preview.built else {
        let room = preview.room;
        writeln!(std::io::stderr(), "the cursor's line alone is larger than {room} tokens")?;
        return Ok(ExitCode::FAILURE);
    };
    let page = if arguments.json {
        format!("{:#}\n", as_json(&preview, built, serving.as_ref(), &snapshot.relative_path))
    } else {
        as_text(&preview, built, serving.as_ref(), &snapshot.relative_path)
            .context("cannot write into memory")?
    };
    std::io::stdout().lock().write_all(page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Tokens of the document itself, with what stands around it.
fn own_tokens(built: &Built) -> usize {
    let others = built.recalled.pieces.iter().map(|piece| piece.tokens).sum();
    built.prompt.tokens().saturating_sub(others)
}

fn as_text(
    preview: &Preview,
    built: &Built,
    serving: Option<&Serving>,
    path: &str,
) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    let model = serving.map_or("no model answers; for one of the usual family", |serving| {
        serving.model.name.as_str()
    });
    writeln!(
        page,
        "{model}, {}: about {} of {} tokens",
        preview.mode,
        built.prompt.tokens(),
        preview.room
    )?;
    for piece in &built.recalled.pieces {
        writeln!(page, "\n{:>6}  {}", piece.tokens, piece.definition.path)?;
        for part in &piece.parts {
            writeln!(page, "        {}", line(part))?;
        }
    }
    writeln!(page, "\n{:>6}  {path}, around the cursor", own_tokens(built))?;
    let left_out = &built.recalled.left_out;
    if !left_out.is_empty() {
        writeln!(page, "\nworth showing, but without room: {}", left_out.len())?;
        for part in left_out.iter().take(MAX_LEFT_OUT) {
            writeln!(page, "        {}", line(part))?;
        }
    }
    Ok(page)
}

fn line(part: &Part) -> String {
    format!("{:>5.1} %  {}  ({})", part.score * 100.0, part.name, why(part))
}

fn why(part: &Part) -> &'static str {
    match part.reason {
        Reason::Likely(feature) => feature,
        Reason::Similar => "uses what is likely to be needed",
    }
}

fn as_json(preview: &Preview, built: &Built, serving: Option<&Serving>, path: &str) -> Json {
    let part = |part: &Part| json!({ "name": part.name, "chance": part.score, "why": why(part) });
    let piece = |piece: &Piece| {
        json!({
            "path": piece.definition.path,
            "tokens": piece.tokens,
            "parts": piece.parts.iter().map(part).collect::<Vec<_>>(),
            "text": piece.definition.text,
        })
    };
    json!({
        "model": serving.map(|serving| &serving.model.name),
        "mode": preview.mode.to_string(),
        "tokens": built.prompt.tokens(),
        "room": preview.room,
        "otherFiles": built.recalled.pieces.iter().map(piece).collect::<Vec<_>>(),
        "document": { "path": path, "tokens": own_tokens(built) },
        "leftOut": built.recalled.left_out.iter().map(part).collect::<Vec<_>>(),
    })
}
