//! Hearth: a local-first AI language server.
//!
//! # The way of a keystroke
//!
//! ```text
//! editor ──► server ──► handlers ──► task::complete ──► route ──► context ──► model ──► socket | engine
//!              │           │              │           who, window,   │
//!           lsp types   session         check          tokenizer   syntax
//! ```
//!
//! and back the same way: stream → early stop → fit to show → item. No room is entered twice.
//!
//! # Rooms
//!
//! | room | knows | does not know |
//! |---|---|---|
//! | [`cli`] | arguments, exit codes, printing | how anything is done |
//! | [`server`] | the transport, order of receipt, lifecycle | what a completion is |
//! | [`handlers`] | one LSP method each: snapshot in, result out | models, sockets |
//! | [`lsp`] | client capabilities, our extensions, conversions | everything else |
//! | [`task`] | what a user asks for | providers, protocol |
//! | [`check`] | whether a text is fit to show | models |
//! | [`route`] | who answers, and why; health, fallback, the retry loop | wire formats |
//! | [`context`] | the window, the prompt, its layout | providers |
//! | [`model`] | how a model is asked: a file a provider | LSP, tasks |
//! | [`index`] | the files of the workspace: items, uses, search | prompts |
//! | [`egress`] | what may leave this machine, and why not | wire formats, who asks |
//! | [`session`] | open documents, the owner of each one's generation | how models are asked |
//! | [`syntax`] | languages, trees, borders, extents | the workspace |
//! | [`engine`] | tensors: runs a GGUF in this process | everything else |
//! | [`metrics`] | numbers of what became of suggestions | what a suggestion is |
//! | [`config`] | settings | everything above |
//!
//! Imports run downwards: cli, server → handlers → task → route, check → context → index, model →
//! egress → session → syntax, engine → metrics → config. `lsp` is used by server and handlers alone.
//!
//! # Invariants
//!
//! Each with the tests that hold it. Numbers are never given twice.
//!
//! 1. Protocol types stay in [`lsp`], [`handlers`] and [`server`]; a user of the library can complete
//!    code without an editor. (`tests/house.rs`; `hearth complete` is such a user.)
//! 2. A notification mutates before any `.await`; a request takes its snapshot first. No CPU work on
//!    the read loop. (The types in `server::routes`; `tests/server.rs`, order over 10,000 edits;
//!    `tests/house.rs` knows everything that starts a thread.)
//! 3. A cloud provider's call takes a [`egress::Permit`], and [`egress`] alone makes one.
//!    (`tests/permit.rs`.)
//! 4. Text that may go to a cloud is made of pieces that know where they come from; nothing excluded
//!    and no secret is in it, and it is written down before it leaves. (`tests/egress.rs`, `tests/analyze.rs`.)
//! 5. A task never names a provider; the choice carries its reason. (`tests/house.rs`,
//!    `tests/routing.rs`, `tests/rules.rs`.)
//! 6. A prompt can only be built through a [`model::Budget`]; it can't overflow. (The constructor is
//!    private; `tests/prompt.rs`.)
//! 7. Nothing that a repository contains sets an endpoint, a key or a command. (`config::tests`.)
//! 8. What a model writes is inserted at the cursor, or becomes the item that was asked for, its
//!    imports or its tests, and nothing else. (`tests/inline_completion.rs`, `tests/refactor.rs`.)
//! 9. What is shown adds no syntax error (`tests/fit.rs`); what is offered as checked was checked
//!    (`tests/check.rs`, `tests/refactor.rs`).
//! 10. Every request is answered exactly once; every task dies with its owner. (`tests/server.rs`,
//!     `tests/inline_completion.rs`.)
//! 11. stdout belongs to the protocol; code and prompts stay out of logs and off the disk, but for the
//!     copy that edits are checked in and the page that an editor is shown.
//!     (`tests/house.rs`; `tests/canary.rs`, the program at its most talkative.)
//! 12. Text that spells a control token never acts as one. (`tests/providers.rs`, `tests/real.rs`.)
//! 13. Nothing of a file that is excluded is in the index, open or not, and of one that the user has put
//!     off limits no model is shown a word. (`tests/index.rs`, `tests/off_limits.rs`.)
//! 14. What is private is asked of this machine alone, whatever fails here. (`tests/rules.rs`,
//!     `tests/fallback.rs`, `tests/loopback.rs`, `tests/refactor.rs`.)
//!
//! # Why these foundations
//!
//! tower-lsp(-server) runs handlers out of order as soon as they wait; [`server`] wraps it in a layer
//! that polls each handler once at receipt, so that everything before its first `.await` happens in
//! the order the editor sent it. What is left of the work is input and output, and cancelling it is
//! dropping a future, which drops the connection, which stops the model.

pub mod check;
pub mod cli;
pub mod config;
pub mod context;
pub mod egress;
pub mod engine;
pub mod handlers;
pub mod index;
pub mod lsp;
pub mod metrics;
pub mod model;
pub mod route;
pub mod server;
pub mod session;
pub mod syntax;
pub mod task;
