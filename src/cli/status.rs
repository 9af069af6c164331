//! `hearth status`: which model would answer, and why.

use std::{io::Write as _, process::ExitCode};

use serde_json::json;

use crate::{
    model::{Client, fim},
    route::router,
    task,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Exits with 1 when no model would answer.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let settings = super::settings(assignments)?;
    let found = super::runtime()?.block_on(async {
        anyhow::Ok(router::search(&Client::new()?, &settings).discover().await)
    })?;
    let mut out = std::io::stdout().lock();
    let choice = found.choice.as_ref();
    if arguments.json {
        let seen: Vec<_> = found
            .seen
            .iter()
            .map(|seen| match &seen.outcome {
                Ok(sighting) => json!({ "place": seen.place.as_str(), "sighting": sighting }),
                Err(error) => json!({ "place": seen.place.as_str(), "error": error.to_string() }),
            })
            .collect();
        let choice = choice.map(|serving| {
            json!({
                "provider": serving.provider.kind(),
                "endpoint": serving.provider.endpoint(),
                "model": serving.model,
                "mode": fim::choose(&serving.model).to_string(),
                "why": serving.why,
            })
        });
        let built_in = found.built_in.as_ref().map(|look| match look {
            Ok(sighting) => json!({ "sighting": sighting }),
            Err(error) => json!({ "error": error.to_string() }),
        });
        let found = json!({ "choice": choice.ok(), "seen": seen, "builtIn": built_in });
        writeln!(out, "{found:#}")?;
    } else {
        match &found.choice {
            Ok(serving) => {
                writeln!(out, "{}", serving.why)?;
                writeln!(out, "  asked by {}", fim::choose(&serving.model))?;
                if let Some(reason) = task::unasked(serving, &settings) {
                    writeln!(out, "  {reason}")?;
                }
            }
            Err(why) => writeln!(out, "{why}")?,
        }
        for seen in &found.seen {
            match &seen.outcome {
                Ok(sighting) => {
                    let models: Vec<_> =
                        sighting.models.iter().map(|model| model.name.as_str()).collect();
                    writeln!(out, "  {} {}: {}", seen.place, sighting.kind, models.join(", "))?;
                }
                Err(error) => writeln!(out, "  {error}")?,
            }
        }
        match &found.built_in {
            Some(Ok(sighting)) => {
                let models = sighting.models.iter().map(|model| model.name.as_str());
                writeln!(out, "  built-in: {}", models.collect::<String>())?;
            }
            Some(Err(error)) => writeln!(out, "  {error}")?,
            None => {}
        }
    }
    Ok(if found.choice.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
