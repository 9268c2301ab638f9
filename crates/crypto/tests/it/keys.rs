//! Text forms of keys, and what is refused.

use crypto::{Curve, KeyError, SignatureError, VerifyingKey};
use proptest::prelude::*;
use serde_json::json;

use crate::support::key;

const CURVES: [Curve; 2] = [Curve::K256, Curve::P256];

#[test]
fn every_form_leads_back_to_the_key() {
    for curve in CURVES {
        let key = key(curve, 9).verifying_key().clone();
        assert_eq!(key.to_did_key().parse(), Ok(key.clone()));
        assert_eq!(VerifyingKey::from_multikey(&key.to_multikey()), Ok(key.clone()));
        assert_eq!(VerifyingKey::from_sec1(curve, &key.to_sec1()), Ok(key.clone()));
        assert_eq!(VerifyingKey::from_sec1(curve, &key.to_sec1_uncompressed()), Ok(key.clone()));
        assert_eq!(VerifyingKey::from_jwk(&key.to_jwk()), Ok(key.clone()));
        for point in [key.to_sec1().to_vec(), key.to_sec1_uncompressed().to_vec()] {
            let legacy = format!("z{}", bs58::encode(point).into_string());
            assert_eq!(VerifyingKey::from_legacy_multibase(curve, &legacy), Ok(key.clone()));
        }
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<VerifyingKey>(&json).unwrap(), key);
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let parse = |text: &str| text.parse::<VerifyingKey>().unwrap_err();
    assert_eq!(parse("did:web:example.com"), KeyError::NotDidKey);
    assert_eq!(parse("did:key:"), KeyError::Multibase);
    assert_eq!(parse("did:key:mAbc"), KeyError::Multibase);
    assert_eq!(parse("did:key:z0OIl"), KeyError::Multibase);
    assert_eq!(parse(&format!("did:key:z{}", "Q".repeat(100_000))), KeyError::Multibase);
    // An Ed25519 key.
    assert_eq!(parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"), KeyError::Curve);
    // x = 0 with an odd y is no point of secp256k1.
    let off_curve = [&[0xe7, 0x01, 0x03][..], &[0; 32]].concat();
    assert_eq!(parse(&format!("did:key:z{}", bs58::encode(off_curve).into_string())), KeyError::Point);
    let short = [&[0xe7, 0x01, 0x02][..], &[7; 31]].concat();
    assert_eq!(parse(&format!("did:key:z{}", bs58::encode(short).into_string())), KeyError::Point);
}

#[test]
fn jwks_are_public_and_of_the_two_curves() {
    let good = key(Curve::P256, 9).verifying_key().to_jwk();
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        VerifyingKey::from_jwk(&jwk)
    };
    assert!(with("kid", json!("mine")).is_ok());
    assert_eq!(with("d", json!("AAAA")), Err(KeyError::JwkPrivate));
    assert_eq!(with("kty", json!("RSA")), Err(KeyError::Curve));
    assert_eq!(with("crv", json!("P-384")), Err(KeyError::Curve));
    assert_eq!(with("crv", json!("secp256k1")), Err(KeyError::Point));
    assert_eq!(with("x", json!("AAAA")), Err(KeyError::Jwk));
    assert_eq!(with("x", json!("A".repeat(43))), Err(KeyError::Point));
    assert_eq!(with("y", json!(1)), Err(KeyError::Jwk));
    assert_eq!(VerifyingKey::from_jwk(&json!([])), Err(KeyError::Jwk));
}

/// The key and thumbprint of RFC 9449 (DPoP), sections 4.1 and 6.1.
#[test]
fn the_thumbprint_is_that_of_the_rfc() {
    let jwk = json!({
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    });
    let key = VerifyingKey::from_jwk(&jwk).unwrap();
    assert_eq!(key.to_jwk(), jwk);
    assert_eq!(key.jwk_thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn signature_errors_say_what_is_wrong() {
    for curve in CURVES {
        let key = key(curve, 9);
        let public = key.verifying_key();
        let signature = key.sign(b"a");
        assert_eq!(public.verify(b"b", &signature), Err(SignatureError::Mismatch));
        assert_eq!(public.verify(b"a", &signature[1..]), Err(SignatureError::Length(63)));
        assert_eq!(public.verify(b"a", &[0; 64]), Err(SignatureError::Range));
        assert_eq!(public.verify(b"a", &[0xff; 64]), Err(SignatureError::Range));
    }
}

proptest! {
    #[test]
    fn signatures_verify_and_altered_ones_do_not(seed: [u8; 32], message: Vec<u8>, at in 0..64_usize, flip in 1..=255_u8) {
        for curve in CURVES {
            let Ok(key) = crypto::SigningKey::from_bytes(curve, &seed) else { continue };
            let mut signature = key.sign(&message);
            prop_assert_eq!(key.verifying_key().verify(&message, &signature), Ok(()));
            signature[at] ^= flip;
            prop_assert!(key.verifying_key().verify(&message, &signature).is_err());
            prop_assert!(key.verifying_key().verify_allowing_high_s(&message, &signature).is_err());
        }
    }

    #[test]
    fn parsing_any_text_never_panics(text: String, base58 in "[1-9A-HJ-NP-Za-km-z]{0,60}") {
        let _ = text.parse::<VerifyingKey>();
        let _ = format!("did:key:z{base58}").parse::<VerifyingKey>();
        let _ = VerifyingKey::from_multikey(&text);
        for curve in CURVES {
            let _ = VerifyingKey::from_legacy_multibase(curve, &format!("z{base58}"));
            let _ = VerifyingKey::from_sec1(curve, text.as_bytes());
        }
    }
}
