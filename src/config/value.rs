//! The types of settings: how each is read, shown and described.

use serde_json::{Value as Json, json};

/// A type that a row of the table may have.
pub(super) trait Value: Sized {
    /// Reads a value; the error says what was expected.
    fn read(json: &Json) -> Result<Self, String>;
    /// The value as it would be written.
    fn show(&self) -> Json;
    /// JSON Schema of the value.
    fn schema() -> Json;
}

impl Value for bool {
    fn read(json: &Json) -> Result<Self, String> {
        json.as_bool().ok_or_else(|| "true or false".to_owned())
    }
    fn show(&self) -> Json {
        json!(self)
    }
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

/// A whole number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    pub(super) const fn new(value: u64) -> Self {
        assert!(MIN <= value && value <= MAX, "a default within its own bounds");
        Self(value)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// For counts of tokens and the like.
    pub fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Value for Bounded<MIN, MAX> {
    fn read(json: &Json) -> Result<Self, String> {
        match json.as_u64() {
            Some(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(format!("a whole number from {MIN} to {MAX}")),
        }
    }
    fn show(&self) -> Json {
        json!(self.0)
    }
    fn schema() -> Json {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl Value for String {
    fn read(json: &Json) -> Result<Self, String> {
        match json.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => Err("a name in quotes".to_owned()),
        }
    }
    fn show(&self) -> Json {
        json!(self)
    }
    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// A list of globs or names.
impl Value for Vec<String> {
    fn read(json: &Json) -> Result<Self, String> {
        let expected = || "a list of patterns in quotes".to_owned();
        let items = json.as_array().ok_or_else(expected)?;
        items.iter().map(|item| String::read(item).map_err(|_| expected())).collect()
    }
    fn show(&self) -> Json {
        json!(self)
    }
    fn schema() -> Json {
        json!({ "type": "array", "items": String::schema() })
    }
}

impl Value for url::Url {
    fn read(json: &Json) -> Result<Self, String> {
        let expected = || "a URL such as \"http://127.0.0.1:11434\"".to_owned();
        let url = json.as_str().and_then(|text| text.parse::<Self>().ok()).ok_or_else(expected)?;
        let plain = matches!(url.scheme(), "http" | "https") && url.has_host();
        if plain && url.username().is_empty() && url.password().is_none() {
            Ok(url)
        } else {
            Err(expected())
        }
    }
    fn show(&self) -> Json {
        json!(self.as_str())
    }
    fn schema() -> Json {
        json!({ "type": "string", "format": "uri" })
    }
}

/// A value, or Hearth's own choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auto<T> {
    Auto,
    Set(T),
}

impl<T> Auto<T> {
    /// The value, if the user set one.
    pub const fn set(&self) -> Option<&T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: Value> Value for Auto<T> {
    fn read(json: &Json) -> Result<Self, String> {
        if json.as_str() == Some("auto") {
            return Ok(Self::Auto);
        }
        T::read(json).map(Self::Set).map_err(|expected| format!("\"auto\" or {expected}"))
    }
    fn show(&self) -> Json {
        self.set().map_or_else(|| json!("auto"), Value::show)
    }
    fn schema() -> Json {
        json!({ "anyOf": [{ "const": "auto" }, T::schema()] })
    }
}

/// Which kind of server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderSetting {
    Ollama,
    LlamaServer,
    OpenAi,
    BuiltIn,
}

impl ProviderSetting {
    const NAMES: [(&str, Self); 4] = [
        ("ollama", Self::Ollama),
        ("llama-server", Self::LlamaServer),
        ("openai", Self::OpenAi),
        ("built-in", Self::BuiltIn),
    ];
}

impl Value for ProviderSetting {
    fn read(json: &Json) -> Result<Self, String> {
        Self::NAMES
            .iter()
            .find(|(name, _)| json.as_str() == Some(name))
            .map(|(_, provider)| *provider)
            .ok_or_else(|| {
                "one of \"ollama\", \"llama-server\", \"openai\", \"built-in\"".to_owned()
            })
    }
    fn show(&self) -> Json {
        json!(Self::NAMES.iter().find(|(_, provider)| provider == self).map(|(name, _)| *name))
    }
    fn schema() -> Json {
        json!({ "enum": Self::NAMES.map(|(name, _)| name) })
    }
}

/// How long a model stays loaded after its last use, in Ollama's notation: a number with `ms`, `s`,
/// `m` or `h`, or `-1` for as long as the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive(String);

impl KeepAlive {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for KeepAlive {
    fn read(json: &Json) -> Result<Self, String> {
        let text = json.as_str().map(str::trim).unwrap_or_default();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if text == "-1" || (number && matches!(&text[digits.len()..], "ms" | "s" | "m" | "h")) {
            return Ok(Self::new(text));
        }
        Err("a duration such as \"30m\", or \"-1\" for always".to_owned())
    }
    fn show(&self) -> Json {
        json!(self.0)
    }
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(-1|[0-9]+(ms|s|m|h))$" })
    }
}
