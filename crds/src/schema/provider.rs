//! `spec.provider` of a store: the providers that we know, field by field, and every other as it stands.

use serde_json::{Value, json};

use super::parts::{
    boolean, bytes, data_key, exactly_one, integer, list, name, namespace, object, one_of, open, string, strings,
    strings_by_key,
};

/// Exactly one key. A provider that we do not know is kept whole, so that a store of External Secrets can be stored,
/// and then be reported as not supported.
pub(super) fn provider() -> Value {
    open(exactly_one(object(
        &[],
        json!({
            "aws": aws(),
            "vault": vault(vault_auth("mountPath"), "HashiCorp Vault."),
            "openBao": open(vault(vault_auth("path"), "OpenBao, with the settings of vault.")),
            "kubernetes": kubernetes(),
            "fake": fake(),
            "file": file(),
        }),
        "Where the remote secrets live: exactly one provider.",
    )))
}

fn secret_key(description: &str) -> Value {
    object(
        &[],
        json!({
            "name": name("The Secret's name."),
            "namespace": namespace("Its namespace; counts only in a ClusterSecretStore."),
            "key": data_key("The data key."),
        }),
        description,
    )
}

fn service_account(description: &str) -> Value {
    object(
        &["name"],
        json!({
            "name": name("The service account's name."),
            "namespace": namespace("Its namespace; counts only in a ClusterSecretStore."),
            "audiences": strings("For whom the token is, beside the usual audience."),
        }),
        description,
    )
}

fn ca_provider() -> Value {
    object(
        &["name", "type"],
        json!({
            "type": one_of(&["Secret", "ConfigMap"], "Which kind of object holds them."),
            "name": name("The object's name."),
            "key": data_key("The data key."),
            "namespace": namespace("The object's namespace; only for a ClusterSecretStore."),
        }),
        "Where certificates of authorities are, in PEM.",
    )
}

fn aws() -> Value {
    let mut custom_tags = strings_by_key("More session tags, under sessionTagsPolicy Custom.");
    custom_tags["x-kubernetes-validations"] = json!([{
        "rule": "!('esoNamespace' in self || 'esoStoreName' in self || 'esoStoreKind' in self)",
        "message": "esoNamespace, esoStoreName and esoStoreKind are set by sessionTagsPolicy: use other keys",
    }]);
    let tag = object(
        &["key", "value"],
        json!({ "key": string("Its key."), "value": string("Its value.") }),
        "A session tag.",
    );
    let secrets_manager = object(
        &[],
        json!({
            "forceDeleteWithoutRecovery": boolean("At once."),
            "recoveryWindowInDays": integer("After so many days, 7 to 30."),
        }),
        "How secrets are deleted; only for pushing.",
    );
    object(
        &["service", "region"],
        json!({
            "service": one_of(&["SecretsManager", "ParameterStore", "CertificateManager"], "Which service."),
            "region": string("Which region."),
            "role": string("The role to assume last, by ARN."),
            "additionalRoles": strings("Roles to assume before it, in this order."),
            "externalID": string("The external id for assuming role."),
            "sessionTags": list(tag, "Session tags for assuming role."),
            "transitiveTagKeys": strings("Session tags that later roles keep."),
            "sessionTagsPolicy": one_of(&["None", "Simple", "Custom"], "Whether tags that name the ExternalSecret are added; absent means None."),
            "customSessionTags": custom_tags,
            "prefix": string("Put before every key."),
            "secretsManager": secrets_manager,
            "auth": aws_auth(),
            "endpoint": string("The URL of the service, in place of the region's."),
            "stsEndpoint": string("The URL of the token service, in place of the region's."),
        }),
        "AWS Secrets Manager or Parameter Store.",
    )
}

fn aws_auth() -> Value {
    let secret_ref = object(
        &[],
        json!({
            "accessKeyIDSecretRef": secret_key("Where the access key's id is."),
            "secretAccessKeySecretRef": secret_key("Where the access key's secret is."),
            "sessionTokenSecretRef": secret_key("Where the session token is, for temporary credentials."),
        }),
        "A static access key.",
    );
    let jwt = object(
        &[],
        json!({ "serviceAccountRef": service_account("The service account.") }),
        "A service account's token, exchanged for a role that the account's annotations name.",
    );
    object(
        &[],
        json!({ "secretRef": secret_ref, "jwt": jwt }),
        "Who we are; absent means what the controller finds around it.",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are built from the inside out, and each part is used once")]
fn vault(auth: Value, description: &str) -> Value {
    let tls = object(
        &[],
        json!({
            "certSecretRef": secret_key("The certificate; the usual key is tls.crt."),
            "keySecretRef": secret_key("Its private key; the usual key is tls.key."),
        }),
        "Our certificate for TLS.",
    );
    object(
        &["server"],
        json!({
            "server": string("The server's URL."),
            "path": string("Where the KV engine is mounted."),
            "version": one_of(&["v1", "v2"], "The KV engine's version; absent means v2."),
            "namespace": string("The namespace of an enterprise server."),
            "caBundle": bytes("Certificates of authorities, PEM in base64."),
            "caProvider": ca_provider(),
            "tls": tls,
            "readYourWrites": boolean("Whether a read must see our last write."),
            "forwardInconsistent": boolean("Whether the active node answers where another is behind; needs readYourWrites."),
            "headers": strings_by_key("Headers for every request."),
            "checkAndSet": object(
                &[],
                json!({ "required": boolean("Whether they must.") }),
                "Whether writes name the version that they replace; only for pushing.",
            ),
            "auth": auth,
        }),
        description,
    )
}

/// `mount_path` is the field that says where the Kubernetes method is mounted: the two providers disagree.
fn vault_auth(mount_path: &str) -> Value {
    let mount = |usual: &str| string(&format!("Where the method is mounted; absent means {usual}."));
    let password = |path: &str, description: &str| {
        object(
            &["username"],
            json!({
                "path": mount(path),
                "username": string("The user."),
                "secretRef": secret_key("Where the password is."),
            }),
            description,
        )
    };
    let app_role = object(
        &["secretRef"],
        json!({
            "path": mount("approle"),
            "roleId": string("The role's id."),
            "roleRef": secret_key("Where the role's id is."),
            "secretRef": secret_key("Where the role's secret is."),
        }),
        "A role's id and its secret.",
    );
    let kubernetes = object(
        &["role"],
        json!({
            mount_path: mount("kubernetes"),
            "role": string("The role to log in as."),
            "serviceAccountRef": service_account("The service account."),
            "secretRef": secret_key("Where a token is; the usual key is token."),
        }),
        "A service account: the one named, a kept token, or the controller's own.",
    );
    let cert = object(
        &[],
        json!({
            "path": mount("cert"),
            "vaultRole": string("The role to log in as."),
            "clientCert": secret_key("Where the certificate is."),
            "secretRef": secret_key("Where its private key is."),
        }),
        "A TLS certificate.",
    );
    let by_name_only = |description: &str| open(json!({ "type": "object", "description": description }));
    object(
        &[],
        json!({
            "namespace": string("The namespace to log in to; absent means the provider's."),
            "tokenSecretRef": secret_key("Where a token is."),
            "appRole": app_role,
            "kubernetes": kubernetes,
            "ldap": password("ldap", "A user of an LDAP directory."),
            "userPass": password("userpass", "A user that the server knows."),
            "jwt": vault_jwt(mount("jwt")),
            "cert": cert,
            "iam": by_name_only("AWS identities: stored, but not supported."),
            "gcp": by_name_only("Google identities: stored, but not supported."),
        }),
        "How to log in. The first method that is set is used, in the order tokenSecretRef, appRole, kubernetes, ldap, userPass, jwt, cert.",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are built from the inside out, and each part is used once")]
fn vault_jwt(path: Value) -> Value {
    let token = object(
        &["serviceAccountRef"],
        json!({
            "serviceAccountRef": service_account("The service account."),
            "audiences": strings("Deprecated: for whom the token is; absent means vault."),
            "expirationSeconds": integer("Deprecated: how long it lives; absent means 600."),
        }),
        "A service account whose token is asked for.",
    );
    object(
        &[],
        json!({
            "path": path,
            "role": string("The role to log in as."),
            "secretRef": secret_key("Where the token is."),
            "kubernetesServiceAccountToken": token,
        }),
        "A token of some issuer.",
    )
}

fn kubernetes() -> Value {
    let server = object(
        &[],
        json!({
            "url": string("Its URL; absent means kubernetes.default, this cluster's."),
            "caBundle": bytes("Certificates of authorities, PEM in base64."),
            "caProvider": ca_provider(),
        }),
        "Which API server.",
    );
    let cert = object(
        &[],
        json!({
            "clientCert": secret_key("Where the certificate is."),
            "clientKey": secret_key("Where its private key is."),
        }),
        "A client certificate.",
    );
    let auth = exactly_one(object(
        &[],
        json!({
            "cert": cert,
            "token": object(&[], json!({ "bearerToken": secret_key("Where it is.") }), "A token."),
            "serviceAccount": service_account("A service account of this cluster."),
        }),
        "Who we are there; excludes authRef.",
    ));
    object(
        &[],
        json!({
            "server": server,
            "auth": auth,
            "authRef": secret_key("Where a kubeconfig is; excludes auth."),
            "remoteNamespace": namespace("Which namespace; absent means default."),
        }),
        "The Secrets of one namespace, of this cluster or another.",
    )
}

fn fake() -> Value {
    let data = object(
        &["key"],
        json!({
            "key": string("Its name."),
            "value": string("Its value."),
            "valueMap": strings_by_key("Its value as a map; deprecated."),
            "version": string("Its version; a request must name it exactly."),
        }),
        "One remote secret.",
    );
    object(
        &["data"],
        json!({
            "data": list(data, "The values."),
            "validationResult": integer("What checking the store says: 0 good (if absent), 1 unknown, 2 bad."),
        }),
        "Values written in the store itself, for tests.",
    )
}

/// Ours; External Secrets has no such thing.
fn file() -> Value {
    let key_of = |description: &str| {
        object(
            &["name", "key"],
            json!({
                "name": name("The object's name."),
                "key": data_key("The data key."),
                "namespace": namespace("Its namespace; counts only in a ClusterSecretStore."),
            }),
            description,
        )
    };
    object(
        &[],
        json!({
            "path": string("A path in the file system of the controller or the host."),
            "configMapRef": key_of("A key of a ConfigMap."),
            "secretRef": key_of("A key of a Secret."),
            "identitySecretRef": secret_key("Where the age identity is that opens it."),
        }),
        "An age-encrypted YAML file: exactly one of path, configMapRef and secretRef.",
    )
}
