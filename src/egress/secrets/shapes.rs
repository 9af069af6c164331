//! Secrets by their shape alone, where no rule knows the issuer: private keys in PEM, passwords in
//! URLs, and strings that look random beside a name like `password`.

use std::{ops::Range, sync::LazyLock};

use regex::bytes::Regex;

use super::entropy;

/// To the closing line, or as far as the body goes: a key that is cut off is a key. The body may be
/// that of a string literal, with escaped line ends, quotes and signs to join lines.
static PEM: LazyLock<Regex> = LazyLock::new(|| {
    read(
        r#"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----([A-Za-z0-9+/=\s\\"',:.#*|>+_-]{40,}?(?:-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----|\z|[^A-Za-z0-9+/=\s\\"',:.#*|>+_-]))"#,
    )
});

/// The other half of a key that was cut off at its beginning.
static PEM_TAIL: LazyLock<Regex> = LazyLock::new(|| {
    read(r"(?:[A-Za-z0-9+/=]{16,}[\s\\nr]*)+-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")
});

/// `scheme://user:password@host`.
static URL: LazyLock<Regex> = LazyLock::new(|| {
    read(
        r#"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'"`<>]{0,60}:([^\s/@'"`<>{}$*]{6,100})@[a-z0-9\[]"#,
    )
});

/// A quoted string after a name that promises a secret, with little between them.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    read(
        r#"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_.-]?key|apikey|access[_.-]?key|private[_.-]?key|auth[_.-]?key|encryption[_.-]?key|signing[_.-]?key|credential|bearer)[\w.-]{0,20}[^\w\n]{0,6}(?:[\w.:<>]{0,30}[(\[ =]{1,2}){0,2}(?:b|r|f|rb)?(?:&quot;|\\?["'`>])([^\s"'`<>\\&]{8,160})(?:&quot;|\\?["'`<])"#,
    )
});

fn read(pattern: &str) -> Regex {
    regex::bytes::RegexBuilder::new(pattern).unicode(false).build().expect("our own pattern")
}

/// Everything found, in no order.
pub(super) fn find(text: &[u8]) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    if memchr::memmem::find(text, b"PRIVATE KEY").is_some() {
        found.extend(PEM.find_iter(text).map(|key| (key.range(), "private-key")));
        found.extend(PEM_TAIL.find_iter(text).map(|key| (key.range(), "private-key")));
    }
    if memchr::memmem::find(text, b"://").is_some() {
        let passwords = URL.captures_iter(text).filter_map(|captures| captures.get(1));
        let passwords = passwords.filter(|password| is_password(password.as_bytes()));
        found.extend(passwords.map(|password| (password.range(), "url-password")));
    }
    let strings = NAMED.captures_iter(text).filter_map(|captures| captures.get(1));
    let strings = strings.filter(|string| looks_random(string.as_bytes()));
    found.extend(strings.map(|string| (string.range(), "named-secret")));
    found
}

/// Not a word that stands for a password.
fn is_password(text: &[u8]) -> bool {
    let letters = text.iter().all(u8::is_ascii_alphabetic);
    let standing = [&b"pass"[..], b"secret", b"pwd", b"token", b"xxx", b"..."];
    let stands = |word: &&[u8]| memchr::memmem::find(&text.to_ascii_lowercase(), word).is_some();
    entropy(text) > 2.2 && !(letters && text.len() < 12) && !standing.iter().any(stands)
}

/// Letters and digits mixed as no name mixes them.
fn looks_random(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let lower = text.iter().any(u8::is_ascii_lowercase);
    let upper = text.iter().any(u8::is_ascii_uppercase);
    let marks = text.iter().any(u8::is_ascii_punctuation);
    let kinds = [digits > 0, lower, upper, marks].into_iter().filter(|kind| *kind).count();
    // Changes of kind from one character to the next: a name in snake case has few.
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let changes = text.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    digits > 0 && kinds >= 2 && entropy(text) > 2.8 && changes * 4 >= text.len()
}
