use super::*;
use crate::sync::live::WrittenBy;

fn owner() -> Owner {
    Owner {
        api_version: "bitnami.com/v1alpha1".to_owned(),
        kind: "SealedSecret".to_owned(),
        name: "db".to_owned(),
        uid: "u1".to_owned(),
    }
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Plaintext::from((*v).to_owned()))).collect()
}

fn pairs(entries: &[(&str, &str)]) -> Pairs {
    entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// A Secret as we left it.
fn ours() -> Live {
    Live {
        resource_version: "7".to_owned(),
        kind: "Opaque".to_owned(),
        labels: pairs(&[(Annotations::MANAGED_BY, Annotations::OWNED)]),
        owners: vec![owner().reference()],
        data: values(&[("a", "1")]),
        written_by: vec![WrittenBy {
            manager: "bulla".to_owned(),
            data: true,
            labels: [Annotations::MANAGED_BY.to_owned()].into(),
            ..WrittenBy::default()
        }],
        ..Live::default()
    }
}

/// A Secret that somebody else made.
fn foreign() -> Live {
    Live { labels: pairs(&[("team", "x")]), owners: Vec::new(), written_by: Vec::new(), ..ours() }
}

fn marked(mut live: Live, names: &[&str]) -> Live {
    live.annotations.extend(names.iter().map(|name| ((*name).to_owned(), "true".to_owned())));
    live
}

fn plan_with(shape: &Shape, sealed: &[(&str, &str)], live: Option<&Live>) -> Plan {
    let (values, owner) = (values(sealed), owner());
    plan(&Desired { shape, content: Content::Opened(&values), owner: &owner, labels: &Pairs::new() }, live)
}

fn plan_for(sealed: &[(&str, &str)], live: &Live) -> Plan {
    plan_with(&Shape::default(), sealed, Some(live))
}

fn updated(plan: Plan) -> Update {
    match plan {
        Plan::Update(update) => *update,
        Plan::Create(_) | Plan::Keep | Plan::Refuse(_) => panic!("no update: {plan:?}"),
    }
}

#[test]
fn an_absent_secret_is_created_with_an_owner_and_our_label() {
    let Plan::Create(head) = plan_with(&Shape::default(), &[("a", "1")], None) else {
        panic!("not created");
    };
    assert_eq!(head.kind, "Opaque");
    assert_eq!(head.owners, [owner().reference()]);
    assert_eq!(head.labels, pairs(&[(Annotations::MANAGED_BY, Annotations::OWNED)]));
}

#[test]
fn a_right_secret_is_kept_whatever_others_added_to_its_metadata() {
    let mut live = ours();
    live.labels.insert("team".to_owned(), "x".to_owned());
    live.annotations.insert("note".to_owned(), "y".to_owned());
    live.finalizers.push("example.com/hold".to_owned());
    assert_eq!(plan_for(&[("a", "1")], &live), Plan::Keep);
}

#[test]
fn data_is_made_exactly_what_was_sealed() {
    for sealed in [&[("a", "2")][..], &[("b", "1")], &[("a", "1"), ("b", "2")], &[]] {
        let update = updated(plan_for(sealed, &ours()));
        assert_eq!(update.data, Data::Opened);
        assert_eq!(update.resource_version, "7");
    }
}

#[test]
fn only_metadata_that_came_from_us_is_removed() {
    let mut live = ours();
    live.labels.extend(pairs(&[("old", "1"), ("team", "x")]));
    live.annotations.extend(pairs(&[("old", "1"), ("note", "y")]));
    live.written_by[0].labels.insert("old".to_owned());
    live.written_by[0].annotations.insert("old".to_owned());
    let update = updated(plan_for(&[("a", "1")], &live));
    assert_eq!(update.data, Data::Live);
    assert!(!update.head.labels.contains_key("old") && update.head.labels.contains_key("team"));
    assert!(!update.head.annotations.contains_key("old"));
    assert!(update.head.annotations.contains_key("note"));
}

#[test]
fn the_predecessors_metadata_goes_only_where_it_wrote_the_data() {
    for (data, removed) in [(true, true), (false, false)] {
        let mut live = ours();
        live.labels.insert("old".to_owned(), "1".to_owned());
        live.written_by = vec![WrittenBy {
            manager: "controller".to_owned(),
            data,
            labels: ["old".to_owned()].into(),
            ..WrittenBy::default()
        }];
        let mut shape = Shape::default();
        shape.labels.insert("new".to_owned(), "1".to_owned());
        let update = updated(plan_with(&shape, &[("a", "1")], Some(&live)));
        assert_eq!(!update.head.labels.contains_key("old"), removed);
    }
}

#[test]
fn a_foreign_secret_is_refused_with_its_controllers_name() {
    let plan = plan_for(&[("a", "1")], &foreign());
    assert_eq!(plan, Plan::Refuse(Refusal::NotOwned { controller: None }));
    let mut live = foreign();
    let other = OwnerRef { uid: "x".to_owned(), kind: "Certificate".to_owned(), ..owner().reference() };
    live.owners.push(other);
    let Plan::Refuse(refusal) = plan_for(&[("a", "1")], &live) else { panic!("not refused") };
    assert!(refusal.to_string().contains("but by Certificate db"), "{refusal}");
    assert!(refusal.to_string().contains("sealedsecrets.bitnami.com/managed=true"));
}

#[test]
fn managed_means_takeover_and_foreign_metadata_stays() {
    let update = updated(plan_for(&[("b", "2")], &marked(foreign(), &[Annotations::MANAGED])));
    assert_eq!(update.data, Data::Opened);
    assert_eq!(update.head.owners, [owner().reference()]);
    assert_eq!(update.head.labels["team"], "x");
    assert_eq!(update.head.annotations[Annotations::MANAGED], "true");
}

#[test]
fn patch_means_merge_without_ownership() {
    let live = marked(foreign(), &[Annotations::PATCH]);
    let update = updated(plan_for(&[("b", "2")], &live));
    assert_eq!(update.data, Data::Merged);
    assert!(update.head.owners.is_empty());
    assert_eq!(update.head.labels[Annotations::MANAGED_BY], Annotations::MERGED);
}

#[test]
fn patch_and_managed_means_merge_with_ownership() {
    let live = marked(foreign(), &[Annotations::PATCH, Annotations::MANAGED]);
    let update = updated(plan_for(&[("b", "2")], &live));
    assert_eq!((update.data, update.head.owners), (Data::Merged, vec![owner().reference()]));
}

#[test]
fn a_merged_secret_that_has_our_keys_is_kept() {
    let mut live = marked(foreign(), &[Annotations::PATCH]);
    live.labels.insert(Annotations::MANAGED_BY.to_owned(), Annotations::MERGED.to_owned());
    live.data = values(&[("a", "1"), ("theirs", "x")]);
    live.kind = "example.com/custom".to_owned();
    assert_eq!(plan_for(&[("a", "1")], &live), Plan::Keep);
}

#[test]
fn a_merged_secret_is_not_ours_once_the_annotation_goes() {
    let mut live = foreign();
    live.labels.insert(Annotations::MANAGED_BY.to_owned(), Annotations::MERGED.to_owned());
    live.written_by = ours().written_by;
    assert!(matches!(plan_for(&[("a", "1")], &live), Plan::Refuse(Refusal::NotOwned { .. })));
}

#[test]
fn a_recreated_sealed_secret_adopts_its_secret() {
    let mut live = ours();
    live.owners[0].uid = "u0".to_owned();
    let update = updated(plan_for(&[("a", "1")], &live));
    assert_eq!(update.head.owners, [owner().reference()]);
    assert_eq!(update.data, Data::Live);
}

#[test]
fn without_owner_reference_on_request_and_still_ours_afterwards() {
    let mut shape = Shape::default();
    shape.annotations.insert(Annotations::SKIP_OWNER.to_owned(), "true".to_owned());
    let Plan::Create(head) = plan_with(&shape, &[("a", "1")], None) else { panic!("not created") };
    assert!(head.owners.is_empty());
    let mut live = ours();
    live.owners.clear();
    live.annotations = shape.annotations.clone();
    assert_eq!(plan_with(&shape, &[("a", "1")], Some(&live)), Plan::Keep);
    // The request goes away: the reference is set.
    assert_eq!(updated(plan_for(&[("a", "1")], &live)).head.owners, [owner().reference()]);
    // It arrives: the reference is taken off.
    let update = updated(plan_with(&shape, &[("a", "1")], Some(&ours())));
    assert!(update.head.owners.is_empty());
}

#[test]
fn an_immutable_target_is_refused_unless_its_data_is_right() {
    let live = Live { immutable: true, ..ours() };
    assert_eq!(plan_for(&[("a", "1")], &live), Plan::Keep);
    assert_eq!(plan_for(&[("a", "2")], &live), Plan::Refuse(Refusal::Immutable));
    let mut shape = Shape::default();
    shape.labels.insert("new".to_owned(), "1".to_owned());
    let update = updated(plan_with(&shape, &[("a", "1")], Some(&live)));
    assert_eq!(update.head.immutable, Some(true));
}

#[test]
fn a_target_is_made_immutable_on_request() {
    let shape = Shape { immutable: Some(true), ..Shape::default() };
    let update = updated(plan_with(&shape, &[("a", "1")], Some(&ours())));
    assert_eq!(update.head.immutable, Some(true));
}

#[test]
fn another_type_is_refused_and_the_servers_default_is_not_another_type() {
    for kind in [None, Some(""), Some("Opaque")] {
        let shape = Shape { kind: kind.map(str::to_owned), ..Shape::default() };
        assert_eq!(plan_with(&shape, &[("a", "1")], Some(&ours())), Plan::Keep);
    }
    let shape = Shape { kind: Some("kubernetes.io/tls".to_owned()), ..Shape::default() };
    let plan = plan_with(&shape, &[("a", "1")], Some(&ours()));
    assert!(matches!(plan, Plan::Refuse(Refusal::Type { .. })));
}

#[test]
fn a_secret_that_is_being_deleted_is_waited_for() {
    let live = Live { terminating: true, ..ours() };
    assert_eq!(plan_for(&[("a", "1")], &live), Plan::Refuse(Refusal::Terminating));
}

#[test]
fn proven_data_is_not_written_anew_but_its_metadata_is_mended() {
    let (shape, owner) = (Shape::default(), owner());
    let desired = Desired { shape: &shape, content: Content::Proven, owner: &owner, labels: &Pairs::new() };
    assert_eq!(plan(&desired, Some(&ours())), Plan::Keep);
    let mut live = ours();
    live.labels.clear();
    assert_eq!(updated(plan(&desired, Some(&live))).data, Data::Live);
}

#[test]
fn labels_for_all_go_to_what_is_ours_and_give_way_to_the_template() {
    let (values, owner) = (values(&[("a", "1")]), owner());
    let shape = Shape { labels: pairs(&[("team", "ours")]), ..Shape::default() };
    let all = pairs(&[("team", "all"), ("backup", "no")]);
    let desired = Desired { shape: &shape, content: Content::Opened(&values), owner: &owner, labels: &all };
    let expected = |mark| pairs(&[("team", "ours"), ("backup", "no"), (Annotations::MANAGED_BY, mark)]);
    let Plan::Create(head) = plan(&desired, None) else { panic!("not created") };
    assert_eq!(head.labels, expected(Annotations::OWNED));
    let update = updated(plan(&desired, Some(&ours())));
    assert_eq!((update.head.labels, update.data), (expected(Annotations::OWNED), Data::Live));
    // What is somebody else's is not labelled, and a label that is dropped goes.
    let live = marked(foreign(), &[Annotations::PATCH]);
    assert!(!updated(plan(&desired, Some(&live))).head.labels.contains_key("backup"));
    let mut live = ours();
    live.labels.extend(pairs(&[("backup", "no"), ("theirs", "x")]));
    live.written_by[0].labels.insert("backup".to_owned());
    let labels = updated(plan_for(&[("a", "1")], &live)).head.labels;
    assert!(!labels.contains_key("backup") && labels.contains_key("theirs"), "{labels:?}");
}
