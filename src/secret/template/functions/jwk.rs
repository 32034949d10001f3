//! Keys in JSON (RFC 7517) to PEM, and RSA decryption.

use std::fmt;

use aws_lc_rs::{
    rsa::{
        OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey,
        PrivateDecryptingKey,
    },
    signature::ParsedPublicKey,
};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use zeroize::Zeroizing;

use super::{
    Call, Function, Outcome,
    der::{self, BIT_STRING, NULL, OID, SEQUENCE},
    function,
    keys::encode_pem,
    pem,
    pkcs8::{CURVES, Curve, EC, ED25519, PrivateKey, RSA},
};
use crate::secret::template::{error::Fault, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function("jwkPublicKeyPem", 1, 1, public),
    function("jwkPrivateKeyPem", 1, 1, private),
    function("rsaDecrypt", 4, 4, decrypt),
];

const NOT_A_KEY: Fault =
    Fault::refused("the text is not a key in JSON (RSA, EC with P-256, P-384 or P-521, or OKP with Ed25519)");

/// What RSA decryption costs with a key of 4096 bits: about two milliseconds.
const RSA_WORK: usize = 256 * 1024;

#[derive(serde::Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    n: Option<Digits>,
    e: Option<Digits>,
    d: Option<Digits>,
    p: Option<Digits>,
    q: Option<Digits>,
    dp: Option<Digits>,
    dq: Option<Digits>,
    qi: Option<Digits>,
    x: Option<Digits>,
    y: Option<Digits>,
}

/// A number or a point in base64url; wiped.
struct Digits(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64Url)
    }
}

struct Base64Url;

impl Visitor<'_> for Base64Url {
    type Value = Digits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64url")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Digits, E> {
        let config = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        let bytes = GeneralPurpose::new(&URL_SAFE, config).decode(text);
        bytes.map(|bytes| Digits(Zeroizing::new(bytes))).map_err(|_| E::custom("not base64url"))
    }
}

fn parse(call: &Call<'_>) -> Result<Jwk, Fault> {
    let text = call.text(0)?;
    call.budget.elements(text.len())?;
    serde_json::from_slice(text).map_err(|_| NOT_A_KEY)
}

impl Jwk {
    fn curve(&self) -> Option<&'static Curve> {
        CURVES.iter().find(|curve| self.crv.as_deref() == Some(curve.name))
    }

    /// The uncompressed point.
    fn point(&self, curve: &Curve) -> Option<Vec<u8>> {
        let mut point = vec![4];
        for coordinate in [&self.x, &self.y] {
            let digits = &coordinate.as_ref()?.0;
            point.resize(point.len() + curve.size.checked_sub(digits.len())?, 0);
            point.extend_from_slice(digits);
        }
        Some(point)
    }

    fn to_public(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (algorithm, key) = match self.kty.as_str() {
            "RSA" => {
                let (modulus, exponent) = (&self.n.as_ref()?.0, &self.e.as_ref()?.0);
                let key = der::element(SEQUENCE, &[&der::integer(modulus), &der::integer(exponent)]);
                (vec![der::element(OID, &[RSA]), der::element(NULL, &[])], key)
            }
            "EC" => {
                let curve = self.curve()?;
                let point = self.point(curve)?;
                ParsedPublicKey::new(curve.verification, &point).ok()?;
                (vec![der::element(OID, &[EC]), der::element(OID, &[curve.oid])], Zeroizing::new(point))
            }
            "OKP" if self.crv.as_deref() == Some("Ed25519") => {
                let key = self.x.as_ref().filter(|key| key.0.len() == 32)?;
                (vec![der::element(OID, &[ED25519])], key.0.clone())
            }
            _ => return None,
        };
        let algorithm: Vec<&[u8]> = algorithm.iter().map(|element| element.as_slice()).collect();
        let key = der::element(BIT_STRING, &[&[0], &key]);
        Some(der::element(SEQUENCE, &[&der::element(SEQUENCE, &algorithm), &key]))
    }

    fn to_private(&self) -> Option<PrivateKey> {
        let secret = &self.d.as_ref()?.0;
        match self.kty.as_str() {
            "RSA" => {
                let mut numbers = vec![der::integer(&[0])];
                for number in [&self.n, &self.e, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi] {
                    numbers.push(der::integer(&number.as_ref()?.0));
                }
                let numbers: Vec<&[u8]> = numbers.iter().map(|number| number.as_slice()).collect();
                PrivateKey::from_pkcs1(&der::element(SEQUENCE, &numbers))
            }
            "EC" => {
                let curve = self.curve()?;
                let key = PrivateKey::from_scalar(curve, secret)?;
                (key.public() == self.point(curve)).then_some(key)
            }
            "OKP" if self.crv.as_deref() == Some("Ed25519") => {
                let key = PrivateKey::from_seed(secret)?;
                let public = self.x.as_ref().map(|public| public.0.to_vec());
                (key.public() == public).then_some(key)
            }
            _ => None,
        }
    }
}

fn public(call: &Call<'_>) -> Outcome {
    let key = parse(call)?;
    if key.d.is_some() {
        return Err(Fault::refused("the key is a private one"));
    }
    Ok(Value::text(encode_pem("PUBLIC KEY", &key.to_public().ok_or(NOT_A_KEY)?)))
}

fn private(call: &Call<'_>) -> Outcome {
    let key = parse(call)?;
    if key.d.is_none() {
        return Err(Fault::refused("the key is a public one"));
    }
    let key = key.to_private().ok_or(Fault::refused("the private key is incomplete, unsound or of an unknown kind"))?;
    Ok(Value::text(encode_pem("PRIVATE KEY", &key.to_pkcs8().ok_or(NOT_A_KEY)?)))
}

/// By scheme and hash; a hash that nobody knows is SHA-256, as upstream has it.
fn decrypt(call: &Call<'_>) -> Outcome {
    let (scheme, hash, ciphertext) = (call.text(0)?, call.text(1)?, call.text(2)?);
    match scheme {
        b"None" => return Ok(Value::text(ciphertext)),
        b"RSA-OAEP" => {}
        _ => return Err(Fault::refused("the scheme must be None or RSA-OAEP")),
    }
    call.budget.charge(RSA_WORK)?;
    let algorithm = match hash {
        b"SHA1" => &OAEP_SHA1_MGF1SHA1,
        b"SHA512" => &OAEP_SHA512_MGF1SHA512,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    let (block, _) = pem::first(call.text(3)?).ok_or(Fault::refused("the key is not PEM"))?;
    let not_rsa = || Fault::refused("the key is not an RSA key of 2048 to 8192 bits");
    let key = PrivateKey::parse(&block.der).filter(|key| matches!(key, PrivateKey::Rsa(_))).ok_or_else(not_rsa)?;
    let der = key.to_pkcs8().ok_or_else(not_rsa)?;
    let key = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| not_rsa())?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| not_rsa())?;
    let failed = || Fault::refused("the text cannot be decrypted with this key and hash");
    // A number may have zeros in front that somebody left out.
    let mut padded = vec![0; key.key_size_bytes().checked_sub(ciphertext.len()).ok_or_else(failed)?];
    padded.extend_from_slice(ciphertext);
    let mut opened = Zeroizing::new(vec![0; key.min_output_size()]);
    let text = key.decrypt(algorithm, &padded, &mut opened, None).map_err(|_| failed())?;
    Ok(Value::text(&*text))
}
