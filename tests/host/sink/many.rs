//! A thousand files.

use super::world::{apply, inside_of_size, link, stage};

#[test]
fn a_thousand_files_are_staged_flipped_changed_and_removed() {
    inside_of_size("64m", "many::a_thousand_files_are_staged_flipped_changed_and_removed", |world| {
        let files = |word: &str| {
            (0..1000).map(|at| link(&format!("/etc/app-{}/secret-{at}", at / 5), word)).collect::<Vec<_>>()
        };
        let mut sink = world.open();
        let clock = std::time::Instant::now();
        let lap = |what: &str, since: &mut std::time::Duration| {
            println!("{what}: {:?}", clock.elapsed() - *since);
            *since = clock.elapsed();
        };
        let mut since = std::time::Duration::ZERO;
        let staged = stage(&sink, files("one"));
        lap("stage", &mut since);
        assert_eq!((staged.changes().len(), staged.problems().len()), (1000, 0));
        let flipped = sink.flip(staged).unwrap();
        lap("first flip", &mut since);
        assert_eq!((flipped.settled.put.len(), flipped.settled.problems.len()), (1000, 0));
        let staged = stage(&sink, files("two"));
        lap("stage again", &mut since);
        let flipped = sink.flip(staged).unwrap();
        lap("flip of bytes alone", &mut since);
        assert_eq!((flipped.changes.len(), flipped.settled.put.len()), (1000, 0), "one rename changes them all");
        assert_eq!(
            (world.read("/etc/app-0/secret-0"), world.read("/etc/app-199/secret-999")),
            ("two".into(), "two".into())
        );
        assert_eq!(sink.drift().unwrap(), []);
        lap("drift", &mut since);
        let staged = stage(&sink, files("two"));
        assert_eq!(sink.flip(staged).unwrap().changes.len(), 0);
        lap("unchanged", &mut since);
        apply(&mut sink, Vec::new());
        lap("remove all", &mut since);
        assert_eq!(world.tree(), ["/etc/"]);
    });
}
