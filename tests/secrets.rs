//! Planted secrets are found, clean code is left alone, and a prompt is searched in no time.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use hearth::egress::secrets;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};
use support::random::Random;

/// Secrets planted of each rule.
const EACH: usize = 20;

/// A rule as it is published, read apart from Hearth's own reading.
struct Rule {
    id: String,
    shape: Hir,
    regex: Regex,
    group: usize,
    entropy: f64,
    path: &'static str,
    keyword: String,
}

fn rules() -> Vec<Rule> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/egress/secrets/gitleaks/gitleaks.toml");
    let text = fs::read_to_string(file).expect("the rules");
    let tree: toml::Table = toml::from_str(&text).expect("TOML");
    let rules = tree["rules"].as_array().expect("a list");
    rules
        .iter()
        .filter_map(|rule| {
            let pattern = rule.get("regex")?.as_str()?;
            let regex = RegexBuilder::new(pattern).unicode(false).size_limit(64 << 20).build();
            let shape = regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(pattern);
            Some(Rule {
                id: rule["id"].as_str()?.to_owned(),
                shape: shape.expect("a pattern"),
                regex: regex.expect("a pattern"),
                group: rule.get("secretGroup").and_then(toml::Value::as_integer).unwrap_or(0)
                    as usize,
                entropy: rule.get("entropy").map_or(0.0, |bits| {
                    bits.as_float().or(bits.as_integer().map(|bits| bits as f64)).expect("a number")
                }),
                keyword: rule["keywords"].as_array()?.first()?.as_str()?.to_owned(),
                path: match rule.get("path").and_then(toml::Value::as_str) {
                    Some(path) if path.contains("php") => "a.php",
                    Some(path) if path.contains("tf") => "a.tf",
                    Some(path) if path.contains("ya") => "a.yaml",
                    Some(path) if path.contains("nuget") => "nuget.config",
                    _ => "a.txt",
                },
            })
        })
        .collect()
}

/// A text of this shape. Assertions are left to chance, and to whoever asks.
fn text_of(shape: &Hir, random: &mut Random, into: &mut Vec<u8>) {
    match shape.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => into.extend_from_slice(&literal.0),
        HirKind::Class(class) => into.push(one_of(class, random)),
        HirKind::Repetition(repetition) => {
            let min = repetition.min as usize;
            let most = repetition.max.map_or(min + 20, |max| max as usize).min(min + 40);
            for _ in 0..min + random.below(most - min + 1) {
                text_of(&repetition.sub, random, into);
            }
        }
        HirKind::Capture(capture) => text_of(&capture.sub, random, into),
        HirKind::Concat(parts) => parts.iter().for_each(|part| text_of(part, random, into)),
        HirKind::Alternation(ways) => text_of(&ways[random.below(ways.len())], random, into),
    }
}

/// A printable character of the class, if it has one.
fn one_of(class: &Class, random: &mut Random) -> u8 {
    let ranges: Vec<(u8, u8)> = match class {
        Class::Bytes(class) => class.iter().map(|range| (range.start(), range.end())).collect(),
        // An alternation of single characters comes as one of these.
        Class::Unicode(class) => {
            let ascii = |c: char| u8::try_from(c).ok();
            class.iter().filter_map(|range| ascii(range.start()).zip(ascii(range.end()))).collect()
        }
    };
    let all: Vec<u8> = ranges.iter().flat_map(|(start, end)| *start..=*end).collect();
    let shown: Vec<u8> = all.iter().copied().filter(|byte| (b' '..=b'~').contains(byte)).collect();
    let from = if shown.is_empty() { &all } else { &shown };
    from[random.below(from.len())]
}

fn entropy(text: &[u8]) -> f64 {
    let mut counts = BTreeMap::new();
    text.iter().for_each(|byte| *counts.entry(byte).or_insert(0.0) += 1.0);
    let length = text.len() as f64;
    counts.values().map(|count: &f64| -count / length * (count / length).log2()).sum()
}

/// A match of the rule, as (text before the secret, the secret, text after it).
fn plant(rule: &Rule, random: &mut Random) -> (String, String, String) {
    for _ in 0..10_000 {
        let mut text = Vec::new();
        text_of(&rule.shape, random, &mut text);
        let Ok(text) = String::from_utf8(text) else { continue };
        let Some(captures) = rule.regex.captures(text.as_bytes()) else { continue };
        let secret = if rule.group > 0 {
            captures.get(rule.group)
        } else {
            captures.iter().skip(1).flatten().find(|group| !group.is_empty()).or(captures.get(0))
        };
        let secret = secret.expect("a group");
        if entropy(secret.as_bytes()) > rule.entropy {
            let (before, rest) = text.split_at(secret.start());
            let (secret, after) = rest.split_at(secret.len());
            return (before.into(), secret.into(), after.into());
        }
    }
    panic!("no text of the shape of {}", rule.id);
}

/// Whether all of the secret, which begins at `at`, would be replaced.
fn is_found(path: &str, text: &str, at: usize, secret: &str) -> bool {
    let found = secrets::find(path, text);
    found.iter().any(|(range, _)| range.start <= at && at + secret.len() <= range.end)
}

#[derive(Default)]
struct Tally {
    planted: usize,
    missed: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn count(&mut self, kind: &str, found: bool, line: &str) {
        self.planted += 1;
        if !found {
            self.missed.entry(kind.to_owned()).or_default().push(line.to_owned());
        }
    }

    /// Prints the figures and an example of each kind that was missed.
    fn share(&self, what: &str) -> f64 {
        let missed: usize = self.missed.values().map(Vec::len).sum();
        let share = 1.0 - missed as f64 / self.planted as f64;
        println!("{what}: {:.2} % of {} found", share * 100.0, self.planted);
        for (kind, lines) in &self.missed {
            println!("  missed {}: {kind}, as in {:?}", lines.len(), lines[0]);
        }
        share
    }
}

const CODE: &str = "fn main() {\n    let answer = 42;\n}\n";

#[test]
fn secrets_in_the_shape_of_a_rule_are_found() {
    let mut random = Random::new(1);
    let mut tally = Tally::default();
    for rule in rules() {
        for _ in 0..EACH {
            let (before, secret, after) = plant(&rule, &mut random);
            let start = format!("{CODE}// {}\n{before}", rule.keyword);
            let text = format!("{start}{secret}{after}\n{CODE}");
            let found = is_found(rule.path, &text, start.len(), &secret);
            tally.count(&rule.id, found, &format!("{before}{secret}{after}"));
        }
    }
    assert!(tally.share("in the shape of a rule") >= 0.99);
}

/// Ways to write a secret that no rule foresees as such. `¤` is the rule's keyword, `§` the secret.
const NOTATIONS: &[&str] = &[
    "{\"¤_token\": \"§\", \"other\": 1}",
    "{\\\"¤_token\\\":\\\"§\\\",\\\"other\\\":1}",
    "¤_token: §",
    "export ¤_TOKEN=§",
    "https://example.org/?¤_key=§&page=2",
    "connect(\"¤-token\", \"§\");",
    "// ¤ token = §, to be rotated",
    "let ¤_secret: &str = \"§\";",
    "¤.secret = §\r",
    "<¤_password>§</¤_password>",
    "'¤Password' => '§',",
    "¤_SECRET=§ # the old one",
];

#[test]
fn secrets_in_other_notations_are_found() {
    let mut random = Random::new(2);
    let mut tally = Tally::default();
    let plain =
        |secret: &str| secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+/=.~".contains(&b));
    for rule in rules() {
        for notation in NOTATIONS {
            let (_, secret, _) = plant(&rule, &mut random);
            if !plain(&secret) {
                continue;
            }
            let line = notation.replace('¤', &rule.keyword);
            let at = CODE.len() + line.find('§').expect("a place");
            let text = format!("{CODE}{}\n{CODE}", line.replacen('§', &secret, 1));
            tally.count(
                notation,
                is_found("a.txt", &text, at, &secret),
                &format!("{} {text}", rule.id),
            );
        }
    }
    for scheme in ["postgres", "redis", "https", "mongodb+srv", "amqp"] {
        for _ in 0..EACH {
            let secret: String = (0..random.within(8..24))
                .map(|_| ALPHABET[random.below(ALPHABET.len())] as char)
                .collect();
            let before = format!("{CODE}url = {scheme}://service:");
            let text = format!("{before}{secret}@db.internal:5432/main\n{CODE}");
            tally.count("url", is_found("a.txt", &text, before.len(), &secret), &text);
        }
    }
    for lines in [6, 26, 51] {
        let body: Vec<String> = (0..lines)
            .map(|_| (0..64).map(|_| ALPHABET[random.below(62)] as char).collect())
            .collect();
        let key = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            body.join("\n")
        );
        let indented = key.replace('\n', "\n      ");
        let forms = [
            ("pem", key.clone()),
            ("pem, CRLF", key.replace('\n', "\r\n")),
            ("pem, escaped", format!("\"{}\"", key.replace('\n', "\\n"))),
            ("pem, indented", indented),
            ("pem, joined", key.lines().map(|line| format!("\"{line}\\n\" +\n")).collect()),
            ("pem, cut off", key.split_once("-----END").expect("an end").0.to_owned()),
        ];
        for (kind, form) in forms {
            let text = format!("{CODE}{form}\n");
            let found = secrets::find("a.txt", &text);
            let safe = body.iter().all(|line| {
                let at = text.find(line.as_str()).expect("the line");
                found.iter().any(|(range, _)| range.start <= at && at + 64 <= range.end)
            });
            tally.count(kind, safe, &text);
        }
    }
    assert!(tally.share("in other notations") >= 0.95);
}

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!";

/// The sources of everything that Hearth is built on, as cargo unpacked them.
fn clean_sources() -> Vec<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut files = Vec::new();
    for package in metadata["packages"].as_array().expect("a list") {
        if package["source"].is_null() {
            continue;
        }
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        walk(&manifest.parent().expect("a folder").join("src"), &mut files);
    }
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn clean_code_is_left_alone() {
    let (mut lines, mut alarms) = (0, Vec::new());
    for file in clean_sources() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        lines += text.lines().count();
        for (range, kind) in secrets::find("src/lib.rs", &text) {
            alarms.push(format!("{kind} {} {}", file.display(), &text[range]));
        }
        if lines > 1_000_000 {
            break;
        }
    }
    let rate = alarms.len() as f64 / (lines as f64 / 100_000.0);
    println!(
        "{} alarms in {lines} lines: {rate:.2} in 100,000\n{}",
        alarms.len(),
        alarms.join("\n")
    );
    assert!(lines > 100_000 && rate <= 1.0);
}

#[test]
fn a_prompt_is_searched_in_no_time() {
    let mut text = String::new();
    for file in clean_sources() {
        text.push_str(&fs::read_to_string(file).unwrap_or_default());
        if text.len() > 96 << 10 {
            break;
        }
    }
    text.truncate(text.floor_char_boundary(96 << 10));
    let first = Instant::now();
    secrets::find("src/lib.rs", &text);
    let first = first.elapsed();
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let start = Instant::now();
            secrets::find("src/lib.rs", &text);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("96 KB: first {first:?}, then {:?} (median of 9)", times[4]);
    assert!(times[4] < Duration::from_millis(50));
}
