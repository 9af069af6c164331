//! An editor with one crate open, a scripted model, and a transcript of what the user sees.
#![expect(unreachable_pub, reason = "a module of a test binary")]

use std::{fmt::Write as _, fs, path::PathBuf};

use hearth::check::Limits;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tower_lsp::gen_lsp_types::Position;

use crate::support::{
    client::{Asked, Client, Pending, Setup},
    fake_model::{Ending, FakeModel, Generation},
};

pub const MANIFEST: &str =
    "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";

/// Files of a crate, on disk.
pub struct Tree {
    pub root: PathBuf,
    /// For what Hearth keeps.
    pub cache: PathBuf,
    before: Vec<(PathBuf, Vec<u8>)>,
    _folder: TempDir,
}

impl Tree {
    /// A crate of these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = fs::canonicalize(folder.path()).expect("a path");
        let (root, cache) = (base.join("crate"), base.join("cache"));
        for (name, text) in [&[("Cargo.toml", MANIFEST)], files].concat() {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let before = files_below(&root);
        Self { root, cache, before, _folder: folder }
    }

    pub fn uri(&self, file: &str) -> String {
        url::Url::from_file_path(self.root.join(file)).expect("an absolute path").into()
    }

    pub fn untouched(&self) {
        assert!(files_below(&self.root) == self.before, "the user's tree has changed");
    }
}

fn files_below(folder: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// What an editor that can do everything says of itself.
pub fn capable() -> Json {
    json!({
        "workspace": {
            "applyEdit": true,
            "workspaceEdit": {
                "documentChanges": true,
                "resourceOperations": ["create"],
                "changeAnnotationSupport": {},
                "metadataSupport": true,
            },
        },
        "textDocument": {
            "codeAction": {
                "codeActionLiteralSupport": { "codeActionKind": { "valueSet": [] } },
                "tagSupport": { "valueSet": [1] },
            },
            "codeLens": {},
        },
        "window": { "workDoneProgress": true, "showDocument": { "support": true } },
    })
}

/// The editor, and the file that is open in it.
pub struct Editor {
    pub client: Client,
    pub model: FakeModel,
    pub tree: Tree,
    pub file: &'static str,
    /// As the editor has it.
    pub text: String,
    pub version: i32,
    /// Other files that are open, by their URIs, and their texts.
    beside: Vec<(String, String)>,
    /// Where `$0` stood.
    pub cursor: Position,
    shows_progress: bool,
    /// What the user sees.
    seen: String,
}

pub struct Scene {
    pub file: &'static str,
    /// The open file, with the cursor at `$0`; on disk without it.
    pub text: &'static str,
    pub others: Vec<(&'static str, &'static str)>,
    pub settings: Json,
    pub capabilities: Json,
    pub limits: Limits,
    pub model: FakeModel,
}

impl Scene {
    /// Nothing may be compiled.
    pub async fn new(text: &'static str) -> Self {
        Self {
            file: "src/lib.rs",
            text,
            others: Vec::new(),
            settings: json!({ "workspaceTrust": false }),
            capabilities: capable(),
            limits: Limits::default(),
            model: FakeModel::llama_server().await,
        }
    }

    /// Everything may be compiled and run.
    pub async fn trusted(text: &'static str) -> Self {
        let settings = json!({ "workspaceTrust": true, "check": { "run_tests": "always" } });
        Self { settings, ..Self::new(text).await }
    }

    pub async fn start(self) -> Editor {
        let text = self.text.replace("$0", "");
        let files = [vec![(self.file, &*text)], self.others].concat();
        let tree = Tree::new(&files);
        let mut options = json!({
            "router": { "local_endpoint": self.model.url().as_str() },
            "completion": { "enabled": false },
        });
        for (name, branch) in self.settings.as_object().expect("an object") {
            options[name] = branch.clone();
        }
        let shows_progress = self.capabilities["window"]["workDoneProgress"] == true;
        let setup = Setup {
            encodings: vec!["utf-16"],
            folders: vec![url::Url::from_file_path(&tree.root).expect("absolute").into()],
            initialization_options: options,
            ignored: vec!["window/logMessage", "hearth/status", "window/workDoneProgress/create"],
            answered_by_test: vec![
                "workspace/applyEdit",
                "window/showMessageRequest",
                "window/showDocument",
            ],
            capabilities: self.capabilities,
            options: hearth::server::Options {
                cache: Some(tree.cache.clone()),
                state: Some(tree.cache.join("state")),
                limits: self.limits,
                ..hearth::server::Options::default()
            },
            ..Setup::default()
        };
        let mut client = setup.start().await;
        client.status(|status| status.state == hearth::lsp::ext::StatusState::Warm).await;
        let cursor = client.open(&tree.uri(self.file), self.text);
        Editor {
            client,
            model: self.model,
            tree,
            file: self.file,
            text,
            version: 0,
            beside: Vec::new(),
            cursor,
            shows_progress,
            seen: String::new(),
        }
    }
}

impl Editor {
    pub fn uri(&self) -> String {
        self.tree.uri(self.file)
    }

    /// Runs a command on the place of the cursor.
    pub fn command(&self, command: &str, more: &Json) -> Pending {
        let mut arguments = json!({
            "uri": self.uri(),
            "range": { "start": self.cursor, "end": self.cursor },
        });
        for (name, value) in more.as_object().expect("an object") {
            arguments[name] = value.clone();
        }
        let params = json!({ "command": command, "arguments": [arguments] });
        self.client.send_raw("workspace/executeCommand", params)
    }

    pub fn rewrite(&self, instruction: &str) -> Pending {
        self.command("hearth.refactor", &json!({ "instruction": instruction }))
    }

    /// What the model is asked next; it then says `answer`.
    pub async fn model_says(&self, answer: &str) -> Generation {
        let generation = self.model.generation().await;
        generation.send(answer);
        finish(&generation, false);
        generation
    }

    /// Lets the editor do what it is asked to until the command is answered, and shows all that the
    /// user saw.
    pub async fn until_done(&mut self, pending: Pending) -> String {
        let mut answer = std::pin::pin!(pending.answer());
        let answer = loop {
            let asked = tokio::select! {
                biased;
                asked = self.client.asked() => asked,
                answer = &mut answer => break answer,
            };
            self.obey(&asked);
        };
        if let Err(error) = answer {
            writeln!(self.seen, "error {}: {}", error.code, error.message).expect("a string");
        } else if self.shows_progress {
            self.ended().await;
        } else {
            let message = self.client.received("window/showMessage").await;
            self.see_message(&message);
        }
        for message in self.client.take("window/showMessage") {
            self.see_message(&message);
        }
        self.tree.untouched();
        without_ends(&std::mem::take(&mut self.seen))
    }

    /// Waits until the work's progress has ended.
    pub async fn ended(&mut self) {
        loop {
            let progress = self.client.received("$/progress").await;
            if progress["value"]["kind"] == "end" {
                let message = progress["value"]["message"].as_str().unwrap_or("-");
                writeln!(self.seen, "end: {message}").expect("a string");
                return;
            }
        }
    }

    fn see_message(&mut self, message: &Json) {
        let text = message["message"].as_str().expect("a text");
        writeln!(self.seen, "says: {text}").expect("a string");
    }

    /// Does what a willing editor and its user do.
    pub fn obey(&mut self, asked: &Asked) {
        let result = match &*asked.method {
            "workspace/applyEdit" => json!({ "applied": self.apply(&asked.params) }),
            "window/showDocument" => {
                let uri = asked.params["uri"].as_str().expect("a URI");
                let path = url::Url::parse(uri).expect("a URI").to_file_path().expect("a file");
                let page = fs::read_to_string(path).expect("a page");
                write!(self.seen, "page:\n{}", without_thread(&page)).expect("a string");
                json!({ "success": true })
            }
            other => panic!("{other} in the middle of a test that does not expect it"),
        };
        self.client.answer(asked, &result);
    }

    /// Applies an edit as editors do, unless it is for an older version.
    fn apply(&mut self, params: &Json) -> bool {
        let edit = &params["edit"];
        let mut changes = match edit["documentChanges"].as_array() {
            Some(changes) => changes.clone(),
            None => vec![json!({
                "textDocument": { "uri": self.uri() },
                "edits": edit["changes"][self.uri()],
            })],
        };
        let change = changes.pop().expect("a change");
        let made = changes.pop();
        assert!(changes.is_empty(), "one document");
        let uri = change["textDocument"]["uri"].as_str().expect("a URI").to_owned();
        if let Some(made) = &made {
            assert_eq!((&made["kind"], &made["uri"]), (&json!("create"), &json!(uri)));
        }
        let path = url::Url::parse(&uri).expect("a URI").to_file_path().expect("a file");
        let (text, current) = if uri == self.uri() {
            (self.text.clone(), Some(i64::from(self.version)))
        } else if let Some((_, text)) = self.beside.iter().find(|(open, _)| *open == uri) {
            (text.clone(), Some(0))
        } else {
            let text = fs::read_to_string(&path);
            assert_eq!(made.is_some(), text.is_err(), "a file is made where there is none");
            (text.unwrap_or_default(), None)
        };
        let version = change["textDocument"]["version"].as_i64();
        if version.is_some() && version != current {
            writeln!(self.seen, "refused: an edit for version {version:?}").expect("a string");
            return false;
        }
        let label = params["label"].as_str().expect("a label");
        let of = if uri == self.uri() {
            String::new()
        } else {
            let path = path.strip_prefix(&self.tree.root).expect("a file of the crate");
            format!(" of {}{}", if made.is_some() { "the new " } else { "" }, path.display())
        };
        writeln!(self.seen, "edit{of} of version {version:?} \"{label}\":").expect("a string");
        let text = self.edited(text, change["edits"].as_array().expect("edits"));
        if uri == self.uri() {
            self.replace(text);
        } else {
            write!(self.seen, "{text}").expect("a string");
        }
        true
    }

    /// A text with these edits in it, which are shown.
    fn edited(&mut self, mut text: String, edits: &[Json]) -> String {
        let lines: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let offset = |place: &Json| {
            let number = |key: &str| {
                usize::try_from(place[key].as_u64().expect("a number")).expect("a small one")
            };
            let line = lines[number("line")];
            let units = text[line..].char_indices().scan(0, |units, (at, c)| {
                let before = *units;
                *units += c.len_utf16();
                Some((before, at))
            });
            let found = units.into_iter().find(|(before, _)| *before == number("character"));
            found.map_or(text.len(), |(_, at)| line + at)
        };
        let mut hunks: Vec<_> = edits
            .iter()
            .map(|edit| {
                let (start, end) = (&edit["range"]["start"], &edit["range"]["end"]);
                let new = edit["newText"].as_str().expect("a text");
                let show = |place: &Json| format!("{}:{}", place["line"], place["character"]);
                let mark = if edit["annotationId"].is_string() { " (to be confirmed)" } else { "" };
                let shown = format!("{}-{} {new:?}{mark}", show(start), show(end));
                (offset(start)..offset(end), new.to_owned(), shown)
            })
            .collect();
        hunks.sort_by_key(|(range, ..)| range.start);
        for (range, new, _) in hunks.iter().rev() {
            text.replace_range(range.clone(), new);
        }
        for (.., shown) in hunks {
            writeln!(self.seen, "{shown}").expect("a string");
        }
        text
    }

    /// Opens another file of the crate, with unsaved changes.
    pub fn open_beside(&mut self, file: &str, text: &str) {
        let uri = self.tree.uri(file);
        self.client.open(&uri, text);
        self.beside.push((uri, text.to_owned()));
    }

    /// Waits until no process lives that was started for a check.
    #[cfg(target_os = "linux")]
    pub async fn nothing_runs(&self) {
        let copies = self.tree.cache.to_string_lossy().into_owned();
        let lives = || {
            let lines = fs::read_dir("/proc").expect("processes").flatten();
            let mut lines = lines.map(|it| fs::read(it.path().join("cmdline")).unwrap_or_default());
            lines.any(|line| String::from_utf8_lossy(&line).contains(&copies))
        };
        while lives() {
            tokio::task::yield_now().await;
        }
    }

    /// The user's or an edit's new text.
    pub fn replace(&mut self, text: String) {
        self.version += 1;
        self.client.change_raw(&self.uri(), json!([{ "text": text }]));
        self.text = text;
    }

    pub async fn close(self) {
        for method in ["$/progress", "window/showMessage"] {
            self.client.take(method);
        }
        self.client.shutdown().await;
        self.tree.untouched();
    }
}

/// Lines without the space at their ends, which no expectation can hold.
pub fn without_ends(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// A panic names the thread by a number that the system gives.
fn without_thread(text: &str) -> String {
    let line = |line: &str| match line.split_once("' (") {
        Some((before, after)) if before.starts_with("thread '") => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}' (N{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Ends an answer, with about as many tokens as such a prompt has.
pub fn finish(generation: &Generation, limit: bool) {
    let prompt_tokens = generation.request.bytes.len() / 4;
    generation.finish_as(Ending { prompt_tokens, cached_tokens: 0, output_tokens: 50, limit });
}

/// All that a model was told in a request.
pub fn told(generation: &Generation) -> String {
    let messages = generation.request.body["messages"].as_array().expect("a chat").clone();
    messages.iter().filter_map(|message| message["content"].as_str()).collect()
}
