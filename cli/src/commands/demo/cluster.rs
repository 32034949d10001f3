//! The same through a real API server: the controller runs here, in this process, with the user's own rights.

use std::path::Path;
use std::time::{Duration, Instant};

use bulla::controllers::{self, ControllerConfig, ExternalConfig, Namespaces};
use bulla_crds::{ExternalSecret, SealedSecret, SecretStore};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use super::{FIRST, SECOND, USER, external, plain_secret};
use crate::cluster::{self, CONFIG_MAP, ConnectionArguments};
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::output::{self, HEAD};

const FILE: &str = "clusters/demo/db.yaml";
/// How long anything may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the demo makes in the cluster and takes away again.
struct Guest {
    client: Client,
    system: String,
    prod: String,
    staging: String,
    /// The CRDs that were not there.
    made_crds: Vec<String>,
}

/// Tells the story.
pub(super) fn story(stage: &Stage, kubeconfig: &Path) -> Outcome {
    output::print(&format!("\n{HEAD}And now through the API server of {}.{HEAD:#}\n", kubeconfig.display()))?;
    let kubeconfig = std::path::absolute(kubeconfig)?;
    // Threads, unlike elsewhere: the controller works while this one waits for a verb.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let guest = Guest::arrive(&kubeconfig).await?;
        let stop = CancellationToken::new();
        let namespaces = Namespaces::These(vec![guest.prod.clone(), guest.staging.clone()]);
        let external = guest.serves_external().then(ExternalConfig::default);
        let config = ControllerConfig { namespaces, external, ..ControllerConfig::new(guest.system.clone()) };
        let controller = tokio::spawn(controllers::run(guest.client.clone(), config, stop.clone()));
        let told = tell(stage, &guest, &kubeconfig).await;
        stop.cancel();
        let ended = controller.await.or_usage("the controller");
        guest.leave().await;
        told?;
        ended?.or_usage("the controller")
    })
}

impl Guest {
    async fn arrive(kubeconfig: &Path) -> Outcome<Self> {
        let arguments = ConnectionArguments { kubeconfig: Some(kubeconfig.to_path_buf()), context: None };
        let client = cluster::connect(&arguments).await?;
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let mut made_crds = Vec::new();
        for crd in bulla_crds::all() {
            let name = crd.metadata.name.clone().unwrap_or_default();
            if crds.get_opt(&name).await.or_usage(format!("looking for the CRD {name}"))?.is_none() {
                crds.create(&PostParams::default(), &crd).await.or_usage(format!("installing the CRD {name}"))?;
                made_crds.push(name);
            }
        }
        let pid = std::process::id();
        let [system, prod, staging] = ["system", "prod", "staging"].map(|part| format!("bulla-demo-{pid}-{part}"));
        let guest = Self { client, system, prod, staging, made_crds };
        let namespaces: Api<Namespace> = Api::all(guest.client.clone());
        for name in [&guest.system, &guest.prod, &guest.staging] {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.clone());
            namespaces.create(&PostParams::default(), &namespace).await.or_usage(format!("making namespace {name}"))?;
        }
        let served = || async {
            let sealed = guest.sealed(&guest.prod).list(&Default::default()).await.is_ok();
            let external: Api<ExternalSecret> = Api::namespaced(guest.client.clone(), &guest.prod);
            Ok(sealed && external.list(&Default::default()).await.is_ok())
        };
        until("the API server serves SealedSecrets and ExternalSecrets", served).await?;
        Ok(guest)
    }

    /// Takes away what was made. What cannot be is said, so that a person can.
    async fn leave(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for name in [&self.prod, &self.staging, &self.system] {
            if let Err(error) = namespaces.delete(name, &DeleteParams::default()).await {
                output::note(&format!("namespace {name} is left behind: {error}"));
            }
        }
        let crds: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for name in &self.made_crds {
            if let Err(error) = crds.delete(name, &DeleteParams::default()).await {
                output::note(&format!("CRD {name} is left behind: {error}"));
            }
        }
    }

    /// Whether nobody else serves ExternalSecrets here: then nobody else has any, either.
    fn serves_external(&self) -> bool {
        self.made_crds.iter().any(|name| name.starts_with(bulla_crds::external_secret::PLURAL))
    }

    fn sealed(&self, namespace: &str) -> Api<SealedSecret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Applies a manifest as a GitOps tool would.
    async fn apply(&self, namespace: &str, manifest: &str) -> Outcome {
        let object: serde_json::Value = serde_saphyr::from_str(manifest)
            .map_err(|error| refuse!("the committed manifest: {}", error.without_snippet()))?;
        let as_gitops = PatchParams::apply("bulla-demo").force();
        self.sealed(namespace)
            .patch("db", &as_gitops, &Patch::Apply(&object))
            .await
            .or_usage("applying the manifest")?;
        Ok(())
    }

    /// Applies what the store holds.
    async fn fill(&self, vault: &str) -> Outcome {
        let map: serde_json::Value =
            serde_saphyr::from_str(vault).map_err(|error| refuse!("the store: {}", error.without_snippet()))?;
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.prod);
        let as_gitops = PatchParams::apply("bulla-demo").force();
        config_maps.patch("vault", &as_gitops, &Patch::Apply(&map)).await.or_usage("applying the store's content")?;
        Ok(())
    }

    /// Whether the Secret holds this password, and the user beside it.
    async fn holds(&self, password: &str) -> Outcome<bool> {
        let secret = self.secrets(&self.prod).get_opt("db").await.or_usage("reading the Secret")?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let is = |key: &str, value: &str| data.get(key).is_some_and(|bytes| bytes.0 == value.as_bytes());
        Ok(is("password", password) && is("username", USER))
    }
}

async fn tell(stage: &Stage, guest: &Guest, kubeconfig: &Path) -> Outcome {
    stage.step("A controller", "it makes its first key and publishes the public half")?;
    let config_maps: Api<ConfigMap> = Api::namespaced(guest.client.clone(), &guest.system);
    let published =
        || async { Ok(config_maps.get_opt(CONFIG_MAP).await.or_usage("reading the public keys")?.is_some()) };
    until("the public key is published", published).await?;
    stage.check(true, &format!("ConfigMap {CONFIG_MAP} holds it, for everybody who may log in"))?;

    stage.step("Seal, commit, apply", "no recipient named: the cluster is asked")?;
    let plain = plain_secret(&guest.prod);
    let kubeconfig = kubeconfig.display().to_string();
    let cluster = ["--kubeconfig", &kubeconfig, "--controller-namespace", &guest.system];
    stage.write("clusters/demo/README", "what a GitOps tool applies\n")?;
    stage.bulla(&[&["seal", "-o", FILE], &cluster[..]].concat(), &plain)?;
    stage.git(&["add", "clusters/demo"])?;
    stage.git(&["commit", "-m", "Add the demo cluster's credentials"])?;
    let began = Instant::now();
    guest.apply(&guest.prod, &stage.git(&["show", &format!("HEAD:{FILE}")])?).await?;
    until("the Secret is there", || guest.holds(FIRST)).await?;
    stage.check(
        true,
        &format!("the Secret is there, {} ms after the commit was applied", began.elapsed().as_millis()),
    )?;

    stage.step("Edited and deleted by hand", "somebody uses kubectl")?;
    let edit = json!({"stringData": {"password": "edited", "extra": "added"}});
    let secrets = guest.secrets(&guest.prod);
    secrets.patch("db", &PatchParams::default(), &Patch::Merge(&edit)).await.or_usage("editing the Secret")?;
    until("the edit is undone", || guest.holds(FIRST)).await?;
    secrets.delete("db", &DeleteParams::default()).await.or_usage("deleting the Secret")?;
    until("the Secret is back", || guest.holds(FIRST)).await?;
    stage.check(true, "put back, both times")?;

    stage.step("Change", "one value, one line of diff, one write")?;
    stage.bulla(&[&["set", FILE, "password"], &cluster[..]].concat(), SECOND)?;
    stage.git(&["commit", "-am", "Change the demo cluster's password"])?;
    guest.apply(&guest.prod, &stage.git(&["show", &format!("HEAD:{FILE}")])?).await?;
    until("the new value is there", || guest.holds(SECOND)).await?;
    stage.check(true, "the Secret follows the commit")?;

    stage.step("Moved to another namespace", "the API server takes it, the controller does not")?;
    let copy = stage.git(&["show", &format!("HEAD:{FILE}")])?.replace(&guest.prod, &guest.staging);
    guest.apply(&guest.staging, &copy).await?;
    until("the condition says so", || async { Ok(refusal(guest).await?.is_some()) }).await?;
    let refusal = refusal(guest).await?.unwrap_or_default();
    stage.say(&format!("Synced=False: {refusal}"))?;
    let written = guest.secrets(&guest.staging).get_opt("db").await.or_usage("looking for a Secret")?.is_some();
    stage.check(refusal.contains("was sealed for") && !written, "no Secret there, and a condition that says why")?;
    if guest.serves_external() {
        return from_a_store(stage, guest, &kubeconfig).await;
    }
    stage.say("ExternalSecrets are served here already: they are left to who does that")
}

/// The external secret of the repository, in the cluster.
async fn from_a_store(stage: &Stage, guest: &Guest, kubeconfig: &str) -> Outcome {
    stage
        .step("An external secret", "from the age-encrypted file; the cluster has the key, the repository does not")?;
    let secrets = guest.secrets(&guest.prod);
    let identity = json!({"metadata": {"name": "vault-key"}, "stringData": {"identity": stage.read(external::KEY)?}});
    let identity: Secret = serde_json::from_value(identity).or_usage("the key's Secret")?;
    secrets.create(&PostParams::default(), &identity).await.or_usage("making the key's Secret")?;
    guest.fill(&external::vault(stage, &guest.prod, external::FIRST)?).await?;
    let as_gitops = PatchParams::apply("bulla-demo").force();
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&external::manifests(&guest.prod))
        .map_err(|error| refuse!("the manifests: {}", error.without_snippet()))?;
    if let [store, object] = documents.as_slice() {
        let stores: Api<SecretStore> = Api::namespaced(guest.client.clone(), &guest.prod);
        stores.patch("vault", &as_gitops, &Patch::Apply(store)).await.or_usage("applying the store")?;
        let objects: Api<ExternalSecret> = Api::namespaced(guest.client.clone(), &guest.prod);
        objects.patch("api", &as_gitops, &Patch::Apply(object)).await.or_usage("applying the ExternalSecret")?;
    }
    let holds = |token: &'static str| {
        let secrets = secrets.clone();
        async move {
            let secret = secrets.get_opt("api").await.or_usage("reading the Secret")?;
            let data = secret.and_then(|secret| secret.data).unwrap_or_default();
            Ok(data.get("token").is_some_and(|bytes| bytes.0 == token.as_bytes()))
        }
    };
    until("the Secret is there", || holds(external::FIRST)).await?;
    stage.check(true, "fetched, decrypted and written, as planned")?;

    stage.step("Sync now", "the value changes at the source, an hour before it is looked for")?;
    guest.fill(&external::vault(stage, &guest.prod, external::SECOND)?).await?;
    let arguments = ["sync", "api", "-n", &guest.prod, "--kubeconfig", kubeconfig];
    // On a thread of its own: the controller, in this one, has to answer.
    let said = tokio::task::block_in_place(|| stage.bulla(&arguments, ""))?;
    stage.show(&said)?;
    stage.check(holds(external::SECOND).await?, "the Secret follows")
}

/// What the object in the wrong place says, once it says anything.
async fn refusal(guest: &Guest) -> Outcome<Option<String>> {
    let object = guest.sealed(&guest.staging).get_opt("db").await.or_usage("reading the SealedSecret")?;
    let conditions = object.and_then(|object| object.status).map(|status| status.conditions).unwrap_or_default();
    let synced = conditions.into_iter().find(|condition| condition.r#type == "Synced");
    Ok(synced.filter(|synced| synced.status == bulla_crds::ConditionStatus::False).and_then(|synced| synced.message))
}

/// Waits until `check` holds, and fails with `what` if it does not.
async fn until<F: Future<Output = Outcome<bool>>>(what: &str, check: impl Fn() -> F) -> Outcome {
    let began = Instant::now();
    while !check().await? {
        if began.elapsed() > PATIENCE {
            return Err(super::broken(what));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
