//! Clouds, asked with real permits, played by a real server that speaks both of their APIs.

mod again;
mod keys;
mod leaving;
#[path = "../support/mod.rs"]
mod support;
mod words;

use crate::support::fake_cloud::{Api, FakeCloud};
use expect_test::Expect;
use hearth::config::{Layer, Layers, Settings};
use hearth::egress::{
    Border, Consent, Content, Destination, Parcel, Permit, Role, Tool, Trust, Turn,
};
use hearth::model::cloud::CloudError;
use hearth::route::{Answer, CloudLine, Clouds, Retries};
use serde_json::{Value, json};
use std::fs;

const APIS: [Api; 2] = [Api::Anthropic, Api::OpenAi];

/// Printed by the command that fetches it.
const KEY: &str = "sk-test-0123456789";

/// A workspace, a cloud, and what leads from the one to the other.
struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    clouds: Clouds,
    cloud: FakeCloud,
}

impl World {
    async fn new(api: Api) -> Self {
        Self::with(api, json!({ "api_key_command": ["printf", "%s\\n", KEY] })).await
    }

    async fn with(api: Api, more: Value) -> Self {
        let cloud = FakeCloud::start(api).await;
        let mut fields = json!({
            "kind": match api { Api::Anthropic => "anthropic", Api::OpenAi => "openai" },
            "endpoint": cloud.url(),
            "model": "frontier-1",
            "input_price": 3,
            "output_price": 15,
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut layers = Layers::default();
        layers.set(Layer::UserFile, json!({ "router": { "cloud": { "frontier": fields } } }));
        let (settings, complaints) = layers.resolve();
        assert_eq!(complaints, []);
        let (clouds, complaints) = Clouds::new(&settings);
        assert_eq!(complaints, Vec::<String>::new());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("work/src")).unwrap();
        Self { folder, settings, clouds, cloud }
    }

    fn line(&self) -> &CloudLine {
        self.clouds.iter().next().unwrap()
    }

    fn destination(&self) -> Destination {
        self.line().cloud().destination().clone()
    }

    /// What the border makes of a parcel when the user says yes.
    fn permit(&self, parcel: Parcel) -> Permit {
        let (root, state) = (self.folder.path().join("work"), self.folder.path().join("state"));
        let border = Border::new(&root, &self.settings, &state, Trust::Editor(true)).unwrap();
        let examined = border.examine(parcel, |text| text.len() / 4).unwrap();
        examined.seal(Consent::Once).unwrap()
    }

    fn question(&self) -> Permit {
        self.permit(parcel(self.destination(), vec![ask("What is 6 × 7?")]))
    }

    async fn ask(&self, permit: &Permit) -> Result<Answer, CloudError> {
        self.line().ask(permit, None, Retries::default(), &|_| {}).await
    }
}

fn parcel(destination: Destination, turns: Vec<Turn>) -> Parcel {
    Parcel {
        destination,
        system: "You answer in one word.",
        turns,
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 500,
        private: false,
    }
}

fn ask(words: &str) -> Turn {
    Turn { role: Role::User, contents: vec![Content::Words(words.to_owned())] }
}

fn look_up() -> Tool {
    Tool {
        name: "read_symbol",
        description: "Reads the text of a symbol.",
        input_schema: json!({ "type": "object", "properties": { "name": { "type": "string" } } }),
    }
}

/// The last request, without what a test does not look at.
fn sent(cloud: &FakeCloud, expected: Expect) {
    let request = cloud.requests().pop().expect("a request");
    let headers: Vec<String> = ["anthropic-version", "x-api-key", "authorization"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}\n", request.headers.get(name)?)))
        .collect();
    expected.assert_eq(&format!(
        "{} {}\n{}{:#}\n",
        request.method,
        request.path,
        headers.concat(),
        request.body
    ));
}
