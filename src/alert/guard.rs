//! Where messages may go: by default only to addresses of the public internet, so that an address in a configuration, or a name
//! that somebody else answers for, does not reach what only this machine can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is allowed beside public addresses.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Loopback, the private ranges, and those that providers share.
    private: bool,
    nets: Vec<IpNet>,
}

/// An address that is not for messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} is {kind}: messages do not go there unless alert.allow_addresses has {address}, a network with it, or `private`"
)]
pub struct Refused {
    address: IpAddr,
    kind: &'static str,
}

impl Addresses {
    /// Reads `private`, addresses, and networks such as `10.0.0.0/8`.
    pub fn read(texts: &[String]) -> Result<Self, String> {
        let mut addresses = Self::default();
        for text in texts {
            if text == "private" {
                addresses.private = true;
            } else if let Some(net) = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
                addresses.nets.push(net);
            } else {
                return Err(format!("{text:?} is none of private, an address, a network such as 10.0.0.0/8"));
            }
        }
        Ok(addresses)
    }

    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = plain(address);
        if self.nets.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        match kind(address) {
            None => Ok(()),
            Some(Special::Private(_)) if self.private => Ok(()),
            Some(Special::Private(kind) | Special::Other(kind)) => Err(Refused { address, kind }),
        }
    }

    /// A host that is written as an address is not asked of any resolver, so it is looked at here.
    pub fn check_host(&self, host: &str) -> Result<(), Refused> {
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.check(address),
            Err(_) => Ok(()),
        }
    }

    /// The addresses of a host and port that messages may go to; an error when there are none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let host = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((host, port)).await.map_err(|err| format!("{host}: {err}"))?;
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in found {
            match self.check(address.ip()) {
                Ok(()) => allowed.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some(error)) => Err(format!("{host}: {error}")),
            (true, None) => Err(format!("{host} has no address")),
        }
    }
}

/// A resolver that gives only allowed addresses. The connection is made to what it gives, so a name that changes its address
/// between check and use gains nothing.
#[derive(Debug, Clone)]
pub struct Guarded(pub Arc<Addresses>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = Arc::clone(&self.0);
        Box::pin(async move {
            let found = addresses.resolve(name.as_str(), 0).await.map_err(std::io::Error::other)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Why an address is not public.
enum Special {
    /// Of one's own network: `private` allows it.
    Private(&'static str),
    /// Never meant, but named on its own.
    Other(&'static str),
}

/// An IPv4 address in IPv6's clothes (mapped, 6to4, NAT64, compatible) is judged as what it is.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

fn kind(address: IpAddr) -> Option<Special> {
    use Special::{Other, Private};
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [0, ..] => Some(Other("no address of a host")),
            [127, ..] => Some(Private("this machine")),
            [10, ..] | [192, 168, ..] => Some(Private("a private address")),
            [172, 16..=31, ..] => Some(Private("a private address")),
            [100, 64..=127, ..] => Some(Private("an address that a provider shares")),
            // Clouds answer there with a machine's own credentials.
            [169, 254, ..] => Some(Other("a link-local address")),
            [192, 0, 0, _] | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Other("a reserved address")),
            [198, 18..=19, ..] => Some(Other("a reserved address")),
            [224..=255, ..] => Some(Other("no address of one host")),
            _ => None,
        },
        IpAddr::V6(v6) => match v6.segments() {
            _ if v6 == Ipv6Addr::LOCALHOST => Some(Private("this machine")),
            _ if v6.is_unspecified() => Some(Other("no address of a host")),
            [0xfc00..=0xfdff, ..] => Some(Private("a private address")),
            [0xfe80..=0xfeff, ..] => Some(Other("a link-local address")),
            [0xff00..=0xffff, ..] => Some(Other("no address of one host")),
            [0x2001, 0xdb8, ..] => Some(Other("a reserved address")),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_unless_allowed() {
        let none = Addresses::default();
        let read =
            |texts: &[&str]| Addresses::read(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()).unwrap();
        let (private, net) = (read(&["private"]), read(&["169.254.169.254", "10.1.0.0/16"]));
        for (address, by_default, with_private, with_net) in [
            ("8.8.8.8", true, true, true),
            ("2606:4700::1", true, true, true),
            ("127.0.0.1", false, true, false),
            ("::1", false, true, false),
            ("10.1.2.3", false, true, true),
            ("10.2.2.3", false, true, false),
            ("172.31.0.1", false, true, false),
            ("172.32.0.1", true, true, true),
            ("192.168.0.1", false, true, false),
            ("100.64.0.1", false, true, false),
            ("169.254.169.254", false, false, true),
            ("0.0.0.0", false, false, false),
            ("::", false, false, false),
            ("255.255.255.255", false, false, false),
            ("224.0.0.1", false, false, false),
            ("::ffff:127.0.0.1", false, true, false),
            ("::ffff:169.254.169.254", false, false, true),
            ("::ffff:8.8.8.8", true, true, true),
            ("64:ff9b::a01:203", false, true, true),
            ("2002:7f00:1::", false, true, false),
            ("::7f00:1", false, true, false),
            ("fd00::1", false, true, false),
            ("fe80::1", false, false, false),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            let allowed = [&none, &private, &net].map(|addresses| addresses.check(ip).is_ok());
            assert_eq!(allowed, [by_default, with_private, with_net], "{address}");
        }
        assert!(none.check_host("[::1]").is_err() && none.check_host("example.org").is_ok());
        assert!(Addresses::read(&["10.0.0.0/33".to_owned()]).is_err());
    }
}
