//! The CustomResourceDefinition of ExternalSecrets.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::group::{Definition, READY_MESSAGE, READY_REASON, READY_STATUS};
use super::parts::{
    boolean, condition, data_key, exactly_one, integer, list, name, nullable, object, one_of, string, strings,
    strings_by_key, time, written_secret,
};
use crate::external_secret::{KIND, PLURAL};

/// `externalsecrets.external-secrets.io`.
pub fn external_secret_crd() -> CustomResourceDefinition {
    Definition {
        kind: KIND,
        plural: PLURAL,
        singular: "externalsecret",
        short: "es",
        scope: "Namespaced",
        description: "A Secret whose values live in a remote store.",
        columns: json!([
            { "name": "StoreType", "type": "string", "jsonPath": ".spec.secretStoreRef.kind" },
            { "name": "Store", "type": "string", "jsonPath": ".spec.secretStoreRef.name" },
            { "name": "Refresh Interval", "type": "string", "jsonPath": ".spec.refreshInterval" },
            { "name": "Status", "type": "string", "jsonPath": READY_REASON },
            { "name": "Ready", "type": "string", "jsonPath": READY_STATUS },
            { "name": "Last Sync", "type": "date", "jsonPath": ".status.refreshTime" },
            { "name": "Next Sync", "type": "string", "jsonPath": ".status.nextRefreshTime", "priority": 1,
              "description": "When the values are fetched again." },
            { "name": "Message", "type": "string", "jsonPath": READY_MESSAGE, "priority": 1,
              "description": "Why, in a sentence." },
        ]),
        selectable: &[
            ".spec.secretStoreRef.name",
            ".spec.secretStoreRef.kind",
            ".spec.target.name",
            ".spec.refreshInterval",
        ],
        spec: spec("What to fetch, how often, and the Secret to make of it."),
        status: status(),
    }
    .build()
}

/// `spec`; a ClusterExternalSecret has it too.
pub(super) fn spec(description: &str) -> Value {
    object(
        &[],
        json!({
            "secretStoreRef": store_ref("The store of every item that names none of its own."),
            "target": target(),
            "refreshPolicy": one_of(
                &["CreatedOnce", "Periodic", "OnChange"],
                "When to fetch again: never, every refreshInterval and when the object changes (if absent), or only then.",
            ),
            "refreshInterval": string("How often to fetch, as a duration such as 30m; absent means 1h, and 0s means once."),
            "syncWindows": sync_windows(),
            "data": list(data_item(), "Data keys, one by one; they win over dataFrom."),
            "dataFrom": list(data_from(), "Many data keys at once; later items win."),
        }),
        description,
    )
}

fn store_ref(description: &str) -> Value {
    object(
        &[],
        json!({
            "name": name("The store's name."),
            "kind": one_of(
                &["SecretStore", "ClusterSecretStore"],
                "Which kind of store; absent means a SecretStore in the same namespace.",
            ),
        }),
        description,
    )
}

fn sync_windows() -> Value {
    let window = object(
        &["schedule", "duration"],
        json!({
            "schedule": string("When it begins, in UTC: five cron fields, @daily and the like, or @every 1h."),
            "duration": string("How long it lasts, as a duration such as 2h."),
        }),
        "A span of time that comes again and again.",
    );
    let mut windows = list(window, "The windows.");
    windows["minItems"] = json!(1);
    object(
        &["kind", "windows"],
        json!({
            "kind": one_of(&["allow", "deny"], "Refresh only inside the windows, or only outside."),
            "windows": windows,
        }),
        "When a periodic refresh may happen, or may not.",
    )
}

fn data_item() -> Value {
    object(
        &["secretKey", "remoteRef"],
        json!({
            "secretKey": data_key("The data key in the Secret."),
            "remoteRef": remote_ref("What to fetch."),
            "sourceRef": source_ref(),
        }),
        "One data key of the Secret and where its value comes from.",
    )
}

fn data_from() -> Value {
    object(
        &[],
        json!({
            "extract": remote_ref("Every key of one remote secret that holds a JSON object."),
            "find": find(),
            "sourceRef": source_ref(),
            "rewrite": list(rewrite(), "What to make of the keys, step by step."),
        }),
        "Many data keys at once: of one remote secret, of all that match, or of a generator.",
    )
}

fn remote_ref(description: &str) -> Value {
    object(
        &["key"],
        json!({
            "key": string("The remote secret's name, path or id."),
            "property": string("Which part of the value, as a gjson path."),
            "version": string("Which version; absent means the current one."),
            "metadataPolicy": one_of(&["None", "Fetch"], "Whether the metadata is meant instead of the value; absent means None."),
            "conversionStrategy": conversion_strategy(),
            "decodingStrategy": decoding_strategy("How the remote value is encoded; absent means None."),
            "nullBytePolicy": null_byte_policy(),
        }),
        description,
    )
}

fn find() -> Value {
    object(
        &[],
        json!({
            "path": string("Where to look."),
            "name": object(&[], json!({ "regexp": string("A regular expression.") }), "By name."),
            "tags": strings_by_key("By tags, all of them."),
            "conversionStrategy": conversion_strategy(),
            "decodingStrategy": decoding_strategy("How the remote values are encoded; absent means None."),
            "nullBytePolicy": null_byte_policy(),
        }),
        "Every remote secret that matches.",
    )
}

fn conversion_strategy() -> Value {
    one_of(
        &["Default", "Unicode"],
        "What becomes of characters that a data key may not have: _ (if absent), or _U and the code point and _.",
    )
}

fn decoding_strategy(description: &str) -> Value {
    one_of(&["Auto", "Base64", "Base64URL", "None"], description)
}

fn null_byte_policy() -> Value {
    one_of(&["Ignore", "Fail"], "What to do about zero bytes in a value; absent means Ignore.")
}

fn source_ref() -> Value {
    let generator = object(
        &["kind", "name"],
        json!({
            "apiVersion": string("Absent means generators.external-secrets.io/v1alpha1."),
            "kind": string("The generator's kind."),
            "name": name("The generator's name."),
        }),
        "A generator.",
    );
    exactly_one(object(
        &[],
        json!({ "storeRef": store_ref("Another store."), "generatorRef": generator }),
        "Where to fetch, if not from the spec's store.",
    ))
}

fn rewrite() -> Value {
    let regexp = object(
        &["source", "target"],
        json!({
            "source": string("A regular expression."),
            "target": string("The replacement, with $1 for groups."),
        }),
        "Replaces what matches in each key.",
    );
    let transform = object(
        &["template"],
        json!({ "template": string("A Go template; .value is the key.") }),
        "Renders a template for each key.",
    );
    let merge = object(
        &[],
        json!({
            "into": string("The key that gets the merged object; strategy JSON needs it."),
            "priority": strings("Keys that are merged last, in this order, and so win."),
            "priorityPolicy": one_of(&["IgnoreNotFound", "Strict"], "Whether every key in priority must be there; absent means Strict."),
            "conflictPolicy": one_of(&["Ignore", "Error"], "What to do about a property that two values have; absent means Error."),
            "strategy": one_of(&["Extract", "JSON"], "Whether the merged object becomes a key for each property (if absent) or one key."),
        }),
        "Merges values that are JSON objects.",
    );
    exactly_one(object(
        &[],
        json!({ "regexp": regexp, "transform": transform, "merge": merge }),
        "One step of rewriting keys.",
    ))
}

fn target() -> Value {
    object(
        &[],
        json!({
            "name": name("Its name; absent means the ExternalSecret's."),
            "creationPolicy": one_of(
                &["Owner", "Orphan", "Merge", "None", "CreateOrMerge"],
                "Who makes it and who owns it; absent means Owner.",
            ),
            "deletionPolicy": one_of(
                &["Delete", "Merge", "Retain"],
                "What becomes of it when the remote secrets are gone; absent means Retain.",
            ),
            "immutable": boolean("Whether it may not change once it is made."),
            "manifest": object(
                &["apiVersion", "kind"],
                json!({ "apiVersion": string("Its apiVersion."), "kind": string("Its kind.") }),
                "Another kind of object than a Secret.",
            ),
            "template": template(),
        }),
        "The Secret to make; absent means one of the same name, owned.",
    )
}

fn template() -> Value {
    let metadata = object(
        &[],
        json!({
            "annotations": strings_by_key("Annotations; the values are templates."),
            "labels": strings_by_key("Labels; the values are templates."),
            "finalizers": strings("Finalizers."),
        }),
        "Labels, annotations and finalizers of the Secret.",
    );
    object(
        &[],
        json!({
            "type": string("The Secret's type; absent means Opaque."),
            "engineVersion": one_of(&["v1", "v2"], "The template language; absent means v2, and v1 is stored but not rendered."),
            "metadata": metadata,
            "mergePolicy": one_of(&["Replace", "Merge"], "Whether fetched keys that no template makes are kept; absent means Replace."),
            "data": strings_by_key("Go templates by data key."),
            "templateFrom": list(template_from(), "Templates that live elsewhere."),
        }),
        "The Secret's shape; absent means the fetched keys as they are.",
    )
}

fn template_from() -> Value {
    let source = |description: &str| {
        let item = object(
            &["key"],
            json!({
                "key": data_key("The key."),
                "templateAs": one_of(&["Values", "KeysAndValues"], "What it is a template of; absent means Values."),
            }),
            "One key that holds a template.",
        );
        object(
            &["items", "name"],
            json!({ "name": name("The object's name."), "items": list(item, "Which keys.") }),
            description,
        )
    };
    object(
        &[],
        json!({
            "configMap": source("Keys of a ConfigMap."),
            "secret": source("Keys of a Secret."),
            "literal": string("A template for keys and values."),
            "target": string("What the result goes into: Data (if absent), Annotations, Labels, or a path in a manifest."),
            "valuesDecodingStrategy": decoding_strategy("How the rendered values are encoded; absent means None."),
        }),
        "Templates that live elsewhere, or a literal one.",
    )
}

fn status() -> Value {
    object(
        &[],
        json!({
            "refreshTime": nullable(time("When the last good sync began.")),
            "syncedResourceVersion": string("The object's generation, and a hash of its labels and annotations, at the last good sync."),
            "binding": object(&[], json!({ "name": string("The Secret's name.") }), "The Secret, as servicebinding.io wants to find it."),
            "conditions": list(
                condition("What is stated: Ready, Reconciling or Stalled."),
                "Ready first, then Reconciling and Stalled as they apply.",
            ),
            "observedGeneration": integer("The generation that this status is about."),
            "nextRefreshTime": time("When the values are fetched again."),
            "syncReason": string("Why the last sync happened, in one word."),
            "lastForceSync": string("The value of the annotation external-secrets.io/force-sync that was acted on last."),
            "secret": written_secret(),
        }),
        "What came of it, written by the controller.",
    )
}
