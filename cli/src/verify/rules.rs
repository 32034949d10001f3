//! What `bulla verify` can find.

use crate::findings::{Level, Rule};

/// Every rule, in the order of the documentation.
pub(crate) static RULES: [&Rule; 26] = [
    &PLAIN_SECRET,
    &SYNTAX,
    &SEALED_VALUE,
    &WRONG_PLACE,
    &SCOPE,
    &NAME,
    &API_VERSION,
    &UNKNOWN_KEY,
    &RETIRED_KEY,
    &COMPROMISED_KEY,
    &RECIPIENT,
    &MISSING_RECIPIENT,
    &MIXED_KINDS,
    &NOT_AFTER,
    &EXPIRES_SOON,
    &EXTERNAL_SECRET,
    &MISSING_STORE,
    &MISSING_KEY,
    &HOST,
    &HOST_FILE,
    &HOST_SECRET,
    &HOST_EXPOSED,
    &DUPLICATE,
    &KUSTOMIZATION,
    &BULLA_YAML,
    &NOT_LOOKED_AT,
];

pub(crate) static PLAIN_SECRET: Rule = Rule {
    id: "plain-secret",
    level: Level::Error,
    summary: "a Secret with values in the clear",
    why: "Whoever can read the repository, a fork, a clone, a backup or a build log reads the value. Base64 is no \
          protection, and deleting the file later leaves the value in the history.",
    mend: "seal it: `bulla seal FILE -o sealed.yaml`, delete FILE, and change the secret itself if this was ever pushed",
};

pub(crate) static SYNTAX: Rule = Rule {
    id: "syntax",
    level: Level::Error,
    summary: "a file with our kinds that is neither YAML nor JSON",
    why: "What cannot be read cannot be checked, and the cluster would not take it either.",
    mend: "correct the file at the place that is named",
};

pub(crate) static SEALED_VALUE: Rule = Rule {
    id: "sealed-value",
    level: Level::Error,
    summary: "an entry of encryptedData that is no sealed value, or a damaged one",
    why: "The controller cannot open it: the Secret would keep its old value or never come to be. If it is plain text \
          that was meant to be sealed, it is in the clear.",
    mend: "seal the value again: `bulla set FILE KEY`",
};

pub(crate) static WRONG_PLACE: Rule = Rule {
    id: "wrong-place",
    level: Level::Error,
    summary: "a value that was sealed for another namespace, name or key than where it lands",
    why: "A sealed value is bound to its place so that nobody can copy it to where they may read it. Renaming or \
          moving the object, or a kustomization that sets namespace, namePrefix or nameSuffix, takes it out of that \
          place, and the controller refuses it.",
    mend: "seal the value for where it lands, or undo the move",
};

pub(crate) static SCOPE: Rule = Rule {
    id: "scope",
    level: Level::Error,
    summary: "annotations that say another scope than the value, or nothing at all",
    why: "The scope is part of what was sealed. An object that declares another one is refused; an annotation that is \
          not exactly the string \"true\" declares nothing.",
    mend: "write the annotation that fits the value, in quotes, or seal the value with the scope that is meant",
};

pub(crate) static NAME: Rule = Rule {
    id: "name",
    level: Level::Error,
    summary: "a SealedSecret without a name",
    why: "Values are bound to the name of their object, and an API server takes none without.",
    mend: "set metadata.name",
};

pub(crate) static API_VERSION: Rule = Rule {
    id: "api-version",
    level: Level::Error,
    summary: "a version of the API that is not served",
    why: "The API server refuses the object.",
    mend: "write the version that the message names",
};

pub(crate) static UNKNOWN_KEY: Rule = Rule {
    id: "unknown-key",
    level: Level::Error,
    summary: "a value sealed to a key that is not in the keyring",
    why: "Nobody is known to hold the private half: the value may never open again, or opens for somebody who was not \
          meant to.",
    mend: "seal it again to the keys that are known: `bulla reseal FILE`, or name the key with --keyring",
};

pub(crate) static RETIRED_KEY: Rule = Rule {
    id: "retired-key",
    level: Level::Error,
    summary: "a value that only retired keys open",
    why: "A retired key opens nothing more: the controller refuses the value. Reverting a commit brings such values \
          back.",
    mend: "seal it again to an active key: `bulla reseal FILE --identity KEYFILE`, or `bulla set FILE KEY` with the value",
};

pub(crate) static COMPROMISED_KEY: Rule = Rule {
    id: "compromised-key",
    level: Level::Error,
    summary: "a value sealed to a key that is compromised",
    why: "Whoever has that key and the repository has read the value. Sealing it again helps nobody.",
    mend: "change the secret itself where it comes from, then seal the new value: `bulla set FILE KEY`",
};

pub(crate) static RECIPIENT: Rule = Rule {
    id: "recipient",
    level: Level::Error,
    summary: "a value sealed to a key that .bulla.yaml does not allow for this path",
    why: "The rules say who may open what lies where. This value can be opened by somebody else, or not by those who \
          should.",
    mend: "seal it again to the recipients of the rule: `bulla reseal FILE`, or allow the key in .bulla.yaml",
};

pub(crate) static MISSING_RECIPIENT: Rule = Rule {
    id: "missing-recipient",
    level: Level::Warning,
    summary: "values that are not sealed to every recipient of their rule",
    why: "Whoever holds only the missing key cannot open them: a second cluster, or whoever recovers with the offline \
          key.",
    mend: "seal them again to all recipients: `bulla reseal FILE`",
};

pub(crate) static MIXED_KINDS: Rule = Rule {
    id: "mixed-kinds",
    level: Level::Warning,
    summary: "keys of several kinds where one kind is wanted",
    why: "One value cannot be sealed to post-quantum and other keys together, and an object is only as safe against a \
          later quantum computer as the weakest value in it.",
    mend: "seal all of them to keys of one kind: `bulla reseal FILE`",
};

pub(crate) static NOT_AFTER: Rule = Rule {
    id: "not-after",
    level: Level::Error,
    summary: "a value that should have been replaced by now",
    why: "Whoever sealed it said until when it is good.",
    mend: "change the secret where it comes from, then seal the new value: `bulla set FILE KEY`",
};

pub(crate) static EXPIRES_SOON: Rule = Rule {
    id: "expires-soon",
    level: Level::Warning,
    summary: "a value that has to be replaced soon",
    why: "Whoever sealed it said until when it is good, and that day is near.",
    mend: "change the secret where it comes from, then seal the new value: `bulla set FILE KEY`",
};

pub(crate) static EXTERNAL_SECRET: Rule = Rule {
    id: "external-secret",
    level: Level::Error,
    summary: "an ExternalSecret or a store that the controller would refuse",
    why: "A field that no schema knows, a store that the namespace may not use, or a combination that cannot work: the \
          Secret would not come to be.",
    mend: "correct the field that is named; `bulla plan --file FILE` shows what would be written",
};

pub(crate) static MISSING_STORE: Rule = Rule {
    id: "missing-store",
    level: Level::Warning,
    summary: "an ExternalSecret that names a store which no file has",
    why: "The store may be with another team or made by hand; if it is nowhere, the Secret does not come to be.",
    mend: "correct secretStoreRef, or check the files with the store too",
};

pub(crate) static MISSING_KEY: Rule = Rule {
    id: "missing-key",
    level: Level::Warning,
    summary: "an ExternalSecret that names a key which its store does not have",
    why: "The store lists its entries in the manifest, and this is none of them: the Secret does not come to be, or \
          lacks a value.",
    mend: "correct remoteRef.key, or add the entry to the store",
};

pub(crate) static HOST: Rule = Rule {
    id: "host",
    level: Level::Error,
    summary: "a Host document that the agent would not take as it is",
    why: "A field that nobody knows, a value of a wrong shape, or a rule that is broken: the agent leaves out the entry, \
          keeps its old file and reports the host as degraded.",
    mend: "correct the field that is named; editors know the schema crds/schema/host.json",
};

pub(crate) static HOST_FILE: Rule = Rule {
    id: "host-file",
    level: Level::Error,
    summary: "a template or file of a Host document that is missing, or a template that does not parse",
    why: "The file cannot be made on the host: it keeps what it has, or does not come to be.",
    mend: "add the file, or correct the path (beside the document; with a leading / from the root) or the template",
};

pub(crate) static HOST_SECRET: Rule = Rule {
    id: "host-secret",
    level: Level::Warning,
    summary: "a Host document that names a secret, or a key of it, which no file makes",
    why: "The agent takes secrets from the commit alone. If it is not among files that were left out of this check, the \
          file of the host does not come to be.",
    mend: "correct name, namespace or key, or check the files with the secret too",
};

pub(crate) static HOST_EXPOSED: Rule = Rule {
    id: "host-exposed",
    level: Level::Warning,
    summary: "a secret of a Host document that lands on a disk, or that everybody on the host may read",
    why: "A file with `place: copy` outlives the host's shutdown, is in its backups and on the disk that is thrown away. \
          What everybody may read, every program that is broken into may send away.",
    mend: "use `place: link`, or a path below /run; give the file an owner or a group, and a mode such as \"0440\". Where \
           it must be so, say it in the host's settings: allow.plaintextOnDisk, allow.readableByAll",
};

pub(crate) static DUPLICATE: Rule = Rule {
    id: "duplicate",
    level: Level::Warning,
    summary: "two objects that write the same Secret",
    why: "They overwrite each other, or one of them is refused: which value counts is chance.",
    mend: "keep one of them, or name them differently",
};

pub(crate) static KUSTOMIZATION: Rule = Rule {
    id: "kustomization",
    level: Level::Error,
    summary: "a kustomization that cannot be built",
    why: "What lands in the cluster cannot be told, and `kustomize build` would fail.",
    mend: "correct the field that is named, then see `kustomize build FOLDER`",
};

pub(crate) static BULLA_YAML: Rule = Rule {
    id: "bulla-yaml",
    level: Level::Error,
    summary: "a .bulla.yaml that cannot be followed",
    why: "Nobody can say which keys its files may be sealed to.",
    mend: "correct the place that is named",
};

pub(crate) static NOT_LOOKED_AT: Rule = Rule {
    id: "not-looked-at",
    level: Level::Warning,
    summary: "a file that is called like a manifest and was not read as one, or not all of it",
    why: "It is too large, or no text in UTF-8, and kubectl may take it all the same: nobody can say that there is no \
          secret in it.",
    mend: "split it or write it in UTF-8, or leave it out on purpose: --exclude",
};
