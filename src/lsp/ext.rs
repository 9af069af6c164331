//! What Hearth adds to the protocol. A client that knows none of it loses nothing but the display.

use serde::{Deserialize, Serialize};
use tower_lsp::gen_lsp_types::{LspNotificationMethod, MessageDirection, Notification};

/// The command that an item carries as its `command`: an editor runs it after the user has accepted
/// the item. Its arguments are for Hearth alone.
pub const ACCEPTED: &str = "hearth.accepted";

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
