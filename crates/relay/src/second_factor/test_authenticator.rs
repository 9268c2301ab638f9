//! A device that makes passkeys. The tests of the HTTP interface use it as well.

use common::cbor::Writer;
use crypto::{Curve, SigningKey};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A device with one P-256 passkey, as much of one as the server can tell.
pub(crate) struct Authenticator {
    key: SigningKey,
    credential_id: [u8; 16],
    user: String,
    counter: u32,
    verifies: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

impl Authenticator {
    /// One of several devices.
    pub(crate) fn new(nth: u8) -> Self {
        let key = SigningKey::from_bytes(Curve::P256, &[nth; 32]).unwrap();
        Self { key, credential_id: [nth; 16], user: String::new(), counter: 0, verifies: true }
    }

    /// Asks for neither PIN nor finger the next time.
    pub(crate) fn without_verification(&mut self) -> &mut Self {
        self.verifies = false;
        self
    }

    /// Answers `navigator.credentials.create`.
    pub(crate) fn create(&mut self, options: &Value, origin: &str) -> String {
        let asked = &options["publicKey"];
        assert_eq!(asked["authenticatorSelection"]["residentKey"], "required");
        asked["user"]["id"].as_str().unwrap().clone_into(&mut self.user);
        let mut data = self.authenticator_data(asked["rp"]["id"].as_str().unwrap(), ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&(self.credential_id.len() as u16).to_be_bytes());
        data.extend_from_slice(&self.credential_id);
        data.extend_from_slice(&self.cose_key());
        let mut object = Writer::with_capacity(512);
        object.map(3);
        object.text("fmt");
        object.text("none");
        object.text("attStmt");
        object.map(0);
        object.text("authData");
        object.bytes(&data);
        let response = json!({
            "attestationObject": BASE64URL_NOPAD.encode(object.as_slice()),
            "clientDataJSON": BASE64URL_NOPAD.encode(&client_data("webauthn.create", asked, origin)),
        });
        self.answer(&response)
    }

    /// Answers `navigator.credentials.get`.
    pub(crate) fn get(&mut self, options: &Value, origin: &str) -> String {
        let asked = &options["publicKey"];
        let data = self.authenticator_data(asked["rpId"].as_str().unwrap(), 0);
        let client_data = client_data("webauthn.get", asked, origin);
        let signed = [data.as_slice(), Sha256::digest(&client_data).as_slice()].concat();
        let response = json!({
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "clientDataJSON": BASE64URL_NOPAD.encode(&client_data),
            "signature": BASE64URL_NOPAD.encode(&der(&self.key.sign(&signed))),
            "userHandle": self.user,
        });
        self.verifies = true;
        self.answer(&response)
    }

    fn answer(&self, response: &Value) -> String {
        let id = BASE64URL_NOPAD.encode(&self.credential_id);
        json!({ "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {}, "response": response }).to_string()
    }

    fn authenticator_data(&mut self, rp_id: &str, flags: u8) -> Vec<u8> {
        self.counter += 1;
        let flags = flags | PRESENT | if self.verifies { VERIFIED } else { 0 };
        [Sha256::digest(rp_id).as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// Writes the public key as COSE has it: EC2, ES256, P-256, x, y.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_uncompressed();
        let mut key = Writer::with_capacity(80);
        key.map(5);
        for (label, value) in [(1, 2), (3, -7), (-1, 1)] {
            key.integer(label);
            key.integer(value);
        }
        for (label, half) in [(-2, &point[1..33]), (-3, &point[33..])] {
            key.integer(label);
            key.bytes(half);
        }
        key.into_vec()
    }
}

fn client_data(kind: &str, asked: &Value, origin: &str) -> Vec<u8> {
    let data = json!({ "type": kind, "challenge": asked["challenge"], "origin": origin, "crossOrigin": false });
    data.to_string().into_bytes()
}

/// Writes a signature as ASN.1 DER has it.
fn der(signature: &[u8; 64]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let zeros = half.iter().take_while(|byte| **byte == 0).count();
        let digits = &half[zeros..];
        // A first bit would be a sign.
        let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
        [&[2, (sign.len() + digits.len()) as u8], sign, digits].concat()
    };
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, both.len() as u8], both.as_slice()].concat()
}
