//! The language server on a pair of streams: order, routes, beginning and end.
//!
//! Knows the transport and not what a completion is. Everything that is served is in [`routes`].

mod frames;
mod layer;
mod panic;
mod routes;
mod stdio;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{codec::FramedRead, io::StreamReader};
use tower_lsp::{ClientSocket, LanguageServer, LspService, Server};

use crate::{check::Limits, config::Layers, index::Index, session::Session};

pub use layer::{Connection, ReceiptOrder};
pub use panic::log_panics;
pub use stdio::stdio;

/// How many handlers may run at once. The framework's default of 4 lets four slow requests stop
/// everything, a cancellation among it; what limits the work is who does it, not this.
const CONCURRENCY: usize = 1024;

/// How long the last answers may take on their way out once the client is going.
const GRACE: Duration = Duration::from_secs(1);

/// What a server starts with.
#[derive(Debug, Default)]
pub struct Options {
    /// Settings from below the editor's.
    pub layers: Layers,
    /// Where the documents are kept; an embedder may look at them.
    pub session: Arc<Session>,
    /// Where copies of workspaces are compiled and pages are kept that the editor shows; else
    /// [`crate::config::cache_or_temporary_folder`].
    pub cache: Option<PathBuf>,
    /// The folder that keeps the user's decisions and the audit log; without one, nothing is sent to
    /// a cloud, and no folder is trusted but by the editor.
    pub state: Option<PathBuf>,
    /// What is known of the workspace; an embedder may look at it, too.
    pub index: Arc<Index>,
    /// Bounds on what a check takes.
    pub limits: Limits,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client had sent `shutdown`.
    Orderly,
    /// `exit` without `shutdown`, or the client was gone without a word.
    Abrupt,
}

impl End {
    /// The exit code that the protocol asks for.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Orderly => 0,
            Self::Abrupt => 1,
        }
    }
}

/// Serves one client until it is gone.
pub async fn run<R, W>(reader: R, writer: W, options: Options) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite,
{
    let connection = Connection::default();
    let (service, socket) = routes::service(options, &connection);
    serve(reader, writer, service, socket, connection).await
}

/// Serves one client with any language server, in receipt order, until the client is gone.
pub async fn serve<R, W, S>(
    reader: R,
    writer: W,
    service: LspService<S>,
    socket: ClientSocket,
    connection: Connection,
) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite,
    S: LanguageServer,
{
    let gone = connection.gone.clone();
    let end_of_input = stream::poll_fn(|_| {
        gone.cancel();
        std::task::Poll::Ready(None)
    });
    let frames = FramedRead::new(reader, frames::Frames::default()).chain(end_of_input);
    let serving = Server::new(StreamReader::new(frames), writer, socket)
        .concurrency_level(CONCURRENCY)
        .serve(ReceiptOrder::new(service, connection.clone()));
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = connection.gone.cancelled() => {
            // What is answered by now may still go out; a client that reads nothing cannot hold us.
            let _ = tokio::time::timeout(GRACE, serving).await;
        }
    }
    if connection.was_shut_down() { End::Orderly } else { End::Abrupt }
}
