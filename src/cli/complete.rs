//! `hearth complete FILE:LINE:COL`: the suggestion that an editor would show there.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use anyhow::bail;
use serde_json::json;
use tokio::sync::watch;

use super::{place::Place, workspace::Workspace};
use crate::{
    config::Settings,
    model::Client,
    route::State,
    task::{self, Answer, Audience, Desk, Report},
};

/// How long a model may take to load before a person gives up.
const LOADING: Duration = Duration::from_mins(5);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to complete, lines and columns counted from 1
    #[arg(value_name = "FILE:LINE:COL")]
    place: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print the prompt as it was sent
    #[arg(long)]
    explain: bool,
}

/// Exits with 1 when there is no suggestion.
pub(super) fn run(arguments: &Arguments, assignments: &[String]) -> anyhow::Result<ExitCode> {
    let place: Place = arguments.place.parse()?;
    let mut layers = super::layers(assignments)?;
    if !assignments.iter().any(|text| text.starts_with("completion.debounce_ms")) {
        // Nobody is typing.
        let all = [assignments, &["completion.debounce_ms=0".to_owned()]].concat();
        layers.assign(&all)?;
    }
    let (settings, complaints) = layers.resolve();
    for complaint in complaints {
        tracing::warn!("{complaint}");
    }
    let runtime = super::runtime()?;
    let (answer, report) = runtime.block_on(complete(&place, Arc::new(settings)))?;
    print(arguments, &answer, report.as_deref())?;
    Ok(if matches!(answer, Answer::Suggestions(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn complete(
    place: &Place,
    settings: Arc<Settings>,
) -> anyhow::Result<(Answer, Option<Arc<Report>>)> {
    let workspace = Workspace::around(&place.file)?;
    let snapshot = workspace.document.snapshot();
    let offset = place.offset(&snapshot.text)?;
    let (_settings, subscription) = watch::channel(Arc::clone(&settings));
    let index = workspace.index(&settings);
    let desk = Arc::new(Desk::open(Client::new()?, subscription, Arc::clone(&index)));
    let mut health = desk.router().watch();
    let ready = health.wait_for(|health| match health.state {
        State::Warm | State::Down => true,
        State::Loading => false,
        // Chosen and not being loaded: asking loads it, or says why it cannot be.
        State::Cold => health.choice.is_some(),
    });
    match tokio::time::timeout(LOADING, ready).await {
        Ok(Ok(health)) if health.choice.is_some() => {}
        Ok(Ok(health)) => bail!("{}", health.message),
        Ok(Err(_)) | Err(_) => bail!("the model was not loaded within {} s", LOADING.as_secs()),
    }
    index.settled().await;
    let asked = task::ask(Arc::clone(&desk), settings, snapshot, offset, Audience::Command);
    let answer = asked.answer().await;
    let report = desk.last().borrow().report.clone();
    Ok((answer, report))
}

fn print(arguments: &Arguments, answer: &Answer, report: Option<&Report>) -> anyhow::Result<()> {
    let (text, reason) = match answer {
        Answer::Suggestions(texts) => (texts.first().map(String::as_str), None),
        Answer::Nothing(reason) => (None, Some(reason.as_str())),
        Answer::Overtaken | Answer::Late => (None, Some("the request was overtaken")),
    };
    let prompt = report.map(|report| {
        report.prompt.segments().iter().map(crate::model::Segment::as_str).collect::<String>()
    });
    let prompt = prompt.filter(|_| arguments.explain);
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let object = json!({
            "completion": text,
            "reason": reason,
            "provider": report.map(|report| report.serving.provider.kind()),
            "endpoint": report.map(|report| report.serving.provider.endpoint()),
            "model": report.map(|report| &report.serving.model.name),
            "why": report.map(|report| &report.serving.why),
            "mode": report.map(|report| report.mode.to_string()),
            "promptTokens": report.map(|report| report.usage.and_then(|usage| usage.prompt_tokens).unwrap_or(report.prompt.tokens())),
            "promptTokensAreExact": report.map(|report| report.usage.is_some_and(|usage| usage.prompt_tokens.is_some())),
            "evaluatedTokens": report.and_then(|report| {
                let usage = report.usage?;
                Some(usage.prompt_tokens?.saturating_sub(usage.cached_tokens?))
            }),
            "cachedTokens": report.and_then(|report| report.usage?.cached_tokens),
            "outputTokens": report.and_then(|report| report.usage?.output_tokens),
            "confidence": report.and_then(|report| report.usage?.confidence),
            "withheld": report.and_then(|report| report.withheld.as_ref()),
            "firstTextMs": report.and_then(|report| report.first_text).map(ms),
            "totalMs": report.map(|report| ms(report.total)),
            "prompt": prompt,
        });
        writeln!(out, "{object:#}")?;
        return Ok(());
    }
    let mut about = std::io::stderr().lock();
    if let Some(prompt) = prompt {
        writeln!(about, "--- prompt as sent\n{prompt}\n--- end of the prompt")?;
    }
    match (text, reason) {
        (Some(text), _) => writeln!(out, "{text}")?,
        (None, reason) => writeln!(about, "no suggestion: {}", reason.unwrap_or_default())?,
    }
    if let Some(report) = report {
        let serving = &report.serving;
        let counted = report.usage.and_then(|usage| usage.prompt_tokens);
        let prompt = counted.map_or_else(
            || format!("about {} tokens in", report.prompt.tokens()),
            |tokens| format!("{tokens} tokens in"),
        );
        let cached = report.usage.and_then(|usage| usage.cached_tokens);
        let cached = cached.map_or(String::new(), |tokens| format!(" ({tokens} of them cached)"));
        let output = report.usage.and_then(|usage| usage.output_tokens);
        let output = output.map_or("an unknown number of".to_owned(), |tokens| tokens.to_string());
        let first = report
            .first_text
            .map_or(String::new(), |first| format!(", first text after {:.0} ms", ms(first)));
        writeln!(
            about,
            "{} at {} ({}), {}: {prompt}{cached}, {output} out{first}, {:.0} ms in all",
            serving.model.name,
            serving.provider.endpoint(),
            serving.provider.kind(),
            report.mode,
            ms(report.total)
        )?;
        writeln!(about, "chosen: {}", serving.why)?;
        if let Some(confidence) = report.usage.and_then(|usage| usage.confidence) {
            writeln!(about, "the model gave this a probability of {confidence:.2}")?;
        }
        if let Some(withheld) = &report.withheld {
            writeln!(about, "an editor would show nothing here: {withheld}")?;
        }
    }
    Ok(())
}
