//! The private network: a team's own model servers (`router.private_endpoints`).
//!
//! Looked at like those of this machine, and asked through a client that connects to loopback and to
//! the user's private hosts alone. Nothing is loaded or unloaded there: the servers are the team's.
//! Of those that are well, the one with the least of our requests in flight is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use tokio::sync::watch;
use url::Url;

use super::{
    breaker::Breaker,
    discover::{Search, Seen, Serving},
    roles::{Role, Wanted},
};
use crate::session::task::OwnedTask;

/// The servers of the private network. Dropping it stops looking.
#[derive(Debug)]
pub struct Cluster {
    search: Search,
    rest: Duration,
    seen: watch::Receiver<Vec<Seen>>,
    nodes: DashMap<Url, Arc<Node>>,
    _task: Option<OwnedTask>,
}

/// What is remembered of one server.
#[derive(Debug)]
struct Node {
    in_flight: AtomicUsize,
    breaker: Breaker,
}

/// The right to ask one server; it counts as in flight until this is dropped.
#[derive(Debug)]
pub struct Lease {
    pub serving: Serving,
    node: Arc<Node>,
}

impl Lease {
    /// The server's breaker, to be told how it went.
    pub fn breaker(&self) -> &Breaker {
        &self.node.breaker
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.node.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cluster {
    /// Looks at the places of `search` now and every `interval`. Without places nothing runs. Must be
    /// called inside a tokio runtime.
    pub fn start(search: Search, interval: Duration) -> Self {
        let (publish, seen) = watch::channel(Vec::new());
        let task = (!search.places.is_empty()).then(|| {
            let search = search.clone();
            OwnedTask::spawn(async move {
                loop {
                    let before = publish.borrow().clone();
                    publish.send_replace(search.again(&before, |_| true).await.seen);
                    tokio::time::sleep(interval).await;
                }
            })
        });
        Self { search, rest: interval, seen, nodes: DashMap::new(), _task: task }
    }

    /// Whether there are no servers to look at.
    pub fn is_empty(&self) -> bool {
        self.search.places.is_empty()
    }

    /// What the last look found; empty before the first one is over.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Returns once the first look is over.
    pub async fn looked(&self) {
        if !self.search.places.is_empty() {
            let mut seen = self.seen.clone();
            // The sender is gone only with the runtime.
            let _ = seen.wait_for(|seen| !seen.is_empty()).await;
        }
    }

    /// The server that would be asked for `role` now.
    pub fn best(&self, role: Role) -> Option<Serving> {
        self.candidates(role).into_iter().next().map(|(_, serving)| serving)
    }

    /// Takes the server with the least in flight for `role`.
    pub fn lease(&self, role: Role) -> Option<Lease> {
        self.candidates(role).into_iter().find_map(|(node, serving)| {
            node.breaker.pass().then(|| {
                node.in_flight.fetch_add(1, Ordering::Relaxed);
                Lease { serving, node }
            })
        })
    }

    /// Servers that are well and have a model for `role`, the least busy first; of equals in the
    /// user's order.
    fn candidates(&self, role: Role) -> Vec<(Arc<Node>, Serving)> {
        let seen = self.seen.borrow();
        let well = seen.iter().filter_map(|seen| {
            let node = self.node(&seen.place);
            let serving = self.choose(role, seen).filter(|_| node.breaker.is_well())?;
            Some((node, serving))
        });
        let mut well: Vec<_> = well.collect();
        well.sort_by_key(|(node, _)| node.in_flight.load(Ordering::Relaxed));
        well
    }

    /// The model that the user named, where the server has it, else its best.
    fn choose(&self, role: Role, seen: &Seen) -> Option<Serving> {
        let one = std::slice::from_ref(seen);
        self.search.choose(role, one, None).ok().or_else(|| {
            let quantization = self.search.wanted.quantization.clone();
            let wanted = Wanted { quantization, ..Wanted::default() };
            Search { wanted, ..self.search.clone() }.choose(role, one, None).ok()
        })
    }

    fn node(&self, place: &Url) -> Arc<Node> {
        let node = || {
            let in_flight = AtomicUsize::new(0);
            Arc::new(Node { in_flight, breaker: Breaker::new(self.rest) })
        };
        Arc::clone(&self.nodes.entry(place.clone()).or_insert_with(node))
    }
}
