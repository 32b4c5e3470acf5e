//! Steps 2 and 4: host and path to API and stage, then path and verb to a route.

use portcullis_core::{RequestId, RequestPath};
use portcullis_model::{
    Unlocated,
    domain::MappingIndex,
    router::Parameters,
    snapshot::{Route, Snapshot, Stage},
};

use crate::{Rejection, receive::Received};

/// Evidence that a request is for a stage.
#[derive(Clone, Copy, Debug)]
pub struct Located<'s, 'r> {
    index: usize,
    stage: &'s Stage,
    path: RequestPath<'r>,
    mapping: Option<MappingIndex>,
}

/// Evidence that a route answers a request.
#[derive(Debug)]
pub struct Routed<'s, 'r> {
    index: usize,
    route: &'s Route,
    parameters: Parameters<'s, 'r>,
}

/// Finds the stage, and whether its canary answers in its place: by a draw from the request's id.
pub(crate) fn locate<'s, 'r>(
    snapshot: &'s Snapshot,
    received: &Received<'r>,
    host: Option<&str>,
    id: &RequestId,
) -> Result<Located<'s, 'r>, Rejection> {
    let found = snapshot
        .locate(host, received.path())
        .map_err(|unlocated| match unlocated {
            Unlocated::NoMapping => Rejection::UnmappedPath,
            Unlocated::NoStage => Rejection::UnknownStage,
            Unlocated::EndpointDisabled(kind) => Rejection::EndpointDisabled(kind),
        })?;
    let canary = found
        .stage
        .canary
        .as_ref()
        .filter(|canary| canary.share.takes(id.draw()));
    let drawn = canary.and_then(|canary| Some((canary.index, snapshot.stages.get(canary.index)?)));
    let (index, stage) = drawn.unwrap_or((found.index, found.stage));
    Ok(Located {
        index,
        stage,
        path: found.path,
        mapping: found.mapping,
    })
}

/// Finds the route.
pub(crate) fn route<'s, 'r>(located: &Located<'s, 'r>, received: &Received<'r>) -> Result<Routed<'s, 'r>, Rejection> {
    let stage = located.stage;
    let found = stage
        .router
        .find(located.path, received.verb())
        .ok_or(Rejection::NoRoute)?;
    let route = stage.routes.get(found.route).ok_or(Rejection::NoRoute)?;
    Ok(Routed {
        index: found.route,
        route,
        parameters: found.parameters,
    })
}

// === impl Located ===

impl<'s, 'r> Located<'s, 'r> {
    /// The stage's index in the snapshot.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The stage.
    pub fn stage(&self) -> &'s Stage {
        self.stage
    }

    /// The base path mapping that led to it; `None` at a default address.
    pub fn mapping(&self) -> Option<MappingIndex> {
        self.mapping
    }

    /// The path below the stage's mount or the base path.
    pub fn path(&self) -> RequestPath<'r> {
        self.path
    }
}

// === impl Routed ===

impl<'s, 'r> Routed<'s, 'r> {
    /// The route's index in its stage.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The route.
    pub fn route(&self) -> &'s Route {
        self.route
    }

    /// The path parameters.
    pub fn parameters(&self) -> &Parameters<'s, 'r> {
        &self.parameters
    }
}
