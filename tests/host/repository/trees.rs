//! The files of a commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bulla::host::declared::Source;
use bulla::host::repository::{ReadError, TreeError};

use super::origin::Origin;

#[tokio::test]
async fn files_are_listed_and_read_below_a_folder() {
    let origin = Origin::new();
    origin.commit("hosts/camelot.yaml", "");
    origin.commit("hosts/ü ö.yaml", "umlauts");
    origin.commit("hostsfile", "beside");
    origin.commit("other/x.yaml", "beside");
    origin.git(&["update-index", "--chmod=+x", "hosts/frodo.yaml"]);
    origin.git(&["commit", "--quiet", "-m", "x"]);
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let tree = repository.tree(&tip, Path::new("/hosts/")).await.unwrap();
    let listed: Vec<_> = tree.iter().map(|entry| (entry.path.as_str(), entry.size)).collect();
    let expected = [("hosts/camelot.yaml", 0), ("hosts/frodo.yaml", 3), ("hosts/ü ö.yaml", 7)];
    assert_eq!(listed, expected);
    assert_eq!(tree.read("hosts/ü ö.yaml").await.unwrap(), b"umlauts");
    assert_eq!(tree.read("hosts/camelot.yaml").await.unwrap(), b"");
    for path in ["other/x.yaml", "hosts", "", "../x", "/etc/passwd", "HEAD"] {
        assert!(matches!(tree.read(path).await, Err(ReadError::NotThere { .. })), "{path}");
    }
    assert_eq!(repository.tree(&tip, Path::new("")).await.unwrap().iter().count(), 5);
    for below in ["nowhere", "../etc", "hosts/frodo.yaml", "host*", ":(top)hosts"] {
        let error = repository.tree(&tip, Path::new(below)).await.unwrap_err();
        assert!(matches!(error, TreeError::NoFolder { .. }), "{below}: {error}");
    }
}

#[tokio::test]
async fn many_files_are_read_at_once_and_in_order() {
    let origin = Origin::new();
    for number in 0..700 {
        std::fs::write(origin.work().join(format!("{number}.yaml")), format!("{number}\n").repeat(number)).unwrap();
    }
    std::fs::write(origin.work().join("large.yaml"), vec![b'x'; 5 << 20]).unwrap();
    origin.git(&["add", "."]);
    origin.git(&["commit", "--quiet", "-m", "many"]);
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let tree = repository.tree(&tip, Path::new("")).await.unwrap();
    let names: Vec<String> = (0..700).map(|number| format!("{number}.yaml")).collect();
    let mut paths: Vec<&str> = names.iter().map(String::as_str).collect();
    paths.insert(300, "missing.yaml");
    paths.insert(100, "large.yaml");
    let read = tree.read_many(&paths).await;
    for (path, read) in paths.iter().zip(read) {
        match *path {
            "missing.yaml" => assert!(matches!(read, Err(ReadError::NotThere { .. }))),
            "large.yaml" => assert_eq!(read.unwrap().len(), 5 << 20),
            path => {
                let number = path.trim_end_matches(".yaml").parse().unwrap();
                assert_eq!(read.unwrap(), format!("{number}\n").repeat(number).as_bytes(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_tree_is_a_source_of_declarations() {
    let origin = Origin::new();
    let repository = origin.follow().await;
    let tip = repository.fetch().await.unwrap();
    let tree: Arc<dyn Source> = Arc::new(repository.tree(&tip, Path::new("")).await.unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let paths: Vec<PathBuf> = tree.entries().unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, [Path::new("hosts/frodo.yaml")]);
        tree.read(&[paths[0].clone(), "missing".into()])
    });
    let read = read.await.unwrap();
    assert_eq!(read[0].as_deref(), Ok(&b"one"[..]));
    assert!(read[1].as_ref().unwrap_err().contains("missing"));
}
