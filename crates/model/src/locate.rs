//! From a request's host and path to the stage that answers it.

use portcullis_core::{RequestPath, path};

use crate::{
    domain::MappingIndex,
    snapshot::{ApiKind, Snapshot, Stage},
};

/// A stage and the path below its mount.
#[derive(Debug)]
pub struct StageMatch<'s, 'p> {
    /// The stage's index in [`Snapshot::stages`].
    pub index: usize,
    /// The stage.
    pub stage: &'s Stage,
    /// The path below the mount or base path, with its leading slash.
    pub path: RequestPath<'p>,
    /// The base path mapping that led here; `None` at a default address.
    pub mapping: Option<MappingIndex>,
}

/// Why no stage is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocated {
    /// The host is a custom domain without a mapping for the path.
    NoMapping,
    /// No stage is mounted there.
    NoStage,
    /// The stage that is mounted there is served by custom domains alone.
    EndpointDisabled(ApiKind),
}

/// Where a stage begins.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) segments: Vec<Box<str>>,
    pub(crate) stage: usize,
}

// === impl Snapshot ===

impl Snapshot {
    /// The stage that a request goes to: by custom domain and base path, by `{api}.execute-api.…` in its host and the stage's
    /// name, or by mount. The host is without its port.
    pub fn locate<'s, 'p>(
        &'s self,
        host: Option<&str>,
        path: RequestPath<'p>,
    ) -> Result<StageMatch<'s, 'p>, Unlocated> {
        if let Some(domain) = host.and_then(|host| self.domains.find(host)) {
            let (mapping, mount) = self.domains.mapping(domain, path).ok_or(Unlocated::NoMapping)?;
            let found = self.found(mount.stage, path.below(mount.segments.len()), Some(mapping));
            return found.ok_or(Unlocated::NoMapping);
        }
        let found = match host.and_then(api_in_host) {
            Some(api) => self.locate_in_api(api, path),
            None => {
                let mount = self.mounts.iter().find(|mount| mount.covers(path));
                mount.and_then(|mount| self.found(mount.stage, path.below(mount.segments.len()), None))
            }
        };
        let found = found.ok_or(Unlocated::NoStage)?;
        if found.stage.default_endpoint {
            Ok(found)
        } else {
            Err(Unlocated::EndpointDisabled(found.stage.kind))
        }
    }

    fn found<'s, 'p>(
        &'s self,
        index: usize,
        path: RequestPath<'p>,
        mapping: Option<MappingIndex>,
    ) -> Option<StageMatch<'s, 'p>> {
        let stage = self.stages.get(index)?;
        Some(StageMatch {
            index,
            stage,
            path,
            mapping,
        })
    }

    fn locate_in_api<'s, 'p>(&'s self, api: &str, path: RequestPath<'p>) -> Option<StageMatch<'s, 'p>> {
        let first = path::next_segment(path.behind_slash()).map(|(segment, _)| path::decode(segment));
        let mut stages = self
            .stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| !stage.is_canary && stage.api.eq_ignore_ascii_case(api));
        let named = stages.clone().find(|(_, stage)| first.as_deref() == Some(&stage.name));
        let (index, stage, below) = match named {
            Some((index, stage)) => (index, stage, 1),
            None => stages
                .find(|(_, stage)| &*stage.name == "$default")
                .map(|(index, stage)| (index, stage, 0))?,
        };
        Some(StageMatch {
            index,
            stage,
            path: path.below(below),
            mapping: None,
        })
    }
}

/// The API's id in a default address `{id}.execute-api.{suffix}`.
fn api_in_host(host: &str) -> Option<&str> {
    let (api, rest) = host.split_once('.')?;
    let label = rest.split(['.', ':']).next()?;
    label.eq_ignore_ascii_case("execute-api").then_some(api)
}

// === impl Mount ===

impl Mount {
    pub(crate) fn new(mount: &str, stage: usize) -> Self {
        let segments = mount
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(Into::into)
            .collect();
        Self { segments, stage }
    }

    pub(crate) fn covers(&self, path: RequestPath<'_>) -> bool {
        let mut rest = Some(path.behind_slash());
        self.segments.iter().all(|wanted| {
            let Some((segment, behind)) = rest.and_then(path::next_segment) else {
                return false;
            };
            rest = behind;
            path::decodes_to(segment, wanted)
        })
    }
}
