//! The process's own stdin and stdout as streams.
//!
//! An editor connects them to pipes or sockets, which the runtime can wait for like for any other
//! socket. What the runtime offers for every other kind of file, a thread that blocks, costs each
//! message one more wake-up on its way in and one more on its way out.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// What is read from an editor.
pub(super) type Input = Pin<Box<dyn AsyncRead + Send>>;

/// What is written to an editor.
pub(super) type Output = Pin<Box<dyn AsyncWrite + Send>>;

/// Stdin and stdout. Call it once, within a runtime; nothing else may read or write them after.
pub fn stdio() -> (Input, Output) {
    #[cfg(unix)]
    let (input, output) = (unix::input(), unix::output());
    #[cfg(not(unix))]
    let (input, output) = (None, None);
    (
        input.unwrap_or_else(|| Box::pin(tokio::io::stdin())),
        output.unwrap_or_else(|| Box::pin(tokio::io::stdout())),
    )
}

#[cfg(unix)]
mod unix {
    use std::{
        fs::File,
        io,
        os::{
            fd::{AsFd, BorrowedFd, OwnedFd},
            unix::fs::FileTypeExt,
        },
    };

    use tokio::net::unix::pipe::{Receiver, Sender};

    use super::{Input, Output};

    pub(super) fn input() -> Option<Input> {
        let pollable = pollable(io::stdin().as_fd()).ok().flatten()?;
        Some(Box::pin(Receiver::from_owned_fd_unchecked(pollable).ok()?))
    }

    pub(super) fn output() -> Option<Output> {
        let pollable = pollable(io::stdout().as_fd()).ok().flatten()?;
        Some(Box::pin(Sender::from_owned_fd_unchecked(pollable).ok()?))
    }

    /// A second handle of a pipe or socket, which does not block from now on. `None` for all else:
    /// a file cannot be waited for, and a terminal would stay so for the shell after us.
    fn pollable(stream: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        let file = File::from(stream.try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if !kind.is_fifo() && !kind.is_socket() {
            return Ok(None);
        }
        rustix::io::ioctl_fionbio(&file, true)?;
        Ok(Some(file.into()))
    }
}
