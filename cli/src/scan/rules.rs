//! What is searched for. The table in `docs/scan.md` says the same; a test compares them.

use crate::findings::{Level, Rule};

/// Why anything of this matters.
const WHY: &str = "Whoever can read the repository, or has ever cloned it, can use it until it is replaced where it is \
    used. Taking the line away does not take it out of the history, nor out of clones and forks.";
const WHY_SECRET: &str = "The value is readable for everybody who can read the repository, now and in every clone. \
    base64 hides nothing.";
const WHY_LOCKED: &str = "Only a passphrase or a slow hash stands between a reader of the repository and the secret, \
    and guessing can go on in peace.";

macro_rules! rules {
    ($($name:ident, $level:ident, $id:literal, $summary:literal, $why:expr, $mend:literal;)*) => {
        $(pub(super) static $name: Rule =
            Rule { id: $id, level: Level::$level, summary: $summary, why: $why, mend: $mend };)*
        /// Every rule of the search.
        pub(crate) static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    // by structure
    PLAIN_SECRET, Error, "plain-secret", "a value of a Kubernetes Secret", WHY_SECRET,
        "seal it with `bulla seal`, and change the value where it is used if this was ever pushed";
    GENERATED_SECRET, Error, "generated-secret", "a literal of a Kustomize secretGenerator, or of `kubectl create secret`", WHY_SECRET,
        "seal a Secret with `bulla seal` in its place, and change the value if this was ever pushed";
    PLAIN_TEMPLATE, Warning, "plain-template", "a value written out in a template that should only name sealed ones",
        "What stands in a template of a SealedSecret or an ExternalSecret is not sealed: only what it names is.",
        "seal the value under a key of its own, and name it in the template: {{ .key }}";

    NOT_LOOKED_AT, Warning, "not-looked-at", "a file that is called like a manifest and was not looked at",
        "It is too large, or no text, and kubectl may take it all the same: nobody can say that there is no secret in it.",
        "split it or write it in UTF-8, or leave it out on purpose: --exclude";

    // keys
    PRIVATE_KEY, Error, "private-key", "a private key", WHY,
        "make a new key, replace certificates and authorised keys, and seal it with `bulla seal --from-file`";
    LOCKED_KEY, Warning, "locked-private-key", "a private key under a passphrase", WHY_LOCKED,
        "seal it with `bulla seal --from-file`, and make a new one if the passphrase can be guessed";
    KEY_STORE, Warning, "key-store", "a key store or password database, under a password", WHY_LOCKED,
        "seal it with `bulla seal --from-file`, and make new keys if the password can be guessed (`changeit`) or is known";
    AGE_IDENTITY, Error, "age-identity", "an age identity: it opens what is sealed to it", WHY,
        "make a new key with `bulla keys generate`, seal everything to it with `bulla reseal`, and change the values that it opened";
    WIREGUARD_KEY, Error, "wireguard-key", "a private or preshared key of WireGuard", WHY,
        "make a new one with `wg genkey`, and seal it";

    // Kubernetes
    SERVICE_ACCOUNT, Error, "service-account-token", "a token of a Kubernetes ServiceAccount", WHY,
        "delete the Secret that it is from, or the ServiceAccount; short-lived tokens come from `kubectl create token`";
    CLUSTER_TOKEN, Error, "cluster-token", "a token that lets a node or a person into a cluster", WHY,
        "revoke it (`kubeadm token delete`, `k3s token rotate`, `oc logout`), and seal its successor";
    DOCKER_AUTH, Error, "registry-password", "a user and password of a container registry", WHY,
        "change the password or revoke the token at the registry, and seal the Secret of type kubernetes.io/dockerconfigjson";

    // clouds
    AWS_KEY, Error, "aws-access-key", "the id of an AWS access key", WHY,
        "deactivate the key in IAM, look for its use in CloudTrail, then delete it; prefer roles to keys";
    AWS_SECRET, Error, "aws-secret-key", "an AWS secret access key", WHY,
        "deactivate the key in IAM, look for its use in CloudTrail, then delete it; prefer roles to keys";
    GCP_ACCOUNT, Error, "gcp-service-account", "a private key of a Google Cloud service account", WHY,
        "delete the key with `gcloud iam service-accounts keys delete`; prefer workload identity to keys";
    GCP_KEY, Error, "google-api-key", "a Google API key or OAuth client secret", WHY,
        "delete it in the console of Google Cloud, or restrict it to what may be public";
    AZURE, Error, "azure-key", "an access key, client secret or signature of Azure", WHY,
        "rotate the key or secret in Azure; prefer managed identities to keys";
    ALIBABA, Error, "alibaba-access-key", "the id of an Alibaba Cloud access key", WHY, "delete the key in RAM";
    DIGITALOCEAN, Error, "digitalocean-token", "a token of DigitalOcean", WHY, "revoke it in the control panel under API";
    CLOUDFLARE, Error, "cloudflare-key", "an origin CA key of Cloudflare", WHY, "change it in the profile under API tokens";
    TAILSCALE, Error, "tailscale-key", "a key of Tailscale", WHY, "revoke it in the admin console under Keys";
    TERRAFORM, Error, "terraform-token", "a token of HCP Terraform", WHY, "revoke it under Tokens of the user or team";
    PULUMI, Error, "pulumi-token", "an access token of Pulumi", WHY, "delete it under Access Tokens";
    HEROKU, Error, "heroku-key", "an API key of Heroku", WHY, "revoke the authorisation with `heroku authorizations:revoke`";
    FLY, Error, "fly-token", "a token of Fly.io", WHY, "revoke it with `fly tokens revoke`";
    NETLIFY, Error, "netlify-token", "an access token of Netlify", WHY, "revoke it under Applications of the user";
    DATABRICKS, Error, "databricks-token", "a token of Databricks", WHY, "revoke it under Developer of the user's settings";

    // code and packages
    GITHUB, Error, "github-token", "a GitHub token", WHY,
        "delete it under Settings, Developer settings, and look through the security log for its use";
    GITLAB, Error, "gitlab-token", "a GitLab token", WHY, "revoke it where it was made: user, project, group or runner";
    BITBUCKET, Error, "atlassian-token", "a token of Atlassian or Bitbucket", WHY, "revoke it under Security of the account";
    NPM, Error, "npm-token", "an npm token", WHY, "revoke it with `npm token revoke`, and look at what was published since";
    PYPI, Error, "pypi-token", "a token of PyPI", WHY, "remove it under API tokens, and look at what was published since";
    PACKAGES, Error, "package-token", "a token of a package registry (RubyGems, NuGet, Docker Hub, Artifactory, Clojars)", WHY,
        "revoke it at the registry, and look at what was published since";
    CI, Error, "ci-token", "a token of a CI service or code checker (CircleCI, Buildkite, SonarQube)", WHY,
        "revoke it in the settings of the account";

    // services
    VAULT, Error, "vault-token", "a token of HashiCorp Vault", WHY, "revoke it with `vault token revoke`";
    DOPPLER, Error, "secrets-manager-token", "a token of a secrets manager (1Password, Doppler)", WHY,
        "revoke it, and change what it could read";
    SLACK, Error, "slack-token", "a token or webhook of Slack", WHY, "revoke it with `auth.revoke`, or regenerate the webhook";
    CHAT, Error, "chat-token", "a token or webhook of a chat service (Discord, Telegram, Teams)", WHY,
        "make a new one: with BotFather at Telegram, in the channel's settings elsewhere";
    STRIPE, Error, "stripe-key", "a secret key of Stripe", WHY, "roll the key in the dashboard under API keys";
    SHOP, Error, "commerce-token", "a token of a payment or shop service (Shopify, Square, Shippo)", WHY,
        "revoke it in the settings of the app";
    MAIL, Error, "mail-key", "an API key of a mail service (SendGrid, Mailgun, Mailchimp, Brevo)", WHY,
        "delete it under API keys, and look at what was sent with it";
    AI, Error, "ai-key", "an API key of an AI service (OpenAI, Anthropic, Hugging Face, Groq, Replicate, Perplexity)", WHY,
        "delete it under API keys, and look at what it was used for";
    MONITORING, Error, "monitoring-key", "a key or token of a monitoring service (Grafana, New Relic, Dynatrace, Sentry)", WHY,
        "revoke it in the settings of the account";
    DATABASE, Error, "database-token", "a token of a hosted database (PlanetScale, Supabase)", WHY, "delete it, and look at the log of the database";
    WORKSPACE, Error, "workspace-token", "a token of a workspace service (Linear, Notion, Postman)", WHY, "revoke it in the settings";
    JWT, Error, "jwt", "a signed JSON Web Token", WHY,
        "revoke the session or change the signing key; a token that has not expired is as good as a password";

    // passwords
    URL_PASSWORD, Error, "url-password", "a password in a URL", WHY,
        "change the password, and put the URL into a sealed Secret";
    LOGIN_FILE, Error, "login-file", "a password in a .netrc or .pgpass file", WHY,
        "change the password; the file does not belong in a repository";
    PASSWORD_HASH, Warning, "password-hash", "a user and a password's hash, as htpasswd writes them", WHY_LOCKED,
        "seal it with `bulla seal`, and change the password if it can be guessed";
    GENERIC, Warning, "generic-secret", "something that looks random where a password, a token or a key is set", WHY,
        "if it is one, change it and seal it; if not, say so: `# bulla:allow REASON` beside it";
}
