//! Fill-in-the-middle templates, one row per model family, and the choice of how a model is asked.
//!
//! What a server says of a model counts first (the tokens in its template, its architecture), then
//! its name. This module knows tokens; how they are arranged round the text is `context::layout`.

use std::fmt;

use super::ModelFacts;

/// The control tokens of a family that was trained to fill in the middle.
///
/// Begin-of-text tokens are missing on purpose: servers put them in front themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FimTokens {
    /// Name of the family, as shown in the status.
    pub family: &'static str,
    /// Opens the prefix.
    pub prefix: &'static str,
    /// Opens the suffix.
    pub suffix: &'static str,
    /// Opens the middle; empty where the middle simply follows.
    pub middle: &'static str,
    /// Stands before a file's path in prompts of several files.
    pub file_sep: Option<&'static str>,
    /// The suffix stands before the prefix (SPM).
    pub suffix_first: bool,
    /// At most four, as some servers take no more; none is ever shown.
    pub stop: &'static [&'static str],
}

impl FimTokens {
    /// Every control token of the row, spaces removed.
    pub fn controls(&self) -> impl Iterator<Item = &'static str> {
        [self.prefix, self.suffix, self.middle]
            .into_iter()
            .chain(self.file_sep)
            .chain(self.stop.iter().copied())
            .map(str::trim)
            .filter(|token| !token.is_empty())
    }

    /// Whether a server's template holds the tokens that frame the middle.
    fn in_template(&self, template: &str) -> bool {
        [self.prefix, self.suffix, self.middle].iter().all(|token| template.contains(token.trim()))
    }
}

/// Qwen2.5-Coder and Qwen3-Coder, and Hearth's own model, which took their names.
/// Source: the Qwen2.5-Coder README, "File-Level and Repository-Level Code Completion".
pub const QWEN: FimTokens = FimTokens {
    family: "qwen-coder",
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
    file_sep: Some("<|file_sep|>"),
    suffix_first: false,
    stop: &["<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>"],
};

/// Source: the StarCoder2 paper (arXiv 2402.19173), §5.1, and its `special_tokens_map.json`.
pub const STARCODER2: FimTokens = FimTokens {
    family: "starcoder2",
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
    file_sep: Some("<file_sep>"),
    suffix_first: false,
    stop: &["<|endoftext|>", "<file_sep>", "<fim_pad>", "<repo_name>"],
};

/// Source: the StarCoder model card, "Fill-in-the-middle". It was trained on single files.
pub const STARCODER: FimTokens = FimTokens {
    family: "starcoder",
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
    file_sep: None,
    suffix_first: false,
    stop: &["<|endoftext|>", "<filename>", "<fim_pad>", "<reponame>"],
};

/// DeepSeek-Coder and DeepSeek-Coder-V2; bars and the low blocks are not ASCII.
/// Source: the DeepSeek-Coder README, "Code Insertion".
pub const DEEPSEEK: FimTokens = FimTokens {
    family: "deepseek-coder",
    prefix: "<｜fim▁begin｜>",
    suffix: "<｜fim▁hole｜>",
    middle: "<｜fim▁end｜>",
    file_sep: None,
    suffix_first: false,
    stop: &["<｜end▁of▁sentence｜>", "<|EOT|>", "<｜fim▁begin｜>"],
};

/// The spaces belong to the template. Source: `codellama/llama/generation.py`,
/// `infilling_prompt_tokens`.
pub const CODELLAMA: FimTokens = FimTokens {
    family: "codellama",
    prefix: "<PRE> ",
    suffix: " <SUF>",
    middle: " <MID>",
    file_sep: None,
    suffix_first: false,
    stop: &["<EOT>", "</s>"],
};

/// Source: the CodeGemma model card, "Inputs and outputs", and its report, §2.3.
pub const CODEGEMMA: FimTokens = FimTokens {
    family: "codegemma",
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
    file_sep: Some("<|file_separator|>"),
    suffix_first: false,
    stop: &["<|file_separator|>", "<eos>", "<|fim_prefix|>"],
};

/// Source: mistral-common, `InstructTokenizerV2.encode_fim`.
pub const CODESTRAL: FimTokens = FimTokens {
    family: "codestral",
    prefix: "[PREFIX]",
    suffix: "[SUFFIX]",
    middle: "",
    file_sep: None,
    suffix_first: true,
    stop: &["</s>", "[PREFIX]", "[SUFFIX]", "[MIDDLE]"],
};

/// Granite Code and Granite 3. Source: the Granite 3.3 model card, "Fill-in-the-middle".
pub const GRANITE: FimTokens = FimTokens {
    family: "granite",
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
    file_sep: None,
    suffix_first: false,
    stop: &["<|endoftext|>", "<|end_of_text|>", "<fim_pad>", "<filename>"],
};

/// Source: the Granite 4.0 model cards, "Fill-In-the-Middle (FIM) code completions".
pub const GRANITE4: FimTokens = FimTokens {
    family: "granite-4",
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
    file_sep: None,
    suffix_first: false,
    stop: &["<|end_of_text|>", "<|fim_pad|>", "<|fim_prefix|>"],
};

/// Source: the Mellum-4b-base model card, "Fill-in-the-middle with additional files as context".
pub const MELLUM: FimTokens = FimTokens {
    family: "mellum",
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
    file_sep: Some("<filename>"),
    suffix_first: true,
    stop: &["<|endoftext|>", "<filename>", "<fim_pad>", "<reponame>"],
};

/// All families. Where a template fits several and nothing else decides, the first counts.
pub const FAMILIES: &[&FimTokens] = &[
    &QWEN,
    &STARCODER2,
    &DEEPSEEK,
    &CODELLAMA,
    &CODESTRAL,
    &CODEGEMMA,
    &GRANITE,
    &GRANITE4,
    &MELLUM,
    &STARCODER,
];

/// How a model is asked for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It fills in the middle.
    Fim(&'static FimTokens),
    /// A base model that was not trained to: it continues the prefix and sees no suffix.
    Prefix,
    /// An instruct model that was not trained to: it is asked, in a chat, what belongs in the hole.
    Hole,
}

impl fmt::Display for Mode {
    /// The label in the status.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fim(tokens) => write!(f, "fill-in-the-middle ({})", tokens.family),
            Self::Prefix => f.write_str("prefix only: this model cannot fill in the middle"),
            Self::Hole => f.write_str("hole prompt: this model follows instructions"),
        }
    }
}

/// What decides whether a member of a named family fills in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Members {
    All,
    /// Its instruct models do not.
    Base,
    /// Code Llama: those of 7B and 13B, and not the Python ones.
    CodeLlama,
    /// Granite before 3.3: those for code.
    Code,
}

/// Names, as [`squeezed`] leaves them, and the families they tell. The first that fits counts.
const NAMES: &[(&str, &FimTokens, Members)] = &[
    ("qwen25coder", &QWEN, Members::All),
    ("qwen3coder", &QWEN, Members::All),
    ("hearth", &QWEN, Members::All),
    ("starcoder2", &STARCODER2, Members::Base),
    ("starcoder", &STARCODER, Members::Base),
    ("deepseekcoder", &DEEPSEEK, Members::All),
    ("codellama", &CODELLAMA, Members::CodeLlama),
    ("codegemma", &CODEGEMMA, Members::Base),
    ("codestral", &CODESTRAL, Members::All),
    ("granite4", &GRANITE4, Members::All),
    ("granite40", &GRANITE4, Members::All),
    ("granite33", &GRANITE, Members::All),
    ("granite", &GRANITE, Members::Code),
    ("mellum", &MELLUM, Members::All),
];

/// Names within those families that do not fill in the middle: Codestral Mamba is another model.
const EXCEPTIONS: &[&str] =
    &["codestralmamba", "mambacodestral", "granite4vision", "granite40vision"];

/// How architectures start, as GGUF files name them, and the families that have them.
const ARCHITECTURES: &[(&str, &FimTokens)] = &[
    ("starcoder2", &STARCODER2),
    ("starcoder", &STARCODER),
    ("deepseek", &DEEPSEEK),
    ("gemma", &CODEGEMMA),
    ("granite", &GRANITE),
    ("granite", &GRANITE4),
];

/// Chooses how to ask a model from what its server says of it.
pub fn choose(facts: &ModelFacts) -> Mode {
    if facts.card.is_some_and(|card| card.layout_version.is_some()) {
        // Made by `training/`, whatever it is called.
        return Mode::Fim(&QWEN);
    }
    let name = Name::of(facts);
    let template = facts.template.as_deref().unwrap_or_default();
    let named = name.family();
    let fits = |tokens: &FimTokens| tokens.in_template(template);
    if let Some(first) = FAMILIES.iter().copied().find(|tokens| fits(tokens)) {
        // Families share tokens: name and architecture tell them apart, never against the template.
        let told = named.map(|(tokens, _)| tokens).into_iter().chain(by_architecture(facts));
        return Mode::Fim(told.into_iter().find(|tokens| fits(tokens)).unwrap_or(first));
    }
    if let Some((tokens, true)) = named {
        return Mode::Fim(tokens);
    }
    // Of the architectures only StarCoder's are those of one family.
    let starcoder = by_architecture(facts).find(|told| [&STARCODER2, &STARCODER].contains(told));
    if let (Some(tokens), false) = (starcoder, name.follows_instructions()) {
        return Mode::Fim(tokens);
    }
    if name.talks(template) { Mode::Hole } else { Mode::Prefix }
}

/// Whether a model follows instructions, whatever else it can.
pub fn follows(facts: &ModelFacts) -> bool {
    Name::of(facts).talks(facts.template.as_deref().unwrap_or_default())
}

fn by_architecture(facts: &ModelFacts) -> impl Iterator<Item = &'static FimTokens> {
    let architecture = facts.architecture.as_deref().unwrap_or_default();
    ARCHITECTURES
        .iter()
        .filter(move |(start, _)| architecture.starts_with(start))
        .map(|(_, tokens)| *tokens)
}

/// Whether a template frames the turns of a conversation. Ollama's default for a model without a
/// template is `{{ .Prompt }}`, which does not.
fn speaks(template: &str) -> bool {
    ["messages", ".Messages", ".System", "[INST]", "<|im_start|>", "<start_of_turn>"]
        .iter()
        .any(|mark| template.contains(mark))
}

/// A model's name, taken apart.
struct Name {
    /// Lower-case letters and digits alone: `Qwen2.5-Coder:1.5b` is `qwen25coder15b`.
    squeezed: String,
    /// Its words: `qwen2`, `5`, `coder`, `1`, `5b`.
    words: Vec<String>,
}

impl Name {
    fn of(facts: &ModelFacts) -> Self {
        // `org/model:tag` or a path: what stands before the last slash is not the model's name.
        let last = |text: &str| text.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
        let mut name = last(&facts.name);
        if let Some(file) = &facts.file {
            name.push(' ');
            name.push_str(&last(file));
        }
        let words = name.split(|char: char| !char.is_alphanumeric());
        Self { squeezed: squeezed(&name), words: words.map(str::to_owned).collect() }
    }

    /// The family that the name tells, and whether this member of it fills in the middle.
    fn family(&self) -> Option<(&'static FimTokens, bool)> {
        if EXCEPTIONS.iter().any(|name| self.squeezed.contains(name)) {
            return None;
        }
        let (_, tokens, members) = NAMES.iter().find(|(name, ..)| self.squeezed.contains(name))?;
        let fills = match members {
            Members::All => true,
            Members::Base => !self.follows_instructions(),
            Members::CodeLlama => !self.has(&["python", "34b", "70b"]),
            Members::Code => self.has(&["code"]),
        };
        Some((tokens, fills))
    }

    fn follows_instructions(&self) -> bool {
        self.has(&["instruct", "it", "chat", "assistant"])
    }

    fn talks(&self, template: &str) -> bool {
        (self.follows_instructions() || speaks(template)) && !self.is_base()
    }

    fn is_base(&self) -> bool {
        self.has(&["base", "pt", "text", "code"]) && !self.follows_instructions()
    }

    fn has(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }
}

fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::{
        context::layout::{Definition, Order, Situation, lay_out},
        model::Segment,
    };

    const QWEN_CHAT: &str = "{% for m in messages %}{{'<|im_start|>' + m['role']}}{% endfor %}";

    fn check(tokens: &FimTokens, prompt: &Expect) {
        let definitions = [Definition { path: "src/b.rs".into(), text: "fn b();\n".into() }];
        let situation = Situation {
            definitions: &definitions,
            path: "src/a.rs",
            prefix: "fn a() {\n",
            begun: "    b",
            suffix: "\n}\n",
        };
        let segments = lay_out(tokens, Order::Plain, &situation);
        let text: String = segments.iter().map(Segment::as_str).collect();
        prompt.assert_debug_eq(&text);
    }

    #[test]
    fn each_family_gets_its_own_template() {
        check(
            &DEEPSEEK,
            &expect![[r#"
                "<｜fim▁begin｜>fn b();\nfn a() {\n    b<｜fim▁hole｜>\n}\n<｜fim▁end｜>"
            "#]],
        );
    }

    #[test]
    fn suffix_first_families_put_it_first() {
        check(
            &MELLUM,
            &expect![[r#"
            "<filename>src/b.rs\nfn b();\n<filename>src/a.rs\n<fim_suffix>\n}\n<fim_prefix>fn a() {\n    b<fim_middle>"
        "#]],
        );
        check(
            &CODESTRAL,
            &expect![[r#"
                "[SUFFIX]\n}\n[PREFIX]fn b();\nfn a() {\n    b"
            "#]],
        );
    }

    #[test]
    fn code_llama_keeps_its_spaces() {
        check(
            &CODELLAMA,
            &expect![[r#"
                "<PRE> fn b();\nfn a() {\n    b <SUF>\n}\n <MID>"
            "#]],
        );
    }

    #[test]
    fn families_with_file_tokens_name_the_files() {
        check(
            &QWEN,
            &expect![[r#"
            "<|file_sep|>src/b.rs\nfn b();\n<|file_sep|>src/a.rs\n<|fim_prefix|>fn a() {\n    b<|fim_suffix|>\n}\n<|fim_middle|>"
        "#]],
        );
        check(
            &CODEGEMMA,
            &expect![[r#"
            "<|file_separator|>src/b.rs\nfn b();\n<|file_separator|>src/a.rs\n<|fim_prefix|>fn a() {\n    b<|fim_suffix|>\n}\n<|fim_middle|>"
        "#]],
        );
    }

    fn mode(name: &str, architecture: Option<&str>, template: Option<&str>) -> String {
        choose(&ModelFacts {
            name: name.into(),
            architecture: architecture.map(Into::into),
            template: template.map(Into::into),
            ..ModelFacts::default()
        })
        .to_string()
    }

    #[test]
    fn a_model_is_asked_by_what_it_is() {
        let insert = |tokens: &FimTokens| {
            format!(
                "{{{{ if .Suffix }}}}{}{{{{ .Prompt }}}}{}{{{{ .Suffix }}}}{}{{{{ end }}}}",
                tokens.prefix, tokens.suffix, tokens.middle
            )
        };
        let rows: Vec<(&str, Option<&str>, Option<String>)> = vec![
            ("qwen2.5-coder:1.5b-base", Some("qwen2"), None),
            ("Qwen/Qwen2.5-Coder-7B-Instruct", Some("qwen2"), Some(QWEN_CHAT.into())),
            ("Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf", Some("qwen3moe"), Some(QWEN_CHAT.into())),
            ("qwen2.5:7b-instruct", Some("qwen2"), Some(QWEN_CHAT.into())),
            ("mymodel", Some("gemma"), Some(insert(&CODEGEMMA))),
            ("mymodel", Some("granitehybrid"), Some(insert(&GRANITE))),
            ("granite4:tiny-h", Some("granitehybrid"), Some(insert(&GRANITE4))),
            ("granite-4.0-h-micro", Some("granitehybrid"), None),
            ("granite3.3:8b", Some("granite"), None),
            ("ibm-granite/granite-8b-code-base-4k", Some("llama"), None),
            ("starcoder2:3b", Some("starcoder2"), None),
            ("starcoder2:15b-instruct", Some("starcoder2"), None),
            ("bigcode/starcoderbase-1b", None, None),
            ("custom", Some("starcoder2"), None),
            ("deepseek-coder-v2:16b", Some("deepseek2"), None),
            ("deepseek-r1:7b", Some("qwen2"), Some("{{ .System }}{{ .Messages }}".into())),
            ("codellama:7b-code", Some("llama"), None),
            ("codellama:13b-python", Some("llama"), None),
            ("codellama:34b-instruct", Some("llama"), Some("[INST] {{ .Prompt }}".into())),
            ("codegemma:2b-code", Some("gemma"), None),
            ("codegemma:7b-it", Some("gemma"), Some("<start_of_turn>user".into())),
            ("codestral:22b", Some("llama"), None),
            ("mamba-codestral-7b", Some("mamba2"), None),
            ("JetBrains/Mellum-4b-base", Some("llama"), None),
            ("codellama/llama3-8b-instruct", Some("llama"), Some("{{ .Messages }}".into())),
            ("gpt2", Some("gpt2"), Some("{{ .Prompt }}".into())),
            ("llama3:8b-text", Some("llama"), Some("{{ .System }}".into())),
            ("hearth-60m-v1", Some("qwen2"), None),
        ];
        let mut table = String::new();
        for (name, architecture, template) in rows {
            let mode = mode(name, architecture, template.as_deref());
            table.extend([name, ": ", &mode, "\n"]);
        }
        expect![[r"
            qwen2.5-coder:1.5b-base: fill-in-the-middle (qwen-coder)
            Qwen/Qwen2.5-Coder-7B-Instruct: fill-in-the-middle (qwen-coder)
            Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf: fill-in-the-middle (qwen-coder)
            qwen2.5:7b-instruct: hole prompt: this model follows instructions
            mymodel: fill-in-the-middle (codegemma)
            mymodel: fill-in-the-middle (granite)
            granite4:tiny-h: fill-in-the-middle (granite-4)
            granite-4.0-h-micro: fill-in-the-middle (granite-4)
            granite3.3:8b: fill-in-the-middle (granite)
            ibm-granite/granite-8b-code-base-4k: fill-in-the-middle (granite)
            starcoder2:3b: fill-in-the-middle (starcoder2)
            starcoder2:15b-instruct: hole prompt: this model follows instructions
            bigcode/starcoderbase-1b: fill-in-the-middle (starcoder)
            custom: fill-in-the-middle (starcoder2)
            deepseek-coder-v2:16b: fill-in-the-middle (deepseek-coder)
            deepseek-r1:7b: hole prompt: this model follows instructions
            codellama:7b-code: fill-in-the-middle (codellama)
            codellama:13b-python: prefix only: this model cannot fill in the middle
            codellama:34b-instruct: hole prompt: this model follows instructions
            codegemma:2b-code: fill-in-the-middle (codegemma)
            codegemma:7b-it: hole prompt: this model follows instructions
            codestral:22b: fill-in-the-middle (codestral)
            mamba-codestral-7b: prefix only: this model cannot fill in the middle
            JetBrains/Mellum-4b-base: fill-in-the-middle (mellum)
            codellama/llama3-8b-instruct: hole prompt: this model follows instructions
            gpt2: prefix only: this model cannot fill in the middle
            llama3:8b-text: prefix only: this model cannot fill in the middle
            hearth-60m-v1: fill-in-the-middle (qwen-coder)
        "]]
        .assert_eq(&table);
    }

    #[test]
    fn the_file_tells_what_an_alias_hides() {
        let facts = ModelFacts {
            name: "coder".into(),
            file: Some("/models/mellum-4b-base.gguf".into()),
            ..ModelFacts::default()
        };
        assert_eq!(choose(&facts), Mode::Fim(&MELLUM));
    }

    #[test]
    fn every_family_keeps_the_rules() {
        for tokens in FAMILIES {
            let family = tokens.family;
            assert!(tokens.stop.len() <= 4, "{family}: some servers take four stop strings");
            let situation =
                Situation { definitions: &[], path: "a.rs", prefix: "x", begun: "", suffix: "y" };
            let segments = lay_out(tokens, Order::Plain, &situation);
            for token in [tokens.prefix, tokens.suffix, tokens.middle] {
                let there = segments.iter().any(|segment| segment.as_str() == token);
                assert!(there || token.is_empty(), "{family}: {token} is not in the prompt");
            }
            let middle = segments.last().map(Segment::as_str);
            let last = if tokens.middle.is_empty() { "x" } else { tokens.middle };
            assert_eq!(middle, Some(last), "{family}: the middle does not come last");
        }
    }
}
