//! The order in which services are told.

use std::collections::BTreeSet;

use crate::host::desired::{Problem, Service};

/// Those before which others come, first; otherwise as they are declared. What comes after something that is not
/// declared, or after itself, is a problem, and that wish is passed over.
pub(super) fn in_order(mut services: Vec<Service>, problems: &mut Vec<Problem>) -> Vec<Service> {
    let mut problem = |service: &Service, message: String| {
        problems.push(Problem { object: format!("service {}", service.name), at: None, message });
    };
    let names: BTreeSet<String> = services.iter().map(|service| service.name.clone()).collect();
    for service in &services {
        for after in service.after.iter().filter(|after| !names.contains(*after)) {
            problem(service, format!("comes after {after}, which no document of this host declares"));
        }
    }
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut ordered = Vec::with_capacity(services.len());
    while !services.is_empty() {
        let waits = |after: &String| names.contains(after) && !told.contains(after);
        let free = services.iter().position(|service| !service.after.iter().any(waits));
        let next = services.remove(free.unwrap_or(0));
        if free.is_none() {
            problem(&next, "comes after itself by way of others: break the circle of `after`".to_owned());
        }
        told.insert(next.name.clone());
        ordered.push(next);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(edges: &[(&str, &[&str])]) -> (Vec<String>, usize) {
        let service = |(name, after): &(&str, &[&str])| Service {
            name: (*name).to_owned(),
            after: after.iter().map(|after| (*after).to_owned()).collect(),
            ..Service::default()
        };
        let mut problems = Vec::new();
        let services = in_order(edges.iter().map(service).collect(), &mut problems);
        (services.into_iter().map(|service| service.name).collect(), problems.len())
    }

    #[test]
    fn services_come_after_those_that_they_name_and_otherwise_as_declared() {
        let (names, problems) = ordered(&[("d", &["c", "a"]), ("a", &[]), ("c", &["b"]), ("b", &[])]);
        assert_eq!((names.join(""), problems), ("abcd".to_owned(), 0));
    }

    #[test]
    fn circles_and_strangers_are_told_and_nobody_is_left_out() {
        let (names, problems) = ordered(&[("a", &["b"]), ("b", &["a"]), ("c", &["nobody"])]);
        assert_eq!((names.join(""), problems), ("cab".to_owned(), 2));
    }
}
