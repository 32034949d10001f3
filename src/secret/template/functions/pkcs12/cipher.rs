//! From a password to a key, and from a key to the content.

use aws_lc_rs::{
    cipher::{
        AES_128, AES_192, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    constant_time::verify_slices_are_equal,
    digest, hmac,
    iv::FixedLength,
    pbkdf2,
};
use cbc::cipher::{BlockModeDecrypt as _, InnerIvInit as _, KeyIvInit as _, block_padding::Pkcs7};
use zeroize::Zeroizing;

use super::{
    super::{
        Call,
        der::{self, Elements, NULL, OCTETS, OID, SEQUENCE},
    },
    Password, oid,
};
use crate::secret::template::{
    budget::{Budget, STEP},
    error::Fault,
};

/// Most iterations that a file may ask for at once; about half a second.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;
/// Iterations in files that are written here, as the Go library has them.
const ITERATIONS: u32 = 2048;
/// Longest derived key that any algorithm here wants, in bytes.
const MAX_KEY: u32 = 64;
const BLOCK: usize = 16;

const UNSUPPORTED: Fault = Fault::refused("the file is encrypted or signed in a way that is not supported");
const DAMAGED: Fault = Fault::refused("the file is not PKCS #12, or is damaged");
pub(super) const WRONG_PASSWORD: Fault = Fault::refused("the password is wrong, or the file is damaged");
const FAILED: Fault = Fault::refused("the cipher failed");

/// Charges for a derivation of a key of `blocks` outputs of the hash.
fn pay(budget: &Budget, iterations: u32, blocks: usize) -> Result<(), Fault> {
    if iterations > MAX_ITERATIONS {
        return Err(Fault::refused("the file asks for more than 1,000,000 iterations"));
    }
    let steps = usize::try_from(iterations).unwrap_or(usize::MAX).saturating_mul(blocks);
    budget.charge(steps.saturating_mul(STEP))
}

/// What a key derived in the older way is for.
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// RFC 7292, appendix B.2.
fn derive(
    budget: &Budget,
    algorithm: &'static digest::Algorithm,
    password: &[u8],
    (salt, iterations): (&[u8], u32),
    (purpose, size): (Purpose, usize),
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let block = algorithm.block_len();
    pay(budget, iterations, size.div_ceil(algorithm.output_len()))?;
    budget.text(salt.len() + password.len())?;
    let fill = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bytes.iter().copied().cycle().take(bytes.len().div_ceil(block) * block).collect())
    };
    let mut input = Zeroizing::new([fill(salt).as_slice(), &fill(password)].concat());
    let mut key = Zeroizing::new(Vec::with_capacity(size + algorithm.output_len()));
    while key.len() < size {
        let mut context = digest::Context::new(algorithm);
        context.update(&vec![purpose as u8; block]);
        context.update(&input);
        let mut hash = context.finish();
        for _ in 1..iterations {
            hash = digest::digest(algorithm, hash.as_ref());
        }
        key.extend_from_slice(hash.as_ref());
        // Adds the hash, repeated, and one to each block.
        let addend: Zeroizing<Vec<u8>> = Zeroizing::new(hash.as_ref().iter().copied().cycle().take(block).collect());
        for chunk in input.chunks_mut(block) {
            let mut carry = 1_u16;
            for (digit, more) in chunk.iter_mut().zip(addend.iter()).rev() {
                carry += u16::from(*digit) + u16::from(*more);
                [_, *digit] = carry.to_be_bytes();
                carry >>= 8;
            }
        }
    }
    key.truncate(size);
    Ok(key)
}

/// The parameters of PBKDF2: a key of this size from the password.
fn pbkdf2(
    budget: &Budget,
    parameters: &mut Elements<'_>,
    password: &[u8],
    size: Option<usize>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut kdf = parameters.inside(SEQUENCE).ok_or(DAMAGED)?;
    if kdf.next(OID) != Some(oid::PBKDF2) {
        return Err(UNSUPPORTED);
    }
    let mut kdf = kdf.inside(SEQUENCE).ok_or(DAMAGED)?;
    let salt = kdf.next(OCTETS).ok_or(UNSUPPORTED)?;
    let iterations = kdf.number().ok_or(DAMAGED)?;
    let named = kdf.number().filter(|named| *named <= MAX_KEY).and_then(|named| usize::try_from(named).ok());
    let function = match kdf.inside(SEQUENCE).and_then(|mut function| function.next(OID)) {
        None | Some(oid::HMAC_SHA1) => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(oid::HMAC_SHA256) => pbkdf2::PBKDF2_HMAC_SHA256,
        Some(oid::HMAC_SHA384) => pbkdf2::PBKDF2_HMAC_SHA384,
        Some(oid::HMAC_SHA512) => pbkdf2::PBKDF2_HMAC_SHA512,
        Some(_) => return Err(UNSUPPORTED),
    };
    let size = size.or(named).ok_or(DAMAGED)?;
    pay(budget, iterations, size.div_ceil(20))?;
    budget.text(salt.len() + password.len())?;
    let iterations = std::num::NonZeroU32::new(iterations).ok_or(DAMAGED)?;
    let mut key = Zeroizing::new(vec![0; size]);
    pbkdf2::derive(function, iterations, salt, password, &mut key);
    Ok(key)
}

/// Undoes an encryption; `algorithm` is the content of its AlgorithmIdentifier.
pub(super) fn decrypt(
    call: &Call<'_>,
    mut algorithm: Elements<'_>,
    content: &[u8],
    password: &Password,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    call.budget.text(content.len())?;
    let name = algorithm.next(OID).ok_or(DAMAGED)?;
    let mut parameters = algorithm.inside(SEQUENCE).ok_or(DAMAGED)?;
    if name != oid::PBES2 {
        return decrypt_legacy(call, name, parameters, content, password);
    }
    // The cipher stands behind the derivation, and says how long a key is derived.
    let mut ahead = parameters;
    ahead.any().ok_or(DAMAGED)?;
    let mut scheme = ahead.inside(SEQUENCE).ok_or(DAMAGED)?;
    let (algorithm, size): (&'static Algorithm, _) = match scheme.next(OID) {
        Some(oid::AES_128) => (&AES_128, 16),
        Some(oid::AES_192) => (&AES_192, 24),
        Some(oid::AES_256) => (&AES_256, 32),
        _ => return Err(UNSUPPORTED),
    };
    let iv: [u8; BLOCK] = scheme.next(OCTETS).and_then(|iv| iv.try_into().ok()).ok_or(DAMAGED)?;
    let key = pbkdf2(call.budget, &mut parameters, &password.plain, Some(size))?;
    let key = UnboundCipherKey::new(algorithm, &key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
    let mut bytes = Zeroizing::new(content.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = key.map_err(|_| FAILED)?.decrypt(&mut bytes, context).map_err(|_| WRONG_PASSWORD)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

fn decrypt_legacy(
    call: &Call<'_>,
    name: &[u8],
    mut parameters: Elements<'_>,
    content: &[u8],
    password: &Password,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let size = match name {
        oid::TRIPLE_DES => 24,
        oid::RC2_128 => 16,
        oid::RC2_40 => 5,
        _ => return Err(UNSUPPORTED),
    };
    let salt = parameters.next(OCTETS).ok_or(DAMAGED)?;
    let strength = (salt, parameters.number().filter(|iterations| *iterations > 0).ok_or(DAMAGED)?);
    let derive = |purpose, size| {
        derive(call.budget, &digest::SHA1_FOR_LEGACY_USE_ONLY, &password.wide, strength, (purpose, size))
    };
    let (key, iv) = (derive(Purpose::Key, size)?, derive(Purpose::Iv, 8)?);
    let mut bytes = Zeroizing::new(content.to_vec());
    let length = if size == 24 {
        let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv).map_err(|_| FAILED)?;
        cipher.decrypt_padded::<Pkcs7>(&mut bytes).map(<[u8]>::len)
    } else {
        let cipher = rc2::Rc2::new_with_eff_key_len(&key, size * 8);
        let cipher = cbc::Decryptor::inner_iv_slice_init(cipher, &iv).map_err(|_| FAILED)?;
        cipher.decrypt_padded::<Pkcs7>(&mut bytes).map(<[u8]>::len)
    };
    bytes.truncate(length.map_err(|_| WRONG_PASSWORD)?);
    Ok(bytes)
}

/// Encrypts, and returns the AlgorithmIdentifier and the ciphertext.
pub(super) fn encrypt(
    call: &Call<'_>,
    content: &[u8],
    password: &Password,
) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Fault> {
    call.budget.text(content.len().saturating_mul(2))?;
    let (mut salt, mut iv) = ([0; BLOCK], [0; BLOCK]);
    call.random(&mut salt);
    call.random(&mut iv);
    let function = der::element(SEQUENCE, &[&der::element(OID, &[oid::HMAC_SHA256]), &der::element(NULL, &[])]);
    let iterations = der::integer(&ITERATIONS.to_be_bytes());
    let kdf = der::element(SEQUENCE, &[&der::element(OCTETS, &[&salt]), &iterations, &function]);
    let kdf = der::element(SEQUENCE, &[&der::element(OID, &[oid::PBKDF2]), &kdf]);
    let key = pbkdf2(call.budget, &mut Elements::of(&kdf), &password.plain, Some(32))?;
    let key = UnboundCipherKey::new(&AES_256, &key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    // With room for the padding, so that nothing is moved and left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(content.len() + BLOCK));
    bytes.extend_from_slice(content);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.map_err(|_| FAILED)?.less_safe_encrypt(&mut *bytes, context).map_err(|_| FAILED)?;
    let scheme = der::element(SEQUENCE, &[&der::element(OID, &[oid::AES_256]), &der::element(OCTETS, &[&iv])]);
    let parameters = der::element(SEQUENCE, &[&kdf, &scheme]);
    let algorithm = der::element(SEQUENCE, &[&der::element(OID, &[oid::PBES2]), &parameters]);
    Ok((algorithm, bytes.to_vec()))
}

/// Checks the MacData of a file over its content.
pub(super) fn verify(call: &Call<'_>, mut mac: Elements<'_>, content: &[u8], password: &Password) -> Result<(), Fault> {
    call.budget.text(content.len())?;
    let mut info = mac.inside(SEQUENCE).ok_or(DAMAGED)?;
    let mut algorithm = info.inside(SEQUENCE).ok_or(DAMAGED)?;
    let expected = info.next(OCTETS).ok_or(DAMAGED)?;
    let salt = mac.next(OCTETS).ok_or(DAMAGED)?;
    let iterations = if mac.is_empty() { 1 } else { mac.number().filter(|number| *number > 0).ok_or(DAMAGED)? };
    let (key, function) = match algorithm.next(OID) {
        Some(oid::PBMAC1) => {
            let mut parameters = algorithm.inside(SEQUENCE).ok_or(DAMAGED)?;
            let key = pbkdf2(call.budget, &mut parameters, &password.plain, None)?;
            let function = match parameters.inside(SEQUENCE).and_then(|mut function| function.next(OID)) {
                Some(oid::HMAC_SHA1) => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                Some(oid::HMAC_SHA256) => hmac::HMAC_SHA256,
                Some(oid::HMAC_SHA384) => hmac::HMAC_SHA384,
                Some(oid::HMAC_SHA512) => hmac::HMAC_SHA512,
                _ => return Err(UNSUPPORTED),
            };
            (key, function)
        }
        name => {
            let (digest, function): (&'static digest::Algorithm, _) = match name {
                Some(oid::SHA1) => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
                Some(oid::SHA256) => (&digest::SHA256, hmac::HMAC_SHA256),
                Some(oid::SHA384) => (&digest::SHA384, hmac::HMAC_SHA384),
                Some(oid::SHA512) => (&digest::SHA512, hmac::HMAC_SHA512),
                _ => return Err(UNSUPPORTED),
            };
            let purpose = (Purpose::Mac, digest.output_len());
            (derive(call.budget, digest, &password.wide, (salt, iterations), purpose)?, function)
        }
    };
    let found = hmac::sign(&hmac::Key::new(function, &key), content);
    verify_slices_are_equal(found.as_ref(), expected).map_err(|_| WRONG_PASSWORD)
}

/// Makes the MacData of a file over its content.
pub(super) fn sign(call: &Call<'_>, content: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut salt = [0; BLOCK];
    call.random(&mut salt);
    let key = derive(call.budget, &digest::SHA256, &password.wide, (&salt, ITERATIONS), (Purpose::Mac, 32))?;
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content);
    let algorithm = der::element(SEQUENCE, &[&der::element(OID, &[oid::SHA256]), &der::element(NULL, &[])]);
    let info = der::element(SEQUENCE, &[&algorithm, &der::element(OCTETS, &[mac.as_ref()])]);
    let iterations = der::integer(&ITERATIONS.to_be_bytes());
    Ok(der::element(SEQUENCE, &[&info, &der::element(OCTETS, &[&salt]), &iterations]))
}
