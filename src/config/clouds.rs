//! `[router.cloud.NAME]`: any number of named clouds, in the user's order, and where their keys are.

use serde_json::{Value as Json, json};
use url::Url;

use super::{
    table::CloudSettings,
    value::{Auto, Value},
};

/// The cloud that most of [`ALIASES`] set.
const DEFAULT: &str = "default";

/// The cloud that is asked when that one does not answer.
const FALLBACK: &str = "fallback";

/// Keys that people copy from articles on routing: each with the cloud and the field that it sets.
pub(super) const ALIASES: [(&str, &str, &str); 4] = [
    ("router.cloud_endpoint", DEFAULT, "endpoint"),
    ("router.cloud_api_key", DEFAULT, "api_key"),
    ("model_routing.cloud.default", DEFAULT, "model"),
    ("model_routing.cloud.fallback", FALLBACK, "model"),
];

/// The name of a cloud and the field of it that `key` means; `None` where it means something else.
pub(super) fn place(key: &str) -> Option<(&str, &str)> {
    let alias = ALIASES.into_iter().find(|(alias, ..)| *alias == key);
    match alias {
        Some((_, cloud, field)) => Some((cloud, field)),
        None => key.strip_prefix("router.cloud.")?.rsplit_once('.'),
    }
}

/// All clouds as they are written, in the order in which they first appear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clouds(Vec<(String, CloudSettings)>);

impl Clouds {
    /// The settings of one, which is there from now on.
    pub(super) fn named(&mut self, name: &str) -> &mut CloudSettings {
        let known = self.0.iter().position(|(known, _)| known == name);
        let index = known.unwrap_or_else(|| {
            self.0.push((name.to_owned(), CloudSettings::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// Every cloud that can be asked, the preferred first, or what it lacks, as a sentence.
    pub fn resolve(&self) -> Vec<Result<Cloud, String>> {
        self.0.iter().map(|(name, settings)| self.cloud(name, settings)).collect()
    }

    fn cloud(&self, name: &str, settings: &CloudSettings) -> Result<Cloud, String> {
        let mut settings = settings.clone();
        if let Some((_, first)) = self.0.iter().find(|(other, _)| other == DEFAULT)
            && name == FALLBACK
            && settings.endpoint == Auto::Auto
        {
            settings = CloudSettings { model: settings.model, ..first.clone() };
        }
        let lacks = |what| format!("the cloud '{name}' has no {what} (router.cloud.{name}.{what})");
        let endpoint = match (settings.endpoint, settings.kind.set()) {
            (Auto::Set(endpoint), _) => endpoint,
            (Auto::Auto, Some(kind)) => {
                kind.usual_endpoint().parse().map_err(|_| lacks("endpoint"))?
            }
            (Auto::Auto, None) => return Err(lacks("endpoint")),
        };
        let price = |price: Auto<Dollars>| price.set().map(|dollars| dollars.get());
        let kind = settings.kind.set().copied().unwrap_or_else(|| CloudKind::of(&endpoint));
        // The usual key goes to the service that it is for, and to no other host.
        let own: Option<Url> = kind.usual_endpoint().parse().ok();
        let usual = own.is_some_and(|own| own.origin() == endpoint.origin());
        let variable = match settings.api_key {
            Auto::Set(KeyReference(variable)) => Some(variable),
            Auto::Auto if usual => Some(kind.usual_variable().to_owned()),
            Auto::Auto => None,
        };
        Ok(Cloud {
            name: name.to_owned(),
            kind,
            endpoint,
            model: settings.model.set().cloned().ok_or_else(|| lacks("model"))?,
            key: KeySource { variable, command: settings.api_key_command },
            price: price(settings.input_price).zip(price(settings.output_price)),
        })
    }
}

/// One cloud, with all that asking it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    pub name: String,
    pub kind: CloudKind,
    /// The base URL.
    pub endpoint: Url,
    pub model: String,
    pub key: KeySource,
    /// US dollars for a million tokens of input and of output, where the user gave them.
    pub price: Option<(f64, f64)>,
}

/// Where a key is, which is never in the settings themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySource {
    /// A variable of the environment.
    pub variable: Option<String>,
    /// A command that prints it; empty for none.
    pub command: Vec<String>,
}

impl KeySource {
    /// The key in the environment, where it is there. Must not be logged.
    #[expect(clippy::disallowed_methods, reason = "the environment is read in config and cli")]
    pub fn in_environment(&self) -> Option<String> {
        std::env::var(self.variable.as_ref()?).ok().filter(|key| !key.trim().is_empty())
    }
}

/// The wire formats of clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudKind {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions, which OpenRouter, Azure and others speak as well.
    OpenAi,
}

impl CloudKind {
    const NAMES: [(&str, Self); 2] = [("anthropic", Self::Anthropic), ("openai", Self::OpenAi)];

    fn of(endpoint: &Url) -> Self {
        let host = endpoint.host_str().unwrap_or_default();
        let anthropic = host == "anthropic.com" || host.ends_with(".anthropic.com");
        if anthropic { Self::Anthropic } else { Self::OpenAi }
    }

    /// Where the services' own tools look for a key.
    const fn usual_variable(self) -> &'static str {
        match self {
            Self::Anthropic => "ANTHROPIC_API_KEY",
            Self::OpenAi => "OPENAI_API_KEY",
        }
    }

    const fn usual_endpoint(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAi => "https://api.openai.com/v1",
        }
    }
}

impl Value for CloudKind {
    fn read(json: &Json) -> Result<Self, String> {
        Self::NAMES
            .iter()
            .find(|(name, _)| json.as_str() == Some(name))
            .map(|(_, kind)| *kind)
            .ok_or_else(|| "one of \"anthropic\", \"openai\"".to_owned())
    }
    fn show(&self) -> Json {
        json!(Self::NAMES.iter().find(|(_, kind)| kind == self).map(|(name, _)| *name))
    }
    fn schema() -> Json {
        json!({ "enum": Self::NAMES.map(|(name, _)| name) })
    }
}

/// A variable of the environment, written `${NAME}`. A key itself is not taken: files of settings are
/// copied, committed and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReference(String);

impl Value for KeyReference {
    fn read(json: &Json) -> Result<Self, String> {
        let name = json.as_str().and_then(|text| text.trim().strip_prefix("${")?.strip_suffix('}'));
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match name {
            Some(name) if !name.is_empty() && name.chars().all(letter) => Ok(Self(name.to_owned())),
            _ => Err("a reference to the environment such as \"${ANTHROPIC_API_KEY}\"; keys are not kept in settings".to_owned()),
        }
    }
    fn show(&self) -> Json {
        json!(format!("${{{}}}", self.0))
    }
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^\\$\\{[A-Za-z0-9_]+\\}$" })
    }
}

/// US dollars, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars(u64);

impl Dollars {
    pub fn get(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Value for Dollars {
    fn read(json: &Json) -> Result<Self, String> {
        match json.as_f64() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
            Some(dollars) if (0.0..=100_000.0).contains(&dollars) => {
                Ok(Self((dollars * 1e6).round() as u64))
            }
            _ => Err("US dollars, from 0 to 100000".to_owned()),
        }
    }
    fn show(&self) -> Json {
        json!(self.get())
    }
    fn schema() -> Json {
        json!({ "type": "number", "minimum": 0, "maximum": 100_000 })
    }
}
