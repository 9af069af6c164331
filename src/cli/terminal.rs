//! The user at a terminal: questions on stderr, answers from stdin.

use std::{
    io::{BufRead, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use futures::{FutureExt, future, future::BoxFuture};

use crate::egress::{Consent, Manifest, User};

/// Asks on one stream and reads from another. What is not one of the answers is no answer.
#[derive(Debug)]
pub struct Terminal<R, W> {
    streams: Mutex<(R, W)>,
}

impl<R: BufRead + Send, W: Write + Send> Terminal<R, W> {
    pub fn new(input: R, output: W) -> Self {
        Self { streams: Mutex::new((input, output)) }
    }

    /// Whether the user says yes.
    pub(super) fn agrees(&self, question: &str) -> bool {
        self.ask(&format!("{question} [y/n]")) == Some('y')
    }

    /// The first letter of the answer, in lower case.
    fn ask(&self, question: &str) -> Option<char> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *streams;
        write!(output, "{question} ").and_then(|()| output.flush()).ok()?;
        let mut answer = String::new();
        input.read_line(&mut answer).ok()?;
        answer.trim().chars().next().map(|letter| letter.to_ascii_lowercase())
    }
}

impl<R: BufRead + Send, W: Write + Send> User for Terminal<R, W> {
    fn trusts<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<bool>> {
        let question = format!(
            "Do you trust {}? If so, its code may be compiled and run, and parts of it may be sent \
             to a cloud with your consent. [y/n]",
            root.display()
        );
        future::ready(match self.ask(&question) {
            Some('y') => Some(true),
            Some('n') => Some(false),
            _ => None,
        })
        .boxed()
    }

    fn consents<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Option<Consent>> {
        let choices = if manifest.private {
            "Send it? [o]nce, or not"
        } else {
            "Send it? [o]nce, [a]lways from this workspace, [n]ever from this workspace, or not now"
        };
        future::ready(match self.ask(&format!("{manifest}{choices}:")) {
            Some('o') => Some(Consent::Once),
            Some('a') if !manifest.private => Some(Consent::Workspace),
            Some('n') if !manifest.private => Some(Consent::Never),
            _ => None,
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn manifest(private: bool) -> Manifest {
        Manifest {
            destination: "https://cloud.example".to_owned(),
            model: "large-1".to_owned(),
            files: Vec::new(),
            withheld: Vec::new(),
            private,
            redactions: BTreeMap::new(),
            tools: Vec::new(),
            bytes: 10,
            tokens: 3,
            max_output_tokens: 5,
            cost: None,
        }
    }

    /// The answer to a typed line, and what was printed before.
    async fn answer(typed: &str, private: bool) -> (Option<Consent>, String) {
        let mut shown = Vec::new();
        let answer = Terminal::new(typed.as_bytes(), &mut shown).consents(&manifest(private)).await;
        (answer, String::from_utf8(shown).unwrap())
    }

    #[tokio::test]
    async fn the_first_letter_counts_and_nothing_is_no_answer() {
        assert_eq!(answer("o\n", false).await.0, Some(Consent::Once));
        assert_eq!(answer("Always\n", false).await.0, Some(Consent::Workspace));
        assert_eq!(answer(" never", false).await.0, Some(Consent::Never));
        for nothing in ["", "\n", "y\n", "?\n"] {
            assert_eq!(answer(nothing, false).await.0, None);
        }
        let (_, shown) = answer("o\n", false).await;
        assert!(shown.starts_with("to https://cloud.example (large-1)\n3 tokens, 10 bytes"));
    }

    #[tokio::test]
    async fn what_is_private_is_sent_once_at_the_most() {
        assert_eq!(answer("o\n", true).await.0, Some(Consent::Once));
        assert_eq!(answer("a\n", true).await.0, None);
        assert_eq!(answer("n\n", true).await.0, None);
        assert!(answer("a\n", true).await.1.contains("PRIVATE"));
    }

    #[tokio::test]
    async fn trust_takes_a_yes() {
        let trusts = async |typed: &str| {
            Terminal::new(typed.as_bytes(), Vec::new()).trusts(Path::new("/w")).await
        };
        assert_eq!(trusts("yes\n").await, Some(true));
        assert_eq!(trusts("no\n").await, Some(false));
        assert_eq!(trusts("\n").await, None);
    }
}
