//! Dynamic updates (RFC 2136) over TCP, signed with TSIG (RFC 8945, HMAC-SHA256).
//!
//! The signature of the answer is not checked: whoever could forge one would make the server believe in a record that is
//! not there, and the authority would say so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::{DnsError, Provider, Record};
use crate::config::Secret;

const TIMEOUT: Duration = Duration::from_secs(10);
const TTL_SECONDS: u32 = 60;
/// How far the clocks may be apart, in seconds.
const FUDGE: u16 = 300;
const ALGORITHM: &str = "hmac-sha256";

const TYPE_SOA: u16 = 6;
const TYPE_TXT: u16 = 16;
const TYPE_TSIG: u16 = 250;
const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const CLASS_ANY: u16 = 255;
/// The operation UPDATE, in its place.
const OPCODE_UPDATE: u16 = 5 << 11;

pub(super) struct Rfc2136 {
    server: SocketAddr,
    zone: String,
    key: Option<Key>,
    clock: Arc<dyn Clock>,
}

struct Key {
    name: String,
    secret: Zeroizing<Vec<u8>>,
}

impl Rfc2136 {
    pub(super) fn new(
        server: SocketAddr,
        zone: String,
        key: Option<&(String, Secret)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DnsError> {
        let key = key.map(|(name, secret)| {
            let secret = data_encoding::BASE64.decode(secret.expose().trim().as_bytes()).map_err(|_| DnsError::Secret)?;
            Ok::<_, DnsError>(Key { name: name.clone(), secret: Zeroizing::new(secret) })
        });
        Ok(Self { server, zone, key: key.transpose()?, clock })
    }

    async fn send(&self, record: &Record, add: bool) -> Result<(), DnsError> {
        let id = u16::from_le_bytes(crate::random::bytes());
        let seconds = u64::try_from(self.clock.seconds()).unwrap_or(0);
        let message = message(id, &self.zone, record, add, self.key.as_ref().map(|key| (key, seconds)))?;
        match tokio::time::timeout(TIMEOUT, exchange(self.server, &message)).await {
            Ok(Ok(header)) => check(id, header),
            Ok(Err(err)) => Err(DnsError::Unreachable(err)),
            Err(_) => Err(DnsError::Unreachable(std::io::ErrorKind::TimedOut.into())),
        }
    }
}

impl Provider for Rfc2136 {
    fn set<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        Box::pin(self.send(record, true))
    }

    fn clear<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        Box::pin(self.send(record, false))
    }
}

/// Sends a message and returns the first four bytes of the answer: its id and flags.
async fn exchange(server: SocketAddr, message: &[u8]) -> std::io::Result<[u8; 4]> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    let mut start = [0; 6];
    stream.read_exact(&mut start).await?;
    let [_, _, header @ ..] = start;
    Ok(header)
}

fn check(id: u16, header: [u8; 4]) -> Result<(), DnsError> {
    let [id_high, id_low, flags, code] = header;
    if u16::from_be_bytes([id_high, id_low]) != id || flags & 0x80 == 0 {
        return Err(DnsError::Rcode("something that is no answer"));
    }
    // https://www.rfc-editor.org/rfc/rfc2136.html#section-2.2
    match code & 0x0f {
        0 => Ok(()),
        1 => Err(DnsError::Rcode("FORMERR: it does not understand the update")),
        2 => Err(DnsError::Rcode("SERVFAIL: it failed")),
        4 => Err(DnsError::Rcode("NOTIMP: it takes no updates")),
        5 => Err(DnsError::Rcode("REFUSED: it does not let this key or address update the zone")),
        9 => Err(DnsError::Rcode("NOTAUTH: it does not know the key or the zone, or the clocks differ")),
        10 => Err(DnsError::Rcode("NOTZONE: the name is not in the zone of tls.dns_zone")),
        _ => Err(DnsError::Rcode("with an error")),
    }
}

/// Writes an update that adds or deletes one record.
// https://www.rfc-editor.org/rfc/rfc2136.html#section-2
fn message(id: u16, zone: &str, record: &Record, add: bool, key: Option<(&Key, u64)>) -> Result<Vec<u8>, DnsError> {
    let mut out = Vec::with_capacity(512);
    for word in [id, OPCODE_UPDATE, 1, 0, 1, 0] {
        put(&mut out, word);
    }
    put_name(&mut out, zone)?;
    put(&mut out, TYPE_SOA);
    put(&mut out, CLASS_IN);
    put_name(&mut out, &record.name)?;
    put(&mut out, TYPE_TXT);
    // A record of class NONE is one that goes.
    put(&mut out, if add { CLASS_IN } else { CLASS_NONE });
    out.extend_from_slice(&(if add { TTL_SECONDS } else { 0 }).to_be_bytes());
    let length = u8::try_from(record.value.len()).map_err(|_| DnsError::Name(record.value.clone()))?;
    put(&mut out, u16::from(length) + 1);
    out.push(length);
    out.extend_from_slice(record.value.as_bytes());
    if let Some((key, seconds)) = key {
        sign(&mut out, id, key, seconds)?;
    }
    Ok(out)
}

/// Signs a message, and counts the signature among its additional records.
// https://www.rfc-editor.org/rfc/rfc8945.html#section-4.3.3
fn sign(out: &mut Vec<u8>, id: u16, key: &Key, seconds: u64) -> Result<(), DnsError> {
    let mut time = Vec::with_capacity(8);
    time.extend_from_slice(&seconds.to_be_bytes()[2..]);
    put(&mut time, FUDGE);
    let mut algorithm = Vec::new();
    put_name(&mut algorithm, ALGORITHM)?;
    let mut owner = Vec::new();
    put_name(&mut owner, &key.name)?;
    put(&mut owner, TYPE_TSIG);

    let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes a key of any length");
    mac.update(out);
    let mut variables = Vec::new();
    put_name(&mut variables, &key.name)?;
    put(&mut variables, CLASS_ANY);
    variables.extend_from_slice(&0_u32.to_be_bytes());
    variables.extend_from_slice(&algorithm);
    variables.extend_from_slice(&time);
    // No error, and nothing about it.
    put(&mut variables, 0);
    put(&mut variables, 0);
    mac.update(&variables);
    let mac = mac.finalize().into_bytes();

    let mut data = algorithm;
    data.extend_from_slice(&time);
    put(&mut data, mac.len() as u16);
    data.extend_from_slice(&mac);
    put(&mut data, id);
    put(&mut data, 0);
    put(&mut data, 0);

    out.extend_from_slice(&owner);
    put(out, CLASS_ANY);
    out.extend_from_slice(&0_u32.to_be_bytes());
    put(out, data.len() as u16);
    out.extend_from_slice(&data);
    out[11] = 1;
    Ok(())
}

fn put(out: &mut Vec<u8>, word: u16) {
    out.extend_from_slice(&word.to_be_bytes());
}

/// Writes a name in lower case, as the signature needs it.
fn put_name(out: &mut Vec<u8>, name: &str) -> Result<(), DnsError> {
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        out.push(length.ok_or_else(|| DnsError::Name(name.to_owned()))?);
        out.extend_from_slice(label.to_ascii_lowercase().as_bytes());
    }
    out.push(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { name: "_acme-challenge.PDS.example.com".to_owned(), value: "abc_DEF-123".to_owned() }
    }

    /// The bytes were checked, signature included, by dnspython.
    #[test]
    fn an_update_is_written_and_signed() {
        let key = Key { name: "relay-key".to_owned(), secret: Zeroizing::new(b"secret-of-a-key".to_vec()) };
        let signed = message(0x1234, "example.com", &record(), true, Some((&key, 1_767_225_600))).unwrap();
        let expected = concat!(
            "123428000001000000010001076578616d706c6503636f6d00000600010f5f61636d652d6368616c6c656e67650370647307",
            "6578616d706c6503636f6d00001000010000003c000c0b6162635f4445462d3132330972656c61792d6b65790000fa00ff00",
            "000000003d0b686d61632d7368613235360000006955b900012c00206c4fdb940576034a129eb9a2bd5835f9218836483743",
            "aa7fa2b7229437f9a74d123400000000"
        );
        assert_eq!(data_encoding::HEXLOWER.encode(&signed), expected);
        let deleted = message(0x1234, "example.com", &record(), false, None).unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&deleted),
            concat!(
                "123428000001000000010000076578616d706c6503636f6d00000600010f5f61636d652d6368616c6c656e67650370647307",
                "6578616d706c6503636f6d00001000fe00000000000c0b6162635f4445462d313233"
            )
        );
    }

    #[test]
    fn what_dns_cannot_hold_is_refused() {
        let name = format!("{}.example.com", "a".repeat(64));
        let long = Record { name, value: String::new() };
        assert!(matches!(message(1, "example.com", &long, true, None), Err(DnsError::Name(_))));
        let value = Record { name: "a.example.com".to_owned(), value: "v".repeat(256) };
        assert!(matches!(message(1, "example.com", &value, true, None), Err(DnsError::Name(_))));
    }

    #[test]
    fn refusals_say_what_to_look_at() {
        assert!(check(0x1234, [0x12, 0x34, 0xa8, 0x00]).is_ok());
        assert!(check(0x1234, [0x12, 0x35, 0xa8, 0x00]).is_err(), "the answer to another question");
        assert!(check(0x1234, [0x12, 0x34, 0x28, 0x00]).is_err(), "no answer");
        let refused = check(0x1234, [0x12, 0x34, 0xa8, 0x09]).unwrap_err();
        assert!(refused.to_string().contains("NOTAUTH"), "{refused}");
    }
}
