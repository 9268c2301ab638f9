//! What has to be written at the DNS provider, and whether it is there.

use std::net::IpAddr;

use crate::doctor::{Addresses, DnsFacts};
use crate::identity::address::is_global_unicast;

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// `A` or `AAAA`.
    pub(crate) kind: &'static str,
    /// `None` when the public address of this network is not known here.
    pub(crate) value: Option<IpAddr>,
}

/// How a name is in DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameState {
    /// It leads here, or to an address that cannot be compared with this machine's own.
    Right(Vec<IpAddr>),
    /// It leads to other addresses than this machine has. A proxy may stand there.
    Elsewhere { found: Vec<IpAddr>, expected: Vec<IpAddr> },
    /// It leads to an address that only the own network reaches.
    Private(IpAddr),
    /// It has no address at its provider.
    Missing,
    /// It is written, but resolvers still remember that it was not.
    Spreading,
    /// Nobody could be asked.
    Unknown(String),
}

impl NameState {
    pub(crate) const fn is_right(&self) -> bool {
        matches!(self, Self::Right(_))
    }
}

/// The names of a server, and how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) rows: Vec<Row>,
    pub(crate) host: NameState,
    /// The names of accounts' handles, below that of the server.
    pub(crate) handles: NameState,
    /// Who was asked.
    pub(crate) asked: Vec<String>,
}

impl Names {
    /// Whether all rows are there and lead here.
    pub(crate) const fn are_right(&self) -> bool {
        self.host.is_right() && self.handles.is_right()
    }

    /// Judges what DNS servers say.
    pub(crate) fn of(host: &str, facts: &DnsFacts, own: &Addresses) -> Self {
        let public: Vec<IpAddr> = own.public().collect();
        let names = [host.to_owned(), format!("*.{host}")];
        let row = |name: &String, kind, value| Row { name: name.clone(), kind, value };
        let kind = |ip: &IpAddr| if ip.is_ipv4() { "A" } else { "AAAA" };
        let rows = if public.is_empty() {
            names.iter().map(|name| row(name, "A", None)).collect()
        } else {
            names.iter().flat_map(|name| public.iter().map(move |ip| row(name, kind(ip), Some(*ip)))).collect()
        };
        // Those who have the zone know best; resolvers are asked where these cannot be found.
        let answers = match &facts.authorities {
            Ok(authorities) => &authorities.said,
            Err(_) => &facts.host,
        };
        let mut state = state(answers.iter().map(|(_, answer)| answer), &public);
        let heard = facts.host.iter().any(|(_, answer)| answer.as_ref().is_ok_and(|found| !found.is_empty()));
        if state.is_right() && !heard {
            state = NameState::Spreading;
        }
        Self {
            rows,
            host: state,
            handles: self::state(facts.wildcards.iter().map(|(_, answer)| answer), &public),
            asked: answers.iter().map(|(server, _)| server.clone()).collect(),
        }
    }
}

fn state<'a>(answers: impl Iterator<Item = &'a Result<Vec<IpAddr>, String>>, public: &[IpAddr]) -> NameState {
    let (mut found, mut missing, mut reason) = (Vec::new(), false, None);
    for answer in answers {
        match answer {
            Ok(addresses) if addresses.is_empty() => missing = true,
            Ok(addresses) => found.extend(addresses.iter().copied()),
            // The words of `DnsFailure::Absent`.
            Err(why) if why.contains("no such DNS record") => missing = true,
            Err(why) => reason = Some(why.clone()),
        }
    }
    found.sort_unstable();
    found.dedup();
    if let Some(private) = found.iter().find(|ip| !is_global_unicast(**ip)) {
        return NameState::Private(*private);
    }
    // One server of the zone has the new row, another not yet.
    if missing || found.is_empty() {
        return match reason {
            Some(reason) if !missing => NameState::Unknown(reason),
            Some(_) | None => NameState::Missing,
        };
    }
    let known = |ip: &IpAddr| public.iter().all(|own| own.is_ipv4() != ip.is_ipv4()) || public.contains(ip);
    if found.iter().all(known) { NameState::Right(found) } else { NameState::Elsewhere { found, expected: public.to_vec() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::doctor::Authorities;

    const HOST: &str = "pds.example.com";
    type Answer = Result<Vec<IpAddr>, String>;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn absent() -> Answer {
        Err("there is no such DNS record".to_owned())
    }

    fn names(host: Answer, published: Option<Answer>, handles: Answer, own: Option<&str>) -> Names {
        let said = |answer| Authorities { zone: "example.com".to_owned(), said: vec![("ns1.example.com".to_owned(), answer)] };
        let facts = DnsFacts {
            authorities: published.map(said).ok_or_else(|| "there are none".to_owned()),
            host: vec![("9.9.9.9:53".to_owned(), host)],
            remembered_for: BTreeMap::new(),
            wildcards: vec![("doctor-1.pds.example.com".to_owned(), handles)],
        };
        Names::of(HOST, &facts, &Addresses { v4: own.map(ip), v6: None })
    }

    #[test]
    fn rows_are_what_to_paste() {
        let shown = |names: Names| {
            let value = |row: &Row| row.value.map_or_else(|| "?".to_owned(), |ip| ip.to_string());
            names.rows.iter().map(|row| format!("{} {} {}", row.name, row.kind, value(row))).collect::<Vec<_>>()
        };
        let own = names(absent(), None, absent(), Some("203.0.114.7"));
        assert_eq!(shown(own), ["pds.example.com A 203.0.114.7", "*.pds.example.com A 203.0.114.7"]);
        let behind_a_router = names(absent(), None, absent(), Some("192.168.1.2"));
        assert_eq!(shown(behind_a_router), ["pds.example.com A ?", "*.pds.example.com A ?"]);
    }

    #[test]
    fn found_and_expected_are_compared() {
        let right = Ok(vec![ip("203.0.114.7")]);
        let good = names(right.clone(), Some(right.clone()), right.clone(), Some("203.0.114.7"));
        assert!(good.are_right());
        assert_eq!(good.asked, ["ns1.example.com"]);
        let other = Ok(vec![ip("198.52.100.9")]);
        let elsewhere = names(other.clone(), Some(other), right.clone(), Some("203.0.114.7"));
        let expected = vec![ip("203.0.114.7")];
        assert_eq!(elsewhere.host, NameState::Elsewhere { found: vec![ip("198.52.100.9")], expected });
        let at_home = names(right.clone(), None, right.clone(), Some("192.168.1.2"));
        assert!(at_home.are_right(), "what cannot be compared is believed");
        let private = names(Ok(vec![ip("192.168.1.2")]), None, right.clone(), None);
        assert_eq!(private.host, NameState::Private(ip("192.168.1.2")));
        let no_wildcard = names(right.clone(), Some(right.clone()), absent(), Some("203.0.114.7"));
        assert_eq!(no_wildcard.handles, NameState::Missing);
        let fresh = names(absent(), Some(right.clone()), right.clone(), Some("203.0.114.7"));
        assert_eq!(fresh.host, NameState::Spreading);
        let broken = names(Err("the DNS query failed: timeout".to_owned()), None, right, None);
        assert!(matches!(broken.host, NameState::Unknown(_)));
    }
}
