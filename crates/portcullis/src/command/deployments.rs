//! `portcullis deployments`: what was deployed, and who serves it.

use std::path::Path;

use portcullis_core::Findings;
use portcullis_store::Deployment;
use serde_json::json;

use super::{Exit, deploy::Which, read_input};
use crate::{
    config::{self, Api, CONFIG_BYTES_MAX, Config},
    failure::Failure,
    releases::Releases,
    report::{self, Form, Sources},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis deployments
  portcullis deployments --api proxy --json

The newest come first. A stage that is pinned to none serves its document as it stands, whose last accepted change is the \
newest deployment.";

/// How much of a digest people are shown.
const DIGEST_CHARS: usize = 12;

#[derive(Debug, clap::Args)]
pub(super) struct Deployments {
    #[command(flatten)]
    which: Which,
    /// Print them as a JSON list.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Deployments) -> Result<Exit, Failure> {
    let config = read_config(&args.which.config)?;
    let mut findings = Findings::new();
    let releases = Releases::read(&config, &mut findings);
    if findings.has_errors() {
        report::print(findings, &Sources::default(), Form::Text);
        return Err(Failure::Findings);
    }
    let is_wanted = |api: &&Api| args.which.api.as_ref().is_none_or(|wanted| *wanted == api.id.value);
    let apis: Vec<_> = config.apis.iter().filter(is_wanted).collect();
    if apis.is_empty() {
        let ids: Vec<_> = config.apis.iter().map(|api| &*api.id.value).collect();
        return Err(Failure::Option {
            option: "--api",
            what: "there is no such API".to_owned(),
            remedy: format!("known are: {}", ids.join(", ")),
        });
    }
    let rows: Vec<_> = apis.iter().flat_map(|api| rows(api, &releases)).collect();
    report::answer(&if args.json {
        as_json(&rows)
    } else {
        as_text(&apis, &rows, &releases)
    });
    Ok(Exit::Good)
}

/// A deployment with those who serve it.
struct Row<'r> {
    api: &'r str,
    deployment: &'r Deployment,
    users: Vec<String>,
}

fn rows<'r>(api: &'r Api, releases: &'r Releases) -> Vec<Row<'r>> {
    let id = &api.id.value;
    let deployments = releases
        .history(id)
        .map(|history| &*history.deployments)
        .unwrap_or_default();
    let row = |deployment: &'r Deployment| Row {
        api: id,
        deployment,
        users: releases.users(api, deployment.number),
    };
    deployments.iter().rev().map(row).collect()
}

fn as_text(apis: &[&Api], rows: &[Row<'_>], releases: &Releases) -> String {
    let cells = |row: &Row<'_>| {
        let Deployment {
            number,
            digest,
            created,
            description,
        } = row.deployment;
        let digest = digest.get(..DIGEST_CHARS).unwrap_or(digest).to_owned();
        let users = row.users.join(", ");
        [
            row.api.to_owned(),
            number.to_string(),
            created.to_rfc3339(),
            digest,
            users,
            description.clone(),
        ]
    };
    let head = ["API", "NUMBER", "CREATED", "DIGEST", "SERVED BY", "DESCRIPTION"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3), width(4), 0];
    let line = |cells: &[String; 6]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let table = lines.iter().map(line);
    table.chain(stopped(apis, releases)).collect::<Vec<_>>().join("\n")
}

/// A line about each canary that was rolled back.
fn stopped(apis: &[&Api], releases: &Releases) -> Vec<String> {
    let mut lines = Vec::new();
    for (api, stage) in apis
        .iter()
        .flat_map(|api| api.stages.iter().map(move |stage| (api, stage)))
    {
        if let Some(stopped) = releases.target(api, stage).stopped {
            lines.push(format!(
                "the canary of {} of {}, deployment {}, was rolled back at {}: {}",
                stage.name.value,
                api.id.value,
                stopped.deployment,
                stopped.at.to_rfc3339(),
                stopped.reason
            ));
        }
    }
    lines
}

fn as_json(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        let Deployment {
            number,
            digest,
            created,
            description,
        } = row.deployment;
        json!({
            "api": row.api,
            "number": number,
            "created": created.to_rfc3339(),
            "digest": digest,
            "description": description,
            "servedBy": row.users,
        })
    };
    format!("{:#}", serde_json::Value::Array(rows.iter().map(row).collect()))
}

fn read_config(path: &Path) -> Result<Config, Failure> {
    let text = read_input(path, CONFIG_BYTES_MAX as u64)?;
    let name = path.display().to_string();
    let text = String::from_utf8_lossy(&text).into_owned();
    let (config, findings) = config::read(&name, &text, path.parent().unwrap_or(Path::new("")));
    if findings.has_errors() {
        let mut sources = Sources::default();
        sources.keep(name, text);
        report::print(findings, &sources, Form::Text);
        return Err(Failure::Findings);
    }
    Ok(config)
}
