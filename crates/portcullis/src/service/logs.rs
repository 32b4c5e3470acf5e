//! What a configuration says of logs beside their templates: rotation, and execution logs.

use portcullis_proxy::Fixtures;

use crate::{
    config::{Config, Destination, Stage},
    failure::Failure,
};

/// Puts it in force. The logs themselves were opened with the stages.
pub(super) fn apply(config: &Config, fixtures: &Fixtures) -> Result<(), Failure> {
    let stages = || {
        config
            .apis
            .iter()
            .flat_map(|api| api.stages.iter().map(move |stage| (api, stage)))
    };
    let rotation = |stage: &Stage| match &stage.access_log.destination.value {
        Destination::File(path) => Some((path.clone(), stage.access_log.rotation?)),
        Destination::Off | Destination::Stderr | Destination::Stdout => None,
    };
    let rotations: Vec<_> = stages().filter_map(|(_, stage)| rotation(stage)).collect();
    fixtures.rotate(&rotations);
    let mut logs = Vec::new();
    for (api, stage) in stages() {
        let Some(log) = &stage.execution_log else { continue };
        let target = fixtures
            .execution_target(log.destination.clone())
            .map_err(|error| Failure::ExecutionLog(stage.name.value.clone(), error))?;
        logs.push((api.id.value.clone(), stage.name.value.clone(), log.level, target));
    }
    fixtures.execution.configure(logs);
    Ok(())
}
