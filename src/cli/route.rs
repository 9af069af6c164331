//! `hearth route TASK`: who would do a piece of work in this folder, and why. Nothing is sent.

use std::{io::Write as _, path::Path, process::ExitCode};

use clap::builder::PossibleValuesParser;

use crate::{
    config,
    egress::Decisions,
    model::Client,
    route::{Need, Nobody, Output, Private, Standing, Work, router},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The kind of work, such as summarize, refactor or `large_codebase_analysis`; any other name is
    /// work of an unknown kind
    #[arg(value_name = "TASK")]
    work: String,
    /// Tokens of what the model would be shown
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: usize,
    /// Tool calls that it would take
    #[arg(long, value_name = "N", default_value_t = 0)]
    tools: usize,
    /// The form that the answer has to have
    #[arg(long, value_name = "FORM", default_value = "text",
          value_parser = PossibleValuesParser::new(Output::ALL.map(Output::as_str)))]
    output: String,
    /// Nothing of it may leave this machine
    #[arg(long)]
    private: bool,
    /// Send it up for this run
    #[arg(long)]
    cloud: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Exits with 1 when nobody would do it.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let settings = super::settings(assignments)?;
    let here = std::env::current_dir()?;
    let decisions = config::state_folder().map(|state| Decisions::new(&state));
    let Ok(work) = arguments.work.parse::<Work>();
    let output = Output::ALL.into_iter().find(|output| output.as_str() == arguments.output);
    let need = Need {
        steps: arguments.tools,
        output: output.unwrap_or_default(),
        private: private(arguments, decisions.as_ref(), &here),
        sent_up: arguments.cloud,
        ..Need::new(work, arguments.tokens)
    };
    let standing = |destination: &crate::egress::Destination| {
        let decided = decisions.as_ref().map(|it| it.standing(&here, &destination.host()));
        match decided {
            Some(Ok(decided)) => Standing::from(decided),
            // What cannot be read allows nothing.
            Some(Err(_)) | None => Standing::Never,
        }
    };
    let decision = super::runtime()?.block_on(async {
        anyhow::Ok(router::preview(&Client::new()?, &settings, &need, standing).await)
    })?;
    let mut out = std::io::stdout().lock();
    match &decision {
        Ok(decision) if arguments.json => {
            writeln!(out, "{:#}", serde_json::to_value(decision)?)?;
        }
        Ok(decision) => {
            let first = decision.first();
            writeln!(out, "{}, {}: {}", first.tier, first.manner, decision.why)?;
            for rung in &decision.rungs()[1..] {
                let offer = &rung.offer;
                writeln!(
                    out,
                    "  if that does not answer: {}, {}: {} at {}",
                    rung.tier, rung.manner, offer.model, offer.place
                )?;
            }
        }
        Err(Nobody { why }) if arguments.json => {
            writeln!(out, "{:#}", serde_json::json!({ "nobody": why }))?;
        }
        Err(Nobody { why }) => writeln!(out, "nobody: {why}")?,
    }
    Ok(if decision.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn private(arguments: &Arguments, decisions: Option<&Decisions>, here: &Path) -> Vec<Private> {
    let trusted = decisions.is_some_and(|it| matches!(it.trusted(here), Ok(Some(true))));
    let asked = arguments.private.then_some(Private::Asked);
    asked.into_iter().chain((!trusted).then_some(Private::Untrusted)).collect()
}
