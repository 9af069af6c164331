//! `hearth model`: which model is in the box, and another one into it.

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;

use crate::{
    context::prompt::Plan,
    model::{
        ModelFacts,
        built_in::{Chosen, ModelFile, Trial},
        fim,
    },
};

/// The first text of a suggestion shall not take longer than this on its way to the eye.
const FIRST_TEXT: Duration = Duration::from_millis(300);

/// 95 % of the lines that people complete are no longer, in bytes (Copilot's published figure).
const LINE: usize = 73;

/// After a second of waiting a train of thought is interrupted (Nielsen, Usability Engineering, 1993).
const PAUSE: Duration = Duration::from_secs(1);

/// More than this is felt by everything else on a machine with 8 GB.
const LARGE: usize = 2 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run this GGUF file in Hearth's own process from now on
    Use { path: PathBuf },
    /// Go back to the model that came with Hearth
    Reset,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        None => show()?,
        Some(Command::Use { path }) => choose(path)?,
        Some(Command::Reset) => reset()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let chosen = Chosen::read().context("cannot read which model was chosen")?;
    let file = ModelFile::current()?;
    let facts = file.facts().with_context(|| format!("the model {file} cannot be used"))?;
    describe(&mut out, &file, &facts)?;
    if let Some(chosen) = chosen {
        writeln!(
            out,
            "  measured when it was chosen: {:.0} tokens/s read, {:.0} tokens/s written",
            chosen.prefill_speed, chosen.decode_speed
        )?;
    }
    Ok(())
}

fn describe(
    out: &mut impl std::io::Write,
    file: &ModelFile,
    facts: &ModelFacts,
) -> anyhow::Result<()> {
    let source = match file {
        ModelFile::Shipped => "came with Hearth".to_owned(),
        ModelFile::At(path) => path.display().to_string(),
    };
    writeln!(out, "{} ({source})", facts.name)?;
    writeln!(
        out,
        "  {:.1} M parameters, {:.1} MB, {}, context of {} tokens",
        facts.parameters.unwrap_or_default() as f64 / 1e6,
        file.size()? as f64 / 1e6,
        facts.architecture.as_deref().unwrap_or_default(),
        facts.trained_context.unwrap_or_default()
    )?;
    writeln!(out, "  asked by {}", fim::choose(facts))?;
    let Some(card) = facts.card else { return Ok(()) };
    match card.layout_version {
        Some(version) => writeln!(out, "  trained on version {version} of Hearth's prompt layout")?,
        None => writeln!(out, "  not trained on Hearth's prompt layout")?,
    }
    if card.ghost_text || card.chosen {
        writeln!(
            out,
            "  shown unasked where it gives what it says a probability of {:.2} or more",
            card.show_above
        )?;
    } else {
        writeln!(
            out,
            "  not shown unasked unless local.provider is \"built-in\": by its card it is not good enough"
        )?;
    }
    Ok(())
}

fn choose(path: &std::path::Path) -> anyhow::Result<()> {
    let path =
        std::fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
    let refused = || format!("{} cannot be used", path.display());
    let file = ModelFile::At(path.clone());
    let facts = file.facts().with_context(refused)?;
    let trial = Trial::of(&file).with_context(refused)?;
    let (prefill_speed, decode_speed) = (trial.prefill_speed, trial.decode_speed);
    let place =
        Chosen { path, prefill_speed, decode_speed }.write().context("cannot keep the choice")?;
    let mut out = std::io::stdout().lock();
    describe(&mut out, &file, &facts)?;
    let (first, line) = (trial.first_text(Plan::of(&facts, false).window()), trial.writing(LINE));
    writeln!(
        out,
        "  measured here: {prefill_speed:.0} tokens/s read, {decode_speed:.0} tokens/s written, {:.0} \
         MB in memory",
        trial.memory as f64 / 1e6
    )?;
    writeln!(
        out,
        "  about {} ms until the first text at a new place, {} ms for a long line",
        first.as_millis(),
        line.as_millis()
    )?;
    let mut reasons = Vec::new();
    if first > FIRST_TEXT {
        reasons.push(format!(
            "the first text at a new place would take {} ms, more than {}",
            first.as_millis(),
            FIRST_TEXT.as_millis()
        ));
    }
    if line > PAUSE {
        reasons.push(format!("a long line would take {} ms", line.as_millis()));
    }
    if trial.memory > LARGE {
        reasons.push("it takes much memory in each editor's server".to_owned());
    }
    if !reasons.is_empty() {
        writeln!(
            out,
            "a model server would serve it better, above all one with a GPU: {}. For example: \
             llama-server -m {file} -np 1 -b 256",
            reasons.join("; ")
        )?;
    }
    writeln!(
        out,
        "kept in {}. It answers where no model server with a code model runs, and always with \
         local.provider = \"built-in\"",
        place.display()
    )?;
    Ok(())
}

fn reset() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if Chosen::forget().context("cannot forget the choice")? {
        writeln!(out, "the choice is forgotten")?;
    }
    drop(out);
    show()
}
