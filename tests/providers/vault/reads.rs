//! What is read: values, versions, metadata, many at once.

use std::collections::BTreeMap;

use bulla::providers::Cause;
use bulla::providers::vault::KvVersion;
use bulla::sync::remote::{Find, Lookup, Request};
use serde_json::{Value, json};

use super::{as_root, shared, text, value};

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_were_written() {
    let vault = shared();
    vault.enable_kv("written2", 2);
    vault.enable_kv("written1", 1);
    // Above 2^53, more digits than a double holds, an exponent, HTML's characters, a nested map, nothing.
    let rest = r#""html":"<a href=\"x\">&</a>","in":{"b":[1,null]}"#;
    let numbers = r#""big":9007199254740993,"exact":0.10000000000000000555,"large":1e21"#;
    vault.write_text("written1/a/b", &format!("{{{numbers},{rest}}}"));
    vault.write_text("written2/data/a/b", &format!(r#"{{"data":{{{numbers},{rest}}}}}"#));
    // Version 2 of the engine itself goes by doubles; what it answers is kept to the letter.
    let of_engine2 = r#""big":9007199254740992,"exact":0.1,"#;
    let v2 = as_root(vault, "written2", KvVersion::V2);
    let v1 = as_root(vault, "written1", KvVersion::V1);
    for (store, numbers, large, keys) in [
        (&v2, of_engine2, r#""large":1e+21"#, ["a/b", "written2/a/b", "written2/data/a/b", "data/a/b"]),
        (&v1, numbers, r#""large":1e21"#, ["a/b", "written1/a/b", "/a/b", "/written1/a/b"]),
    ] {
        for key in keys {
            let found = store.read(key).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            assert!(numbers.split(',').all(|number| found.contains(number)) && found.contains(large), "{found}");
            let parsed: Value = serde_json::from_str(&found).unwrap();
            assert_eq!(parsed["html"], "<a href=\"x\">&</a>");
            assert_eq!(parsed["in"], json!({"b": [1, null]}));
        }
    }
    let unmounted = as_root(vault, "", KvVersion::V2);
    assert!(unmounted.read("written2/a/b").await.unwrap().contains("9007199254740992"));
    assert!(unmounted.read("written2/data/a/b").await.unwrap().contains("9007199254740992"));
    assert!(as_root(vault, "", KvVersion::V1).read("written1/a/b").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_hold_any_character() {
    let vault = shared();
    vault.enable_kv("odd", 2);
    for (key, encoded) in [("a b", "a%20b"), ("q?x=1#y", "q%3Fx=1%23y"), ("50%", "50%25"), ("ünï", "%C3%BCn%C3%AF")] {
        vault.write(&format!("odd/data/{encoded}"), &json!({"data": {"key": key}}));
        let found = as_root(vault, "odd", KvVersion::V2).read(key).await;
        assert_eq!(found.unwrap(), json!({"key": key}).to_string());
    }
    let store = as_root(vault, "odd", KvVersion::V2);
    let error = store.read("../../sys/mounts").await.unwrap_err();
    assert_eq!(error.cause, Cause::Invalid);
    assert_eq!(store.calls.of("ReadSecretData"), 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_deleted_and_destroyed_ones() {
    let vault = shared();
    vault.enable_kv("versions", 2);
    for number in 1..=3 {
        vault.write("versions/data/a", &json!({"data": {"n": number}}));
    }
    let store = as_root(vault, "versions", KvVersion::V2);
    let read = async |version: Option<&str>| {
        let lookup = Lookup { key: "a".to_owned(), version: version.map(str::to_owned) };
        store.fetched(Request::Value(lookup)).await.map(|fetched| (text(&fetched), fetched.version))
    };
    assert_eq!(read(None).await.unwrap(), (r#"{"n":3}"#.to_owned(), Some("3".to_owned())));
    assert_eq!(read(Some("1")).await.unwrap(), (r#"{"n":1}"#.to_owned(), Some("1".to_owned())));
    vault.write("versions/delete/a", &json!({"versions": [2]}));
    vault.write("versions/destroy/a", &json!({"versions": [1]}));
    for version in ["1", "2", "9"] {
        assert_eq!(read(Some(version)).await.unwrap_err().cause, Cause::Missing, "{version}");
    }
    assert_eq!(read(Some("latest")).await.unwrap_err().cause, Cause::Invalid);
    assert!(read(None).await.is_ok());
    vault.delete("versions/data/a");
    assert_eq!(read(None).await.unwrap_err().cause, Cause::Missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_and_what_leads_nowhere() {
    let vault = shared();
    vault.enable_kv("there2", 2);
    vault.enable_kv("there1", 1);
    for (mount, version) in [("there2", KvVersion::V2), ("there1", KvVersion::V1)] {
        let error = as_root(vault, mount, version).read("none").await.unwrap_err();
        assert_eq!(error.cause, Cause::Missing, "{error}");
        assert!(error.message.contains(mount) && error.message.contains("none"), "{error}");
    }
    // Neither must look like a secret that was deleted: what is owned would be deleted too.
    let error = as_root(vault, "nowhere", KvVersion::V2).read("a").await.unwrap_err();
    assert_eq!(error.cause, Cause::Invalid, "{error}");
    assert!(error.message.contains("no handler for route"), "{error}");
    let error = as_root(vault, "there2", KvVersion::V1).read("a").await.unwrap_err();
    assert_eq!(error.cause, Cause::Invalid, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata() {
    let vault = shared();
    vault.enable_kv("meta", 2);
    vault.write("meta/data/a", &json!({"data": {"b": "c"}}));
    vault.write("meta/metadata/a", &json!({"custom_metadata": {"team": "<core>", "created_time": "mine"}}));
    let ask = |key: &str| Request::Metadata(Lookup { key: key.to_owned(), version: None });
    let store = as_root(vault, "meta", KvVersion::V2);
    let found = store.fetched(ask("a")).await.unwrap();
    assert_eq!(found.version.as_deref(), Some("1"));
    let map: Value = serde_json::from_str(&text(&found)).unwrap();
    assert_eq!((&map["team"], &map["current_version"]), (&json!("<core>"), &json!(1)));
    assert_eq!((&map["created_time"], &map["delete_version_after"]), (&json!("mine"), &json!("0s")));
    assert_eq!(store.fetched(ask("b")).await.err().unwrap().cause, Cause::Missing);
    let error = as_root(vault, "meta", KvVersion::V1).fetched(ask("a")).await.err().unwrap();
    assert_eq!(error.cause, Cause::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn find_by_name_path_and_tags() {
    let vault = shared();
    vault.enable_kv("find2", 2);
    vault.enable_kv("find1", 1);
    for name in ["app/db", "app/web/tls", "app/web/deep/er", "find2/odd", "other", "gone"] {
        vault.write(&format!("find2/data/{name}"), &json!({"data": {"n": name}}));
        vault.write(&format!("find1/{name}"), &json!({"n": name}));
    }
    vault.delete("find2/data/gone");
    vault.write("find2/metadata/app/db", &json!({"custom_metadata": {"team": "core", "env": "prod"}}));
    vault.write("find2/metadata/other", &json!({"custom_metadata": {"team": "core"}}));
    let v2 = as_root(vault, "find2", KvVersion::V2);
    let v1 = as_root(vault, "find1", KvVersion::V1);
    let find = |path: Option<&str>, name: Option<&str>, tags: &[(&str, &str)]| Find {
        path: path.map(str::to_owned),
        name: name.map(str::to_owned),
        tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let names = |found: BTreeMap<String, String>| found.into_keys().collect::<Vec<_>>();
    let all = ["app/db", "app/web/deep/er", "app/web/tls", "find2/odd", "other"];
    let found = v2.find(find(None, None, &[])).await.unwrap();
    // Each name with its own value.
    for (name, value) in &found {
        assert_eq!(*value, format!(r#"{{"n":"{name}"}}"#), "{name}");
    }
    assert_eq!(names(found), all);
    assert_eq!(names(v1.find(find(None, None, &[])).await.unwrap()).len(), 6);
    assert_eq!(names(v2.find(find(None, Some("^app/.*(er|tls)$"), &[])).await.unwrap()), &all[1..3]);
    assert_eq!(names(v1.find(find(Some("/app/"), Some("db|er$"), &[])).await.unwrap()), &all[..2]);
    assert_eq!(names(v2.find(find(Some("app/web"), None, &[])).await.unwrap()), &all[1..3]);
    assert_eq!(names(v2.find(find(None, None, &[("team", "core")])).await.unwrap()), ["app/db", "other"]);
    let both = find(None, Some("o"), &[("team", "core")]);
    assert_eq!(names(v2.find(both).await.unwrap()), ["other"]);
    let prod = [("team", "core"), ("env", "prod")];
    assert_eq!(names(v2.find(find(None, None, &prod)).await.unwrap()), ["app/db"]);
    assert!(v2.find(find(None, Some("nothing-is-called-so"), &[])).await.unwrap().is_empty());
    assert_eq!(v2.find(find(Some("empty"), None, &[])).await.unwrap_err().cause, Cause::Missing);
    assert_eq!(v1.find(find(None, None, &[("a", "b")])).await.unwrap_err().cause, Cause::Invalid);
    assert_eq!(v2.find(find(None, Some("("), &[])).await.unwrap_err().cause, Cause::Invalid);
    // Without a mount in the store the path begins with it.
    let any = as_root(vault, "", KvVersion::V2);
    assert_eq!(names(any.find(find(Some("find2/app/web"), Some("tls"), &[])).await.unwrap()), ["find2/app/web/tls"]);
    for version in [KvVersion::V1, KvVersion::V2] {
        let error = as_root(vault, "", version).find(find(None, Some("a"), &[])).await.unwrap_err();
        assert_eq!(error.cause, Cause::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_keep_the_order_of_the_requests_and_one_failure_is_its_own() {
    let vault = shared();
    vault.enable_kv("order", 2);
    for number in 0..40 {
        vault.write(&format!("order/data/{number}"), &json!({"data": {"n": number}}));
    }
    let store = as_root(vault, "order", KvVersion::V2);
    let requests = (0..41).map(|number| value(&number.to_string())).collect();
    let answers = store.provider.fetch(requests).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(bulla::sync::remote::Answer::One(found)) => assert_eq!(text(&found), json!({"n": number}).to_string()),
            Ok(bulla::sync::remote::Answer::Many(_)) => panic!("many"),
            Err(error) => assert_eq!((number, error.cause), (40, Cause::Missing)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_library_logs_a_value_or_a_credential() {
    let vault = shared();
    vault.enable_kv("quiet", 2);
    vault.write("quiet/data/a", &json!({"data": {"b": "canary-in-a-value"}}));
    let auth = super::approle(vault, "quiet", "quiet", &json!({}));
    let super::Auth::AppRole { secret_id, .. } = &auth else { panic!("an AppRole") };
    let secret_id = String::from_utf8(secret_id.expose().to_vec()).unwrap();
    let store = super::Store::new(super::settings(&vault.address(), "quiet", KvVersion::V2, auth));
    assert!(store.read("a").await.unwrap().contains("canary-in-a-value"));
    assert!(store.read("b").await.is_err());
    store.provider.close().await;
    let said = super::log::said();
    assert!(said.contains("hyper"), "the log was listened to: {said}");
    // A token of Vault begins with `hvs.`.
    for canary in ["canary-in-a-value", secret_id.as_str(), "hvs."] {
        assert!(!said.contains(canary), "{canary} in {said}");
    }
}
