//! `bulla demo`, which checks itself.

use crate::harness::Bench;

#[test]
fn the_demo_checks_out_and_leaves_nothing() {
    let bench = Bench::new();
    let run = bench.run(&["demo"]).exits(0);
    assert_eq!(run.out.matches('✓').count(), 11, "{}", run.out);
    assert!(run.out.contains("Every step checked out"));
    for value in ["correct-horse", "tr0ub4dor", "sk-live", "AGE-SECRET-KEY"] {
        assert!(!run.out.contains(value) && !run.err.contains(value), "{value}");
    }
    assert!(!bench.path("state").exists(), "the demo keeps its memory in its own folder");
}
