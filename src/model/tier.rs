//! How far text travels, and how an HTTP client is kept from sending it further.
//!
//! What counts is the address that a connection goes to, found when it is made: no setting's name
//! and no name's look decides it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::Serialize;
use url::{Host, Url};

use crate::config::PrivateHost;

/// How far text travels, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Loopback, a unix socket, or the model in the box.
    ThisMachine,
    /// A host that the user counts as the private network.
    PrivateNetwork,
    /// Anywhere else, and every model that a server only relays.
    Cloud,
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ThisMachine => "this machine",
            Self::PrivateNetwork => "the private network",
            Self::Cloud => "a cloud",
        })
    }
}

impl Tier {
    /// How far text for `url` travels: that of the farthest address its host resolves to. `None`
    /// where the host resolves to none.
    pub async fn of(url: &Url, private: &[PrivateHost]) -> Option<Self> {
        if url.scheme() == super::http::UNIX {
            return Some(Self::ThisMachine);
        }
        let (name, addresses) = match url.host()? {
            Host::Ipv4(address) => (address.to_string(), vec![IpAddr::from(address)]),
            Host::Ipv6(address) => (address.to_string(), vec![IpAddr::from(address)]),
            Host::Domain(name) => (name.to_owned(), resolve(name).await.ok()?),
        };
        addresses.into_iter().map(|address| Self::at(&name, address, private)).max()
    }

    /// How far text travels that goes to `address`, which the host `name` resolved to.
    fn at(name: &str, address: IpAddr, private: &[PrivateHost]) -> Self {
        if address.to_canonical().is_loopback() {
            Self::ThisMachine
        } else if private.iter().any(|host| host.is_named(name) || host.contains(address)) {
            Self::PrivateNetwork
        } else {
            Self::Cloud
        }
    }
}

async fn resolve(name: &str) -> std::io::Result<Vec<IpAddr>> {
    // RFC 6761 §6.3. Asking the system costs a thread and a file for each connection.
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

/// The farthest that a client connects to. Also its resolver: names lead no farther either.
#[derive(Debug, Clone)]
pub(super) enum Within {
    ThisMachine,
    PrivateNetwork(Arc<[PrivateHost]>),
}

impl Within {
    /// Whether a URL may lead there: names are checked when they are resolved.
    pub(super) fn covers(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => self.reaches(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.reaches(&address.to_string(), address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }

    fn reaches(&self, name: &str, address: IpAddr) -> bool {
        match self {
            Self::ThisMachine => Tier::at(name, address, &[]) == Tier::ThisMachine,
            Self::PrivateNetwork(hosts) => Tier::at(name, address, hosts) <= Tier::PrivateNetwork,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be reached")]
pub(super) struct OutOfReach;

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let (within, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = resolve(&name).await?.into_iter();
            let near: Vec<SocketAddr> = found
                .filter(|address| within.reaches(&name, *address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if near.is_empty() {
                return Err(Box::from(OutOfReach));
            }
            Ok(Box::new(near.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;
    use crate::config::{Layer, Layers};

    async fn check(url: &str, private: &[&str], expected: Expect) {
        let mut layers = Layers::default();
        layers.set(Layer::UserFile, json!({ "router": { "private_hosts": private } }));
        let (settings, complaints) = layers.resolve();
        assert_eq!(complaints, []);
        let tier = Tier::of(&url.parse().unwrap(), &settings.private_hosts).await;
        expected.assert_eq(&tier.map_or("nowhere".to_owned(), |tier| tier.to_string()));
    }

    #[tokio::test]
    async fn the_address_decides() {
        check("http://127.0.0.1:1", &[], expect!["this machine"]).await;
        check("http://127.9.9.9:1", &["127.0.0.0/8"], expect!["this machine"]).await;
        check("http://[::1]:1", &[], expect!["this machine"]).await;
        check("http://[::ffff:127.0.0.1]:1", &[], expect!["this machine"]).await;
        check("http://localhost:1", &["localhost"], expect!["this machine"]).await;
        check("http://10.1.2.3:1", &[], expect!["a cloud"]).await;
        check("http://10.1.2.3:1", &["10.0.0.0/8"], expect!["the private network"]).await;
        check("http://11.1.2.3:1", &["10.0.0.0/8"], expect!["a cloud"]).await;
        check("http://10.1.2.3:1", &["10.1.2.3"], expect!["the private network"]).await;
        check("http://10.1.2.4:1", &["10.1.2.3"], expect!["a cloud"]).await;
        check("http://[fd00::7]:1", &["fd00::/8"], expect!["the private network"]).await;
        check("http://[fd00::7]:1", &["10.0.0.0/8"], expect!["a cloud"]).await;
        check("http://[::ffff:10.0.0.1]:1", &["10.0.0.0/8"], expect!["the private network"]).await;
        check("unix:///run/ollama.sock", &[], expect!["this machine"]).await;
        // 0.0.0.0 reaches this machine on Linux, and elsewhere who knows what.
        check("http://0.0.0.0:1", &[], expect!["a cloud"]).await;
    }

    #[test]
    fn the_whole_internet_is_no_private_network() {
        let mut layers = Layers::default();
        let tree = json!({ "router": { "private_hosts": ["0.0.0.0/0"] } });
        layers.set(Layer::UserFile, tree);
        let (settings, complaints) = layers.resolve();
        assert_eq!((settings.private_hosts.len(), complaints.len()), (0, 1));
    }
}
