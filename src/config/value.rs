//! The types of settings: how each is read, shown and described.

use std::net::IpAddr;

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

impl Value for url::Url {
    fn read(json: &Json) -> Result<Self, String> {
        let expected =
            || "a URL such as \"http://127.0.0.1:11434\" or \"unix:///run/llama.sock\"".to_owned();
        let url = json.as_str().and_then(|text| text.parse::<Self>().ok()).ok_or_else(expected)?;
        let plain = matches!(url.scheme(), "http" | "https") && url.has_host();
        let socket = url.scheme() == "unix" && !url.has_host() && url.path().len() > 1;
        if (plain || socket) && url.username().is_empty() && url.password().is_none() {
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

/// An instruction that a user has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPrompt {
    /// As it stands in a menu.
    pub title: String,
    pub instruction: String,
}

impl Value for NamedPrompt {
    fn read(json: &Json) -> Result<Self, String> {
        let text = |key: &str| json.get(key).map(String::read)?.ok();
        match (text("title"), text("instruction")) {
            (Some(title), Some(instruction)) => Ok(Self { title, instruction }),
            _ => Err("a table with a title and an instruction".to_owned()),
        }
    }
    fn show(&self) -> Json {
        json!({ "title": self.title, "instruction": self.instruction })
    }
    fn schema() -> Json {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["title", "instruction"],
            "properties": { "title": String::schema(), "instruction": String::schema() },
        })
    }
}

/// Whether tests may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunTests {
    /// Once a workspace, before the first.
    Ask,
    Always,
    Never,
}

impl RunTests {
    const NAMES: [(&str, Self); 3] =
        [("ask", Self::Ask), ("always", Self::Always), ("never", Self::Never)];
}

impl Value for RunTests {
    fn read(json: &Json) -> Result<Self, String> {
        Self::NAMES
            .iter()
            .find(|(name, _)| json.as_str() == Some(name))
            .map(|(_, choice)| *choice)
            .ok_or_else(|| "one of \"ask\", \"always\", \"never\"".to_owned())
    }
    fn show(&self) -> Json {
        json!(Self::NAMES.iter().find(|(_, choice)| choice == self).map(|(name, _)| *name))
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

impl<T: Value> Value for Vec<T> {
    fn read(json: &Json) -> Result<Self, String> {
        let expected = |one: String| format!("a list, each {one}");
        match json {
            Json::Array(values) => {
                values.iter().map(|value| T::read(value).map_err(expected)).collect()
            }
            one => T::read(one).map(|value| vec![value]).map_err(expected),
        }
    }
    fn show(&self) -> Json {
        self.iter().map(Value::show).collect()
    }
    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A number from 0 to 1, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(u8);

impl Fraction {
    pub(super) const fn hundredths(hundredths: u8) -> Self {
        assert!(hundredths <= 100, "a default of 1 at the most");
        Self(hundredths)
    }

    pub fn get(self) -> f32 {
        f32::from(self.0) / 100.0
    }
}

impl Value for Fraction {
    fn read(json: &Json) -> Result<Self, String> {
        match json.as_f64() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            Some(number) if (0.0..=1.0).contains(&number) => {
                Ok(Self((number * 100.0).round() as u8))
            }
            _ => Err("a number from 0 to 1".to_owned()),
        }
    }
    fn show(&self) -> Json {
        json!(f64::from(self.0) / 100.0)
    }
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// What the user counts as the private network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateHost {
    /// A host by its name, in lower case.
    Name(String),
    /// Addresses that share their first bits; one address shares all.
    Network { address: IpAddr, bits: u8 },
}

impl PrivateHost {
    /// Whether this names the host `name`, an address in text among them.
    pub fn is_named(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own.eq_ignore_ascii_case(name.trim_end_matches('.')))
    }

    /// Whether `address` lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let Self::Network { address: own, bits } = self else { return false };
        let unused = |width: u8| u32::from(width.saturating_sub(*bits));
        match (own, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(unused(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(unused(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Value for PrivateHost {
    fn read(json: &Json) -> Result<Self, String> {
        let expected =
            || "a host's name, an address or a network such as \"10.0.0.0/8\"".to_owned();
        let text = json.as_str().map(str::trim).ok_or_else(expected)?;
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(width), str::parse).map_err(|_| expected())?;
            // The whole internet is no private network.
            return if (1..=width).contains(&bits) {
                Ok(Self::Network { address, bits })
            } else {
                Err(expected())
            };
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bits.is_none() && !text.is_empty() && text.chars().all(letter) {
            return Ok(Self::Name(text.trim_end_matches('.').to_ascii_lowercase()));
        }
        Err(expected())
    }
    fn show(&self) -> Json {
        match self {
            Self::Name(name) => json!(name),
            Self::Network { address, bits } => json!(format!("{address}/{bits}")),
        }
    }
    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}
