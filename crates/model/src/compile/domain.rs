//! Custom domains: what their base paths lead to, and whether anything can be reached at all.

use std::collections::HashMap;

use portcullis_core::{Findings, Place};

use super::{ApiSource, DomainSource, MappingSource, Sources};
use crate::{
    domain::{BasePathMapping, Domain, Domains},
    snapshot::Stage,
};

/// Compiles the domains. Mappings to APIs that are not among `stages`, for their document has errors, are left out: it is
/// said elsewhere that they are not served.
pub(super) fn compile(sources: &Sources, stages: &[Stage], findings: &mut Findings) -> Domains {
    check_names(&sources.domains, findings);
    let domains = sources.domains.iter().map(|source| domain(source, stages, findings));
    let domains = Domains::new(domains.collect());
    for api in sources.apis.iter().filter(|api| api.disables_default_endpoint()) {
        warn_of_unreachable(api, stages, &domains, findings);
    }
    domains
}

fn domain(source: &DomainSource, stages: &[Stage], findings: &mut Findings) -> Domain {
    let mut taken: HashMap<&str, &Place> = HashMap::new();
    let mut mappings = Vec::new();
    for MappingSource { base_path, api, stage } in &source.mappings {
        if let Some(first) = taken.insert(&base_path.value, &base_path.place) {
            let message = format!(
                "`{}` has the base path `/{}` twice{}",
                source.name.value,
                base_path.value,
                first_in(first)
            );
            let remedy = "remove one of the two mappings";
            findings.error(base_path.place.clone(), "duplicate-base-path", message, remedy);
        }
        let found = stages
            .iter()
            .position(|found| *found.api == *api.value && *found.name == *stage.value);
        mappings.extend(found.map(|index| BasePathMapping::new(&base_path.value, index)));
    }
    mappings.sort_by_key(|mapping| std::cmp::Reverse(mapping.depth()));
    Domain {
        name: source.name.value.as_str().into(),
        mappings,
    }
}

fn check_names(domains: &[DomainSource], findings: &mut Findings) {
    let mut taken: HashMap<&str, &Place> = HashMap::new();
    for DomainSource { name, .. } in domains {
        if let Some(first) = taken.insert(&name.value, &name.place) {
            let message = format!("the domain `{}` is there twice{}", name.value, first_in(first));
            let remedy = "write all of its mappings in one place";
            findings.error(name.place.clone(), "duplicate-domain", message, remedy);
        }
    }
}

fn warn_of_unreachable(api: &ApiSource, stages: &[Stage], domains: &Domains, findings: &mut Findings) {
    for source in &api.stages {
        let is_it = |stage: &&Stage| *stage.api == *api.id && *stage.name == *source.name;
        let mut mapped = domains
            .iter()
            .flat_map(|domain| &domain.mappings)
            .filter_map(|mapping| stages.get(mapping.stage()));
        // A stage that did not compile has errors of its own.
        if !stages.iter().any(|stage| is_it(&stage)) || mapped.any(|stage| is_it(&stage)) {
            continue;
        }
        let message = format!(
            "stage `{}` of `{}` cannot be reached: its default address is disabled and no domain leads to it",
            source.name, api.id
        );
        let remedy = "map a base path of one of the `[[domains]]` to it, or set `disable_default_endpoint = false`";
        findings.warn(source.place.clone(), "stage-unreachable", message, remedy);
    }
}

fn first_in(place: &Place) -> String {
    match place.line {
        0 => String::new(),
        line => format!("; first in line {line}"),
    }
}
