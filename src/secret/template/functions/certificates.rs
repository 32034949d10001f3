//! Certificates: authorities, self-signed ones, and ones signed by an authority from this template.

use std::{net::IpAddr, rc::Rc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use x509_parser::pem::parse_x509_pem;

use super::{
    Call, Function, Outcome,
    encoding::from_base64,
    function,
    keys::{PrivateKey, encode_pem},
    wrong_type,
};
use crate::secret::template::{
    error::Fault,
    value::{Certificate, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("genCA", 2, 2, |call| authority(call, &PrivateKey::for_certificate(call)?)),
    function("genCAWithKey", 3, 3, |call| authority(call, &PrivateKey::parse(call.text(2)?)?)),
    function("genSelfSignedCert", 4, 4, |call| self_signed(call, &PrivateKey::for_certificate(call)?)),
    function("genSelfSignedCertWithKey", 5, 5, |call| self_signed(call, &PrivateKey::parse(call.text(4)?)?)),
    function("genSignedCert", 5, 5, |call| signed(call, &PrivateKey::for_certificate(call)?)),
    function("genSignedCertWithKey", 6, 6, |call| signed(call, &PrivateKey::parse(call.text(5)?)?)),
    function("buildCustomCert", 2, 2, custom),
];

const FAILED: Fault = Fault::refused("the certificate cannot be made");
const MALFORMED: Fault = Fault::refused("the text is not a certificate in PEM");

fn authority(call: &Call<'_>, key: &PrivateKey) -> Outcome {
    let mut params = params(call, None, 1)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    by_itself(&params, key)
}

fn self_signed(call: &Call<'_>, key: &PrivateKey) -> Outcome {
    by_itself(&params(call, Some((1, 2)), 3)?, key)
}

fn by_itself(params: &CertificateParams, key: &PrivateKey) -> Outcome {
    let signed = params.self_signed(&pair(key)?).map_err(|_| FAILED)?;
    Ok(made(signed.der(), key))
}

fn signed(call: &Call<'_>, key: &PrivateKey) -> Outcome {
    let mut params = params(call, Some((1, 2)), 3)?;
    params.use_authority_key_identifier_extension = true;
    let authority = match call.any(4)? {
        Value::Certificate(authority) => authority,
        other => return Err(wrong_type(4, "sprig.certificate", other)),
    };
    let (_, pem) = parse_x509_pem(authority.certificate.bytes()).map_err(|_| MALFORMED)?;
    let signer = pair(&PrivateKey::parse(authority.key.bytes())?)?;
    let issuer = Issuer::from_ca_cert_der(&pem.contents.into(), signer).map_err(|_| MALFORMED)?;
    let signed = params.signed_by(&pair(key)?, &issuer).map_err(|_| FAILED)?;
    Ok(made(signed.der(), key))
}

/// Takes over a certificate and a key that exist already.
fn custom(call: &Call<'_>) -> Outcome {
    let (certificate, key) = (from_base64(call.text(0)?)?, from_base64(call.text(1)?)?);
    let (_, pem) = parse_x509_pem(&certificate).map_err(|_| MALFORMED)?;
    pem.parse_x509().map_err(|_| MALFORMED)?;
    PrivateKey::parse(&key)?;
    Ok(Value::Certificate(Rc::new(Certificate { certificate: certificate.into(), key: key.into() })))
}

fn pair(key: &PrivateKey) -> Result<KeyPair, Fault> {
    KeyPair::try_from(key.der()).map_err(|_| FAILED)
}

fn made(der: &[u8], key: &PrivateKey) -> Value {
    let certificate = encode_pem("CERTIFICATE", der).into();
    Value::Certificate(Rc::new(Certificate { certificate, key: key.pem().into() }))
}

/// What all certificates share; the name is the first argument.
fn params(call: &Call<'_>, names: Option<(usize, usize)>, days: usize) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, call.utf8(0)?);
    let now = call.environment.now.as_second();
    let valid = call.int(days)?.checked_mul(24 * 60 * 60).and_then(|valid| now.checked_add(valid));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(Some(now))?;
    params.not_after = epoch + since_epoch(valid)?;
    if let Some((addresses, hosts)) = names {
        for address in strings(call, addresses)? {
            let address: IpAddr = address.parse().map_err(|_| Fault::refused("the text is not an IP address"))?;
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        for host in strings(call, hosts)? {
            let host = host.try_into().map_err(|_| Fault::refused("the text is not a DNS name"))?;
            params.subject_alt_names.push(SanType::DnsName(host));
        }
    }
    let mut serial = [0; 16];
    call.random(&mut serial);
    // Serial numbers are positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// A list of strings; nil is an empty one.
fn strings<'a>(call: &Call<'a>, index: usize) -> Result<Vec<&'a str>, Fault> {
    if matches!(call.any(index)?, Value::Nil) {
        return Ok(Vec::new());
    }
    let items = call.list(index)?.items().iter().map(|item| match item {
        Value::Text(text) => std::str::from_utf8(text.bytes()).map_err(|_| Fault::refused("the text is not UTF-8")),
        other => Err(wrong_type(index, "a list of strings", other)),
    });
    items.collect()
}

/// Certificates know the years from 1950 to 9999; this is a little stricter.
fn since_epoch(seconds: Option<i64>) -> Result<Duration, Fault> {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds < 250_000_000_000);
    seconds.map(Duration::from_secs).ok_or(Fault::refused("the validity is out of range"))
}
