//! A model server on a real socket that comes, goes, loads and changes, and a provider that speaks
//! with it.

use crate::soon;
use futures::FutureExt;
use futures::future::BoxFuture;
use hearth::model::{Events, Job, Kind, ModelError, ModelFacts, Provider, Sighting};
use hearth::session::task::OwnedTask;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;

/// What a server says when it is looked at.
#[derive(Debug, Clone)]
pub(crate) enum Says {
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
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    /// What it was asked, line by line.
    pub(crate) asked: mpsc::UnboundedReceiver<String>,
    _task: OwnedTask,
}

impl Server {
    pub(crate) async fn start(says: Says) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), says).await
    }

    pub(crate) async fn at(address: SocketAddr, says: Says) -> Self {
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

    pub(crate) fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Waits until it has been asked `question`.
    pub(crate) async fn is_asked(&mut self, question: &str) {
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
pub(crate) struct Client {
    kind: Kind,
    endpoint: String,
    address: String,
}

impl Client {
    pub(crate) fn connect(kind: Kind, url: &Url) -> Arc<dyn Provider> {
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
