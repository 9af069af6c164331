//! Which model answers, and what the user is told, with servers on real sockets that come, go, load
//! and change. Their wire format is this file's own: routing knows none.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use expect_test::{Expect, expect};
use futures::{FutureExt, future::BoxFuture};
use hearth::{
    model::{Events, Job, Kind, ModelError, ModelFacts, Provider, Sighting},
    route::{Health, Pace, Probe, Search, Serving, State, Wanted, health::Load},
    session::task::OwnedTask,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;

/// What a server says when it is looked at.
#[derive(Debug, Clone)]
enum Says {
    /// It is of this kind and has these models.
    Models(Kind, Vec<ModelFacts>),
    /// The same, but it cannot load any.
    Full(Kind, Vec<ModelFacts>),
    /// It is a llama-server that loads its model.
    Loading,
    /// It is no model server.
    Stranger,
    /// Nothing, but it keeps the connection.
    Silence,
}

/// A model server on a real socket; it is gone when this is dropped.
struct Server {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    /// What it was asked, line by line.
    asked: mpsc::UnboundedReceiver<String>,
    _task: OwnedTask,
}

impl Server {
    async fn start(says: Says) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), says).await
    }

    async fn at(address: SocketAddr, says: Says) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(says));
        let (tell, asked) = mpsc::unbounded_channel();
        let script = Arc::clone(&says);
        let task = OwnedTask::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.spawn(answer(socket, Arc::clone(&script), tell.clone()));
            }
        });
        Self { address, says, asked, _task: task }
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Waits until it has been asked `question`.
    async fn is_asked(&mut self, question: &str) {
        soon(question, async { while self.asked.recv().await.unwrap() != question {} }).await;
    }
}

async fn answer(socket: TcpStream, says: Arc<Mutex<Says>>, tell: mpsc::UnboundedSender<String>) {
    let mut socket = BufReader::new(socket);
    let mut question = String::new();
    socket.read_line(&mut question).await.unwrap();
    let question = question.trim();
    let _ = tell.send(question.to_owned());
    let reply = match (question.split_once(' ').unwrap(), &mut *says.lock().unwrap()) {
        (_, Says::Silence) | (("load", "slow"), _) => None,
        (("load", name), Says::Models(_, models)) => {
            let model = models.iter_mut().find(|model| model.name == name);
            let reply = model.map_or("no", |model| {
                model.loaded = model.loaded.map(|_| true);
                "ok"
            });
            Some(reply.to_owned())
        }
        (("look", "LlamaServer"), Says::Loading) => Some("loading".to_owned()),
        (("look", kind), Says::Models(own, models) | Says::Full(own, models))
            if format!("{own:?}") == kind =>
        {
            let rows = models.iter().map(|model| format!("\n{}", row(model)));
            Some(format!("models{}", rows.collect::<String>()))
        }
        _ => Some("no".to_owned()),
    };
    if let Some(reply) = reply {
        let _ = socket.write_all(reply.as_bytes()).await;
    } else {
        let _ = socket.read_to_end(&mut Vec::new()).await;
        let _ = tell.send("gone".to_owned());
    }
}

fn row(model: &ModelFacts) -> String {
    format!(
        "{} {} {:?} {} {} {} {}",
        model.name,
        model.parameters.unwrap_or(0),
        model.loaded,
        model.inserts == Some(true),
        model.relayed,
        model.context.unwrap_or(0),
        model.quantization.as_deref().unwrap_or("-"),
    )
}

/// Speaks with a [`Server`].
#[derive(Debug)]
struct Client {
    kind: Kind,
    endpoint: String,
    address: String,
}

impl Client {
    fn connect(kind: Kind, url: &Url) -> Arc<dyn Provider> {
        let port = url.port_or_known_default().unwrap();
        let address = format!("{}:{port}", url.host_str().unwrap());
        Arc::new(Self { kind, endpoint: url.to_string(), address })
    }

    async fn ask(&self, question: String) -> Result<String, ModelError> {
        let ask = async {
            let mut socket = TcpStream::connect(&self.address).await?;
            socket.write_all(format!("{question}\n").as_bytes()).await?;
            let mut reply = String::new();
            socket.read_to_string(&mut reply).await?;
            Ok(reply)
        };
        let endpoint = self.endpoint.clone();
        match ask.await.map_err(|error: std::io::Error| error.kind().to_string()) {
            Ok(reply) if reply == "no" => {
                Err(ModelError::Refused { endpoint, status: 404, detail: "no".to_owned() })
            }
            Ok(reply) if reply == "loading" => Err(ModelError::Loading { endpoint }),
            Ok(reply) => Ok(reply),
            Err(detail) => Err(ModelError::Unreachable { endpoint, detail }),
        }
    }
}

impl Provider for Client {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn look(&self) -> BoxFuture<'_, Result<Sighting, ModelError>> {
        async {
            let reply = self.ask(format!("look {:?}", self.kind)).await?;
            let models = reply.lines().skip(1).map(|line| {
                let cells: Vec<_> = line.split(' ').collect();
                let number = |cell: &str| Some(cell.parse().unwrap()).filter(|number| *number > 0);
                ModelFacts {
                    name: cells[0].to_owned(),
                    parameters: number(cells[1]),
                    loaded: match cells[2] {
                        "None" => None,
                        said => Some(said == "Some(true)"),
                    },
                    inserts: Some(cells[3] == "true"),
                    relayed: cells[4] == "true",
                    context: number(cells[5]).map(|context| usize::try_from(context).unwrap()),
                    quantization: Some(cells[6].to_owned()).filter(|cell| cell != "-"),
                    ..ModelFacts::default()
                }
            });
            let models = models.collect();
            Ok(Sighting { kind: self.kind, version: None, slots: None, models })
        }
        .boxed()
    }

    fn preload(&self, model: &str, _: usize, _: &str) -> BoxFuture<'_, Result<(), ModelError>> {
        let question = format!("load {model}");
        async move { self.ask(question).await.map(drop) }.boxed()
    }

    fn generate(&self, _: Job) -> BoxFuture<'_, Result<Events, ModelError>> {
        unreachable!("routing never generates")
    }

    fn count(&self, _: &str, _: &str) -> BoxFuture<'_, Result<Option<usize>, ModelError>> {
        unreachable!("routing never counts")
    }
}

/// A model that fills in the middle and is not loaded.
fn coder(name: &str, billions: f64) -> ModelFacts {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let parameters = Some((billions * 1e9) as u64);
    ModelFacts {
        name: name.to_owned(),
        parameters,
        loaded: Some(false),
        inserts: Some(true),
        ..ModelFacts::default()
    }
}

fn loaded(model: ModelFacts) -> ModelFacts {
    ModelFacts { loaded: Some(true), context: Some(4096), ..model }
}

fn chat(model: ModelFacts) -> ModelFacts {
    ModelFacts { inserts: Some(false), ..model }
}

fn quantized(name: &str, quantization: &str) -> ModelFacts {
    ModelFacts { quantization: Some(quantization.to_owned()), ..chat(coder(name, 7.0)) }
}

fn relayed(model: ModelFacts) -> ModelFacts {
    ModelFacts { relayed: true, ..model }
}

fn ollama(models: impl Into<Vec<ModelFacts>>) -> Says {
    Says::Models(Kind::Ollama, models.into())
}

fn llama_server(model: ModelFacts) -> Says {
    Says::Models(Kind::LlamaServer, vec![model])
}

/// An address on which nothing listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn search(places: &[SocketAddr]) -> Search {
    let places = places.iter().map(|place| Url::parse(&format!("http://{place}")).unwrap());
    Search {
        places: places.collect(),
        timeout: Duration::from_millis(300),
        retries: 1,
        ..Search::usual(
            Arc::new(Client::connect),
            |model| model.inserts == Some(true),
            |model| model.name.contains("chat"),
        )
    }
}

fn start(search: &Search) -> Probe {
    let moment = Duration::from_millis(20);
    let pace = Pace { interval: moment, when_down: moment, when_loading: moment };
    Probe::start(search.clone(), pace, Load { num_ctx: 8192, keep_alive: "30m".to_owned() })
}

/// Fails where something that must happen does not.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, event).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn until(probe: &Probe, what: &str, holds: impl FnMut(&Arc<Health>) -> bool) -> Arc<Health> {
    let mut watch = probe.watch();
    soon(what, watch.wait_for(holds)).await.unwrap().clone()
}

async fn reaches(probe: &Probe, state: State) -> Arc<Health> {
    until(probe, &format!("{state:?}"), |health| health.state == state).await
}

/// Compares a sentence in which every place goes by its letter.
fn check(sentence: &str, search: &Search, expect: &Expect) {
    let mut sentence = sentence.to_owned();
    for (place, letter) in search.places.iter().zip('A'..) {
        sentence = sentence.replace(place.as_str(), &format!("<{letter}>"));
        if let Some(port) = place.port() {
            sentence = sentence.replace(&port.to_string(), &format!("<{letter}>"));
        }
    }
    expect.assert_eq(&sentence);
}

/// What one search says, chosen or not.
async fn finds(search: &Search, expect: Expect) {
    let sentence = match search.discover().await.choice {
        Ok(serving) => serving.why,
        Err(why_none) => why_none,
    };
    check(&sentence, search, &expect);
}

#[tokio::test]
async fn nothing_runs() {
    finds(&search(&[nobody().await, nobody().await]), expect!["no model server answers on this machine (ports <A>, <B>); start Ollama or llama-server, or set router.local_endpoint"]).await;
}

#[tokio::test]
async fn a_strangers_answer_is_no_model() {
    let stranger = Server::start(Says::Stranger).await;
    finds(&search(&[stranger.address, nobody().await]), expect!["no model server answers on this machine (ports <A>, <B>); start Ollama or llama-server, or set router.local_endpoint"]).await;
}

#[tokio::test]
async fn of_loadable_models_the_one_of_a_fit_size_is_taken() {
    let models = [
        coder("c:0.5b", 0.5),
        coder("c:32b", 32.0),
        coder("c:1.5b", 1.5),
        chat(coder("chat:3b", 3.0)),
    ];
    let server = Server::start(ollama(models)).await;
    finds(
        &search(&[server.address]),
        expect!["c:1.5b at <A> (Ollama): it can be loaded and fills in the middle"],
    )
    .await;
}

#[tokio::test]
async fn a_loaded_coder_goes_before_a_loadable_one_and_that_before_a_loaded_chat_model() {
    let first = Server::start(ollama([coder("fit", 3.0), loaded(chat(coder("chat", 3.0)))])).await;
    let second = Server::start(llama_server(loaded(coder("large", 14.0)))).await;
    let mut search = search(&[first.address, second.address]);
    finds(&search, expect!["large at <B> (llama-server): it is loaded and fills in the middle"])
        .await;
    search.places.truncate(1);
    finds(&search, expect!["fit at <A> (Ollama): it can be loaded and fills in the middle"]).await;
    first.says(ollama([chat(coder("other", 3.0)), loaded(chat(coder("chat", 3.0)))]));
    finds(&search, expect!["chat at <A> (Ollama): it is loaded and continues text, as no model that fills in the middle was found"]).await;
}

#[tokio::test]
async fn a_relayed_model_is_never_taken() {
    let server = Server::start(ollama([relayed(coder("big:cloud", 480.0))])).await;
    let mut search = search(&[server.address]);
    finds(&search, expect!["Ollama at <A> only relays its models (big:cloud) to another machine; download a code model into it"]).await;
    search.wanted.completion = Some("big:cloud".to_owned());
    finds(&search, expect!["the model 'big:cloud' is only relayed to another machine; Hearth asks models on this machine alone"]).await;
}

/// What one search says of the models for everything else.
async fn has_roles(search: &Search, expect: Expect) {
    let roles = search.discover().await.roles;
    let sentence = |serving: Result<Serving, String>| match serving {
        Ok(serving) => serving.why,
        Err(why_none) => why_none,
    };
    let both = format!("{}\n{}\n", sentence(roles.default), sentence(roles.high_precision));
    check(&both, search, &expect);
}

#[tokio::test]
async fn instructions_go_to_a_model_that_follows_them() {
    let models = [
        loaded(coder("base:7b", 7.0)),
        chat(coder("chat:0.5b", 0.5)),
        chat(coder("chat:32b", 32.0)),
        chat(coder("chat:8b", 8.0)),
    ];
    let server = Server::start(ollama(models)).await;
    let mut search = search(&[server.address]);
    has_roles(
        &search,
        expect![[r#"
        chat:8b at <A> (Ollama): it can be loaded and follows instructions
        chat:32b at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.default = Some("chat:0.5b".to_owned());
    has_roles(
        &search,
        expect![[r#"
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.high_precision = Some("base:7b".to_owned());
    has_roles(&search, expect![[r#"
        chat:0.5b at <A> (Ollama), as configured: it can be loaded and follows instructions
        base:7b at <A> (Ollama), as configured: it is loaded and was named for them, though it does not seem to follow instructions
    "#]]).await;
    server.says(ollama([loaded(coder("base:7b", 7.0)), relayed(chat(coder("chat:cloud", 7.0)))]));
    search.wanted = Wanted::default();
    has_roles(&search, expect![[r#"
        none of the models on this machine follows instructions (there are: base:7b); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.default
        none of the models on this machine follows instructions (there are: base:7b); install one that does, such as qwen2.5-coder:7b in Ollama, or name one in model_routing.local.high_precision
    "#]]).await;
}

#[tokio::test]
async fn a_model_is_taken_in_the_quantization_that_its_work_wants() {
    let models = [
        quantized("chat:q2", "Q2_K"),
        quantized("chat:q4", "Q4_K_M"),
        quantized("chat:q8", "Q8_0"),
        quantized("chat:q5", "Q5_K_S"),
    ];
    let server = Server::start(ollama(models)).await;
    let mut search = search(&[server.address]);
    has_roles(
        &search,
        expect![[r#"
        chat:q4 at <A> (Ollama): it can be loaded and follows instructions
        chat:q8 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    search.wanted.quantization = Some("q5_k_s".to_owned());
    has_roles(
        &search,
        expect![[r#"
        chat:q5 at <A> (Ollama): it can be loaded and follows instructions
        chat:q5 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
    server.says(ollama([quantized("chat:q2", "Q2_K"), coder("base:7b", 7.0)]));
    has_roles(
        &search,
        expect![[r#"
        chat:q2 at <A> (Ollama): it can be loaded and follows instructions
        chat:q2 at <A> (Ollama): it can be loaded and follows instructions
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_empty_server_says_what_to_do() {
    let server = Server::start(ollama([])).await;
    finds(
        &search(&[server.address]),
        expect!["Ollama at <A> has no model that writes text; download a code model into it"],
    )
    .await;
}

#[tokio::test]
async fn a_configured_model_is_taken_or_missed_by_name() {
    let server = Server::start(ollama([coder("a:latest", 1.5), coder("b:7b", 7.0)])).await;
    let mut search = search(&[server.address, nobody().await]);
    search.wanted.completion = Some("a".to_owned());
    finds(
        &search,
        expect![
            "a:latest at <A> (Ollama), as configured: it can be loaded and fills in the middle"
        ],
    )
    .await;
    search.wanted.completion = Some("c".to_owned());
    finds(
        &search,
        expect!["no server on this machine has the model 'c'; there are: a:latest, b:7b"],
    )
    .await;
}

#[tokio::test]
async fn a_configured_endpoint_says_what_is_wrong_with_it() {
    finds(
        &search(&[nobody().await]),
        expect!["no model server answers at <A>: connection refused"],
    )
    .await;
    finds(
        &search(&["192.0.2.1:8080".parse().unwrap()]),
        expect!["<A> is not on this machine; Hearth sends code to loopback addresses, to router.private_hosts and, behind the border, to router.cloud only"],
    )
    .await;
    let stranger = Server::start(Says::Stranger).await;
    finds(&search(&[stranger.address]), expect!["the server at <A> refused: 404 no"]).await;
    let silent = Server::start(Says::Silence).await;
    finds(&search(&[silent.address]), expect!["no model server answers at <A>: silent for 300 ms"])
        .await;
}

#[tokio::test]
async fn a_configured_kind_is_the_only_one_tried() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let search = Search { kinds: vec![Kind::Ollama], ..search(&[server.address]) };
    finds(&search, expect!["the server at <A> refused: 404 no"]).await;
    assert_eq!(server.asked.recv().await.as_deref(), Some("look Ollama"));
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn the_choice_is_loaded_and_loaded_again() {
    let mut server = Server::start(ollama([coder("m", 1.5)])).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load m").await;
    let health = reaches(&probe, State::Warm).await;
    assert!(health.loaded_in.is_some());
    server.says(ollama([coder("m", 1.5)]));
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
}

#[tokio::test]
async fn a_sleeping_llama_server_is_left_alone() {
    let mut server = Server::start(llama_server(coder("m", 1.5))).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
    server.says(llama_server(coder("m", 1.5)));
    reaches(&probe, State::Cold).await;
    for _ in 0..3 {
        let question = soon("a look", server.asked.recv()).await.unwrap();
        assert_eq!(question, "look LlamaServer");
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_so() {
    let server = Server::start(Says::Full(Kind::Ollama, vec![coder("huge", 400.0)])).await;
    let search = search(&[server.address]);
    let probe = start(&search);
    let health = until(&probe, "the sentence", |health| health.message.contains("could not")).await;
    assert_eq!(health.state, State::Cold);
    check(
        &health.message,
        &search,
        &expect!["the model could not be loaded: the server at <A> refused: 404 no"],
    );
}

#[tokio::test]
async fn what_could_not_be_loaded_is_tried_again_in_time() {
    for loaded in [None, Some(false)] {
        let models = vec![ModelFacts { loaded, ..coder("m", 1.5) }];
        let mut server = Server::start(Says::Full(Kind::OpenAi, models.clone())).await;
        let probe = start(&search(&[server.address]));
        server.is_asked("load m").await;
        until(&probe, "the sentence", |health| health.message.contains("could not")).await;
        server.is_asked("load m").await;
        server.says(Says::Models(Kind::OpenAi, models));
        let health = reaches(&probe, State::Warm).await;
        assert!(health.message.contains("fills in the middle"), "{}", health.message);
        // Where the server does not say whether it is loaded, it stays what loading made of it.
        while server.asked.try_recv().is_ok() {}
        for _ in 0..3 {
            let question = soon("a look", server.asked.recv()).await.unwrap();
            assert!(question.starts_with("look"), "{loaded:?}: {question}");
        }
        assert_eq!(probe.health().state, State::Warm);
    }
}

#[tokio::test]
async fn a_nudge_does_not_load_again_what_has_just_failed() {
    let models = vec![ModelFacts { loaded: None, ..coder("m", 1.5) }];
    let mut server = Server::start(Says::Full(Kind::OpenAi, models)).await;
    let probe = Probe::start(
        search(&[server.address]),
        Pace::default(),
        Load { num_ctx: 8192, keep_alive: "30m".to_owned() },
    );
    until(&probe, "the sentence", |health| health.message.contains("could not")).await;
    while server.asked.try_recv().is_ok() {}
    for _ in 0..3 {
        probe.nudge();
        let question = soon("a look", server.asked.recv()).await.unwrap();
        assert!(question.starts_with("look"), "{question}");
    }
    assert_eq!(probe.health().state, State::Cold);
    assert!(probe.health().message.contains("could not"));
}

#[tokio::test]
async fn a_server_comes_loads_serves_and_dies() {
    let address = nobody().await;
    let search = search(&[address]);
    let probe = start(&search);
    reaches(&probe, State::Down).await;

    let server = Server::at(address, Says::Loading).await;
    let health = reaches(&probe, State::Loading).await;
    check(&health.message, &search, &expect!["the server at <A> is loading its model"]);

    server.says(llama_server(loaded(coder("m", 1.5))));
    let health = reaches(&probe, State::Warm).await;
    check(
        &health.message,
        &search,
        &expect!["m at <A> (llama-server): it is loaded and fills in the middle"],
    );

    drop(server);
    let health = reaches(&probe, State::Down).await;
    assert!(health.choice.is_none());
    check(&health.message, &search, &expect!["no model server answers at <A>: connection refused"]);
}

#[tokio::test]
async fn another_server_takes_over_and_another_model_is_loaded() {
    let first = Server::start(llama_server(loaded(coder("one", 1.5)))).await;
    let search = search(&[first.address, nobody().await]);
    let probe = start(&search);
    reaches(&probe, State::Warm).await;

    first.says(llama_server(loaded(coder("two", 1.5))));
    let named = |name: &'static str| {
        move |health: &Arc<Health>| health.choice.as_ref().is_some_and(|it| it.model.name == name)
    };
    until(&probe, "two", named("two")).await;

    let second_place = search.places[1].socket_addrs(|| None).unwrap()[0];
    let _second = Server::at(second_place, ollama([loaded(coder("three", 1.5))])).await;
    drop(first);
    let health = until(&probe, "three", named("three")).await;
    check(
        &health.message,
        &search,
        &expect!["three at <B> (Ollama): it is loaded and fills in the middle"],
    );
}

#[tokio::test]
async fn a_larger_context_is_noticed() {
    let server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let probe = start(&search(&[server.address]));
    reaches(&probe, State::Warm).await;
    let larger = ModelFacts { context: Some(16_384), ..loaded(coder("m", 1.5)) };
    server.says(llama_server(larger));
    until(&probe, "16,384 tokens", |health| {
        health.choice.as_ref().is_some_and(|it| it.model.context == Some(16_384))
    })
    .await;
}

#[tokio::test]
async fn while_a_model_serves_strangers_are_left_alone() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let mut stranger = Server::start(Says::Stranger).await;
    let probe = start(&search(&[server.address, stranger.address]));
    reaches(&probe, State::Warm).await;
    while stranger.asked.try_recv().is_ok() {}
    for _ in 0..3 {
        server.is_asked("look LlamaServer").await;
    }
    assert!(stranger.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_nudge_looks_at_once() {
    let mut server = Server::start(llama_server(loaded(coder("m", 1.5)))).await;
    let probe = Probe::start(
        search(&[server.address]),
        Pace::default(),
        Load { num_ctx: 8192, keep_alive: "30m".to_owned() },
    );
    server.is_asked("load m").await;
    reaches(&probe, State::Warm).await;
    let until_loaded = |health: &Arc<Health>| health.loaded_in.is_some();
    until(&probe, "loaded", until_loaded).await;
    server.is_asked("look LlamaServer").await;
    server.says(llama_server(loaded(coder("n", 1.5))));
    probe.nudge();
    server.is_asked("load n").await;
}

#[tokio::test]
async fn dropping_the_probe_stops_what_it_was_loading() {
    let mut server = Server::start(ollama([coder("slow", 1.5)])).await;
    let probe = start(&search(&[server.address]));
    server.is_asked("load slow").await;
    reaches(&probe, State::Loading).await;
    drop(probe);
    server.is_asked("gone").await;
}
