//! Goes through one parcel: what stays here, what is a secret, what is left.
//!
//! Twice. The first time finds the secrets of every part, the second one writes the parts without any
//! of them: what is a secret in one part is one in all.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use super::{
    Cleared, ClearedTurn, Content, FilePart, Manifest, Piece, Refusal, Role, Tool, ToolCall, Turn,
    Withheld,
    border::Inner,
    exclude::Verdict,
    off_limits::resolve,
    redact::{Found, Redactor, strings},
    secrets,
};

/// The examination of one parcel.
pub(super) struct Inspection<'b> {
    border: &'b Inner,
    pub(super) redactor: &'b mut Redactor,
    /// Lines that leave, by file.
    files: BTreeMap<String, Vec<Range<usize>>>,
    pub(super) withheld: Vec<Withheld>,
    pub(super) private: bool,
    /// Pieces that were cleared.
    pub(super) pieces: usize,
    /// What was said of each path that a piece named: one file has many pieces.
    verdicts: HashMap<PathBuf, Verdict>,
}

/// Text and the secrets in it.
struct Marked {
    text: String,
    secrets: Found,
}

/// A part of a turn after the first time through.
enum Draft {
    Text(Vec<Marked>),
    Call(ToolCall),
    Outcome { call_id: String, texts: Vec<Marked> },
}

impl<'b> Inspection<'b> {
    pub(super) fn new(border: &'b Inner, redactor: &'b mut Redactor, private: bool) -> Self {
        redactor.begin();
        Self {
            border,
            redactor,
            files: BTreeMap::new(),
            withheld: Vec::new(),
            private,
            pieces: 0,
            verdicts: HashMap::new(),
        }
    }

    pub(super) fn turns(&mut self, turns: Vec<Turn>) -> Result<Vec<ClearedTurn>, Refusal> {
        let mut drafts: Vec<(Role, Vec<Draft>)> = Vec::new();
        for turn in turns {
            let contents = turn.contents.into_iter().map(|content| self.draft(content));
            drafts.push((turn.role, contents.collect::<Result<_, _>>()?));
        }
        let clear = |(role, drafts): (Role, Vec<Draft>)| {
            let contents = drafts.into_iter().filter_map(|draft| self.clear(draft)).collect();
            ClearedTurn { role, contents }
        };
        Ok(drafts.into_iter().map(clear).collect())
    }

    fn draft(&mut self, content: Content) -> Result<Draft, Refusal> {
        Ok(match content {
            Content::Framing(text) => {
                Draft::Text(vec![Marked { text: text.to_owned(), secrets: Vec::new() }])
            }
            Content::Words(text) | Content::Said(text) => Draft::Text(vec![self.mark(text)]),
            Content::Piece(piece) => Draft::Text(self.piece(&piece)?),
            Content::Call(call) => {
                // For what it learns.
                strings(&call.input, &mut |text| self.mark(text.to_owned()).text);
                Draft::Call(call)
            }
            Content::Outcome { call_id, note, pieces } => {
                let mut texts = vec![Marked { text: note.to_owned(), secrets: Vec::new() }];
                for piece in &pieces {
                    texts.extend(self.piece(piece)?);
                }
                Draft::Outcome { call_id, texts }
            }
        })
    }

    /// `None` where a piece stays at home.
    fn clear(&mut self, draft: Draft) -> Option<Cleared> {
        let mut join = |texts: Vec<Marked>| -> String {
            let clear = |marked: Marked| self.redactor.redact(&marked.text, &marked.secrets);
            texts.into_iter().map(clear).collect()
        };
        Some(match draft {
            Draft::Text(texts) if texts.is_empty() => return None,
            Draft::Text(texts) => Cleared::Text(join(texts)),
            Draft::Outcome { call_id, texts } => Cleared::Outcome { call_id, text: join(texts) },
            // The model gave it its id and its name, and they have to come back as they are.
            Draft::Call(call) => Cleared::Call(ToolCall { input: self.json(&call.input), ..call }),
        })
    }

    /// The text of a piece below its heading, if all its origins may leave; else nothing.
    fn piece(&mut self, piece: &Piece) -> Result<Vec<Marked>, Refusal> {
        let mut parts = Vec::new();
        let mut kept = None;
        for origin in piece.origins() {
            let verdict = self.judge(origin.path());
            if verdict.private && self.border.enforced {
                return Err(Refusal::PrivatePath { path: verdict.shown });
            }
            self.private |= verdict.private;
            kept = kept.or(verdict.withheld);
            parts.push((verdict.shown, origin.lines()));
        }
        if let Some(withheld) = kept {
            if !self.withheld.contains(&withheld) {
                self.withheld.push(withheld);
            }
            return Ok(Vec::new());
        }
        let Some((path, lines)) = parts.first() else { return Ok(Vec::new()) };
        let mut texts = Vec::new();
        if piece.is_verbatim() {
            texts.push(self.mark(format!("{path}:{}-{}\n", lines.start + 1, lines.end)));
        }
        let found = secrets::find(path, piece.surroundings());
        self.redactor.learn(piece.surroundings(), &found);
        texts.push(Marked { text: piece.text().to_owned(), secrets: piece.within(found) });
        if !piece.text().ends_with('\n') {
            texts.push(Marked { text: "\n".to_owned(), secrets: Vec::new() });
        }
        for (path, lines) in parts {
            self.files.entry(path).or_default().push(lines);
        }
        self.pieces += 1;
        Ok(texts)
    }

    /// Whether text of the file may leave. If so, its secrets are known from then on.
    fn judge(&mut self, path: &Path) -> Verdict {
        if let Some(verdict) = self.verdicts.get(path) {
            return verdict.clone();
        }
        let mut verdict = self.border.exclusions.judge(path);
        if verdict.withheld.is_none() {
            verdict.withheld = self.learn(&verdict.shown).err();
        }
        self.verdicts.insert(path.to_owned(), verdict.clone());
        verdict
    }

    /// Takes note of the secrets of a whole file, as the disk and as the editor has it: a piece of it may
    /// hold a part of one, or repeat one where no rule sees what it is. `path` is relative to the
    /// workspace.
    fn learn(&mut self, path: &str) -> Result<(), Withheld> {
        let unresolved = |detail: String| Withheld::Unresolved { path: path.to_owned(), detail };
        let file = self.border.exclusions.root().join(path);
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => return Err(unresolved(error.to_string())),
        };
        for text in text.into_iter().chain(self.unsaved(&file)) {
            self.redactor.learn(&text, &secrets::find(path, &text));
        }
        Ok(())
    }

    /// What the editor has of a file, under whatever name it opened it.
    fn unsaved(&self, file: &Path) -> Vec<String> {
        let open = self.border.open.as_ref().map(|session| session.snapshots()).unwrap_or_default();
        let same = |path: &Path| path == file || resolve(path).is_ok_and(|path| path == file);
        let of_file = open.into_iter().filter(|it| it.path.as_deref().is_some_and(same));
        of_file.map(|snapshot| snapshot.text.to_string()).collect()
    }

    fn mark(&mut self, text: String) -> Marked {
        let secrets = secrets::find("", &text);
        self.redactor.learn(&text, &secrets);
        Marked { text, secrets }
    }

    /// JSON without secrets in its strings, keys excepted.
    pub(super) fn json(&mut self, json: &Json) -> Json {
        strings(json, &mut |text| {
            let Marked { text, secrets } = self.mark(text.to_owned());
            self.redactor.redact(&text, &secrets)
        })
    }

    pub(super) fn tool(&mut self, tool: Tool) -> Tool {
        Tool { input_schema: self.json(&tool.input_schema), ..tool }
    }

    /// The manifest but for its figures, which the permit measures.
    pub(super) fn manifest(self, destination: String, model: String) -> Manifest {
        let mut files = Vec::new();
        for (path, mut parts) in self.files {
            parts.sort_by_key(|lines| (lines.start, lines.end));
            let mut merged: Vec<Range<usize>> = Vec::new();
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
            private: self.private,
            redactions: self.redactor.counts().clone(),
            tools: Vec::new(),
            bytes: 0,
            tokens: 0,
            max_output_tokens: 0,
            cost: None,
        }
    }
}

/// Larger files are searched for secrets around a piece alone, and so are not sent.
const MAX_FILE: u64 = 16 << 20;

/// The text of a file; `None` where there is none (yet, or any more).
fn read(file: &Path) -> std::io::Result<Option<String>> {
    match std::fs::metadata(file) {
        Ok(about) if about.len() > MAX_FILE => {
            Err(std::io::Error::other("too large to be searched"))
        }
        Ok(_) => Ok(Some(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
