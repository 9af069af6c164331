//! The table: a row a setting, and a second one for what each named cloud has.

use serde_json::Value as Json;

use super::{
    Complaint, Layer, Scope,
    clouds::{self, CloudKind, Clouds, Dollars, KeyReference},
    value::{
        Auto, Bounded, Fraction, KeepAlive, NamedPrompt, PrivateHost, ProviderSetting, RunTests,
        Value,
    },
};

/// What is known of one setting beside its value, in a tree `S`.
pub(super) struct Row<S: 'static> {
    /// Dotted path in the tree.
    pub(super) key: &'static str,
    pub(super) scope: Scope,
    /// What it does, in Markdown.
    pub(super) doc: &'static str,
    pub(super) default: fn() -> Json,
    pub(super) schema: fn() -> Json,
    /// Reads a value into its field.
    read: fn(&mut S, &Json) -> Result<(), Rejected>,
}

/// A value that a field does not take.
struct Rejected {
    expected: String,
    /// What the field says instead.
    kept: String,
}

macro_rules! settings {
    (
        $(#[$about:meta])* $tree:ident in $rows:ident;
        $($(#[doc = $doc:literal])+ $key:literal $scope:ident $field:ident: $type:ty = $default:expr;)+
        $(.. $(#[doc = $other_doc:literal])+ $other:ident: $other_type:ty;)?
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $tree {
            $($(#[doc = $doc])+ pub $field: $type,)+
            $($(#[doc = $other_doc])+ pub $other: $other_type,)?
        }

        impl Default for $tree {
            fn default() -> Self {
                Self { $($field: $default,)+ $($other: Default::default(),)? }
            }
        }

        /// Every row, in the order of the reference.
        pub(super) const $rows: &[Row<$tree>] = &[$(Row {
            key: $key,
            scope: Scope::$scope,
            doc: concat!($($doc, "\n"),+),
            default: || $tree::default().$field.show(),
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
    /// All settings, resolved.
    Settings in ROWS;
    /// URL of the model server to use, or `"auto"`: whatever answers at the usual ports of this
    /// machine. It has to be at a loopback address, or a unix socket such as `"unix:///run/llama.sock"`;
    /// others go into `router.private_endpoints`.
    "router.local_endpoint" Machine local_endpoint: Auto<url::Url> = Auto::Auto;
    /// A team's own OpenAI-compatible servers (vLLM, SGLang, llama-server): base URLs. Of those that
    /// are well, the one with the least in flight is asked. How far a URL reaches is decided by the
    /// address it resolves to: loopback is this machine, a host in `router.private_hosts` is the
    /// private network, and any other is a cloud, which is not asked here. A key that they want is the
    /// one in the environment's `HEARTH_PRIVATE_KEY`.
    "router.private_endpoints" Machine private_endpoints: Vec<url::Url> = Vec::new();
    /// Hosts that count as the private network: names (`"gpu.lan"`), addresses or networks
    /// (`"10.0.0.0/8"`).
    "router.private_hosts" Machine private_hosts: Vec<PrivateHost> = Vec::new();
    /// No prompt for a local model is ever larger than this many tokens, whatever context the model
    /// is loaded with: the quality of local models falls beyond 16,000 to 32,000.
    "router.thresholds.max_local_context_tokens" Machine max_local_context_tokens: Bounded<512, 1_000_000> = Bounded::new(24_000);
    /// A task that needs more tool calls than this goes to a larger model, where it may.
    "router.thresholds.max_tool_chain_length" Machine max_tool_chain_length: Bounded<0, 1_000> = Bounded::new(8);
    /// Whether private stays private: where it is `true`, no consent sends a private task or a
    /// private file to a cloud. Where it is `false`, the user may send one up for one run
    /// (`--cloud`), and each such request is asked about.
    "router.thresholds.privacy_enforced" Machine privacy_enforced: bool = true;
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
    /// The model that follows instructions: for everything that has no model of its own. `"auto"`:
    /// the one of a useful size that is loaded or can be.
    "model_routing.local.default" Machine default_model: Auto<String> = Auto::Auto;
    /// The model for strict output (JSON, edits) and for work of several steps. `"auto"`:
    /// `model_routing.local.default` where that is set, else the largest that is loaded or can be,
    /// at 4 bits or more.
    "model_routing.local.high_precision" Machine high_precision_model: Auto<String> = Auto::Auto;
    /// The quantization to prefer where models are there in several, such as `"Q4_K_M"` or `"Q8_0"`.
    "model_routing.local.quantization" Machine quantization: Auto<String> = Auto::Auto;
    /// Whether anything is suggested while typing.
    "completion.enabled" Workspace completion_enabled: bool = true;
    /// Milliseconds without a key before the model is asked. `"auto"`: from 0 to 300, by how fast
    /// you type and how fast the model has been; what the editor waits itself counts.
    "completion.debounce_ms" Workspace debounce_ms: Auto<Bounded<0, 5_000>> = Auto::Auto;
    /// Milliseconds within which the model should begin to answer. On a machine that is too slow for
    /// that, it is shown less of the file.
    "completion.ttft_target_ms" Workspace ttft_target_ms: Bounded<50, 10_000> = Bounded::new(300);
    /// How likely a model has to find the line that it suggests for it to be shown unasked, from 0 to
    /// 1, where its server says so; 0 shows all. What is asked for by a key is always shown. The model
    /// in this process has a measure of its own.
    "completion.show_above" Workspace show_above: Fraction = Fraction::hundredths(2);
    /// Whether a model that fills in the middle is asked to go on with the line that you have begun,
    /// instead of filling in behind it: a key then leaves all of the prompt before that line in the
    /// server's cache. The model in this process is trained for it and always is; what it does to
    /// another one's answers has not been measured.
    "completion.begun_middle" Workspace begun_middle: bool = false;
    /// Instructions of your own, each a code action: a list of tables with a `title` and an
    /// `instruction`.
    "refactor.prompts" Machine refactor_prompts: Vec<NamedPrompt> = Vec::new();
    /// Whether an edit that a model wrote is compiled before it is shown, in workspaces that you
    /// trust. Compiling runs build scripts and procedural macros, on a copy of the workspace:
    /// [what an edit has passed](checks.md).
    "check.compile" Machine check_compile: bool = true;
    /// Whether tests are run on such a copy: `"ask"` once a workspace, `"always"` or `"never"`.
    "check.run_tests" Machine check_run_tests: RunTests = RunTests::Ask;
    /// Seconds between two looks at the model server.
    "health_check.interval_seconds" Workspace health_interval_seconds: Bounded<1, 3_600> = Bounded::new(30);
    /// Milliseconds that a look may take.
    "health_check.timeout_ms" Workspace health_timeout_ms: Bounded<50, 60_000> = Bounded::new(2_000);
    /// Further looks before a server that did not answer counts as down.
    "health_check.retry_count" Workspace health_retry_count: Bounded<0, 10> = Bounded::new(2);
    /// Whether an answer in JSON must follow its schema to the letter. `false`: it must be JSON.
    "validation.strict_json" Workspace strict_json: bool = true;
    /// How often a wrong answer is asked for again, with what was wrong about it.
    "validation.max_retries_on_failure" Workspace max_retries: Bounded<0, 10> = Bounded::new(3);
    /// How much lower the temperature of each further try is.
    "validation.temperature_reduction" Workspace temperature_reduction: Fraction = Fraction::hundredths(10);
    /// Files that no model is ever shown anything of, on this machine or elsewhere, also while you have
    /// them open: nothing is suggested in them, and nothing of them is in what is asked of other files.
    /// Patterns in the notation of `.gitignore`, from each workspace folder, in either case of letters;
    /// of a dependency, for its path as it is shown (`serde/src/lib.rs`) or lies in Cargo's registry
    /// (`serde-1.0.0/src/lib.rs`). `!` takes nothing back, and while one of them cannot be read no model
    /// is shown any file. What `.gitignore` or `.hearthignore` name is left out of prompts in other
    /// files, and is completed on this machine alone. Files that look like a place for keys never leave
    /// this machine.
    "privacy.exclude" Machine privacy_exclude: Vec<String> = Vec::new();
    /// Tokens of a prompt that may show definitions and similar code of other files, at the most; 0 for
    /// none. What is unlikely to help is left out anyway.
    "context.max_tokens" Workspace context_max_tokens: Bounded<0, 1_000_000> = Bounded::new(2_000);
    /// Whether the public signatures of dependencies count as context, where their source is on this
    /// machine (Cargo's registry).
    "context.dependencies" Workspace context_dependencies: bool = true;
    /// Whether every task is private: nothing is sent anywhere but to models on this machine.
    "privacy.local_only" Machine local_only: bool = false;
    /// Files of which nothing leaves this machine, in the same notation: a task with a piece of one
    /// of them is private as a whole.
    "privacy.private" Machine privacy_private: Vec<String> = Vec::new();
    ..
    /// `router.cloud.NAME.…`, in the order of the tree.
    clouds: Clouds;
}

settings! {
    /// One `[router.cloud.NAME]`, as it is written.
    CloudSettings in CLOUD_ROWS;
    /// The wire format: `"anthropic"` (Messages) or `"openai"` (chat completions: OpenAI, OpenRouter,
    /// Azure and others). `"auto"`: by the endpoint's host.
    "kind" Machine kind: Auto<CloudKind> = Auto::Auto;
    /// The base URL, `https` (or `http` at a loopback address, for a gateway of your own). `"auto"`:
    /// the service's own, where `kind` is given. Also as `router.cloud_endpoint`, which sets the cloud
    /// named `default`.
    "endpoint" Machine endpoint: Auto<url::Url> = Auto::Auto;
    /// Where the key is: only a reference to the environment, such as `"${ANTHROPIC_API_KEY}"`.
    /// `"auto"`: at the service's own endpoint that variable or `OPENAI_API_KEY`, elsewhere none.
    /// Also as `router.cloud_api_key`.
    "api_key" Machine api_key: Auto<KeyReference> = Auto::Auto;
    /// Or a command that prints the key, asked when `api_key` leads to none.
    "api_key_command" Machine api_key_command: Vec<String> = Vec::new();
    /// The model's name there. Also as `model_routing.cloud.default`; `model_routing.cloud.fallback`
    /// is the model of a second cloud, named `fallback`, that is like the first in all else.
    "model" Machine model: Auto<String> = Auto::Auto;
    /// US dollars for a million tokens of input, from the service's price list.
    "input_price" Machine input_price: Auto<Dollars> = Auto::Auto;
    /// US dollars for a million tokens of output.
    "output_price" Machine output_price: Auto<Dollars> = Auto::Auto;
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
        if let Some((name, field)) = clouds::place(&key) {
            let cloud = settings.clouds.named(name);
            take(CLOUD_ROWS, cloud, (field, &key), layer, json, complaints);
        } else {
            take(ROWS, settings, (&key, &key), layer, json, complaints);
        }
    }
}

/// Takes one value into its field; `key` is that of the row, and as the user wrote it.
fn take<S>(
    rows: &'static [Row<S>],
    settings: &mut S,
    (key, written): (&str, &str),
    layer: Layer,
    json: &Json,
    complaints: &mut Vec<Complaint>,
) {
    let Some(row) = rows.iter().find(|row| row.key == key) else {
        complaints.push(Complaint::Unknown { near: nearest(key, rows), key: written.to_owned() });
        return;
    };
    if layer == Layer::EditorChange && row.scope == Scope::Machine {
        complaints.push(Complaint::NotFromWorkspace { key: written.to_owned() });
    } else if let Err(Rejected { expected, kept }) = (row.read)(settings, json) {
        // What was written for a key may be one.
        let secret = key.starts_with("api_key");
        let found = if secret { "not shown here".to_owned() } else { json.to_string() };
        let key = written.to_owned();
        complaints.push(Complaint::Invalid { key, found, expected, kept });
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
fn nearest<S>(key: &str, rows: &'static [Row<S>]) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    rows.iter()
        .map(|row| row.key)
        .find(|known| last(known) == last(key))
        .or_else(|| rows.iter().map(|row| row.key).find(|known| distance(known, key) <= 3))
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
