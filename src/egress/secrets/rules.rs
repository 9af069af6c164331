//! The rules of gitleaks, read from its own configuration as it is published.
//!
//! The patterns are Go's. They are read in bytes and in ASCII, as Go's are, and changed in what
//! would let a secret out: see [`translate`]. What gitleaks lets pass by path, by commit or by a
//! comment in the text is not let pass here, as a repository could say so.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

const CONFIGURATION: &str = include_str!("gitleaks/gitleaks.toml");

/// The rule for whatever is assigned to a name like `token`.
pub(super) const GENERIC: &str = "generic-api-key";

/// A compiled pattern may take this much memory. The largest of the rules needs a tenth.
const MAX_COMPILED: usize = 64 << 20;

/// How gitleaks ends a secret, and what a secret must not be ended by.
const GO_END: &str = r#"(?:[\x60'"\s;]|\\[nr]|$)"#;

#[derive(Debug, Deserialize)]
struct Configuration {
    allowlist: Allowlist,
    rules: Vec<Rule>,
}

/// What a rule's finding must not be.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Allowlist {
    paths: Vec<String>,
    regexes: Vec<String>,
    regex_target: Target,
    stopwords: Vec<String>,
    condition: Option<String>,
    #[serde(skip)]
    compiled: OnceLock<Vec<Regex>>,
    #[serde(skip)]
    words: OnceLock<Option<AhoCorasick>>,
}

/// What of a finding the patterns of an allowlist are held against.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) id: String,
    regex: Option<String>,
    path: Option<String>,
    /// Bits a character that a secret has more of.
    #[serde(default)]
    pub(super) entropy: f64,
    #[serde(default)]
    secret_group: usize,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    pub(super) allowlists: Vec<Allowlist>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
    #[serde(skip)]
    compiled_path: OnceLock<Option<Regex>>,
}

/// All rules, and the words that wake them.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) all: Vec<Rule>,
    pub(super) allowlist: Allowlist,
    keywords: AhoCorasick,
    /// The rule that each keyword wakes.
    woken: Vec<usize>,
}

/// Parsed at the first look; each pattern is compiled when a keyword of its rule is first met.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let Configuration { allowlist, rules } =
        toml::from_str(CONFIGURATION).expect("the configuration that is compiled in");
    let pairs = rules.iter().enumerate().flat_map(|(rule, known)| {
        known.keywords.iter().map(move |keyword| (keyword.as_str(), rule))
    });
    let (keywords, woken): (Vec<&str>, Vec<usize>) = pairs.unzip();
    let keywords = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(keywords)
        .expect("some hundred words");
    Rules { all: rules, allowlist, keywords, woken }
});

impl Rules {
    /// The rules of which a keyword is in `text`, in the order of the configuration.
    pub(super) fn awake(&self, text: &str) -> Vec<&Rule> {
        let mut awake = vec![false; self.all.len()];
        for found in self.keywords.find_overlapping_iter(text) {
            if let Some(&rule) = self.woken.get(found.pattern().as_usize()) {
                awake[rule] = true;
            }
        }
        self.all.iter().zip(awake).filter_map(|(rule, awake)| awake.then_some(rule)).collect()
    }
}

impl Rule {
    /// `None` for a rule about a file's name alone.
    pub(super) fn regex(&self) -> Option<&Regex> {
        let compile =
            || self.regex.as_deref().map(|pattern| compile(&translate(&self.id, pattern)));
        self.compiled.get_or_init(compile).as_ref()
    }

    /// Whether the rule looks at files of this name.
    pub(super) fn reads(&self, path: &str) -> bool {
        let compile = || self.path.as_deref().map(|pattern| compile(&braces(pattern)));
        let regex = self.compiled_path.get_or_init(compile);
        // Text without a file's name may be any file's.
        path.is_empty() || regex.as_ref().is_none_or(|regex| regex.is_match(path.as_bytes()))
    }

    /// The group that holds the secret: the one that the rule names, else the first that matched.
    pub(super) fn secret<'t>(
        &self,
        captures: &regex::bytes::Captures<'t>,
    ) -> Option<regex::bytes::Match<'t>> {
        if self.secret_group > 0 {
            return captures.get(self.secret_group);
        }
        let filled = |group: &regex::bytes::Match<'_>| !group.is_empty();
        captures.iter().skip(1).flatten().find(filled).or_else(|| captures.get(0))
    }
}

impl Allowlist {
    /// Whether the finding is one that this list knows to be none.
    pub(super) fn allows(&self, secret: &[u8], matched: &[u8], line: &[u8]) -> bool {
        // A list that asks for a path as well is for files of one build system.
        if self.condition.is_some() && !self.paths.is_empty() {
            return false;
        }
        let target = match self.regex_target {
            Target::Secret => secret,
            Target::Match => matched,
            Target::Line => line,
        };
        let compile_all = || self.regexes.iter().map(|pattern| compile(&braces(pattern))).collect();
        let regexes = self.compiled.get_or_init(compile_all);
        let words = self.words.get_or_init(|| {
            let builder = &mut AhoCorasick::builder();
            let built = builder.ascii_case_insensitive(true).build(&self.stopwords);
            (!self.stopwords.is_empty()).then(|| built.expect("some thousand words"))
        });
        regexes.iter().any(|regex| regex.is_match(target))
            || words.as_ref().is_some_and(|words| words.is_match(secret))
    }
}

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .expect("the patterns that are compiled in")
}

/// Go's pattern as one of Rust's that finds more:
///
/// - a secret may be ended by any mark, not by quotes, space and semicolon alone (`f(token)`,
///   `?key=…&`), but for the generic rule, which would take calls for secrets;
/// - where quotes may stand, they may be escaped (JSON in a string);
/// - a text's end may be any line's;
/// - a brace that counts nothing is a brace.
fn translate(id: &str, pattern: &str) -> String {
    let end = if id == GENERIC { r#"(?:[\x60'"\s;]|\\[nrt"']|$)"# } else { r"(?:[^A-Za-z0-9]|$)" };
    let pattern = pattern.replace(GO_END, end);
    let pattern = pattern.replace(r#"[\s'"]{0,3}"#, r#"[\s'"\\]{0,4}"#);
    let pattern = pattern.replace(r#"[\x60'"\s=]{0,5}"#, r#"[\x60'"\s=\\]{0,6}"#);
    format!("(?m){}", braces(&pattern))
}

/// Escapes the braces that Go takes for themselves and Rust for a count.
fn braces(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len());
    let mut rest = pattern.char_indices();
    while let Some((at, c)) = rest.next() {
        if c == '\\' {
            escaped.push(c);
            escaped.extend(rest.next().map(|(_, next)| next));
            continue;
        }
        let counts = || {
            let inner = pattern[at + 1..].split('}').next().unwrap_or_default();
            inner.starts_with(|c: char| c.is_ascii_digit())
                && inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
        };
        if c == '{' && !counts() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many patterns Rust would not read as Go wrote them, and that all are read as translated.
    #[test]
    fn every_pattern_is_read() {
        let rules = &RULES.all;
        assert_eq!(rules.len(), 222);
        let patterns: Vec<&String> = rules.iter().filter_map(|rule| rule.regex.as_ref()).collect();
        assert_eq!(patterns.len(), 221);
        let lists = rules.iter().flat_map(|rule| &rule.allowlists);
        let lists = lists.chain([&RULES.allowlist]).flat_map(|list| &list.regexes);
        let paths = rules.iter().filter_map(|rule| rule.path.as_ref());
        let all: Vec<&String> = patterns.iter().copied().chain(lists).chain(paths).collect();
        let read = |pattern: &&&String| regex_syntax::parse(pattern).is_ok();
        let foreign: Vec<_> = all.iter().filter(|pattern| !read(pattern)).collect();
        assert_eq!((all.len(), foreign.len()), (275, 4), "{foreign:#?}");
        for pattern in all {
            compile(&translate("", pattern));
        }
    }
}
