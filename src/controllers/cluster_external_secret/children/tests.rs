//! What makes a child, how one differs, and who is told.

use super::*;

fn wanted(labels: &[(&str, &str)]) -> Wanted {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let object = json!({"metadata": {"name": "ces"}, "spec": {
        "externalSecretSpec": {"secretStoreRef": {"name": "s"}, "dataFrom": [{"extract": {"key": "k"}}]},
        "externalSecretMetadata": {"labels": labels},
    }});
    Wanted::read(&serde_json::from_value(object).unwrap()).unwrap()
}

fn parent(uid: &str) -> Parent {
    Parent { name: "ces".to_owned(), uid: uid.to_owned() }
}

fn live(wanted: &Wanted, change: impl FnOnce(&mut Value)) -> Option<Child> {
    let mut object = new(wanted, &parent("u"), "ns");
    object["metadata"]["resourceVersion"] = json!("5");
    change(&mut object);
    Child::of(&serde_json::from_value(object).unwrap())
}

#[test]
fn what_we_make_is_a_child_that_needs_nothing() {
    let wanted = wanted(&[("a", "1")]);
    let child = live(&wanted, |_| ()).unwrap();
    assert_eq!(child.parent, parent("u"));
    assert_eq!(child.patch(&wanted), None);
}

#[test]
fn only_what_a_cluster_external_secret_controls_is_a_child() {
    let wanted = wanted(&[]);
    for (field, value) in
        [("controller", json!(false)), ("kind", json!("Deployment")), ("apiVersion", json!("apps/v1"))]
    {
        assert_eq!(live(&wanted, |object| object["metadata"]["ownerReferences"][0][field] = value), None, "{field}");
    }
    let older = |object: &mut Value| {
        object["metadata"]["ownerReferences"][0]["apiVersion"] = json!("external-secrets.io/v1beta1");
    };
    assert!(live(&wanted, older).is_some());
}

#[test]
fn a_patch_changes_ours_and_leaves_theirs() {
    let wanted = wanted(&[("a/b", "1"), ("c", "2")]);
    let child = live(&wanted, |object| {
        object["spec"]["secretStoreRef"]["name"] = json!("elsewhere");
        object["metadata"]["labels"] = json!({"a/b": "edited", "c": "2", "theirs": "t", "gone": "g"});
        object["metadata"]["managedFields"] = json!([
            {"manager": FIELD_MANAGER, "operation": "Update", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:gone": {}, "f:c": {}}}}},
            {"manager": "somebody", "operation": "Update", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
        ]);
    });
    assert_eq!(
        child.unwrap().patch(&wanted).unwrap(),
        json!([
            {"op": "add", "path": "/metadata/resourceVersion", "value": "5"},
            {"op": "add", "path": "/spec", "value": wanted.spec},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "1"},
            {"op": "remove", "path": "/metadata/labels/gone"},
        ])
    );
    let bare = live(&wanted, |object| drop(object["metadata"].as_object_mut().unwrap().remove("labels"))).unwrap();
    assert_eq!(
        bare.patch(&wanted).unwrap()[1],
        json!({"op": "add", "path": "/metadata/labels", "value": wanted.labels})
    );
}

#[test]
fn news_is_told_to_whom_it_concerns() {
    let wanted = wanted(&[]);
    let key = Key::new("ns", "ces");
    let at = |version: &str| live(&wanted, |object| object["metadata"]["resourceVersion"] = json!(version)).unwrap();
    let mut children = Children::default();
    assert_eq!(children.see(&key, at("5"), 1), [parent("u")]);
    assert_eq!(children.see(&key, at("6"), 1), [], "the status was written");
    let edited = Child { spec: None, ..at("7") };
    assert_eq!(children.see(&key, edited.clone(), 1), [parent("u")]);
    assert_eq!(children.see(&key, at("4"), 1), [], "it is late");
    assert_eq!(children.get(&key), Some(&edited));
    let handed_on = Child { parent: parent("v"), ..at("8") };
    assert_eq!(children.see(&key, handed_on, 1), [parent("u"), parent("v")]);
    assert_eq!((children.of("u").count(), children.of("v").count()), (0, 1));
    assert_eq!(children.missing(1), []);
    assert_eq!(children.missing(2), std::slice::from_ref(&key));
    assert_eq!(children.remove(&key), Some(parent("v")));
    assert_eq!(children.of("v").count(), 0);
}
