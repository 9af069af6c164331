//! The table: a row a setting.

use serde_json::Value as Json;

use super::{
    Complaint, Layer, Scope,
    value::{Auto, Bounded, KeepAlive, ProviderSetting, Value},
};

/// What is known of one setting beside its value.
pub(super) struct Row {
    /// Dotted path in the tree.
    pub(super) key: &'static str,
    pub(super) scope: Scope,
    /// What it does, in Markdown.
    pub(super) doc: &'static str,
    pub(super) default: fn() -> Json,
    pub(super) schema: fn() -> Json,
    /// Reads a value into its field.
    read: fn(&mut Settings, &Json) -> Result<(), Rejected>,
}

/// A value that a field does not take.
struct Rejected {
    expected: String,
    /// What the field says instead.
    kept: String,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $key:literal $scope:ident $field:ident: $type:ty = $default:expr;)+) => {
        /// All settings, resolved.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        /// Every row, in the order of the reference.
        pub(super) const ROWS: &[Row] = &[$(Row {
            key: $key,
            scope: Scope::$scope,
            doc: concat!($($doc, "\n"),+),
            default: || Settings::default().$field.show(),
            schema: <$type as Value>::schema,
            read: |settings, json| match <$type as Value>::read(json) {
                Ok(value) => {
                    settings.$field = value;
                    Ok(())
                }
                Err(expected) => Err(Rejected { expected, kept: settings.$field.show().to_string() }),
            },
        },)+];
    };
}

settings! {
    /// URL of the model server to use, or `"auto"`: whatever answers at the usual ports of this
    /// machine. Hearth sends code to loopback addresses only.
    "router.local_endpoint" Machine local_endpoint: Auto<url::Url> = Auto::Auto;
    /// No prompt for a local model is ever larger than this many tokens, whatever context the model
    /// is loaded with: the quality of local models falls beyond 16,000 to 32,000.
    "router.thresholds.max_local_context_tokens" Workspace max_local_context_tokens: Bounded<512, 1_000_000> = Bounded::new(24_000);
    /// Who answers: `"ollama"`, `"llama-server"`, `"openai"` (LM Studio, vLLM and every other server
    /// with `/v1/completions`), or `"built-in"`, the model in this process (`hearth model` says
    /// which). `"auto"`: a running server with a model that fills in the middle, else the model in
    /// this process, unless `router.local_endpoint` says where to look.
    "local.provider" Machine provider: Auto<ProviderSetting> = Auto::Auto;
    /// How long the server keeps the model in memory after its last use (Ollama): a duration such as
    /// `"30m"`, or `"-1"` for always.
    "local.keep_alive" Machine keep_alive: KeepAlive = KeepAlive::new("30m");
    /// The model that completes code, by the server's name for it; best a base model that fills in
    /// the middle. `"auto"`: `model_routing.local.default` where that is set, else the most capable
    /// one that is loaded or can be.
    "model_routing.local.completion" Machine completion_model: Auto<String> = Auto::Auto;
    /// The model for everything that has no model of its own.
    "model_routing.local.default" Machine default_model: Auto<String> = Auto::Auto;
    /// Whether anything is suggested while typing.
    "completion.enabled" Workspace completion_enabled: bool = true;
    /// Milliseconds without a key before the model is asked. `"auto"`: 30.
    "completion.debounce_ms" Workspace debounce_ms: Auto<Bounded<0, 5_000>> = Auto::Auto;
    /// Seconds between two looks at the model server.
    "health_check.interval_seconds" Workspace health_interval_seconds: Bounded<1, 3_600> = Bounded::new(30);
    /// Milliseconds that a look may take.
    "health_check.timeout_ms" Workspace health_timeout_ms: Bounded<50, 60_000> = Bounded::new(2_000);
    /// Further looks before a server that did not answer counts as down.
    "health_check.retry_count" Workspace health_retry_count: Bounded<0, 10> = Bounded::new(2);
    /// Files that no model is ever shown anything of, as patterns in the notation of `.gitignore`, from
    /// each workspace folder. What `.gitignore` or `.hearthignore` name is left out as well.
    "privacy.exclude" Machine privacy_exclude: Vec<String> = Vec::new();
    /// Tokens of a prompt that may show definitions and similar code of other files, at the most; 0 for
    /// none. What is unlikely to help is left out anyway.
    "context.max_tokens" Workspace context_max_tokens: Bounded<0, 1_000_000> = Bounded::new(2_000);
    /// Whether the public signatures of dependencies count as context, where their source is on this
    /// machine (Cargo's registry).
    "context.dependencies" Workspace context_dependencies: bool = true;
}

/// Takes what `tree` says into `settings`, and complains of the rest.
pub(super) fn apply(
    settings: &mut Settings,
    layer: Layer,
    tree: &Json,
    complaints: &mut Vec<Complaint>,
) {
    let mut found = Vec::new();
    flatten(tree, &mut String::new(), &mut found);
    for (key, json) in found {
        let Some(row) = ROWS.iter().find(|row| row.key == key) else {
            complaints.push(Complaint::Unknown { near: nearest(&key), key });
            continue;
        };
        if layer == Layer::EditorChange && row.scope == Scope::Machine {
            complaints.push(Complaint::NotFromWorkspace { key: row.key });
        } else if let Err(Rejected { expected, kept }) = (row.read)(settings, json) {
            complaints.push(Complaint::Invalid {
                key: row.key,
                found: json.to_string(),
                expected,
                kept,
            });
        }
    }
}

/// Lists the leaves of a tree with their dotted keys. A key that is itself dotted, as VS Code writes
/// them, counts the same. An empty table says nothing, and `null` is an editor's way to say "unset".
fn flatten<'a>(tree: &'a Json, path: &mut String, found: &mut Vec<(String, &'a Json)>) {
    match tree {
        Json::Null => {}
        Json::Object(fields) => {
            for (name, value) in fields {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                flatten(value, path, found);
                path.truncate(length);
            }
        }
        leaf => found.push((path.clone(), leaf)),
    }
}

/// The known key that shares its last name with `key`, or differs by three letters at the most.
fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    ROWS.iter()
        .map(|row| row.key)
        .find(|known| last(known) == last(key))
        .or_else(|| ROWS.iter().map(|row| row.key).find(|known| distance(known, key) <= 3))
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
