//! A router that speaks NAT-PMP or PCP, or says it does.

use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

use super::{MAPPINGS, Silent, gateways};
use crate::gateway::*;

/// It notes what it was asked to pass on.
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    mapped: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NatPmp,
    Pcp,
    /// Loses every second packet.
    Forgetful,
    /// Says no.
    Unwilling,
    UnwillingPcp,
    /// Gives port 1024 and on, whatever was asked for.
    OtherPorts,
    OtherPortsPcp,
    /// Has no public address.
    Shared,
    /// Answers with this, before the right answer.
    Junk,
    /// Answers with packets of every length but the right one, and with another's answers, once it was found.
    Hostile,
}

const ADDRESS: [u8; 4] = [203, 0, 114, 7];

impl Fake {
    pub(super) async fn start(kind: Kind) -> Self {
        let mapped = Arc::<Mutex<Vec<String>>>::default();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, noted) = (socket.local_addr().unwrap(), Arc::clone(&mapped));
        tokio::spawn(async move {
            let mut packet = [0; 2048];
            let mut count = 0;
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                count += 1;
                if kind == Kind::Forgetful && count % 2 == 1 {
                    continue;
                }
                for answer in answers(&packet[..length], kind, &noted) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, mapped }
    }

    pub(super) fn mapped(&self) -> Vec<String> {
        self.mapped.lock().unwrap().clone()
    }
}

fn answers(request: &[u8], kind: Kind, noted: &Mutex<Vec<String>>) -> Vec<Vec<u8>> {
    let right = if matches!(kind, Kind::Pcp | Kind::UnwillingPcp | Kind::OtherPortsPcp) {
        pcp(request, kind, noted)
    } else {
        nat_pmp(request, kind, noted)
    };
    let other = |at: usize| {
        let mut other = right.clone();
        other[at] ^= 1;
        other
    };
    match kind {
        Kind::Junk => vec![Vec::new(), vec![0], vec![0xff; 2000], request.to_vec(), other(1), right.clone()],
        // Each begins as the right one does; one is about another port.
        Kind::Hostile if request.len() > 2 => {
            let mut packets: Vec<_> = (0..right.len()).map(|length| right[..length].to_vec()).collect();
            packets.extend([vec![0x82; 1101], vec![2; 60], request.to_vec()]);
            packets.push(other(9));
            packets
        }
        _ => vec![right],
    }
}

/// RFC 6886, sections 3.2, 3.3 and 3.5.
fn nat_pmp(request: &[u8], kind: Kind, noted: &Mutex<Vec<String>>) -> Vec<u8> {
    const EPOCH: [u8; 4] = [0, 0, 1, 0];
    match request {
        [0, 0] => {
            let address = if kind == Kind::Shared { [100, 70, 1, 2] } else { ADDRESS };
            [&[0, 128, 0, 0][..], &EPOCH, &address].concat()
        }
        [0, 2, 0, 0, fields @ ..] => {
            let (inside, rest) = fields.split_at(2);
            let (outside, seconds) = rest.split_at(2);
            let port = |bytes: &[u8]| u16::from_be_bytes(bytes.try_into().unwrap());
            let (from, lease) = (port(outside), u32::from_be_bytes(seconds.try_into().unwrap()));
            noted.lock().unwrap().push(format!("{from} to {} for {lease}", port(inside)));
            let granted = if kind == Kind::OtherPorts { 1024 + from } else { from };
            let code = if kind == Kind::Unwilling { 2 } else { 0 };
            [&[0, 130, 0, code][..], &EPOCH, inside, &granted.to_be_bytes(), seconds].concat()
        }
        [version, opcode, ..] => {
            assert_ne!(*version, 0, "{request:?}");
            [&[0, opcode | 128, 0, 1][..], &EPOCH].concat()
        }
        _ => panic!("{request:?}"),
    }
}

/// RFC 6887, sections 7.2 and 11.1.
fn pcp(request: &[u8], kind: Kind, noted: &Mutex<Vec<String>>) -> Vec<u8> {
    let header = |code: u8, seconds: [u8; 4]| [&[2, request[1] | 128, 0, code][..], &seconds, &[0, 0, 1, 0], &[0; 12]].concat();
    if request[0] != 2 {
        return header(1, [0; 4]);
    }
    assert_eq!(request.len(), 60);
    assert_eq!(request[..2], [2, 1]);
    assert_eq!(request[8..24], std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
    let seconds = u32::from_be_bytes(request[4..8].try_into().unwrap());
    let (inside, outside) = (u16::from_be_bytes([request[40], request[41]]), u16::from_be_bytes([request[42], request[43]]));
    if request[36] == 6 {
        noted.lock().unwrap().push(format!("{outside} to {inside} for {seconds}"));
        if kind == Kind::UnwillingPcp {
            return [header(2, [0; 4]), request[24..].to_vec()].concat();
        }
    }
    let granted = if kind == Kind::OtherPortsPcp { 1024 + outside } else { outside };
    let address = std::net::Ipv4Addr::from(ADDRESS).to_ipv6_mapped().octets();
    [&header(0, request[4..8].try_into().unwrap()), &request[24..42], &granted.to_be_bytes(), &address].concat()
}

async fn open_at(kind: Kind) -> (Fake, Result<Opened, GatewayError>) {
    let (router, nobody) = (Fake::start(kind).await, Silent::start().await);
    let opened = open(gateways(nobody.address(), Some(router.address)), &MAPPINGS).await;
    (router, opened)
}

#[tokio::test]
async fn a_router_without_upnp_passes_ports_on() {
    for (kind, by) in [
        (Kind::NatPmp, Protocol::NatPmp),
        (Kind::Pcp, Protocol::Pcp),
        (Kind::Forgetful, Protocol::NatPmp),
        (Kind::Junk, Protocol::NatPmp),
    ] {
        let (router, opened) = open_at(kind).await;
        assert_eq!(opened.unwrap(), Opened { address: ADDRESS.into(), by }, "{kind:?}");
        assert_eq!(router.mapped(), ["443 to 8443 for 3600", "80 to 8080 for 3600"], "{kind:?}");
        let nobody = Silent::start().await;
        assert_eq!(public_address(gateways(nobody.address(), Some(router.address))).await, Some(ADDRESS.into()), "{kind:?}");
    }
}

#[tokio::test]
async fn what_a_router_without_upnp_refuses_is_told() {
    for (kind, told) in [
        (Kind::Unwilling, "the router did not open port 443, asked by NAT-PMP: it does not let this machine"),
        (Kind::UnwillingPcp, "the router did not open port 443, asked by PCP: it does not let this machine"),
        (Kind::Shared, "100.70.1.2"),
    ] {
        let err = open_at(kind).await.1.unwrap_err().to_string();
        assert!(err.contains(told), "{kind:?}: {err}");
    }
}

/// Another program has the port, so the router offers another; nobody would look there, and it is given back.
#[tokio::test]
async fn another_port_than_the_one_asked_for_is_given_back() {
    for (kind, outside) in [(Kind::OtherPorts, 0), (Kind::OtherPortsPcp, 443)] {
        let (router, opened) = open_at(kind).await;
        let err = opened.unwrap_err().to_string();
        assert!(err.contains("it offered port 1467 instead"), "{kind:?}: {err}");
        assert_eq!(router.mapped(), ["443 to 8443 for 3600".to_owned(), format!("{outside} to 8443 for 0")], "{kind:?}");
    }
}

/// Somebody sends what is no answer, again and again: it is waited for as long as for silence, and nothing is believed.
#[tokio::test]
async fn what_is_no_answer_is_passed_over() {
    let (_, opened) = open_at(Kind::Hostile).await;
    let err = opened.unwrap_err();
    assert!(matches!(&err, GatewayError::Refused { port: 443, reason, .. } if reason == "no answer"), "{err}");
}
