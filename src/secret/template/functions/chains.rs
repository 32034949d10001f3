//! Certificates in PEM: picking blocks, putting a chain into order, reading names.

use std::net::{Ipv4Addr, Ipv6Addr};

use bstr::ByteSlice as _;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};
use zeroize::Zeroizing;

use super::{
    Call, Function, Outcome, function,
    keys::encode_pem,
    pem::{self, Block},
};
use crate::secret::template::{
    budget::STEP,
    error::Fault,
    value::{List, ListKind, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("filterPEM", 2, 2, filter_pem),
    function("filterCertChain", 2, 2, filter_chain),
    function("certSANs", 1, 1, names),
];

/// Most certificates that are put into an order: finding each one's issuer takes time by their square.
const MAX_CHAIN: usize = 500;

const NOT_A_CERTIFICATE: Fault = Fault::refused("a block of the text is not a certificate");

fn filter_pem(call: &Call<'_>) -> Outcome {
    let (label, text) = (call.utf8(0)?, from_first_block(call.text(1)?));
    call.budget.text(text.len().saturating_mul(2))?;
    let mut kept = Zeroizing::new(Vec::new());
    // Go compares by Unicode's simple case folding; labels of PEM are ASCII.
    for block in pem::all(text).filter(|block| block.label.eq_ignore_ascii_case(label)) {
        kept.extend_from_slice(&block.encode());
    }
    if kept.is_empty() && !text.is_empty() {
        let mut rest = text;
        while let Some((_, after)) = pem::first(rest) {
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Fault::refused("the text holds something that is not PEM"));
        }
    }
    Ok(Value::text(kept.as_slice()))
}

/// Without what stands before the first block, even on its line.
fn from_first_block(text: &[u8]) -> &[u8] {
    text.find(b"-----BEGIN").and_then(|at| text.get(at..)).unwrap_or(text)
}

/// A certificate, as far as the order of a chain needs it.
pub(super) struct Link {
    der: Vec<u8>,
    authority: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
}

impl Link {
    /// Reads a certificate.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        let (mut authority, mut subject) = (None, None);
        for extension in certificate.extensions() {
            if let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() {
                authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            } else if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
                subject = Some(id.0.to_vec());
            }
        }
        Some(Self { der: der.to_vec(), authority, subject })
    }

    fn is_root(&self) -> bool {
        self.authority.is_none() || self.authority == self.subject
    }

    /// Go does not tell a missing identifier from an empty one here.
    fn is_issued_by(&self, issuer: &Self) -> bool {
        self.authority.as_deref().unwrap_or_default() == issuer.subject.as_deref().unwrap_or_default()
    }

    fn pem(&self) -> Vec<u8> {
        encode_pem("CERTIFICATE", &self.der)
    }
}

/// From the leaf to the root; fails where the certificates are not one chain.
pub(super) fn in_order(call: &Call<'_>, mut links: Vec<Link>) -> Result<Vec<Link>, Fault> {
    if links.len() > MAX_CHAIN {
        return Err(Fault::refused("there are more than 500 certificates"));
    }
    call.budget.charge(links.len().saturating_mul(links.len()).saturating_mul(STEP))?;
    let issuer_of = |index: usize| {
        let link = links.get(index)?;
        links.iter().enumerate().position(|(other, issuer)| other != index && link.is_issued_by(issuer))
    };
    let issuers: Vec<Option<usize>> = (0..links.len()).map(issuer_of).collect();
    let mut leaves = (0..links.len()).filter(|index| !issuers.contains(&Some(*index)));
    let leaf = leaves.next().ok_or(Fault::refused("no leaf certificate found"))?;
    if leaves.next().is_some() {
        return Err(Fault::refused("found multiple leaf or disjunct certificates"));
    }
    let mut order = Vec::new();
    let mut next = Some(leaf);
    while let Some(index) = next {
        if order.len() >= links.len() {
            return Err(Fault::refused("constructing chain resulted in cycle"));
        }
        order.push(index);
        next = issuers.get(index).copied().flatten();
    }
    let mut slots: Vec<Option<Link>> = links.drain(..).map(Some).collect();
    Ok(order.into_iter().filter_map(|index| slots.get_mut(index).and_then(Option::take)).collect())
}

/// Certificates one after the other.
pub(super) fn encode(links: &[Link]) -> Vec<u8> {
    links.iter().flat_map(Link::pem).collect()
}

fn filter_chain(call: &Call<'_>) -> Outcome {
    let text = call.text(1)?;
    call.budget.text(text.len().saturating_mul(2))?;
    let links: Option<Vec<Link>> = pem::all(text).map(|Block { der, .. }| Link::parse(&der)).collect();
    let links = in_order(call, links.ok_or(NOT_A_CERTIFICATE)?)?;
    let picked = match call.text(0)? {
        b"leaf" => links.first().filter(|leaf| !leaf.is_root()).map(Link::pem),
        b"intermediate" => {
            let issuers = links.get(1..).unwrap_or_default();
            Some(issuers.iter().take_while(|link| !link.is_root()).flat_map(Link::pem).collect())
        }
        b"root" => links.last().filter(|root| root.is_root()).map(Link::pem),
        _ => None,
    };
    Ok(Value::text(picked.unwrap_or_default()))
}

/// All alternative names: hosts, addresses, mailboxes, URIs.
fn names(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    call.budget.elements(text.len() / 8)?;
    let (block, _) = pem::first(from_first_block(text)).ok_or(Fault::refused("the text is not PEM"))?;
    let (_, certificate) = X509Certificate::from_der(&block.der).map_err(|_| NOT_A_CERTIFICATE)?;
    let alternative = certificate.subject_alternative_name().map_err(|_| NOT_A_CERTIFICATE)?;
    let mut kinds: [Vec<String>; 4] = Default::default();
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        let (kind, name) = match name {
            GeneralName::DNSName(host) => (0, (*host).to_owned()),
            GeneralName::IPAddress(address) => (1, ip(address).ok_or(NOT_A_CERTIFICATE)?),
            GeneralName::RFC822Name(mailbox) => (2, (*mailbox).to_owned()),
            GeneralName::URI(uri) => (3, (*uri).to_owned()),
            _ => continue,
        };
        if let Some(kind) = kinds.get_mut(kind) {
            kind.push(name);
        }
    }
    let names = kinds.into_iter().flatten().map(Value::text).collect();
    Ok(Value::List(List::new(names, ListKind::Text)))
}

fn ip(address: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(address) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?);
    Some(address.to_ipv4_mapped().map_or_else(|| address.to_string(), |four| four.to_string()))
}
