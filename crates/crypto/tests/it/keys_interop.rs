//! The network's own vectors for keys and signatures.

use crypto::{Curve, SigningKey, VerifyingKey};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use serde_json::{Value, json};

use crate::support::vectors;

#[test]
fn w3c_did_keys() {
    // A few of the vectors, so that the test says something without the rest.
    let own = json!([{
        "privateKeyBytesHex": "9085d2bef69286a6cbb51623c8fa258629945cd55ca705cc4e66700396894e0c",
        "publicDidKey": "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
    }]);
    for vector in all(own, "interop/crypto/w3c_didkey_K256.json") {
        let secret = HEXLOWER.decode(text(&vector, "privateKeyBytesHex").as_bytes()).unwrap();
        check_did_key(Curve::K256, &secret, text(&vector, "publicDidKey"));
    }
    let own = json!([{
        "privateKeyBytesBase58": "9p4VRzdmhsnq869vQjVCTrRry7u4TtfRxhvBFJTGU2Cp",
        "publicDidKey": "did:key:zDnaeTiq1PdzvZXUaMdezchcMJQpBdH2VN4pgrrEhMCCbmwSb",
    }]);
    for vector in all(own, "interop/crypto/w3c_didkey_P256.json") {
        let secret = bs58::decode(text(&vector, "privateKeyBytesBase58")).into_vec().unwrap();
        check_did_key(Curve::P256, &secret, text(&vector, "publicDidKey"));
    }
}

fn check_did_key(curve: Curve, secret: &[u8], did_key: &str) {
    let key = SigningKey::from_bytes(curve, secret.try_into().expect("32 bytes")).expect("a private key");
    assert_eq!(key.verifying_key().to_did_key(), did_key);
    let parsed: VerifyingKey = did_key.parse().expect("a did:key");
    assert_eq!(&parsed, key.verifying_key());
    assert_eq!(parsed.curve(), curve);
    assert_eq!(parsed.verify(b"hello", &key.sign(b"hello")), Ok(()));
}

#[test]
fn signature_fixtures() {
    let own = json!([{
        "messageBase64": "oWVoZWxsb2V3b3JsZA",
        "didDocSuite": "EcdsaSecp256r1VerificationKey2019",
        "publicKeyDid": "did:key:zDnaembgSGUhZULN2Caob4HLJPaxBh92N7rtH21TErzqf8HQo",
        "publicKeyMultibase": "zxdM8dSstjrpZaRUwBmDvjGXweKuEMVN95A9oJBFjkWMh",
        "signatureBase64": "2vZNsG3UKvvO/CDlrdvyZRISOFylinBh0Jupc6KcWoKp7O4VS9giSAah8k5IUbXIW00SuOrjfEqQ9HEkN9JGzw",
        "validSignature": false,
        "tags": ["high-s"],
    }]);
    for vector in all(own, "interop/crypto/signature-fixtures.json") {
        let message = BASE64_NOPAD.decode(text(&vector, "messageBase64").as_bytes()).unwrap();
        let signature = BASE64_NOPAD.decode(text(&vector, "signatureBase64").as_bytes()).unwrap();
        let key: VerifyingKey = text(&vector, "publicKeyDid").parse().unwrap();
        let legacy = VerifyingKey::from_verification_method(text(&vector, "didDocSuite"), text(&vector, "publicKeyMultibase"));
        assert_eq!(legacy, Ok(key.clone()));
        let valid = vector["validSignature"] == true;
        assert_eq!(key.verify(&message, &signature).is_ok(), valid, "{vector}");
        let valid_for_tokens = valid || vector["tags"].as_array().unwrap().contains(&json!("high-s"));
        assert_eq!(key.verify_allowing_high_s(&message, &signature).is_ok(), valid_for_tokens, "{vector}");
    }
}

fn all(own: Value, path: &str) -> Vec<Value> {
    let shared = vectors(path).unwrap_or_else(|| json!([]));
    [own, shared].into_iter().flat_map(|list| list.as_array().cloned().expect("a list of vectors")).collect()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().expect("vectors hold text")
}
