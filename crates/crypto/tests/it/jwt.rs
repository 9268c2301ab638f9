//! Tokens: made, verified, and refused.

use crypto::jwt::{Algorithm, JwtError, MAX_TOKEN_BYTES, Unverified, encode_hs256, encode_signed};
use crypto::{Curve, VerifyingKey};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::key;

const SECRET: &[u8] = b"a secret of the server";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
}

fn claims() -> Claims {
    Claims { sub: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".into(), exp: 1_800_000_000 }
}

#[test]
fn a_session_token_comes_back() {
    let token = encode_hs256(SECRET, "at+jwt", &claims()).unwrap();
    let parsed = Unverified::parse(&token).unwrap();
    assert_eq!(parsed.header().alg, Algorithm::Hs256);
    assert_eq!(parsed.header().typ.as_deref(), Some("at+jwt"));
    assert_eq!(parsed.claims_before_verification::<Claims>(), Ok(claims()));
    assert_eq!(parsed.clone().verify_hs256::<Claims>(b"another secret"), Err(JwtError::Signature));
    assert_eq!(parsed.verify_hs256::<Claims>(SECRET), Ok(claims()));
}

#[test]
fn a_signed_token_comes_back_and_is_bound_to_its_kind_of_key() {
    for (curve, other, alg) in [(Curve::K256, Curve::P256, Algorithm::Es256k), (Curve::P256, Curve::K256, Algorithm::Es256)] {
        let signer = key(curve, 3);
        let token = encode_signed(&signer, "JWT", Some("#atproto"), &claims()).unwrap();
        let parsed = Unverified::parse(&token).unwrap();
        assert_eq!(parsed.header().alg, alg);
        assert_eq!(parsed.header().kid.as_deref(), Some("#atproto"));
        assert_eq!(parsed.clone().verify_with::<Claims>(key(other, 3).verifying_key()), Err(JwtError::KeyKind));
        assert_eq!(parsed.clone().verify_with::<Claims>(key(curve, 4).verifying_key()), Err(JwtError::Signature));
        // The oldest trick: a public key passed off as a shared secret, or the other way round.
        assert_eq!(parsed.clone().verify_hs256::<Claims>(SECRET), Err(JwtError::KeyKind));
        assert_eq!(parsed.verify_with::<Claims>(signer.verifying_key()), Ok(claims()));
    }
    let session = encode_hs256(SECRET, "at+jwt", &claims()).unwrap();
    let signer = key(Curve::P256, 3);
    assert_eq!(Unverified::parse(&session).unwrap().verify_with::<Claims>(signer.verifying_key()), Err(JwtError::KeyKind));
}

/// RFC 7515, appendices A.1 (HS256) and A.3 (ES256, whose `s` is high).
#[test]
fn the_tokens_of_the_rfc_verify() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let expected = json!({ "iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true });

    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
    let token = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(Unverified::parse(&token).unwrap().verify_hs256::<Value>(&secret).unwrap(), expected);

    let key = VerifyingKey::from_jwk(&json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{payload}.{signature}");
    assert_eq!(Unverified::parse(&token).unwrap().verify_with::<Value>(&key.unwrap()).unwrap(), expected);
}

#[test]
fn only_well_formed_tokens_parse() {
    let b64 = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let token = |header: &str, claims: &str| format!("{}.{}.AAAA", b64(header), b64(claims));
    let error = |token: &str| Unverified::parse(token).map(|_| ()).unwrap_err();
    let good = r#"{"alg":"HS256"}"#;

    for text in ["", ".", "..", "a.b", "a.b.c.d"] {
        assert!(matches!(error(text), JwtError::Form | JwtError::Header), "{text}");
    }
    assert_eq!(error(&format!("{}.", token(good, "{}"))), JwtError::Form);
    assert_eq!(error(&format!("{}=", token(good, "{}"))), JwtError::Form);
    assert_eq!(error(&format!("{}\n", token(good, "{}"))), JwtError::Form);
    // The last character has bits that stand for nothing: a second spelling.
    assert_eq!(error(&format!("{}.{}.AB", b64(good), b64("{}"))), JwtError::Form);

    for alg in ["none", "None", "hs256", "HS512", "RS256", "EdDSA", ""] {
        assert_eq!(error(&token(&json!({ "alg": alg }).to_string(), "{}")), JwtError::Algorithm, "{alg}");
    }
    assert_eq!(error(&token(r#"{"alg":1}"#, "{}")), JwtError::Algorithm);
    assert_eq!(error(&token("{}", "{}")), JwtError::Header);
    assert_eq!(error(&token(r#"["HS256"]"#, "{}")), JwtError::Header);
    assert_eq!(error(&token(r#"{"alg":"HS256","typ":7}"#, "{}")), JwtError::Header);
    assert_eq!(error(&token(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, "{}")), JwtError::Critical);
    for claims in ["[]", "1", "\"a\"", "{", "{} {}", "null"] {
        assert_eq!(error(&token(good, claims)), JwtError::Claims, "{claims}");
    }
    assert_eq!(error(&"a".repeat(MAX_TOKEN_BYTES + 1)), JwtError::TooLong);
}

#[test]
fn claims_are_an_object() {
    assert_eq!(encode_hs256(SECRET, "JWT", &[1, 2]), Err(JwtError::Claims));
    assert_eq!(encode_signed(&key(Curve::K256, 3), "JWT", None, &"text"), Err(JwtError::Claims));
    let other = encode_hs256(SECRET, "JWT", &json!({ "sub": 7 })).unwrap();
    assert_eq!(Unverified::parse(&other).unwrap().verify_hs256::<Claims>(SECRET), Err(JwtError::Claims));
}

proptest! {
    #[test]
    fn an_altered_token_never_verifies(at: prop::sample::Index, with in "[A-Za-z0-9_.-]") {
        let token = encode_hs256(SECRET, "at+jwt", &claims()).unwrap();
        let at = at.index(token.len());
        let mut altered = token.clone();
        altered.replace_range(at..=at, &with);
        prop_assume!(altered != token);
        let verified = Unverified::parse(&altered).and_then(|parsed| parsed.verify_hs256::<Claims>(SECRET));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn parsing_any_text_never_panics(text: String, parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let _ = Unverified::parse(&text);
        let _ = Unverified::parse(&parts);
    }
}
