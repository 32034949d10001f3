//! History only grows.

use bulla::host::repository::{CommitId, Refused, Repository, Settings};

use super::origin::Origin;

#[tokio::test]
async fn what_goes_on_from_the_last_good_commit_is_followed() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let first = repository.fetch().await.unwrap();
    repository.judge(None, &first).await.unwrap();
    repository.judge(Some(&first), &first).await.unwrap();
    origin.commit("a", "two");
    origin.git(&["checkout", "--quiet", "-b", "side", first.as_str()]);
    origin.commit("b", "beside");
    origin.git(&["checkout", "--quiet", "main"]);
    origin.git(&["merge", "--quiet", "--no-edit", "side"]);
    let merged = repository.fetch().await.unwrap();
    repository.judge(Some(&first), &merged).await.unwrap();
    assert_eq!(repository.between(&first, &merged).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_forced_push_is_refused_and_the_text_says_what_to_do() {
    let origin = Origin::new();
    let first = origin.head();
    let second = origin.commit("hosts/frodo.yaml", "two");
    let repository = origin.follow().await;
    assert_eq!(repository.fetch().await.unwrap(), second);
    origin.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let other = origin.commit("hosts/frodo.yaml", "another two");
    // What is there is told; that it is not followed is decided here.
    assert_eq!(repository.fetch().await.unwrap(), other);
    let refused = repository.judge(Some(&second), &other).await.unwrap_err();
    assert!(matches!(&refused, Refused::Rewritten { good, tip, lost: false } if *good == second && *tip == other));
    let text = refused.to_string();
    for word in ["bulla host status", "--accept-rewrite", second.as_str(), other.as_str()] {
        assert!(text.contains(word), "{text}");
    }
    // Somebody who accepts it names it, and it is good from then on.
    repository.judge(Some(&other), &other).await.unwrap();
}

#[tokio::test]
async fn an_old_commit_that_a_server_shows_again_is_refused() {
    let origin = Origin::new();
    let first = origin.head();
    let second = origin.commit("hosts/frodo.yaml", "two");
    let repository = origin.follow().await;
    repository.fetch().await.unwrap();
    origin.git(&["reset", "--quiet", "--hard", first.as_str()]);
    assert_eq!(repository.fetch().await.unwrap(), first);
    let refused = repository.judge(Some(&second), &first).await.unwrap_err();
    assert!(matches!(refused, Refused::Rewritten { lost: false, .. }), "{refused}");
}

#[tokio::test]
async fn another_repository_in_its_place_is_refused() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let first = repository.fetch().await.unwrap();
    origin.git(&["checkout", "--quiet", "--orphan", "other"]);
    let orphan = origin.commit("hosts/frodo.yaml", "other");
    origin.git(&["branch", "-f", "main"]);
    assert_eq!(repository.fetch().await.unwrap(), orphan);
    assert!(matches!(repository.judge(Some(&first), &orphan).await, Err(Refused::Rewritten { .. })));
    // A host that lost its state, or whose last good commit is nowhere any more.
    let lost: CommitId = "00112233445566778899aabbccddeeff00112233".parse().unwrap();
    let refused = repository.judge(Some(&lost), &orphan).await.unwrap_err();
    assert!(matches!(refused, Refused::Rewritten { lost: true, .. }), "{refused}");
    assert!(matches!(repository.judge(None, &lost).await, Err(Refused::Unknown { .. })));
}

#[tokio::test]
async fn a_new_host_takes_only_what_goes_on_from_its_anchor() {
    let origin = Origin::new();
    let first = origin.head();
    let second = origin.commit("hosts/frodo.yaml", "two");
    let settings = Settings { anchor: Some(first), ..origin.settings() };
    let repository = Repository::open(settings).await.unwrap();
    repository.fetch().await.unwrap();
    repository.judge(None, &second).await.unwrap();
    let elsewhere = Origin::empty();
    elsewhere.commit("hosts/frodo.yaml", "of somebody else");
    let settings = Settings { url: elsewhere.url(), anchor: Some(second.clone()), ..elsewhere.settings() };
    let repository = Repository::open(settings).await.unwrap();
    let tip = repository.fetch().await.unwrap();
    let refused = repository.judge(None, &tip).await.unwrap_err();
    assert!(matches!(&refused, Refused::NotAnchored { anchor, .. } if *anchor == second), "{refused}");
}

#[tokio::test]
async fn a_rewrite_that_somebody_accepts_has_to_go_on_from_the_anchor_all_the_same() {
    let origin = Origin::new();
    let first = origin.head();
    let second = origin.commit("hosts/frodo.yaml", "two");
    let repository = Repository::open(Settings { anchor: Some(first.clone()), ..origin.settings() }).await.unwrap();
    repository.fetch().await.unwrap();
    origin.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let other = origin.commit("hosts/frodo.yaml", "another two");
    repository.fetch().await.unwrap();
    repository.judge_rewrite(&second, &other).await.unwrap();
    let lost: CommitId = "00112233445566778899aabbccddeeff00112233".parse().unwrap();
    repository.judge_rewrite(&lost, &other).await.unwrap();
    assert!(matches!(repository.judge_rewrite(&second, &lost).await, Err(Refused::Unknown { .. })));
    // An anchor that is beside, and one that is nowhere.
    for anchor in [&second, &lost] {
        let settings = Settings { anchor: Some(anchor.clone()), ..origin.settings() };
        let repository = Repository::open(settings).await.unwrap();
        for good in [&first, &second, &lost] {
            let refused = repository.judge_rewrite(good, &other).await.unwrap_err();
            assert!(matches!(&refused, Refused::NotAnchored { anchor: named, .. } if named == anchor), "{refused:?}");
        }
    }
}
