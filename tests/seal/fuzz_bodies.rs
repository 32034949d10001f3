//! The fuzz targets' bodies over their seeds and a few thousand mutations, the same ones every time: what libFuzzer
//! does for hours (`tests/fuzz/run`), in a second, on the stable toolchain.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use bodies::{TARGETS, Target};

use crate::support::dice::Dice;

const MUTATIONS: usize = 3000;

fn mutate(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len());
        match dice.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << dice.below(8),
            1 if !input.is_empty() => input[at] = dice.below(256) as u8,
            2 => input.truncate(at),
            3 => input.insert(at.min(input.len()), b"\n -=\"{[,:}]#\0\xff"[dice.below(14)]),
            4 if !input.is_empty() => drop(input.remove(at)),
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let copy = input[at..(at + dice.below(40)).min(input.len())].to_vec();
                input.splice(at..at, copy);
            }
        }
    }
    input
}

#[test]
fn every_body_stands_its_seeds_and_their_mutations() {
    for Target { name, body, seeds } in TARGETS {
        let seeds = seeds();
        assert!(seeds.len() >= 3, "{name}");
        body(&[]);
        seeds.iter().for_each(|seed| body(seed));
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        // Unoptimised, whatever really opens takes ten times as long as the parsers.
        let is_slow = ["open_native", "open_kubeseal", "legacy"].contains(&name);
        let mutations = if is_slow { MUTATIONS / 5 } else { MUTATIONS };
        for _ in 0..mutations {
            body(&mutate(&mut dice, &seeds));
        }
    }
}
