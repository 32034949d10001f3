//! Which stores the settings of the host let the repository name: what is sealed for this host is sent there.

use bulla_crds::secret_store::{AwsProvider, StoreProvider};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use reqwest::Url;

use crate::host::config::Allow;

/// What stands for stores that have no address.
const WORDS: [&str; 4] = ["aws", "aws-ambient", "file", "fake"];

/// The stores that may be asked.
#[derive(Clone, Debug, Default)]
pub struct Admitted(Option<Named>);

#[derive(Clone, Debug, Default)]
struct Named {
    servers: GlobSet,
    words: Vec<String>,
}

impl Admitted {
    /// Reads `allow.stores`. Without it everything may be asked where nothing is restricted, else only what has no server:
    /// files and fakes.
    ///
    /// # Errors
    /// An entry that is neither the address of a server nor a known word, with the field.
    pub fn new(allow: &Allow) -> Result<Self, String> {
        let is_restricted = allow.paths.is_some() || allow.units.is_some() || allow.commands.is_some();
        let Some(stores) = &allow.stores else {
            let named = || Named { words: vec!["file".to_owned(), "fake".to_owned()], ..Named::default() };
            return Ok(Self(is_restricted.then(named)));
        };
        let (mut servers, mut words) = (GlobSetBuilder::new(), Vec::new());
        for entry in stores {
            if WORDS.contains(&entry.as_str()) {
                words.push(entry.clone());
                continue;
            }
            if !entry.starts_with("https://") && !entry.starts_with("http://") {
                let words = WORDS.join(", ");
                return Err(format!(
                    "allow.stores: {entry:?} is neither an address, such as https://vault.example.com/**, nor one of \
                     {words}"
                ));
            }
            // A `*` stands for no `/`: it must not reach from one server's name into the path of another's.
            let glob = |text: &str| {
                let glob = GlobBuilder::new(text).literal_separator(true).build();
                glob.map_err(|error| format!("allow.stores: {error}"))
            };
            let whole = entry.trim_end_matches("/**").trim_end_matches('/');
            servers.add(glob(entry)?).add(glob(whole)?);
        }
        let servers = servers.build().map_err(|error| format!("allow.stores: {error}"))?;
        Ok(Self(Some(Named { servers, words })))
    }

    /// Whether a store may be asked.
    ///
    /// # Errors
    /// Why not, and what has to be said so that it may.
    pub(super) fn check(&self, provider: &StoreProvider) -> Result<(), String> {
        let Some(named) = &self.0 else { return Ok(()) };
        match provider {
            StoreProvider::Vault(vault) | StoreProvider::OpenBao(vault) => named.server(&vault.server),
            StoreProvider::Aws(aws) => named.aws(aws),
            StoreProvider::File(_) => named.word("file"),
            StoreProvider::Fake(_) => named.word("fake"),
            StoreProvider::Kubernetes(_) => Err(refusal("stores of Kubernetes")),
            // Nothing is asked of these: the settings of the store are wrong, which is said elsewhere.
            StoreProvider::Other(_) | StoreProvider::Several(_) | StoreProvider::Missing => Ok(()),
        }
    }
}

impl Named {
    fn word(&self, word: &str) -> Result<(), String> {
        if self.words.iter().any(|known| known == word) { Ok(()) } else { Err(refusal(&format!("{word:?}"))) }
    }

    fn server(&self, server: &str) -> Result<(), String> {
        let url = Url::parse(server).map_err(|error| format!("the address of the store cannot be read: {error}"))?;
        // Whatever else an address may hold could make it look like another one.
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_plain = is_plain && url.query().is_none() && url.fragment().is_none() && url.has_host();
        // As it was read, not as it was written.
        let text = url.as_str().trim_end_matches('/');
        if is_plain && self.servers.is_match(text) { Ok(()) } else { Err(refusal(&format!("the server {server:?}"))) }
    }

    fn aws(&self, aws: &AwsProvider) -> Result<(), String> {
        let has_key = aws.auth.as_ref().is_some_and(|auth| auth.secret_ref.is_some() && auth.jwt.is_none());
        self.word(if has_key { "aws" } else { "aws-ambient" })?;
        // The region becomes a part of the server's name.
        if !aws.region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(refusal(&format!("the region {:?}", aws.region)));
        }
        [&aws.endpoint, &aws.sts_endpoint].into_iter().flatten().try_for_each(|endpoint| self.server(endpoint))
    }
}

const REFUSAL: &str = "the settings of this host (allow.stores) do not admit";

fn refusal(what: &str) -> String {
    format!("{REFUSAL} {what}: nothing was sent there")
}

/// Whether a problem is that of a store which may not be asked.
#[must_use]
pub fn is_not_admitted(problem: &str) -> bool {
    problem.contains(REFUSAL)
}

#[cfg(test)]
mod tests {
    use bulla_crds::SecretStoreSpec;
    use serde_json::{Value, json};

    use super::Admitted;
    use crate::host::config::Allow;

    fn is_admitted(allow: &Allow, provider: Value) -> bool {
        let spec: SecretStoreSpec = serde_json::from_value(json!({"provider": provider})).unwrap();
        Admitted::new(allow).unwrap().check(&spec.provider).is_ok()
    }

    fn stores(stores: &[&str]) -> Allow {
        Allow { stores: Some(stores.iter().map(|store| (*store).to_owned()).collect()), ..Allow::default() }
    }

    fn vault(server: &str) -> Value {
        json!({"vault": {"server": server, "path": "kv", "auth": {"tokenSecretRef": {"name": "t", "key": "t"}}}})
    }

    fn key() -> Value {
        let selector = |key: &str| json!({"name": "aws", "key": key});
        json!({"secretRef": {"accessKeyIDSecretRef": selector("id"), "secretAccessKeySecretRef": selector("key")}})
    }

    #[test]
    fn with_any_restriction_only_files_and_fakes_are_asked_unless_stores_are_named() {
        let aws = json!({"aws": {"service": "SecretsManager", "region": "eu-central-1"}});
        let (file, fake) = (json!({"file": {"path": "a"}}), json!({"fake": {"data": []}}));
        let open = Allow::default();
        for provider in [vault("http://127.0.0.1:8200"), aws.clone(), file.clone(), fake.clone()] {
            assert!(is_admitted(&open, provider.clone()), "{provider}");
        }
        for allow in [
            Allow { paths: Some(Vec::new()), ..Allow::default() },
            Allow { units: Some(Vec::new()), ..Allow::default() },
            Allow { commands: Some(true), ..Allow::default() },
        ] {
            assert!(!is_admitted(&allow, vault("https://vault.example.com")));
            assert!(!is_admitted(&allow, aws.clone()));
            assert!(is_admitted(&allow, file.clone()) && is_admitted(&allow, fake.clone()));
        }
        let none = stores(&[]);
        assert!(!is_admitted(&none, file) && !is_admitted(&none, fake) && !is_admitted(&none, aws));
    }

    #[test]
    fn an_address_is_admitted_as_it_is_read_and_a_glob_does_not_leave_its_server() {
        let whole = stores(&["https://vault.example.com/**", "https://*.vaults.example.com:8200"]);
        for good in [
            "https://vault.example.com",
            "https://vault.example.com/",
            "https://VAULT.example.com:443/x/y",
            "https://a.vaults.example.com:8200/",
        ] {
            assert!(is_admitted(&whole, vault(good)), "{good}");
        }
        for bad in [
            "http://vault.example.com",
            "https://vault.example.com:8200",
            "https://vault.example.com.attacker.example",
            "https://vault.example.com@attacker.example/",
            "https://attacker.example/x.vaults.example.com:8200",
            "https://attacker.example\\x.vaults.example.com:8200",
            "https://attacker.example?x.vaults.example.com:8200",
            "https://attacker.example#x.vaults.example.com:8200",
            "https://a.b@c.vaults.example.com:8200",
            "http://127.0.0.1:8200",
            "http://169.254.169.254",
            "",
        ] {
            assert!(!is_admitted(&whole, vault(bad)), "{bad}");
        }
    }

    #[test]
    fn the_machines_own_role_and_other_endpoints_have_to_be_named() {
        let aws = |auth: Value, endpoint: Value, region: &str| json!({"aws": {"service": "SecretsManager", "region": region, "auth": auth, "endpoint": endpoint}});
        let region = "eu-central-1";
        assert!(is_admitted(&stores(&["aws"]), aws(key(), Value::Null, region)));
        assert!(!is_admitted(&stores(&["aws"]), aws(Value::Null, Value::Null, region)));
        assert!(!is_admitted(&stores(&["aws"]), aws(json!({}), Value::Null, region)));
        assert!(is_admitted(&stores(&["aws-ambient"]), aws(Value::Null, Value::Null, region)));
        assert!(!is_admitted(&stores(&["aws-ambient"]), aws(key(), Value::Null, region)));
        let elsewhere = json!("http://attacker.example");
        assert!(!is_admitted(&stores(&["aws"]), aws(key(), elsewhere.clone(), region)));
        assert!(is_admitted(&stores(&["aws", "http://attacker.example"]), aws(key(), elsewhere, region)));
        assert!(!is_admitted(&stores(&["aws"]), aws(key(), Value::Null, "x.attacker.example/")));
    }

    #[test]
    fn a_word_that_nobody_knows_is_an_error() {
        for bad in ["vault", "AWS", "aws_ambient", "vault.example.com", "https://[", ""] {
            let error = Admitted::new(&stores(&[bad])).err().unwrap_or_default();
            assert!(error.contains("allow.stores"), "{bad}: {error}");
        }
    }
}
