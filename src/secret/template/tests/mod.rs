//! What the differential table cannot show: that every function is there, that nothing runs for ever, and that no
//! error repeats a value.

mod differential;
mod files;

use std::time::{Duration, Instant};

use super::{Delimiters, Environment, MissingKey, TemplateError, functions, render};
use crate::secret::Values;

/// The functions that External Secrets adds.
const EXTERNAL: &str = "
    certSANs filterCertChain filterPEM fromYaml fullPemToPkcs12 fullPemToPkcs12Pass jwkPrivateKeyPem jwkPublicKeyPem
    pemToPkcs12 pemToPkcs12Pass pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass pkcs12cert pkcs12certPass pkcs12key
    pkcs12keyPass rsaDecrypt toYaml
";

/// The functions of Sprig that both APIs' templates may use.
const SPRIG: &str = "
    abbrev abbrevboth add add1 add1f addf adler32sum ago all any append atoi b32dec b32enc b64dec b64enc base
    bcrypt biggest buildCustomCert camelcase cat ceil chunk clean coalesce compact concat contains date dateInZone
    dateModify date_in_zone date_modify decryptAES deepCopy deepEqual default derivePassword dict dig dir div divf
    duration durationRound empty encryptAES ext fail first float64 floor fromJson genCA genCAWithKey genPrivateKey
    genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey get has hasKey hasPrefix
    hasSuffix hello hexdec htmlDate htmlDateInZone htpasswd indent initial initials int int64 isAbs join kebabcase
    keys kindIs kindOf last list lower max maxf merge mergeOverwrite min minf mod mul mulf mustAppend mustChunk
    mustCompact mustDateModify mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast mustMerge
    mustMergeOverwrite mustPrepend mustPush mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll
    mustRegexReplaceAllLiteral mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson
    mustToRawJson mustUniq mustWithout must_date_modify nindent nospace now omit osBase osClean osDir osExt osIsAbs
    pick pluck plural prepend push quote randAlpha randAlphaNum randAscii randBytes randInt randNumeric regexFind
    regexFindAll regexMatch regexQuoteMeta regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace rest
    reverse round semver semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase sortAlpha split
    splitList splitn squote sub subf substr swapcase ternary title toDate toDecimal toJson toPrettyJson toRawJson
    toString toStrings trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq
    unixEpoch unset until untilStep untitle upper urlJoin urlParse uuidv4 values without wrap wrapWith
";

fn rendered(template: &str, values: &[(&str, &str)], missing_key: MissingKey) -> Result<String, TemplateError> {
    let values: Values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned().into())).collect();
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let environment = Environment { now, random: &random, missing_key, delimiters: Delimiters::default() };
    render(template, &values, &environment).map(|text| String::from_utf8(text.expose().to_vec()).unwrap())
}

#[test]
fn every_function_is_there_and_the_dangerous_ones_say_why_not() {
    let names = functions::names();
    let missing: Vec<&str> =
        SPRIG.split_whitespace().chain(EXTERNAL.split_whitespace()).filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for name in ["env", "expandenv", "getHostByName"] {
        assert!(!names.contains(&name));
        let error = rendered(&format!("{{{{ {name} \"HOME\" }}}}"), &[], MissingKey::Error).unwrap_err();
        assert!(error.to_string().contains("must not"), "{error}");
    }
    let error = rendered("{{ nonsense 1 }}", &[], MissingKey::Error).unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn a_missing_key_is_named_or_shown_as_upstream_shows_it() {
    let error = rendered("{{ .passwrod }}", &[("password", "x")], MissingKey::Error).unwrap_err();
    assert!(error.to_string().contains("passwrod"), "{error}");
    assert_eq!(rendered("{{ .passwrod }}", &[], MissingKey::NoValue).unwrap(), "<no value>");
}

#[test]
fn template_bombs_end_soon() {
    let bombs = [
        "{{ range until 1000000000 }}x{{ end }}",
        "{{ range $i := untilStep 0 1000000000 1 }}{{ $i }}{{ end }}",
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ randBytes 1000000000 }}",
        "{{ randAlphaNum 1000000000 }}",
        "{{ range until 60000 }}{{ range until 60000 }}x{{ end }}{{ end }}",
        "{{ $x := \"xxxxxxxx\" }}{{ range until 40 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}{{ $x }}",
        "{{ seq 1 1000000000 }}",
        "{{ regexMatch \"(a{1000}){1000}\" .a }}{{ mustRegexMatch \"(a{1000}){1000}\" .a }}",
        "{{ range until 1000 }}{{ derivePassword 1 \"long\" \"p\" \"u\" \"s\" }}{{ end }}",
        "{{ range until 1000 }}{{ genPrivateKey \"rsa\" }}{{ end }}",
        "{{ bcrypt .a }}{{ range until 1000 }}{{ bcrypt \"x\" }}{{ end }}",
    ];
    for bomb in bombs {
        let began = Instant::now();
        let outcome = rendered(bomb, &[("a", "aaaa")], MissingKey::Error);
        assert!(outcome.is_err(), "{bomb}");
        // Generous: this is about for ever, not about how fast.
        assert!(began.elapsed() < Duration::from_secs(60), "{bomb}");
    }
    let wide = rendered("{{ printf \"%1000000000d\" 1 }}", &[], MissingKey::Error);
    assert!(wide.unwrap().len() < 100, "a width beyond a million is none, as in Go");
    let nested = format!("{}x{}", "{{ if true }}".repeat(20_000), "{{ end }}".repeat(20_000));
    assert!(rendered(&nested, &[], MissingKey::Error).is_err());
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(rendered(&parentheses, &[], MissingKey::Error).is_err());
    let chain = |links| format!("{{{{ if false }}}}{}{{{{ end }}}}", "{{ else if true }}".repeat(links));
    assert!(rendered(&chain(10_000), &[], MissingKey::Error).is_err(), "the parser would overflow its stack");
    assert!(rendered(&chain(200), &[], MissingKey::Error).is_ok());
    assert!(rendered(&"x".repeat(super::TEMPLATE_LIMIT + 1), &[], MissingKey::Error).is_err());
}

#[test]
fn no_error_repeats_a_value() {
    let templates = [
        "{{ fail .s }}",
        "{{ .s | mustFromJson }}",
        "{{ index .s 99 }}",
        "{{ atoi .s | div 0 }}",
        "{{ mustToDate \"2006\" .s }}",
        "{{ semver .s }}",
        "{{ mustRegexMatch .s \"x\" }}",
        "{{ .s.field }}",
        "{{ call .s }}",
        "{{ template .s }}",
        "{{ genPrivateKey .s }}",
        "{{ decryptAES .s .s }}",
        "{{ urlParse (printf \"%s:// %s\" .s .s) }}",
        "{{ slice .s 90 }}",
        "{{ buildCustomCert .s .s }}",
        "{{ dict .s | toJson | mustFromJson | dig .s }}",
        "{{ printf \"%d\" .s | fail }}",
        "{{ (fromYaml .s).Error | fail }}",
    ];
    for template in templates {
        if let Err(error) = rendered(template, &[("s", "canary-[hunter2")], MissingKey::Error) {
            let said = format!("{error} {error:?}");
            assert!(!said.contains("canary") && !said.contains("hunter2"), "{template}: {said}");
        }
    }
}

#[test]
fn random_functions_give_what_their_names_say() {
    let of = |template: &str| rendered(template, &[], MissingKey::Error).unwrap();
    assert!(of("{{ randAlphaNum 40 }}").chars().all(|c| c.is_ascii_alphanumeric()));
    assert!(of("{{ randNumeric 40 }}").chars().all(|c| c.is_ascii_digit()));
    assert!(of("{{ randAlpha 40 }}").chars().all(|c| c.is_ascii_alphabetic()));
    assert_ne!(of("{{ randAscii 40 }}"), of("{{ randAscii 40 }}"));
    assert_eq!(of("{{ uuidv4 }}").len(), 36);
    assert!(of("{{ bcrypt \"x\" }}").starts_with("$2a$"));
    assert!(of("{{ htpasswd \"u\" \"p\" }}").starts_with("u:$2a$"));
    assert!(of("{{ genPrivateKey \"ed25519\" }}").starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(of("{{ (genSelfSignedCert \"a.example\" nil nil 365).Cert }}").starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(of("{{ now | date \"2006-01-02\" }}"), "2026-11-21");
}

#[test]
fn an_operator_may_choose_other_delimiters() {
    let random = |bytes: &mut [u8]| bytes.fill(0);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let values = Values::from([("a".to_owned(), "1".to_owned().into())]);
    for (left, right, template, expected) in [
        ("[[", "]]", "{{ x }} [[ .a ]] [[- /* c */ -]] [[ if true ]]y[[ end ]]", "{{ x }} 1y"),
        ("<%", "%>", "<% .a | quote %>", "\"1\""),
        ("", "", "{{ .a }}", "1"),
    ] {
        let environment = Environment {
            now,
            random: &random,
            missing_key: MissingKey::Error,
            delimiters: Delimiters { left, right },
        };
        let text = render(template, &values, &environment).unwrap();
        assert_eq!(String::from_utf8_lossy(text.expose()), expected, "{template}");
        let open = format!("{} if true {}", environment.delimiters.left, environment.delimiters.right);
        assert!(left.is_empty() || render(&open, &values, &environment).is_err(), "an open block is refused");
    }
}
