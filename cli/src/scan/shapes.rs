//! What tokens look like: the word that gives one away, the form around it, and what only a real one has.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::Regex;

use super::checksum::{ends_in_crc32, entropy, is_sequence};
use super::jwt;
use super::rules::*;
use crate::findings::{Level, Rule};

/// The form of a token.
pub(super) struct Shape {
    pub(super) rule: &'static Rule,
    /// What it is, with its article.
    pub(super) what: &'static str,
    /// What stands in it, in just this case; one of them is enough.
    pub(super) anchors: &'static [&'static str],
    /// How many characters of the token are before the anchor; more are tried.
    before: usize,
    /// The token from its first character. If there is a group, that is the secret.
    form: &'static str,
    check: Check,
}

/// What a token must have beside its form.
#[derive(Clone, Copy)]
enum Check {
    /// The form says enough.
    Form,
    /// So many bits a character.
    Random(f64),
    /// The last six characters are a checksum of those after the first `_`.
    Crc32,
    /// Something else.
    By(fn(&[u8]) -> Answer),
}

/// Whether it is one.
pub(super) enum Answer {
    No,
    Yes,
    /// It is, and it may be meant: why.
    Perhaps(String),
}

/// A token that was found.
pub(super) struct Token {
    /// Of the text that was searched.
    pub(super) span: std::ops::Range<usize>,
    pub(super) level: Level,
    /// What is to be said about it beside what it is.
    pub(super) remark: Option<String>,
}

const fn shape(
    rule: &'static Rule,
    what: &'static str,
    anchors: &'static [&'static str],
    form: &'static str,
    check: Check,
) -> Shape {
    Shape { rule, what, anchors, before: 0, form, check }
}

const fn after(before: usize, shape: Shape) -> Shape {
    Shape { before, ..shape }
}

use Check::{By, Crc32, Form, Random};

/// Every form.
pub(super) static SHAPES: &[Shape] = &[
    // Kubernetes
    shape(
        &CLUSTER_TOKEN,
        "a join token of k3s",
        &["K10"],
        r"K10[0-9a-f]{64}::[a-z0-9-]{1,64}:[0-9A-Za-z.]{16,128}",
        Form,
    ),
    shape(&CLUSTER_TOKEN, "a token of OpenShift", &["sha256~"], r"sha256~[A-Za-z0-9_-]{43}", Random(3.5)),
    shape(
        &CLUSTER_TOKEN,
        "a token of Rancher",
        &["token-", "kubeconfig-u"],
        r"(?:token|kubeconfig-u)-[a-z0-9]{5,20}:[a-z0-9]{54}",
        Random(3.5),
    ),
    // clouds
    shape(&AWS_KEY, "the id of an AWS access key", &["AKIA", "ASIA"], r"A[KS]IA[A-Z2-7]{16}", By(aws)),
    shape(&GCP_KEY, "a Google API key", &["AIza"], r"AIza[0-9A-Za-z_-]{35}", Random(3.6)),
    shape(&GCP_KEY, "a Google OAuth client secret", &["GOCSPX-"], r"GOCSPX-[A-Za-z0-9_-]{28}", Random(3.5)),
    shape(
        &AZURE,
        "a key of an Azure storage account",
        &["AccountKey="],
        r"AccountKey=([A-Za-z0-9+/]{86}==)",
        By(azure_storage),
    ),
    shape(
        &AZURE,
        "a shared access key of Azure",
        &["SharedAccessKey="],
        r"SharedAccessKey=([A-Za-z0-9+/]{43}=)",
        Random(4.0),
    ),
    after(
        4,
        shape(
            &AZURE,
            "a client secret of Entra ID",
            &["Q~"],
            r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
            Random(3.6),
        ),
    ),
    after(
        52,
        shape(
            &AZURE,
            "an access key of Azure",
            &["JQQJ9"],
            r"[A-Za-z0-9]{52}JQQJ9[9D][A-Za-z0-9][A-L][A-Za-z0-9]{16}[A-Za-z][A-Za-z0-9]{7}(?:[A-Za-z0-9]{2}==)?",
            Random(3.6),
        ),
    ),
    shape(
        &AZURE,
        "a shared access signature of Azure",
        &["sv=20"],
        r"sv=20[0-9-]{8}&[A-Za-z0-9%&=:._-]*sig=([A-Za-z0-9%+/]{43,64}(?:=|%3[Dd])?)",
        Random(3.6),
    ),
    shape(&ALIBABA, "the id of an Alibaba Cloud access key", &["LTAI"], r"LTAI[A-Za-z0-9]{20}", Random(3.4)),
    shape(
        &DIGITALOCEAN,
        "a token of DigitalOcean",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"do[opr]_v1_[a-f0-9]{64}",
        Random(3.0),
    ),
    shape(&CLOUDFLARE, "an origin CA key of Cloudflare", &["v1.0-"], r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}", Random(3.0)),
    shape(
        &TAILSCALE,
        "a key of Tailscale",
        &["tskey-"],
        r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{6,24}-[A-Za-z0-9]{20,64}",
        Random(3.3),
    ),
    after(
        14,
        shape(
            &TERRAFORM,
            "a token of HCP Terraform",
            &[".atlasv1."],
            r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
            Random(3.6),
        ),
    ),
    shape(&PULUMI, "an access token of Pulumi", &["pul-"], r"pul-[a-f0-9]{40}", Random(3.0)),
    shape(&HEROKU, "an API key of Heroku", &["HRKU-AA"], r"HRKU-AA[A-Za-z0-9_-]{58}", Random(3.6)),
    shape(
        &FLY,
        "a token of Fly.io",
        &["FlyV1 fm", "fo1_"],
        r"FlyV1 fm[12]_[A-Za-z0-9+/=,_-]{80,2000}|fo1_[A-Za-z0-9_-]{43}",
        Random(3.6),
    ),
    shape(&NETLIFY, "an access token of Netlify", &["nfp_"], r"nfp_[A-Za-z0-9]{36}", Random(3.4)),
    shape(&DATABRICKS, "a token of Databricks", &["dapi"], r"dapi[a-f0-9]{32}(?:-[0-9])?", Random(3.0)),
    // code and packages
    shape(&GITHUB, "a GitHub token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"gh[pousr]_[A-Za-z0-9]{36}", Crc32),
    shape(
        &GITHUB,
        "a fine-grained GitHub token",
        &["github_pat_"],
        r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        Random(3.6),
    ),
    shape(
        &GITLAB,
        "a GitLab token",
        &[
            "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glimt-", "glagent-", "gloas-",
            "glffct-",
        ],
        r"gl(?:pat|dt|rt|ptt|ft|soat|imt|agent|oas|ffct|cbt)-(?:[0-9a-zA-Z]{1,5}_)?[0-9a-zA-Z_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
        Random(3.0),
    ),
    shape(
        &GITLAB,
        "a registration token of GitLab runners",
        &["GR1348941"],
        r"GR1348941[0-9a-zA-Z_-]{20}",
        Random(3.3),
    ),
    shape(&BITBUCKET, "a token of Atlassian", &["ATATT3"], r"ATATT3[A-Za-z0-9_=-]{186}", Random(3.6)),
    shape(&BITBUCKET, "an app password of Bitbucket", &["ATBB"], r"ATBB[A-Za-z0-9]{24}[A-F0-9]{8}", Random(3.4)),
    shape(&NPM, "an npm token", &["npm_"], r"npm_[A-Za-z0-9]{36}", Crc32),
    shape(
        &PYPI,
        "a token of PyPI",
        &["pypi-AgE"],
        r"pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,1000}",
        Random(3.6),
    ),
    shape(&PACKAGES, "a token of RubyGems", &["rubygems_"], r"rubygems_[a-f0-9]{48}", Random(3.0)),
    shape(&PACKAGES, "a token of NuGet", &["oy2"], r"oy2[a-z0-9]{43}", Random(3.4)),
    shape(
        &PACKAGES,
        "a token of Docker Hub",
        &["dckr_pat_", "dckr_oat_"],
        r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,40}",
        Random(3.4),
    ),
    shape(&PACKAGES, "a token of Artifactory", &["AKCp"], r"AKCp[A-Za-z0-9]{69}", Random(3.6)),
    shape(&PACKAGES, "a reference token of Artifactory", &["cmVmdGtu"], r"cmVmdGtu[A-Za-z0-9]{56}", Random(3.6)),
    shape(&PACKAGES, "a deploy token of Clojars", &["CLOJARS_"], r"CLOJARS_[a-z0-9]{60}", Random(3.4)),
    shape(&CI, "a token of CircleCI", &["CCIPAT_"], r"CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}", Random(3.4)),
    shape(&CI, "a token of Buildkite", &["bkua_"], r"bkua_[a-z0-9]{40}", Random(3.0)),
    shape(&CI, "a token of SonarQube", &["sqp_", "squ_", "sqa_"], r"sq[pua]_[a-f0-9]{40}", Random(3.0)),
    // services
    shape(&VAULT, "a token of Vault", &["hvs.", "hvb.", "hvr."], r"hv[sbr]\.[A-Za-z0-9_-]{24,300}", By(vault)),
    shape(
        &DOPPLER,
        "a token of Doppler",
        &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."],
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
        Random(3.4),
    ),
    shape(
        &DOPPLER,
        "a service account token of 1Password",
        &["ops_eyJ"],
        r"ops_eyJ[A-Za-z0-9+/_-]{250,2000}={0,3}",
        Random(3.6),
    ),
    shape(
        &SLACK,
        "a token of Slack",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-"],
        r"xox[bpars o]-(?:[0-9]{6,14}-){1,3}[A-Za-z0-9]{20,64}",
        Random(3.0),
    ),
    shape(
        &SLACK,
        "an app token of Slack",
        &["xapp-"],
        r"xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{10,16}-[a-f0-9]{64}",
        Random(3.0),
    ),
    shape(
        &SLACK,
        "a configuration token of Slack",
        &["xoxe"],
        r"xoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{100,200}",
        Random(3.6),
    ),
    shape(
        &SLACK,
        "a webhook of Slack",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Z0-9]{8,14}/[A-Z0-9]{8,14}/[A-Za-z0-9/]{20,64})",
        Random(3.3),
    ),
    shape(
        &CHAT,
        "a webhook of Discord",
        &["/api/webhooks/"],
        r"/api/webhooks/([0-9]{17,20}/[A-Za-z0-9_-]{60,72})",
        Random(3.6),
    ),
    shape(
        &CHAT,
        "a webhook of Teams",
        &[".webhook.office.com/"],
        r"\.webhook\.office\.com/webhookb2/([0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36})",
        Form,
    ),
    after(10, shape(&CHAT, "a bot token of Telegram", &[":AA"], r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", Random(3.6))),
    shape(
        &STRIPE,
        "a secret key of Stripe",
        &["sk_live_", "rk_live_", "sk_test_", "rk_test_"],
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{24,247}",
        By(stripe),
    ),
    shape(&STRIPE, "a webhook secret of Stripe", &["whsec_"], r"whsec_[A-Za-z0-9+/]{32,64}={0,2}", Random(3.5)),
    shape(
        &SHOP,
        "a token of Shopify",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        Random(3.0),
    ),
    shape(
        &SHOP,
        "a token of Square",
        &["sq0atp-", "sq0csp-"],
        r"sq0(?:atp-[A-Za-z0-9_-]{22}|csp-[A-Za-z0-9_-]{43})",
        Random(3.3),
    ),
    shape(&SHOP, "a token of Shippo", &["shippo_live_"], r"shippo_live_[a-f0-9]{40}", Random(3.0)),
    shape(&MAIL, "an API key of SendGrid", &["SG."], r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", Random(3.6)),
    after(32, shape(&MAIL, "an API key of Mailchimp", &["-us"], r"[a-f0-9]{32}-us[0-9]{1,2}", Random(3.0))),
    shape(&MAIL, "an API key of Mailgun", &["key-"], r"key-[a-f0-9]{32}", Random(3.0)),
    shape(&MAIL, "an API key of Brevo", &["xkeysib-"], r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}", Random(3.4)),
    after(
        80,
        shape(
            &AI,
            "an API key of OpenAI",
            &["T3BlbkFJ"],
            r"sk-[A-Za-z0-9_-]{16,80}T3BlbkFJ[A-Za-z0-9_-]{20,80}",
            Random(3.6),
        ),
    ),
    shape(
        &AI,
        "an API key of Anthropic",
        &["sk-ant-"],
        r"sk-ant-(?:api03|admin01|oat01)-[A-Za-z0-9_-]{80,110}",
        Random(3.6),
    ),
    shape(&AI, "a token of Hugging Face", &["hf_"], r"hf_[A-Za-z]{34}", Random(3.6)),
    shape(&AI, "an API key of Groq", &["gsk_"], r"gsk_[A-Za-z0-9]{52}", Random(3.6)),
    shape(&AI, "a token of Replicate", &["r8_"], r"r8_[A-Za-z0-9]{37}", Random(3.5)),
    shape(&AI, "an API key of Perplexity", &["pplx-"], r"pplx-[A-Za-z0-9]{48}", Random(3.5)),
    shape(
        &MONITORING,
        "a token of a Grafana service account",
        &["glsa_"],
        r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
        Random(3.4),
    ),
    shape(&MONITORING, "a token of Grafana Cloud", &["glc_eyJ"], r"glc_eyJ[A-Za-z0-9+/]{32,400}={0,3}", Random(3.6)),
    shape(&MONITORING, "a key of New Relic", &["NRAK-"], r"NRAK-[A-Z0-9]{27}", Random(3.4)),
    shape(
        &MONITORING,
        "a token of Dynatrace",
        &["dt0c01.", "dt0s01.", "dt0s16."],
        r"dt0[cs](?:01|16)\.[A-Z2-7]{24}\.[A-Z2-7]{64}",
        Random(3.6),
    ),
    shape(
        &MONITORING,
        "a token of Sentry",
        &["sntrys_", "sntryu_"],
        r"sntrys_eyJ[A-Za-z0-9+/=_]{80,500}|sntryu_[a-f0-9]{64}",
        Random(3.0),
    ),
    shape(
        &DATABASE,
        "a token of PlanetScale",
        &["pscale_"],
        r"pscale_(?:pw|tkn|oauth)_[A-Za-z0-9_.-]{32,64}",
        Random(3.4),
    ),
    shape(
        &DATABASE,
        "a token of Supabase",
        &["sbp_", "sb_secret_"],
        r"sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{8}",
        Random(3.0),
    ),
    shape(&WORKSPACE, "an API key of Linear", &["lin_api_"], r"lin_api_[A-Za-z0-9]{40}", Random(3.4)),
    shape(&WORKSPACE, "an API key of Postman", &["PMAK-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", Random(3.0)),
    shape(&WORKSPACE, "a token of Notion", &["ntn_"], r"ntn_[0-9]{11}[A-Za-z0-9]{35}", Random(3.4)),
    shape(
        &JWT,
        "a signed JSON Web Token",
        &["eyJ"],
        r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,6000}\.[A-Za-z0-9_-]{20,1400}",
        By(jwt::check),
    ),
];

/// The forms, each compiled when one of its anchors is seen for the first time.
static FORMS: LazyLock<Vec<OnceLock<Option<Regex>>>> =
    LazyLock::new(|| SHAPES.iter().map(|_| OnceLock::new()).collect());

/// The form of a shape from its first character on.
fn form(at: usize) -> Option<&'static Regex> {
    let shape = SHAPES.get(at)?;
    FORMS.get(at)?.get_or_init(|| Regex::new(&format!(r"\A(?-u)(?:{})", shape.form)).ok()).as_ref()
}

/// What may be longer than the longest token.
const WINDOW: usize = 12_000;

/// The token of form `at` of which an anchor begins at `anchor`.
pub(super) fn find(at: usize, text: &[u8], anchor: usize) -> Option<Token> {
    let shape = SHAPES.get(at)?;
    let start = if shape.before == 0 { anchor } else { begin(text, anchor, shape.before) };
    // In the middle of a longer word it is something else.
    let begins_word = text.get(start).is_some_and(u8::is_ascii_alphanumeric);
    if begins_word && start > 0 && text.get(start - 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return None;
    }
    let window = text.get(start..text.len().min(start + WINDOW))?;
    let found = form(at)?.captures(window)?;
    let (whole, secret) = (found.get(0)?, found.get(1).or_else(|| found.get(0))?);
    if window.get(whole.end()).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_')) {
        return None;
    }
    let bytes = secret.as_bytes();
    let body = bytes.get(
        shape
            .anchors
            .first()
            .map_or(0, |anchor| if shape.before == 0 { anchor.len().min(bytes.len() / 2) } else { 0 })..,
    )?;
    let answer = match shape.check {
        Form => Answer::Yes,
        Random(least) if entropy(body) >= least && !is_made_up(body) => Answer::Yes,
        Random(_) => Answer::No,
        Crc32 => {
            let body = bytes.iter().position(|byte| *byte == b'_').and_then(|at| bytes.get(at + 1..));
            if body.is_some_and(ends_in_crc32) { Answer::Yes } else { Answer::No }
        }
        By(check) => check(bytes),
    };
    let span = start + secret.start()..start + secret.end();
    match answer {
        Answer::No => None,
        Answer::Yes => Some(Token { span, level: shape.rule.level, remark: None }),
        Answer::Perhaps(why) => Some(Token { span, level: Level::Warning, remark: Some(why) }),
    }
}

/// The start of a token whose anchor is within it: as far back as its characters go, at most so many.
fn begin(text: &[u8], anchor: usize, most: usize) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~' | b'.');
    let before = text[anchor.saturating_sub(most)..anchor].iter().rev().take_while(|byte| is_part(byte)).count();
    anchor - before
}

/// Whether somebody wrote it as an example.
fn is_made_up(body: &[u8]) -> bool {
    let lower = body.to_ascii_lowercase();
    let has = |word: &str| lower.windows(word.len()).any(|window| window == word.as_bytes());
    is_sequence(&lower)
        || ["example", "xxxxx", "000000", "aaaaa", "placeholder", "changeme", "1234567890", "abcdefgh"]
            .into_iter()
            .any(has)
}

fn aws(id: &[u8]) -> Answer {
    if id.ends_with(b"EXAMPLE") || id.starts_with(b"AKIAIOSFODNN7") || entropy(id) < 2.8 || is_made_up(id) {
        Answer::No
    } else {
        Answer::Yes
    }
}

/// The emulator's key is the same for everybody.
fn azure_storage(key: &[u8]) -> Answer {
    if key.starts_with(b"Eby8vdM02xNOcqFl") || entropy(key) < 4.5 { Answer::No } else { Answer::Yes }
}

/// Words run together have no capitals; what Vault makes up has.
fn vault(token: &[u8]) -> Answer {
    let body = token.get(4..).unwrap_or_default();
    let is_random = entropy(body) >= 3.3 && body.iter().any(u8::is_ascii_uppercase) && !is_made_up(body);
    if is_random { Answer::Yes } else { Answer::No }
}

fn stripe(key: &[u8]) -> Answer {
    // The key of the documentation, which opens a public sandbox.
    let is_example = key.windows(24).any(|window| window == concat!("4eC39HqLyjW", "Darjt", "T1zdp7dc").as_bytes());
    if is_example || entropy(&key[8..]) < 3.0 || is_made_up(&key[8..]) {
        Answer::No
    } else if key[3..].starts_with(b"test") {
        Answer::Perhaps("of test mode".to_owned())
    } else {
        Answer::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAPES, form};

    #[test]
    fn every_form_compiles_and_has_an_anchor() {
        for (at, shape) in SHAPES.iter().enumerate() {
            assert!(form(at).is_some(), "{}", shape.form);
            assert!(
                !shape.anchors.is_empty() && shape.anchors.iter().all(|anchor| anchor.len() >= 2),
                "{}",
                shape.what
            );
        }
    }
}
