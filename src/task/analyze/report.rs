//! An analysis as it is handed over: what was answered, below what has to be known about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::Serialize;

use super::{Citation, Kind, citations::Checked};
use crate::{
    egress::Manifest,
    model::{Tier, cloud::Bill},
    route::Rung,
};

/// What came of an analysis.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub question: String,
    pub kind: Option<Kind>,
    /// The whole of it in Markdown.
    pub markdown: String,
    /// Who answered; `None` where nobody did, and the report is what the index says.
    pub by: Option<Rung>,
    /// Why that one, as a sentence.
    pub why: String,
    /// What those said who were asked before.
    pub before: Vec<String>,
    pub coverage: Coverage,
    /// Times that the model read on.
    pub steps: usize,
    pub left: Left,
    pub citations: Vec<Citation>,
    /// Claims that cite nothing.
    pub uncited: usize,
}

/// How much of the codebase the model was shown, and what that was in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Items on the map that the model was shown.
    pub items: usize,
    pub of_items: usize,
    /// Parts that the map was read in; 1 where it was read at once.
    pub parts: usize,
    pub map_tokens: usize,
    /// Of what it was shown beside the map.
    pub read_tokens: usize,
    /// Of the files themselves.
    pub source_tokens: usize,
}

impl Coverage {
    /// Percent of the files' tokens that the model was spared.
    pub fn saved(&self) -> f64 {
        let shown = (self.map_tokens + self.read_tokens) as f64;
        (1.0 - shown / self.source_tokens.max(1) as f64) * 100.0
    }
}

/// What left this machine, by the manifests of all requests.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    pub requests: usize,
    /// Of all text, what was sent again with a later request among it.
    pub bytes: usize,
    pub tokens: usize,
    pub files: BTreeSet<String>,
    /// Secrets replaced, by the rule that found them: the most in one request.
    pub redactions: BTreeMap<String, usize>,
    /// Files of the question that stayed here.
    pub kept_here: usize,
    #[serde(skip)]
    pub bill: Bill,
}

impl Left {
    pub(super) fn add(&mut self, manifest: &Manifest) {
        self.requests += 1;
        self.bytes += manifest.bytes;
        self.tokens += manifest.tokens;
        self.files.extend(manifest.files.iter().map(|part| part.path.clone()));
        for (rule, count) in &manifest.redactions {
            let most = self.redactions.entry(rule.clone()).or_default();
            *most = (*most).max(*count);
        }
    }
}

impl Report {
    /// Puts the head above what was answered.
    pub(super) fn written(mut self, checked: Checked, cut: bool) -> Self {
        let Checked { text, citations, uncited } = checked;
        (self.citations, self.uncited) = (citations, uncited);
        let title = self.kind.map_or("Analysis", Kind::title);
        let mut page = format!("# {title}: {}\n\n{}\n", self.question, self.head());
        page.push_str(text.trim());
        page.push('\n');
        if cut {
            page.push_str("\n*(cut at its longest)*\n");
        }
        self.markdown = page;
        self
    }

    fn head(&self) -> String {
        let mut head = String::new();
        for line in self.about() {
            let _ = writeln!(head, "> {line}  ");
        }
        head
    }

    fn about(&self) -> Vec<String> {
        let mut about = vec![self.answered()];
        if self.by.is_some() && !self.before.is_empty() {
            about.push(format!("First chosen: {}.", self.why));
        }
        about.extend(self.before.iter().map(|said| format!("That did not answer: {said}.")));
        if self.by.is_some() {
            about.push(self.covered());
        }
        about.push(self.leaving());
        if self.by.is_some() {
            about.push(self.cited());
        }
        about
    }

    fn answered(&self) -> String {
        let Some(by) = &self.by else {
            let why = self.why.trim_end_matches('.');
            return format!(
                "No model answered: {why}. This is what the index says, by names alone."
            );
        };
        let (model, place) = (&by.offer.model, &by.offer.place);
        let mut line = match (by.tier, self.coverage.parts) {
            (Tier::Cloud, _) => format!("Answered by {model} at {place} (a cloud)"),
            (tier, 0 | 1) => format!("Answered on {tier}, at once, by {model} at {place}"),
            (tier, parts) => format!(
                "Answered on {tier}, in {parts} parts, whose notes were put together (map and \
                 reduce), by {model} at {place}"
            ),
        };
        if self.before.is_empty() {
            let _ = write!(line, ": {}", self.why);
        }
        line + "."
    }

    fn covered(&self) -> String {
        let Coverage { items, of_items, map_tokens, read_tokens, source_tokens, .. } =
            self.coverage;
        let saved = self.coverage.saved();
        let fewer = if saved > 0.0 { format!(" ({saved:.0} % fewer)") } else { String::new() };
        format!(
            "Covered: {items} of {of_items} items; {map_tokens} tokens for the map and {read_tokens} \
             for the rest, in {}, where the files have {source_tokens}{fewer}.",
            many(self.steps, "step")
        )
    }

    fn leaving(&self) -> String {
        let Left { requests, bytes, tokens, files, redactions, kept_here, bill } = &self.left;
        if *requests == 0 {
            let to_network = self.by.as_ref().is_some_and(|by| by.tier == Tier::PrivateNetwork);
            let what = if to_network { "for a cloud" } else { "this machine" };
            return format!("Nothing left {what}.");
        }
        let mut line = format!(
            "Left this machine: {}, {tokens} tokens, {bytes} bytes, with parts of {}; {} replaced, {} \
             kept here",
            many(*requests, "request"),
            many(files.len(), "file"),
            many(redactions.values().sum(), "secret"),
            many(*kept_here, "file"),
        );
        if bill.dollars > 0.0 {
            let _ = write!(line, "; ${:.4}", bill.dollars);
        }
        line + "."
    }

    fn cited(&self) -> String {
        let (of, wrong) = (
            self.citations.len(),
            self.citations.iter().filter(|citation| !citation.holds()).count(),
        );
        let mut line = format!("Citations: {} of {of} hold", of - wrong);
        if wrong > 0 {
            line.push_str(", the others are marked");
        }
        if self.uncited > 0 {
            let claims = many(self.uncited, "claim");
            let _ = write!(line, "; {claims} without any, marked as well");
        }
        line + "."
    }
}

fn many(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
