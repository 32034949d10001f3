//! `bulla set` and `bulla unset`: files change in one place.

use crate::harness::{Bench, SECRET};

fn sealed() -> Bench {
    let bench = Bench::with_keys();
    bench.pipe(&["seal", "--to", "small.pub", "-o", "db.yaml"], SECRET).exits(0);
    let text = bench.read("db.yaml").replace("    username:", "    # who\n    username:");
    bench.write("db.yaml", &format!("# payments\r\n{text}"));
    bench
}

/// The lines of `after` that are not in `before`, and the other way round.
fn difference(before: &str, after: &str) -> (usize, usize) {
    let missing =
        |from: &str, to: &str| to.split('\n').filter(|line| !from.split('\n').any(|other| other == *line)).count();
    (missing(before, after), missing(after, before))
}

#[test]
fn set_changes_one_line() {
    let bench = sealed();
    let before = bench.read("db.yaml");
    bench.pipe(&["set", "db.yaml", "password", "--to", "small.pub"], "new\n").exits(0).says("password changed");
    assert_eq!(difference(&before, &bench.read("db.yaml")), (1, 1));
    let value = bench.run(&["open", "db.yaml", "-i", "small.key", "--key", "password"]).exits(0).out;
    assert_eq!(value, "new");
}

#[test]
fn set_adds_a_key_and_unset_takes_it_out_again() {
    let bench = sealed();
    let before = bench.read("db.yaml");
    bench.pipe(&["set", "db.yaml", "port", "--to", "small.pub"], "5432").exits(0).says("port added");
    assert_eq!(difference(&before, &bench.read("db.yaml")), (1, 0));
    bench.run(&["unset", "db.yaml", "port"]).exits(0);
    assert_eq!(bench.read("db.yaml"), before);
}

#[test]
fn setting_the_same_value_again_changes_nothing() {
    let bench = sealed();
    bench.pipe(&["set", "db.yaml", "password", "--to", "small.pub"], "new").exits(0);
    let before = bench.read("db.yaml");
    bench.pipe(&["set", "db.yaml", "password", "--to", "small.pub"], "new").exits(0).says("is unchanged");
    assert_eq!(bench.read("db.yaml"), before);
}

#[test]
fn what_cannot_be_done_leaves_the_file_alone() {
    let bench = sealed();
    let two = format!("{}---\n{}", bench.read("db.yaml"), bench.read("db.yaml").replace("name: db", "name: other"));
    bench.write("two.yaml", &two);
    let before = bench.read("db.yaml");
    bench.run(&["unset", "db.yaml", "nothing"]).exits(1).says("it has password, username");
    bench.pipe(&["set", "db.yaml", "bad key", "--to", "small.pub"], "x").exits(1).says("not a valid data key");
    bench.pipe(&["set", "two.yaml", "password", "--to", "small.pub"], "x").exits(2).says("choose one with --name");
    bench
        .pipe(&["set", "db.yaml", "password", "--to", "small.pub"], "")
        .exits(1)
        .says("did the command before the pipe fail");
    bench.pipe(&["set", "nowhere.yaml", "password", "--to", "small.pub"], "x").exits(2).says("nowhere.yaml");
    bench.pipe(&["set", "two.yaml", "password", "--name", "other", "--to", "small.pub"], "x").exits(0);
    assert_eq!(bench.read("db.yaml"), before);
    let (added, removed) = difference(&two, &bench.read("two.yaml"));
    assert_eq!((added, removed), (1, 0), "only the second of two equal values changed");
}
