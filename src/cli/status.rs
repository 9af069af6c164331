//! `hearth status`: which model would answer, and why, and what became of what was suggested.

use std::{io::Write as _, process::ExitCode};

use serde_json::json;

use crate::{
    config,
    metrics::{self, Counts},
    model::{Client, fim},
    route::router,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Days that suggestions are counted over.
const DAYS: u64 = 30;

/// Exits with 1 when no model would answer.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let settings = super::settings(assignments)?;
    let found = super::runtime()?.block_on(async {
        anyhow::Ok(router::search(&Client::new()?, &settings).discover().await)
    })?;
    // What cannot be read says nothing.
    let counts = config::state_folder().and_then(|state| metrics::recent(&state, DAYS).ok());
    let counts = counts.unwrap_or_default();
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
        let found = json!({
            "choice": choice.ok(),
            "seen": seen,
            "builtIn": built_in,
            "suggestions": counts,
        });
        writeln!(out, "{found:#}")?;
    } else {
        match &found.choice {
            Ok(serving) => {
                writeln!(out, "{}", serving.why)?;
                writeln!(out, "  asked by {}", fim::choose(&serving.model))?;
                if let Some(reason) = serving.unasked(&settings) {
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
        if counts != Counts::default() {
            writeln!(out, "  {}", in_words(&counts))?;
        }
    }
    Ok(if found.choice.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of suggestions.
fn in_words(counts: &Counts) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let Counts { shown, accepted, accepted_in_part, looked_at, unchanged, lost_sight, .. } = counts;
    let mut words = vec![format!(
        "suggestions of the last {DAYS} days: {shown} shown, {accepted} accepted and \
         {accepted_in_part} in part ({})",
        percent((accepted + accepted_in_part) as f64 / (*shown).max(1) as f64)
    )];
    words.extend(counts.kept_rate().map(|kept| {
        format!(
            "{} of the accepted text still stood half a minute later, {unchanged} of {looked_at} \
             unchanged",
            percent(kept)
        )
    }));
    if *lost_sight > 0 {
        words.push(format!("{lost_sight} not known, as their document was closed before"));
    }
    let on_screen = counts.on_screen_ms.checked_div(counts.timed);
    words.extend(on_screen.map(|time| format!("on screen for {time} ms on average")));
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_put_in_words() {
        let mut counts =
            Counts { shown: 40, accepted: 9, accepted_in_part: 1, ..Counts::default() };
        assert_eq!(
            in_words(&counts),
            "suggestions of the last 30 days: 40 shown, 9 accepted and 1 in part (25 %)"
        );
        counts = Counts {
            looked_at: 10,
            unchanged: 8,
            lost_sight: 3,
            accepted_bytes: 200,
            kept_bytes: 180,
            timed: 4,
            on_screen_ms: 3_000,
            ..counts
        };
        assert_eq!(
            in_words(&counts),
            "suggestions of the last 30 days: 40 shown, 9 accepted and 1 in part (25 %); 90 % of the \
             accepted text still stood half a minute later, 8 of 10 unchanged; 3 not known, as their \
             document was closed before; on screen for 750 ms on average"
        );
    }
}
