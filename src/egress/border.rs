//! Examines parcels and mints permits.

use std::{collections::BTreeMap, hash::RandomState, path::Path};

use super::{
    Cleared, ClearedTurn, Consent, Content, Decisions, FilePart, Manifest, Parcel, Permit, Piece,
    Refusal, Standing, Tool, ToolCall, Turn, Withheld,
    audit::{self, Decision, Log},
    exclude::Exclusions,
    redact::{Redactor, strings},
    secrets,
};
use crate::config::Settings;

/// Who says whether a workspace is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The editor, which asked the user (VS Code passes its own trust).
    Editor(bool),
    /// The decisions on disk: `hearth trust DIR`.
    Stored,
}

/// The border of one workspace. Blocking: it reads ignore files and writes the audit log.
#[derive(Debug)]
pub struct Border {
    exclusions: Exclusions,
    enforced: bool,
    trust: Trust,
    decisions: Decisions,
    log: Log,
    key: RandomState,
}

impl Border {
    /// `state` is the folder that keeps decisions and the log
    /// ([`state_folder`](crate::config::state_folder)).
    pub fn new(
        root: &Path,
        settings: &Settings,
        state: &Path,
        trust: Trust,
    ) -> Result<Self, Refusal> {
        let exclusions =
            Exclusions::new(root, &settings.privacy_exclude, &settings.privacy_private)?;
        Ok(Self {
            exclusions,
            enforced: settings.privacy_enforced,
            trust,
            decisions: Decisions::new(state),
            log: Log::new(state),
            key: RandomState::new(),
        })
    }

    /// The workspace's folder, canonical.
    pub fn root(&self) -> &Path {
        self.exclusions.root()
    }

    /// Whether text of the file may leave; the path relative to the workspace if so. What a tool
    /// asks before it reads. Private files are never read for a cloud, whatever the settings.
    pub fn admit(&self, path: &Path) -> Result<String, Withheld> {
        let verdict = self.exclusions.judge(path);
        match verdict.withheld {
            Some(withheld) => Err(withheld),
            None if verdict.private => Err(Withheld::Private { path: verdict.shown }),
            None => Ok(verdict.shown),
        }
    }

    /// Decides what of a parcel may leave. `count` tells the tokens of a text. A refusal is in the
    /// audit log when this returns.
    pub fn examine(
        &self,
        parcel: Parcel,
        count: impl Fn(&str) -> usize,
    ) -> Result<Examined<'_>, Refusal> {
        let (destination, model) =
            (parcel.destination.host(), parcel.destination.model().to_owned());
        let examined = self.weigh(parcel, &count);
        if let Err(refusal) = &examined {
            self.record(audit::Request {
                workspace: self.root(),
                destination: &destination,
                model: &model,
                manifest: None,
                decision: Decision::Refused,
                reason: refusal.word(),
            })?;
        }
        examined
    }

    /// What would leave, decided as by [`examine`](Self::examine); nothing is asked, logged or sent.
    pub fn preview(
        &self,
        parcel: Parcel,
        count: impl Fn(&str) -> usize,
    ) -> Result<Preview, Refusal> {
        let Examined { permit, .. } = self.weigh(parcel, &count)?;
        let mut text = permit.system;
        for turn in permit.turns {
            for content in turn.contents {
                let (Cleared::Text(part) | Cleared::Outcome { text: part, .. }) = content else {
                    continue;
                };
                text.push_str(&part);
            }
        }
        Ok(Preview { manifest: permit.manifest, text })
    }

    fn weigh(
        &self,
        parcel: Parcel,
        count: &dyn Fn(&str) -> usize,
    ) -> Result<Examined<'_>, Refusal> {
        let unread = |error: std::io::Error| Refusal::Record { detail: error.to_string() };
        let trusted = match self.trust {
            Trust::Editor(trusted) => trusted,
            Trust::Stored => self.decisions.trusts(self.root()).map_err(unread)?,
        };
        if !trusted {
            return Err(Refusal::Untrusted);
        }
        if parcel.private && self.enforced {
            return Err(Refusal::PrivateTask);
        }
        let host = parcel.destination.host();
        let standing = match self.decisions.standing(self.root(), &host).map_err(unread)? {
            Some(Consent::Never) => return Err(Refusal::Declined { destination: host }),
            Some(Consent::Workspace | Consent::Once) => Standing::Allowed,
            None => Standing::Ask,
        };
        let mut inspection = Inspection {
            border: self,
            redactor: Redactor::new(&self.key),
            files: BTreeMap::new(),
            withheld: Vec::new(),
            private: parcel.private,
            pieces: 0,
        };
        let turns = inspection.turns(parcel.turns)?;
        let tools = parcel.tools.into_iter().map(|tool| inspection.tool(tool)).collect();
        let answer_schema = parcel.answer_schema.map(|schema| inspection.json(&schema));
        let system = parcel.system.to_owned();
        if let (0, Some(first)) = (inspection.pieces, inspection.withheld.first()) {
            return Err(Refusal::NothingLeft { first: first.clone() });
        }
        // A private request is asked about each time, whatever was allowed before.
        let standing = if inspection.private { Standing::Ask } else { standing };
        let restorer = inspection.redactor.restorer();
        let mut permit = Permit {
            system,
            turns,
            tools,
            answer_schema,
            max_output_tokens: parcel.max_output_tokens,
            manifest: inspection.manifest(host, parcel.destination.model().to_owned()),
            restorer,
            destination: parcel.destination,
        };
        permit.measure(count);
        Ok(Examined { border: self, permit, standing })
    }

    fn record(&self, request: audit::Request<'_>) -> Result<(), Refusal> {
        self.log.append(&request).map_err(|error| Refusal::Record { detail: error.to_string() })
    }
}

/// A parcel that was examined and waits for the user.
#[derive(Debug)]
#[must_use]
pub struct Examined<'b> {
    border: &'b Border,
    permit: Permit,
    standing: Standing,
}

impl Examined<'_> {
    /// What would leave: to be shown before anything is asked.
    pub fn manifest(&self) -> &Manifest {
        &self.permit.manifest
    }

    /// Whether the user has to be asked.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Keeps the user's answer, writes the audit log, and mints the permit. Without a line in the
    /// log there is no permit.
    pub fn seal(self, consent: Consent) -> Result<Permit, Refusal> {
        let border = self.border;
        let host = self.permit.destination.host();
        let kept = border.decisions.keep(border.root(), &host, consent);
        kept.map_err(|error| Refusal::Record { detail: error.to_string() })?;
        let (decision, reason) = match consent {
            Consent::Once => (Decision::Sent, "once"),
            Consent::Workspace => (Decision::Sent, "workspace"),
            Consent::Never => (Decision::Refused, "declined"),
        };
        border.record(audit::Request {
            workspace: border.root(),
            destination: &host,
            model: self.permit.destination.model(),
            manifest: Some(&self.permit.manifest),
            decision,
            reason,
        })?;
        match consent {
            Consent::Never => Err(Refusal::Declined { destination: host }),
            Consent::Once | Consent::Workspace => Ok(self.permit),
        }
    }

    /// The user said "not now": nothing is kept but a line in the log.
    pub fn decline(self) -> Refusal {
        let destination = self.permit.destination.host();
        let recorded = self.border.record(audit::Request {
            workspace: self.border.root(),
            destination: &destination,
            model: self.permit.destination.model(),
            manifest: Some(&self.permit.manifest),
            decision: Decision::Refused,
            reason: "declined",
        });
        recorded.err().unwrap_or(Refusal::Declined { destination })
    }
}

/// What would leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub manifest: Manifest,
    /// All text as it would be sent, placeholders included.
    pub text: String,
}

/// The examination of one parcel.
struct Inspection<'b> {
    border: &'b Border,
    redactor: Redactor,
    /// Lines that leave, by file.
    files: BTreeMap<String, Vec<std::ops::Range<usize>>>,
    withheld: Vec<Withheld>,
    private: bool,
    /// Pieces that were cleared.
    pieces: usize,
}

impl Inspection<'_> {
    fn turns(&mut self, turns: Vec<Turn>) -> Result<Vec<ClearedTurn>, Refusal> {
        let clear = |turn: Turn| {
            let contents = turn.contents.into_iter().map(|content| self.content(content));
            let contents = contents.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            Ok(ClearedTurn { role: turn.role, contents })
        };
        turns.into_iter().map(clear).collect()
    }

    /// `None` where a piece stays at home.
    fn content(&mut self, content: Content) -> Result<Option<Cleared>, Refusal> {
        Ok(Some(match content {
            Content::Framing(text) => Cleared::Text(text.to_owned()),
            Content::Words(text) | Content::Said(text) => Cleared::Text(self.text("", &text)),
            Content::Piece(piece) => match self.piece(&piece)? {
                Some(text) => Cleared::Text(text),
                None => return Ok(None),
            },
            Content::Call(call) => Cleared::Call(ToolCall {
                input: self.json(&call.input),
                // The model gave it both, and they have to come back as they are.
                id: call.id,
                name: call.name,
            }),
            Content::Outcome { call_id, note, pieces } => {
                let mut text = note.to_owned();
                for piece in &pieces {
                    text.push_str(&self.piece(piece)?.unwrap_or_default());
                }
                Cleared::Outcome { call_id, text }
            }
        }))
    }

    /// The text of a piece as it leaves, if all its origins may.
    fn piece(&mut self, piece: &Piece) -> Result<Option<String>, Refusal> {
        let mut parts = Vec::new();
        let mut kept = None;
        for origin in piece.origins() {
            let verdict = self.border.exclusions.judge(origin.path());
            if verdict.private && self.border.enforced {
                return Err(Refusal::PrivatePath { path: verdict.shown });
            }
            self.private |= verdict.private;
            match verdict.withheld {
                None => parts.push((verdict.shown, origin.lines())),
                Some(withheld) => kept = kept.or(Some(withheld)),
            }
        }
        if let Some(withheld) = kept {
            if !self.withheld.contains(&withheld) {
                self.withheld.push(withheld);
            }
            return Ok(None);
        }
        let path = parts.first().map(|(path, _)| path.clone()).unwrap_or_default();
        let found = secrets::find(&path, piece.surroundings());
        let within = piece.within(found);
        let mut text = String::new();
        if let ([(path, lines)], true) = (parts.as_slice(), piece.is_verbatim()) {
            let heading = format!("{path}:{}-{}\n", lines.start + 1, lines.end);
            text.push_str(&self.text("", &heading));
        }
        text.push_str(&self.redactor.redact(piece.text(), &within));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        for (path, lines) in parts {
            self.files.entry(path).or_default().push(lines);
        }
        self.pieces += 1;
        Ok(Some(text))
    }

    fn text(&mut self, path: &str, text: &str) -> String {
        self.redactor.redact(text, &secrets::find(path, text))
    }

    fn json(&mut self, json: &serde_json::Value) -> serde_json::Value {
        strings(json, &mut |text| self.text("", text))
    }

    fn tool(&mut self, tool: Tool) -> Tool {
        Tool { input_schema: self.json(&tool.input_schema), ..tool }
    }

    fn manifest(self, destination: String, model: String) -> Manifest {
        let mut files = Vec::new();
        for (path, mut parts) in self.files {
            parts.sort_by_key(|lines| (lines.start, lines.end));
            let mut merged: Vec<std::ops::Range<usize>> = Vec::new();
            for lines in parts {
                match merged.last_mut() {
                    Some(last) if lines.start <= last.end => last.end = last.end.max(lines.end),
                    _ => merged.push(lines),
                }
            }
            files.extend(merged.into_iter().map(|lines| FilePart {
                path: path.clone(),
                first: lines.start + 1,
                last: lines.end,
            }));
        }
        Manifest {
            destination,
            model,
            files,
            withheld: self.withheld,
            redactions: self.redactor.counts().clone(),
            bytes: 0,
            tokens: 0,
            max_output_tokens: 0,
            cost: None,
        }
    }
}
