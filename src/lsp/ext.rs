//! What Hearth adds to the protocol. A client that knows none of it loses nothing but the display.

use serde::{Deserialize, Serialize};
use tower_lsp::gen_lsp_types::{LspNotificationMethod, MessageDirection, Notification, Range, Uri};

/// The command that an item carries as its `command`: an editor runs it after the user has accepted
/// the item. Takes a [`PlaceArguments`] with the document.
pub const ACCEPTED: &str = "hearth.accepted";

/// The command that stops suggestions until [`RESUME`], or until the editor ends.
pub const PAUSE: &str = "hearth.pause";

/// The command that suggests again.
pub const RESUME: &str = "hearth.resume";

/// The command that ends all work under way, for editors that show progress and have no key for its end.
pub const CANCEL: &str = "hearth.cancel";

/// The command behind every code action that changes an item; takes [`RefactorArguments`].
pub const REFACTOR: &str = "hearth.refactor";

/// The command that writes tests; takes a [`PlaceArguments`].
pub const TEST: &str = "hearth.test";

/// The command that explains code; takes a [`PlaceArguments`].
pub const EXPLAIN: &str = "hearth.explain";

/// The command that answers a question about the whole workspace; takes an [`AnalyzeArguments`].
pub const ANALYZE: &str = "hearth.analyzeCodebase";

/// The scheme of documents whose text this server gives on `workspace/textDocumentContent`.
pub const SCHEME: &str = "hearth";

/// The command behind the action that stands where no model follows instructions.
pub const INSTALL: &str = "hearth.install";

/// A client whose experimental capabilities have this set to `true` asks its user for an instruction
/// when it runs [`REFACTOR`] with the action `rewrite` and none.
pub const ASKS_INSTRUCTION: &str = "hearthAsksInstruction";

/// A place in a document, for commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceArguments {
    /// The document, open in the editor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<Uri>,
    /// Or its path, absolute or from a workspace folder: for those who type commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is selected, or where the cursor stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// Or a line, counted from 1: for those who type commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether the user sends this one up, to a cloud.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cloud: bool,
}

/// What to do with an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefactorArguments {
    #[serde(flatten)]
    pub place: PlaceArguments,
    #[serde(default)]
    pub action: ActionName,
    /// What to do, in the user's words (`rewrite`); what is wrong (`fix`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// Whether the signature of a function may change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_signature: bool,
}

/// What can be done with an item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionName {
    #[default]
    Rewrite,
    Simplify,
    Extract,
    HandleErrors,
    Document,
    Fix,
}

/// What to find out about the workspace. A question or a kind has to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzeArguments {
    /// In the user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// A kind's name, such as `dead-code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it is confined to, absolute or from the first workspace folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Nothing of it may leave this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// It is sent up for this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cloud: bool,
}

/// The command that asks the user whether the open folders are trusted.
pub const TRUST: &str = "hearth.trust";

/// `hearth/didChangeTrust`, client to server: whether the editor's user trusts the workspace.
#[derive(Debug)]
pub enum DidChangeTrust {}

impl Notification for DidChangeTrust {
    type Params = DidChangeTrustParams;
    const METHOD: LspNotificationMethod<'static> =
        LspNotificationMethod::Custom("hearth/didChangeTrust");
    const MESSAGE_DIRECTION: MessageDirection = MessageDirection::ClientToServer;
}

/// The parameters of `hearth/didChangeTrust`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DidChangeTrustParams {
    pub trusted: bool,
}

/// `hearth/didShow`, client to server: a suggestion has gone from the screen.
#[derive(Debug)]
pub enum DidShow {}

impl Notification for DidShow {
    type Params = DidShowParams;
    const METHOD: LspNotificationMethod<'static> = LspNotificationMethod::Custom("hearth/didShow");
    const MESSAGE_DIRECTION: MessageDirection = MessageDirection::ClientToServer;
}

/// The parameters of `hearth/didShow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DidShowParams {
    /// How long it had been there.
    pub milliseconds: u64,
}

/// `hearth/status`, server to client: how the model is, whenever that changes.
#[derive(Debug)]
pub enum Status {}

impl Notification for Status {
    type Params = StatusParams;
    const METHOD: LspNotificationMethod<'static> = LspNotificationMethod::Custom("hearth/status");
    const MESSAGE_DIRECTION: MessageDirection = MessageDirection::ServerToClient;
}

/// The parameters of `hearth/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusParams {
    pub state: StatusState,
    /// Whether nothing is suggested because the user said so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The wire format that the model is asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Where the model is, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the model completes: fill-in-the-middle, from the prefix alone, or through a hole prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The whole of it in one sentence for people.
    pub message: String,
    /// Why the last request brought no suggestion; absent when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_no_suggestion: Option<String>,
    /// Tokens of all prompts since the server was started, as the model's server counts them; absent
    /// where that does not say what it had cached of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<usize>,
    /// Those of them that were in its cache; the others it had to evaluate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<usize>,
    /// Tokens of prompt that the model evaluates in a second here, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_per_second: Option<usize>,
    /// Tokens that it generates in a second here, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_per_second: Option<usize>,
    /// Tokens that a prompt may have so that the model begins to answer in time; absent where the
    /// machine is fast enough for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_limit: Option<usize>,
    /// Tokens that an answer may have so that the model has said it in time; absent where the machine is
    /// fast enough for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<usize>,
    /// How long a request that nobody asked for waits at most for another key, the editor's own wait
    /// being part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_milliseconds: Option<u64>,
    /// Names of the clouds that are set up, for what is too large or too hard for this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clouds: Vec<String>,
}

/// How ready the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StatusState {
    /// There, not in memory.
    Cold,
    /// On its way into memory.
    Loading,
    /// In memory.
    Warm,
    /// No model answers.
    Down,
}
