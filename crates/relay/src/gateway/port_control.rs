//! NAT-PMP (RFC 6886) and PCP (RFC 6887): one packet to the router, one back, at the same port.
//!
//! NAT-PMP is asked first, since it tells the address alone; what speaks PCP only says so in its answer. An answer counts when it comes
//! from the router, is of the form that the question has, and names what was asked for; anything else is passed over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::UdpSocket;

use super::{LEASE_SECONDS, Mapping, PATIENCE, Protocol, own_address};

/// Where routers listen, RFC 6886, section 3, and RFC 6887, section 7.
pub(super) const PORT: u16 = 5351;
/// How long the first packet waits for its answer; each after it waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// RFC 6887, section 7: longer ones are not valid.
const MAX_PACKET: usize = 1100;

const PMP_VERSION: u8 = 0;
const PCP_VERSION: u8 = 2;
/// The bit of an answer.
const ANSWER: u8 = 0x80;
const UNSUPPORTED_VERSION: u16 = 1;
const PMP_MAP_TCP: u8 = 2;
const PCP_MAP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Nobody listens at the port "discard"; it is mapped for a moment by who wants to know the address alone, RFC 6887, section 11.6.
const DISCARD: u16 = 9;
const MOMENT_SECONDS: u32 = 30;

/// A router that answered.
#[derive(Debug)]
pub(super) struct Router {
    socket: UdpSocket,
    own: Ipv4Addr,
    pub(super) protocol: Protocol,
    /// Its address in the world.
    pub(super) public_address: IpAddr,
}

/// What a router says of a mapping.
#[derive(Debug, PartialEq, Eq)]
struct Granted {
    external: u16,
    seconds: u32,
    address: Option<IpAddr>,
}

/// What an answer says: what was asked for, or the code that it is refused with.
type Said<T> = Result<T, u16>;

/// Asks the router whether it is one of these; `Err` says why not.
pub(super) async fn find(router: SocketAddr) -> Result<Router, String> {
    let IpAddr::V4(own) = own_address(router).map_err(|err| told(&err))? else {
        return Err("it is not reached by IPv4".to_owned());
    };
    let socket = UdpSocket::bind((own, 0)).await.map_err(|err| told(&err))?;
    // So that the system passes on what comes from there only.
    socket.connect(router).await.map_err(|err| told(&err))?;
    let (protocol, public_address) = match ask(&socket, &[PMP_VERSION, 0], pmp_address).await.map_err(|err| told(&err))? {
        Ok(address) => (Protocol::NatPmp, address),
        Err(UNSUPPORTED_VERSION) => {
            let request = pcp_request(own, UDP, Mapping { external: 0, internal: DISCARD }, MOMENT_SECONDS);
            let granted = ask(&socket, &request, |packet| pcp_granted(packet, &request)).await.map_err(|err| told(&err))?;
            let granted = granted.map_err(|code| pcp_reason(code).to_owned())?;
            (Protocol::Pcp, granted.address.ok_or("it names no address")?)
        }
        Err(code) => return Err(pmp_reason(code).to_owned()),
    };
    Ok(Router { socket, own, protocol, public_address })
}

impl Router {
    /// Has it pass a port on.
    pub(super) async fn add(&self, mapping: Mapping) -> Result<(), String> {
        let granted = self.map(mapping, LEASE_SECONDS).await?;
        if granted.external == mapping.external && granted.seconds > 0 {
            return Ok(());
        }
        // Another port is of no use to those who call; it is given back, as far as the router takes it.
        drop(self.map(mapping, 0).await);
        Err(format!("somebody else has it; it offered port {} instead", granted.external))
    }

    async fn map(&self, mapping: Mapping, seconds: u32) -> Result<Granted, String> {
        let said = match self.protocol {
            Protocol::Upnp | Protocol::NatPmp => {
                let request = pmp_request(mapping, seconds);
                let said = ask(&self.socket, &request, |packet| pmp_granted(packet, mapping)).await;
                said.map(|said| said.map_err(pmp_reason))
            }
            Protocol::Pcp => {
                let request = pcp_request(self.own, TCP, mapping, seconds);
                let said = ask(&self.socket, &request, |packet| pcp_granted(packet, &request)).await;
                said.map(|said| said.map_err(pcp_reason))
            }
        };
        said.map_err(|err| told(&err))?.map_err(str::to_owned)
    }
}

fn told(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::ConnectionRefused => "it does not listen".to_owned(),
        _ => err.to_string(),
    }
}

/// Sends `request` until there is an answer that `read` takes for one.
async fn ask<T>(socket: &UdpSocket, request: &[u8], read: impl Fn(&[u8]) -> Option<Said<T>>) -> io::Result<Said<T>> {
    let conversation = async {
        let mut wait = FIRST_WAIT;
        loop {
            socket.send(request).await?;
            match tokio::time::timeout(wait, answer(socket, &read)).await {
                Ok(answer) => return answer,
                Err(_) => wait *= 2,
            }
        }
    };
    tokio::time::timeout(PATIENCE, conversation).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn answer<T>(socket: &UdpSocket, read: impl Fn(&[u8]) -> Option<Said<T>>) -> io::Result<Said<T>> {
    let mut packet = [0; MAX_PACKET + 1];
    loop {
        let length = socket.recv(&mut packet).await?;
        if let Some(said) = (length <= MAX_PACKET).then(|| read(&packet[..length])).flatten() {
            return Ok(said);
        }
    }
}

/// Reads bytes at `at`, or `None` when the packet is shorter.
fn bytes<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..at + N)?.try_into().ok()
}

fn short(packet: &[u8], at: usize) -> Option<u16> {
    bytes(packet, at).map(u16::from_be_bytes)
}

fn long(packet: &[u8], at: usize) -> Option<u32> {
    bytes(packet, at).map(u32::from_be_bytes)
}

/// Returns the code of an answer to `opcode`, RFC 6886, section 3.5; of one by a router that knows PCP only, too.
fn pmp_code(packet: &[u8], opcode: u8) -> Option<u16> {
    match packet {
        [PCP_VERSION, ..] => (packet.get(1)? & ANSWER != 0).then_some(UNSUPPORTED_VERSION),
        [PMP_VERSION, said, ..] if *said == ANSWER | opcode => short(packet, 2),
        _ => None,
    }
}

/// RFC 6886, section 3.2.
fn pmp_address(packet: &[u8]) -> Option<Said<IpAddr>> {
    match pmp_code(packet, 0)? {
        0 => Some(Ok(Ipv4Addr::from(bytes::<4>(packet, 8)?).into())),
        code => Some(Err(code)),
    }
}

/// RFC 6886, section 3.3. Who gives a mapping back names no port outside.
fn pmp_request(mapping: Mapping, seconds: u32) -> Vec<u8> {
    let external = if seconds == 0 { 0 } else { mapping.external };
    let mut request = vec![PMP_VERSION, PMP_MAP_TCP, 0, 0];
    request.extend(mapping.internal.to_be_bytes());
    request.extend(external.to_be_bytes());
    request.extend(seconds.to_be_bytes());
    request
}

fn pmp_granted(packet: &[u8], mapping: Mapping) -> Option<Said<Granted>> {
    match pmp_code(packet, PMP_MAP_TCP)? {
        0 if short(packet, 8)? == mapping.internal => {
            Some(Ok(Granted { external: short(packet, 10)?, seconds: long(packet, 12)?, address: None }))
        }
        0 => None,
        code => Some(Err(code)),
    }
}

/// RFC 6887, sections 7.1 and 11.1.
fn pcp_request(own: Ipv4Addr, protocol: u8, mapping: Mapping, seconds: u32) -> Vec<u8> {
    let mut request = vec![PCP_VERSION, PCP_MAP, 0, 0];
    request.extend(seconds.to_be_bytes());
    request.extend(own.to_ipv6_mapped().octets());
    request.extend(nonce(own, protocol, mapping.internal));
    request.extend([protocol, 0, 0, 0]);
    request.extend(mapping.internal.to_be_bytes());
    request.extend(mapping.external.to_be_bytes());
    request.extend(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    request
}

/// Names this machine's mapping. The router renews a mapping only to who names it alike, so this is the same after a restart, and drawn
/// from nothing that could be lost. It keeps no secret: a neighbour that sends packets by our address could as well answer for the router.
fn nonce(own: Ipv4Addr, protocol: u8, internal: u16) -> [u8; 12] {
    let digest =
        Sha256::new().chain_update(own.octets()).chain_update([protocol]).chain_update(internal.to_be_bytes()).finalize();
    std::array::from_fn(|at| digest[at])
}

fn pcp_granted(packet: &[u8], request: &[u8]) -> Option<Said<Granted>> {
    let [PCP_VERSION, opcode, _, code, ..] = *packet else { return None };
    if opcode != ANSWER | PCP_MAP {
        return None;
    }
    if code != 0 {
        return Some(Err(code.into()));
    }
    // Nonce, protocol and port inside are those of the request.
    let same = packet.get(24..37)? == request.get(24..37)? && packet.get(40..42)? == request.get(40..42)?;
    let address = Ipv6Addr::from(bytes::<16>(packet, 44)?).to_canonical();
    let granted = Granted { external: short(packet, 42)?, seconds: long(packet, 4)?, address: Some(address) };
    same.then_some(Ok(granted))
}

/// RFC 6886, section 3.5.
fn pmp_reason(code: u16) -> &'static str {
    match code {
        UNSUPPORTED_VERSION => "it speaks another version",
        2 => "it does not let this machine: allow it in the router's settings",
        3 => "it has no address in the world itself now",
        4 => "it has no room for more",
        _ => "it knows no such question",
    }
}

/// RFC 6887, section 7.4.
fn pcp_reason(code: u16) -> &'static str {
    match code {
        UNSUPPORTED_VERSION => "it speaks another version",
        2 => "it does not let this machine: allow it in the router's settings",
        7 => "it has no way to the world now",
        8 | 10 => "it has no room for more",
        11 => "somebody else has it",
        12 => "there is another router between, which changes addresses too",
        _ => "it does not take the question",
    }
}
