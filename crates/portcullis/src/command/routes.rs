//! `portcullis routes`: what is served, and what protects it.

use portcullis_model::snapshot::{HttpProxy, Integration, OriginSpec, Protection, Route, Snapshot, Stage};
use serde_json::{Value, json};

use super::Exit;
use crate::{
    failure::Failure,
    load::{Loaded, Mounting, Source},
    report::{self, Form},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis routes proxy.yaml --variable origin=127.0.0.1:9000
  portcullis routes --config portcullis.toml --json

A route is open when nothing stands in the column of its authoriser; a resource policy, where there is one, holds for \
all routes of its stage.";

#[derive(Debug, clap::Args)]
pub(super) struct Routes {
    #[command(flatten)]
    source: Source,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

/// A route as it is shown.
struct Row<'s> {
    stage: &'s Stage,
    route: &'s Route,
    /// What of a URL stands before the resource, at every address: `/TEST`, `api.example.com/v1`.
    addresses: Vec<String>,
}

pub(super) fn run(args: &Routes) -> Result<Exit, Failure> {
    let mut loaded = args.source.load(Mounting::Root)?;
    let snapshot = loaded.compile(None);
    let Loaded { findings, sources, .. } = loaded;
    let Some(snapshot) = snapshot else {
        report::print(findings, &sources, Form::Text);
        return Err(Failure::Findings);
    };
    let rows = rows(&snapshot);
    report::answer(&if args.json { as_json(&rows) } else { as_table(&rows) });
    Ok(Exit::Good)
}

fn rows(snapshot: &Snapshot) -> Vec<Row<'_>> {
    let stages = snapshot.stages.iter().enumerate();
    stages
        .flat_map(|(index, stage)| {
            let addresses = addresses(snapshot, index, stage);
            let row = move |route| Row {
                stage,
                route,
                addresses: addresses.clone(),
            };
            stage.routes.iter().map(row)
        })
        .collect()
}

/// The default address, if it is served, then those on custom domains.
fn addresses(snapshot: &Snapshot, index: usize, stage: &Stage) -> Vec<String> {
    let mount = stage.mount.trim_end_matches('/').to_owned();
    let default = stage.default_endpoint.then_some(mount);
    let on_domains = snapshot.domains.iter().flat_map(|domain| {
        let mappings = domain.mappings.iter().filter(|mapping| mapping.stage() == index);
        mappings.map(|mapping| {
            let slash = if mapping.base_path.is_empty() { "" } else { "/" };
            format!("{}{slash}{}", domain.name, mapping.base_path)
        })
    });
    default.into_iter().chain(on_domains).collect()
}

// === impl Row ===

impl Row<'_> {
    fn verb(&self) -> &'static str {
        self.route.verb.map_or("ANY", |verb| verb.as_str())
    }

    /// The paths as a client calls them, with the host where it matters.
    fn paths(&self) -> Vec<String> {
        let resource = if &*self.route.resource == "/$default" {
            "/{…}"
        } else {
            &self.route.resource
        };
        self.addresses
            .iter()
            .map(|address| format!("{address}{resource}"))
            .collect()
    }

    fn integration(&self) -> String {
        let kind = self.route.integration.kind();
        match &self.route.integration {
            Integration::HttpProxy(proxy) => format!("{kind} {}", self.origin(proxy).map(origin).unwrap_or_default()),
            Integration::Mock(mock) => format!("{kind} {}", mock.status),
        }
    }

    fn origin(&self, proxy: &HttpProxy) -> Option<&OriginSpec> {
        self.stage.origins.get(proxy.origin)
    }

    /// The authoriser's name, with the scopes demanded.
    fn authorizer(&self) -> Option<String> {
        match &self.route.protection {
            Protection::Open => None,
            Protection::Authorizer { index, scopes } => {
                let name = self
                    .stage
                    .authorizers
                    .get(*index)
                    .map(|authorizer| &*authorizer.name)
                    .unwrap_or_default();
                let scopes = if scopes.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", scopes.join(" or "))
                };
                Some(format!("{name}{scopes}"))
            }
        }
    }

    fn throttle(&self) -> String {
        let rate = self.stage.throttle.rate();
        format!("{}/s, burst {}", rate.rate_per_s(), rate.burst())
    }

    fn protections(&self) -> String {
        let authorizer = self.authorizer();
        let policy = self
            .stage
            .resource_policy
            .is_some()
            .then(|| "resource policy".to_owned());
        let all: Vec<_> = authorizer.into_iter().chain(policy).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(", ") }
    }
}

fn origin(spec: &OriginSpec) -> String {
    let scheme = if spec.tls { "https" } else { "http" };
    let host = if spec.host.contains(':') {
        format!("[{}]", spec.host)
    } else {
        spec.host.clone()
    };
    match (spec.tls, spec.port) {
        (true, 443) | (false, 80) => format!("{scheme}://{host}"),
        (_, port) => format!("{scheme}://{host}:{port}"),
    }
}

fn as_table(rows: &[Row<'_>]) -> String {
    let heading = [
        "VERB",
        "PATH",
        "STAGE",
        "INTEGRATION",
        "PROTECTED BY",
        "THROTTLE OF THE STAGE",
    ]
    .map(str::to_owned);
    let cells = rows.iter().flat_map(|row| {
        let mut paths = row.paths();
        if paths.is_empty() {
            paths.push("(not served)".to_owned());
        }
        let cells = |path| {
            let stage = format!("{} {}", row.stage.api, row.stage.name);
            let verb = row.verb().to_owned();
            [verb, path, stage, row.integration(), row.protections(), row.throttle()]
        };
        paths.into_iter().map(cells).collect::<Vec<_>>()
    });
    let lines: Vec<_> = std::iter::once(heading).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3), width(4), 0];
    let line = |cells: &[String; 6]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn as_json(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        let Stage {
            api,
            name,
            mount,
            throttle,
            resource_policy,
            ..
        } = row.stage;
        let (integration, origin, status) = match &row.route.integration {
            Integration::HttpProxy(proxy) => ("http_proxy", row.origin(proxy).map(origin), None),
            Integration::Mock(mock) => ("mock", None, Some(mock.status)),
        };
        json!({
            "api": api,
            "stage": name,
            "mount": mount,
            "verb": row.verb(),
            "resource": row.route.resource,
            "paths": row.paths(),
            "integration": integration,
            "origin": origin,
            "status": status,
            "authorizer": row.authorizer(),
            "resourcePolicy": resource_policy.is_some(),
            "throttle": {"rate_per_s": throttle.rate().rate_per_s(), "burst": throttle.rate().burst()},
        })
    };
    format!("{:#}", Value::Array(rows.iter().map(row).collect()))
}
