//! Who is asked when one does not answer, over real sockets: never anybody farther than the task's
//! privacy allows, and otherwise the next one of the decision.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use expect_test::{Expect, expect};
use futures::{StreamExt, future::join_all};
use hearth::{
    config::{Layer, Layers, Settings},
    egress::{Border, Consent, Content, Parcel, Role, Trust, Turn},
    model::{Budget, Client, Event, Job, Kind, ModelError, Segment, Tier, TokenCounter},
    route::{
        Asked, Cluster, Decision, Failure, Followed, Manner, Need, Output, Private, Retries,
        Router, Rung, Serving, Standing, Unanswered, Work, breaker::FAILURES,
        router::network_search,
    },
    session::task::OwnedTask,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

mod support;
use support::{
    fake_cloud::{Api, FakeCloud, Says},
    fake_model::{FakeModel, Reply},
};

/// Counts the connections that something makes to it, and closes each.
struct Recorder {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _task: OwnedTask,
}

impl Recorder {
    async fn at(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = OwnedTask::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, connections, _task: task }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An address of this machine that is not loopback, if it has one. Sends nothing: connecting a
/// datagram socket only looks the route up.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A workspace whose router knows an Ollama and whatever else a test sets up.
struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    router: Router,
    ollama: FakeModel,
    _settings: watch::Sender<Arc<Settings>>,
}

impl World {
    async fn new(more: Value) -> Self {
        let ollama = FakeModel::ollama().await;
        let mut tree = json!({
            "router": { "local_endpoint": ollama.url().as_str() },
            "model_routing": { "local": { "default": "qwen2.5:7b" } },
        });
        merge(&mut tree, more);
        let mut layers = Layers::default();
        layers.set(Layer::UserFile, tree);
        let (settings, complaints) = layers.resolve();
        assert_eq!(complaints, []);
        let (publish, changes) = watch::channel(Arc::new(settings.clone()));
        let router = Router::start(Client::new().unwrap(), changes);
        let mut health = router.watch();
        let found = health.wait_for(|health| health.roles.default.is_ok());
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("found").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, settings, router, ollama, _settings: publish }
    }

    /// With a cloud at a loopback gateway, to which the user's consent stands as given.
    async fn with_cloud(cloud: &FakeCloud) -> Self {
        let frontier = json!({ "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier" });
        Self::new(json!({ "router": { "cloud": { "frontier": frontier } } })).await
    }

    /// Lets no model of this machine answer any more.
    fn break_ollama(&self) {
        let broken = Reply::json(500, &json!({ "error": "out of memory" }));
        for route in ["POST /api/chat", "POST /api/generate"] {
            self.ollama.reply(route, broken.clone());
        }
    }

    fn decide(&self, need: &Need, standing: Standing) -> Decision {
        self.router.decide(need, |_| standing).unwrap()
    }

    /// Does a task of this kind, whatever it is, in the way that every task does.
    async fn run(&self, need: &Need, standing: Standing) -> Result<Followed<String>, Unanswered> {
        self.follow(&self.decide(need, standing)).await
    }

    async fn follow(&self, decision: &Decision) -> Result<Followed<String>, Unanswered> {
        let ask = async |asked: Arc<Asked>, _: Rung| match &*asked {
            Asked::Machine(serving) => generate(serving).await,
            Asked::Network(lease) => generate(&lease.serving).await,
            Asked::Cloud(line) => {
                let root = self.folder.path().join("work");
                let state = self.folder.path().join("state");
                let border = Border::new(&root, &self.settings, &state, Trust::Editor(true))
                    .map_err(|refusal| Failure::Barred(refusal.to_string()))?;
                let turn =
                    Turn { role: Role::User, contents: vec![Content::Words("Hello.".to_owned())] };
                let parcel = Parcel {
                    destination: line.cloud().destination().clone(),
                    system: "",
                    turns: vec![turn],
                    tools: Vec::new(),
                    answer_schema: None,
                    max_output_tokens: 10,
                    private: false,
                };
                let permit = border
                    .examine(parcel, str::len)
                    .and_then(|examined| examined.seal(Consent::Once))
                    .map_err(|refusal| Failure::Barred(refusal.to_string()))?;
                let retries = Retries { patience: Duration::ZERO, ..Retries::default() };
                let answer = line.ask(&permit, None, retries, &|_| {}).await;
                answer.map(|answer| answer.text).map_err(|error| {
                    let outage = error.is_outage();
                    let said = error.to_string();
                    if outage { Failure::Outage(said) } else { Failure::Task(said) }
                })
            }
        };
        self.router.follow(decision, ask).await
    }

    fn check(&self, sentence: &str, expected: Expect) {
        let url = self.ollama.url().to_string();
        expected.assert_eq(&sentence.replace(url.trim_end_matches('/'), "OLLAMA"));
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

async fn generate(serving: &Serving) -> Result<String, Failure<String>> {
    let failed = |error: ModelError| {
        let said = error.to_string();
        if error.is_outage() { Failure::Outage(said) } else { Failure::Task(said) }
    };
    let budget = Budget::new(4_000, None, 16, TokenCounter::default());
    let prompt = budget.seal_chat("", vec![Segment::text("Hello.")]).unwrap();
    let job = Job {
        model: serving.model.name.clone(),
        prompt: Arc::new(prompt),
        temperature: 0.0,
        stop: Vec::new(),
        num_ctx: 4_096,
        keep_alive: "30m".to_owned(),
        slot: None,
    };
    let mut events = serving.provider.generate(job).await.map_err(failed)?;
    let mut text = String::new();
    while let Some(event) = events.next().await {
        if let Event::Text(more) = event.map_err(failed)? {
            text.push_str(&more);
        }
    }
    Ok(text)
}

fn summarize() -> Need {
    Need::new(Work::Summarize, 100)
}

fn private(need: Need) -> Need {
    Need { private: vec![Private::Asked], ..need }
}

#[tokio::test]
async fn while_it_answers_the_nearest_answers() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    world.ollama.script_completion(["from here"]);
    let followed = world.run(&summarize(), Standing::Allowed).await.unwrap();
    assert_eq!((followed.answer.as_str(), followed.by.tier), ("from here", Tier::ThisMachine));
    assert_eq!(cloud.requests().len(), 0);
}

#[tokio::test]
async fn a_local_failure_goes_up_where_consent_stands() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    world.break_ollama();
    cloud.says(Says::text(["from afar"]));
    let followed = world.run(&summarize(), Standing::Allowed).await.unwrap();
    assert_eq!((followed.answer.as_str(), followed.by.tier), ("from afar", Tier::Cloud));
    world.check(
        &followed.before.join("\n"),
        expect!["the server at OLLAMA refused: 500 out of memory"],
    );
}

#[tokio::test]
async fn a_local_failure_without_consent_ends_there() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    world.break_ollama();
    for standing in [Standing::Ask, Standing::Never] {
        let unanswered = world.run(&summarize(), standing).await.unwrap_err();
        world.check(
            &unanswered.to_string(),
            expect!["the server at OLLAMA refused: 500 out of memory"],
        );
    }
    assert_eq!(cloud.connections(), 0);
}

/// The naive router's mistake: any failure here, private or not, is sent there instead.
#[tokio::test]
async fn a_local_failure_of_a_private_task_never_goes_up() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    let mut decisions = vec![world.decide(&private(summarize()), Standing::Allowed)];
    for work in Work::ALL {
        for output in Output::ALL {
            for (context, steps, sent_up) in [(10, 0, false), (90_000, 20, true)] {
                let need = Need { context, steps, output, sent_up, ..Need::new(work, 0) };
                decisions.push(world.decide(&private(need), Standing::Allowed));
            }
        }
    }
    world.break_ollama();
    let mut said = Vec::new();
    for decision in decisions {
        let unanswered = world.follow(&decision).await.unwrap_err();
        assert!(unanswered.kept_here.is_some(), "{decision:?}: {unanswered}");
        said.push(unanswered.to_string());
    }
    // The first one's failure, and what is said once the server is left alone.
    world.check(&said[0], expect!["the server at OLLAMA refused: 500 out of memory; nobody else is asked, as it was asked for as private"]);
    world.check(&said[80], expect!["OLLAMA failed several times in a row and is left alone for a while; nobody else is asked, as it was asked for as private"]);
    assert_eq!(cloud.connections(), 0);
}

#[tokio::test]
async fn a_server_that_is_gone_is_no_reason_either() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let mut world = World::with_cloud(&cloud).await;
    let decision = world.decide(&private(summarize()), Standing::Allowed);
    // The first one is gone with this.
    world.ollama = FakeModel::ollama().await;
    let unanswered = world.follow(&decision).await.unwrap_err();
    assert!(unanswered.to_string().contains("nobody else is asked"), "{unanswered}");
    assert_eq!(cloud.connections(), 0);
}

#[tokio::test]
async fn a_cloud_that_is_down_leaves_the_work_here() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    let analysis = Need::new(Work::LargeCodebaseAnalysis, 90_000);
    for _ in 0..FAILURES {
        cloud.says(Says::status(529, &[], "overloaded"));
        world.ollama.script_completion(["from here"]);
        let followed = world.run(&analysis, Standing::Ask).await.unwrap();
        assert_eq!((followed.by.tier, followed.by.manner), (Tier::ThisMachine, Manner::Parts));
        assert!(followed.before[0].contains("529 overloaded"), "{:?}", followed.before);
    }
    // After several failures in a row it is left alone, and the decision says so.
    let decision = world.decide(&analysis, Standing::Ask);
    world.check(&decision.why, expect!["large_codebase_analysis needs a frontier model; no cloud is well, so it stays on this machine; 24000 tokens fit at once, so it is done in parts: qwen2.5:7b (Q4_K_M) at OLLAMA, the most precise one"]);
    assert_eq!(cloud.requests().len(), FAILURES);
}

/// Waits until what is decided of `need` is so.
async fn until(world: &World, need: &Need, is_so: impl Fn(&Decision) -> bool) {
    let so = async {
        while !is_so(&world.decide(need, Standing::Allowed)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), so).await.expect("decided so in time");
}

#[tokio::test]
async fn where_a_cloud_takes_no_connection_the_next_one_is_asked_at_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let clouds = json!({
        "first": { "kind": "anthropic", "endpoint": gone, "model": "frontier" },
        "second": { "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier" },
    });
    let world = World::new(json!({ "router": { "cloud": clouds } })).await;
    cloud.says(Says::text(["Hello."]));
    let began = std::time::Instant::now();
    // Not looked at before, as consent does not stand yet.
    let need = Need::new(Work::ComplexReasoning, 10);
    let followed = world.run(&need, Standing::Ask).await.expect("answered");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((followed.by.offer.place.as_str(), followed.before.len()), ("second", 1));
    assert_eq!(cloud.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[tokio::test]
async fn a_cloud_is_looked_at_where_consent_stands_and_no_word_is_said() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let frontier = json!({ "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier",
        "api_key_command": ["echo", "key"] });
    let world = World::new(json!({ "router": { "cloud": { "frontier": frontier } } })).await;
    let analysis = Need::new(Work::LargeCodebaseAnalysis, 90_000);
    for standing in [Standing::Ask, Standing::Never] {
        world.decide(&analysis, standing);
    }
    for need in [private(analysis.clone()), private(Need { sent_up: true, ..analysis.clone() })] {
        world.decide(&need, Standing::Allowed);
    }
    world.decide(&Need::new(Work::Completion, 100), Standing::Allowed);
    assert_eq!(cloud.connections(), 0);
    world.decide(&analysis, Standing::Allowed);
    let looked = async {
        while cloud.looks().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looked).await.expect("a look");
    let look = &cloud.looks()[0];
    assert_eq!((&*look.method, &*look.path, &*look.bytes), ("HEAD", "/", &b""[..]));
    let mut told: Vec<_> = look.headers.keys().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, ["accept", "host", "user-agent"]);
    assert_eq!((cloud.requests().len(), cloud.connections()), (0, 1));
}

#[tokio::test]
async fn a_cloud_that_does_not_answer_a_look_is_not_asked_until_it_does() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    cloud.look_status(503);
    let frontier = json!({ "kind": "anthropic", "endpoint": cloud.url(), "model": "frontier" });
    let world = World::new(json!({
        "health_check": { "interval_seconds": 1, "retry_count": 2 },
        "router": { "cloud": { "frontier": frontier } },
    }))
    .await;
    let analysis = Need::new(Work::LargeCodebaseAnalysis, 90_000);
    until(&world, &analysis, |decision| decision.why.contains("no cloud is well")).await;
    assert_eq!(cloud.looks().len(), 3, "one try and two more");
    cloud.look_status(404);
    // Nobody asks it meanwhile, so that nobody has it watched anew.
    let (line, down) = (world.router.clouds().named("frontier").unwrap(), 30);
    let well = async {
        while !line.is_well() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(down), well).await.expect("well again");
    assert_eq!(world.decide(&analysis, Standing::Allowed).first().tier, Tier::Cloud);
}

/// A server at a unix socket is on this machine, whoever listens.
#[cfg(unix)]
#[tokio::test]
async fn a_server_at_a_unix_socket_is_on_this_machine() {
    let model = FakeModel::ollama().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a model.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let address = model.address();
    let _relay = OwnedTask::spawn(async move {
        let mut relays = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            relays.spawn(async move {
                let mut far = tokio::net::TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    let url = url::Url::from_file_path(&socket).unwrap().as_str().replace("file:", "unix:");
    let world = World::new(json!({ "router": { "local_endpoint": url } })).await;
    model.script_completion(["from the socket"]);
    let followed = world.run(&private(summarize()), Standing::Never).await.unwrap();
    assert_eq!(followed.answer, "from the socket");
    assert_eq!((followed.by.tier, followed.by.offer.place), (Tier::ThisMachine, url));
}

#[tokio::test]
async fn what_the_task_did_wrong_nobody_else_is_asked_for() {
    let cloud = FakeCloud::start(Api::Anthropic).await;
    let world = World::with_cloud(&cloud).await;
    cloud.says(Says::status(400, &[], "prompt is too long"));
    let need = Need { sent_up: true, ..summarize() };
    let unanswered = world.run(&need, Standing::Ask).await.unwrap_err();
    assert!(unanswered.to_string().contains("400 prompt is too long"), "{unanswered}");
    let asked = world.ollama.requests();
    assert!(asked.iter().all(|request| request.path != "/api/chat"));
}

/// With every task private, no connection leaves loopback: not to a cloud, not to a gateway of one,
/// not to the private network; neither by a task nor by a look. The same world without that setting
/// connects to each of them, so the recorders do record.
#[tokio::test]
async fn with_privacy_on_every_task_nothing_but_loopback_is_connected_to() {
    // Without any network but loopback the gateway alone records.
    let own = own_address();
    let afar = Recorder::at(own.unwrap_or(Ipv4Addr::LOCALHOST.into())).await;
    let team = Recorder::at(own.unwrap_or(Ipv4Addr::LOCALHOST.into())).await;
    let endpoints: Vec<_> = own.iter().map(|_| format!("http://{}", team.address)).collect();
    let gateway = FakeCloud::start(Api::OpenAi).await;
    let tree = |local_only: bool| {
        json!({
            "privacy": { "local_only": local_only },
            "health_check": { "interval_seconds": 1, "retry_count": 0 },
            "router": {
                "private_hosts": own.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "private_endpoints": endpoints,
                "cloud": {
                    "afar": { "kind": "anthropic", "endpoint": format!("https://{}", afar.address),
                        "model": "frontier", "api_key_command": ["echo", "key"] },
                    "gateway": { "kind": "openai", "endpoint": gateway.url(), "model": "frontier" },
                },
            },
        })
    };
    let every_task = || {
        Work::ALL.into_iter().flat_map(|work| {
            [(10, 0), (90_000, 20)].map(|(context, steps)| Need {
                steps,
                sent_up: true,
                ..Need::new(work, context)
            })
        })
    };

    let world = World::new(tree(true)).await;
    for need in every_task() {
        world.ollama.script_completion(["from here"]);
        let followed = world.run(&need, Standing::Allowed).await.unwrap();
        assert_eq!(followed.by.tier, Tier::ThisMachine, "{need:?}");
    }
    let decisions: Vec<_> =
        every_task().map(|need| world.decide(&need, Standing::Allowed)).collect();
    world.break_ollama();
    for decision in decisions {
        world.follow(&decision).await.unwrap_err();
    }
    let connected = [afar.connections(), team.connections(), gateway.connections()];
    assert_eq!(connected, [0; 3]);

    let world = World::new(tree(false)).await;
    tokio::time::timeout(Duration::from_secs(10), world.router.cluster().looked()).await.unwrap();
    for need in every_task().take(2) {
        gateway.says(Says::text(["from afar"]));
        world.run(&need, Standing::Allowed).await.unwrap();
    }
    let connected = [afar.connections(), gateway.connections()];
    assert!(connected.iter().all(|connections| *connections > 0), "{connected:?}");
    assert!(own.is_none() || team.connections() > 0);
}

/// What the user calls private decides nothing: an address that is not listed is a cloud's.
#[tokio::test]
async fn a_private_endpoint_that_is_not_on_the_private_network_is_not_connected_to() {
    // Without any network but loopback there is no such address.
    let Some(own) = own_address() else { return };
    let stranger = Recorder::at(own).await;
    let endpoint = format!("http://{}", stranger.address);
    let world = World::new(json!({ "router": { "private_endpoints": [endpoint] } })).await;
    let cluster = world.router.cluster();
    tokio::time::timeout(Duration::from_secs(10), cluster.looked()).await.unwrap();
    let seen = cluster.seen();
    assert!(matches!(seen[0].outcome, Err(ModelError::NotLocal { .. })), "{seen:?}");
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn of_a_teams_servers_the_one_with_the_least_in_flight_is_asked() {
    let servers = join_all((0..3).map(|_| FakeModel::open_ai())).await;
    let mut layers = Layers::default();
    layers.set(Layer::UserFile, json!({ "local": { "provider": "openai" } }));
    let (settings, _) = layers.resolve();
    let mut search = network_search(&Client::private(&[]).unwrap(), &settings);
    search.places = servers.iter().map(FakeModel::url).collect();
    assert_eq!(search.kinds, [Kind::OpenAi]);
    let cluster = Cluster::start(search, Duration::from_hours(1));
    cluster.looked().await;
    let role = hearth::route::Role::Default;
    let letter = |lease: &hearth::route::Lease| {
        let endpoint = lease.serving.provider.endpoint().to_owned();
        let at = servers.iter().position(|it| it.url().as_str().starts_with(&endpoint));
        ["a", "b", "c"][at.expect("one of them")]
    };
    let take = || cluster.lease(role).expect("one is well");
    let mut held: Vec<_> = (0..6).map(|_| take()).collect();
    let order: Vec<_> = held.iter().map(letter).collect();
    assert_eq!(order, ["a", "b", "c", "a", "b", "c"]);
    // One of b's is done.
    held.remove(1);
    assert_eq!(letter(&take()), "b");
    // a fails until it is left alone.
    for _ in 0..FAILURES {
        held[0].breaker().failed();
    }
    held.clear();
    let held: Vec<_> = (0..4).map(|_| take()).collect();
    let order: Vec<_> = held.iter().map(letter).collect();
    assert_eq!(order, ["b", "c", "b", "c"]);
}
