//! The behaviour that users of Sealed Secrets rely on, case by case as its own integration tests have them, and the
//! weaknesses that they know, each shown to be gone.
//!
//! Sealed here as `kubeseal` seals: for an RSA certificate whose key lies in a TLS Secret of upstream's.
//!
//! | upstream's case | here |
//! |---|---|
//! | create: Secret, label, status, event | [`opening`] |
//! | update: generation, times | [`opening`] |
//! | a key renamed, a key appended | [`opening`] |
//! | an existing Secret with `managed`, `managed` and `patch`, `patch`, `patch` on an empty one | [`existing`] |
//! | recreation of what is owned or `managed`, not of the unowned or patched | [`existing`] |
//! | wrong key: no Secret, `ErrUnsealFailed` | [`opening`] |
//! | a type of one's own, immutable, immutable error | [`opening`] |
//! | another name or namespace in each scope | [`opening`] |
//! | `--version` | [`opening`] |
//! | deletion takes the Secret along (garbage collector) | [`collection`] |
//! | `kubeseal` against the controller | `tests/kubeseal` |
//!
//! | weakness | shown to be gone by |
//! |---|---|
//! | gives up after a fifth of a second | [`warts`]`::a_failure_is_tried_again_for_as_long_as_it_lasts` |
//! | not tried again when a key arrives | `keys::a_key_that_arrives_opens_what_waited_for_it` |
//! | not tried again when the blocking Secret goes | `ownership::a_foreign_secret_is_refused_and_the_object_heals_when_it_goes` |
//! | an annotation that mends the scope is not noticed | `restart::an_annotation_that_mends_the_scope_counts` |
//! | a message that changes at one generation is not written | [`warts`]`::the_message_is_always_that_of_the_last_try` |
//! | a conflict on the status is never tried again | [`warts`]`::a_status_that_others_write_at_the_same_time_arrives` |
//! | one needless write at each sync | `restart::a_restart_over_unchanged_objects_asks_for_nothing_but_lists`, [`warts`]`::a_resync_of_what_is_right_writes_nothing` |
//! | an event at each sync | [`warts`]`::a_resync_of_what_is_right_writes_nothing` |
//! | what is edited by hand stays so | `drift::edited_data_is_put_back` |
//! | labels and annotations of others are wiped | `drift::foreign_metadata_is_left_alone_and_ours_is_put_back` |
//! | a deletion that the watch missed | [`warts`]`::a_deletion_that_the_watch_missed_is_noticed` |
//! | deleted and created again: the Secret is lost | [`collection`]`::deleted_and_created_again_it_keeps_its_secret` |
//! | a malformed key crashes it | `keys::malformed_key_secrets_do_not_stop_the_others` |
//! | one odd object ends the watch | [`warts`]`::an_object_that_the_schema_would_refuse_does_not_stop_the_others` |
//! | `immutable` is not set on a Secret that exists | [`warts`]`::immutable_is_set_on_a_secret_that_exists` |
//! | several namespaces: slow start, missing ones skipped | `settings::three_hundred_namespaces_start_at_once`, `settings::a_namespace_that_is_missing_is_waited_for` |

mod collection;
mod existing;
mod opening;
mod warts;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, Certificate, Place, Recipient, Scope, seal};
use bulla::secret::Plaintext;
use bulla_crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::apiserver::ApiServer;
use crate::world::{SOON, World};

/// A certificate and its key in PEM, made once: keys take long.
fn pair() -> &'static (String, String) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        // One from long ago would be renewed at once.
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let number = |number: i8| u8::try_from(number).unwrap();
        parameters.not_before = rcgen::date_time_ymd(today.year().into(), number(today.month()), number(today.day()));
        let certificate = parameters.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    })
}

/// A controller that has taken over one of upstream's keys.
struct Suite<'a> {
    world: World<'a>,
}

impl Suite<'static> {
    async fn new() -> Self {
        let mut suite = Suite::on(ApiServer::shared()).await;
        suite.world.start();
        suite
    }
}

impl<'a> Suite<'a> {
    /// With the key in place and nothing running.
    async fn on(server: &'a ApiServer) -> Self {
        let world = World::on(server).await;
        let (certificate, key) = pair();
        world
            .create::<Secret>(json!({
                "metadata": {
                    "name": "sealed-secrets-keyx7k2p",
                    "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"},
                },
                "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key},
            }))
            .await;
        Self { world }
    }

    /// A value sealed for this name in this namespace, which need not be those where it is used.
    fn sealed(&self, scope: Scope, namespace: &str, name: &str, value: &str) -> String {
        let recipient: Recipient = Certificate::from_pem(pair().0.as_bytes()).unwrap().into();
        let binding = Binding::new(scope, Place { namespace, name, key: "" }, "2026-11-21".parse().unwrap());
        seal(&[recipient], &Plaintext::copy_of(value.as_bytes()), &binding).unwrap()
    }

    /// The same, strictly for where it is used.
    fn strict(&self, name: &str, value: &str) -> String {
        self.sealed(Scope::Strict, &self.world.namespace, name, value)
    }

    /// Creates a SealedSecret with one value, `foo`.
    async fn create(&self, name: &str, template: Value) -> SealedSecret {
        let spec = json!({"encryptedData": {"foo": self.strict(name, "bar")}, "template": template});
        self.world.create(json!({"metadata": {"name": name}, "spec": spec})).await
    }

    /// The events about an object as reason and note, once one has this reason.
    async fn event(&self, name: &str, reason: &str) -> String {
        let began = Instant::now();
        loop {
            let events = self.world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
            let about = |event: &Event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name);
            let found = events.into_iter().find(|e| about(e) && e.reason.as_deref() == Some(reason));
            if let Some(event) = found {
                return event.note.unwrap_or_default();
            }
            assert!(began.elapsed() < SOON, "no event {reason} about {name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many events there are about an object by now.
    async fn events(&self, name: &str) -> usize {
        let events = self.world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.iter().filter(|e| e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name)).count()
    }
}
