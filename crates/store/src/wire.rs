//! The files' shapes. Unknown keys are refused: a newer version's file must not lose what this one does not know.

use std::collections::BTreeMap;

use portcullis_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Canary, Deployment, History, Release, Releases, RollbackRule, Stopped};

/// `{api}.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryFile {
    last: u32,
    deployments: Vec<DeploymentEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeploymentEntry {
    number: u32,
    digest: String,
    created: String,
    description: String,
}

/// `stages.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StagesFile {
    stages: Vec<StageEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageEntry {
    api: String,
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployment: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<CanaryEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<StoppedEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CanaryEntry {
    deployment: u32,
    percent: f64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, String>,
    use_stage_cache: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_percent_max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_p99_ms_max: Option<u64>,
    requests_min: u64,
    window_s: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoppedEntry {
    deployment: u32,
    at: String,
    reason: String,
}

/// What a file holds, or what is wrong with it.
pub(crate) fn read_history(bytes: &[u8]) -> Result<History, String> {
    let file: HistoryFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let deployments = file.deployments.into_iter().map(|entry| {
        Ok(Deployment {
            number: entry.number,
            created: time(&entry.created)?,
            digest: entry.digest,
            description: entry.description,
        })
    });
    let deployments = deployments.collect::<Result<Vec<_>, String>>()?;
    let is_ordered = deployments.is_sorted_by(|one, next| one.number < next.number);
    if !is_ordered || deployments.last().is_some_and(|latest| latest.number > file.last) {
        return Err("its numbers do not go up".to_owned());
    }
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(is_hex);
    match deployments.iter().find(|deployment| !is_digest(&deployment.digest)) {
        Some(wrong) => Err(format!("the digest of deployment {} is none", wrong.number)),
        None => Ok(History {
            last: file.last,
            deployments,
        }),
    }
}

pub(crate) fn write_history(history: &History) -> Vec<u8> {
    let entry = |deployment: &Deployment| DeploymentEntry {
        number: deployment.number,
        digest: deployment.digest.clone(),
        created: deployment.created.to_rfc3339(),
        description: deployment.description.clone(),
    };
    pretty(&HistoryFile {
        last: history.last,
        deployments: history.deployments.iter().map(entry).collect(),
    })
}

pub(crate) fn read_releases(bytes: &[u8]) -> Result<Releases, String> {
    let file: StagesFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let parts = file.stages.into_iter().map(|entry| {
        let stopped = entry.stopped.map(|stopped| {
            Ok::<_, String>(Stopped {
                deployment: stopped.deployment,
                at: time(&stopped.at)?,
                reason: stopped.reason,
            })
        });
        let release = Release {
            deployment: entry.deployment,
            variables: entry.variables,
            canary: entry.canary.map(canary).transpose()?,
            stopped: stopped.transpose()?,
        };
        Ok(((entry.api, entry.stage), release))
    });
    Ok(Releases::from_parts(parts.collect::<Result<Vec<_>, String>>()?))
}

pub(crate) fn write_releases(releases: &Releases) -> Vec<u8> {
    let entry = |(api, stage, release): (&str, &str, &Release)| StageEntry {
        api: api.to_owned(),
        stage: stage.to_owned(),
        deployment: release.deployment,
        variables: release.variables.clone(),
        canary: release.canary.as_ref().map(canary_entry),
        stopped: release.stopped.as_ref().map(|stopped| StoppedEntry {
            deployment: stopped.deployment,
            at: stopped.at.to_rfc3339(),
            reason: stopped.reason.clone(),
        }),
    };
    pretty(&StagesFile {
        stages: releases.iter().map(entry).collect(),
    })
}

fn canary(entry: CanaryEntry) -> Result<Canary, String> {
    if !(0.0..=100.0).contains(&entry.percent) {
        return Err(format!("a canary's percent is {}", entry.percent));
    }
    Ok(Canary {
        deployment: entry.deployment,
        percent: entry.percent,
        variables: entry.variables,
        use_stage_cache: entry.use_stage_cache,
        rollback: entry.rollback.map(|rule| RollbackRule {
            error_percent_max: rule.error_percent_max,
            latency_p99_ms_max: rule.latency_p99_ms_max,
            requests_min: rule.requests_min,
            window_s: rule.window_s,
        }),
    })
}

fn canary_entry(canary: &Canary) -> CanaryEntry {
    CanaryEntry {
        deployment: canary.deployment,
        percent: canary.percent,
        variables: canary.variables.clone(),
        use_stage_cache: canary.use_stage_cache,
        rollback: canary.rollback.as_ref().map(|rule| RollbackEntry {
            error_percent_max: rule.error_percent_max,
            latency_p99_ms_max: rule.latency_p99_ms_max,
            requests_min: rule.requests_min,
            window_s: rule.window_s,
        }),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is no time"))
}

fn pretty(file: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(file).unwrap_or_default(); // texts and numbers: it cannot fail
    bytes.push(b'\n');
    bytes
}
