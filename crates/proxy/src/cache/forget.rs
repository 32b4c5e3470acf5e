//! Forgetting what is kept, as an operator orders it.

use http::{HeaderMap, Method, Uri};
use portcullis_core::RequestPath;

use super::shared::{self, SharedStage};
use crate::{Received, Rejection, live::Live, receive};

/// Why no entry can be forgotten.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotCached {
    /// No request can be for this.
    #[error("no request can be for it: {}", .0.log_text())]
    Refused(Rejection),
    /// Nothing is served there.
    #[error("no method answers it")]
    NoMethod,
    /// Its answers are not kept.
    #[error("the method is not cached")]
    Off,
}

// === impl Live ===

impl Live {
    /// Forgets every stored answer of the stages that an API's id and a stage's name select; the number of stages with a cache
    /// among them.
    pub fn flush_caches(&self, api: Option<&str>, stage: Option<&str>) -> usize {
        let is_it = |wanted: Option<&str>, name: &str| wanted.is_none_or(|wanted| wanted == name);
        let stages = self.snapshot.stages.iter().zip(&self.stages);
        let caches = stages
            .filter(|(known, _)| is_it(api, &known.api) && is_it(stage, &known.name))
            .filter_map(|(_, live)| live.cache.as_ref());
        caches.map(|cache| shared::flush(&cache.responses)).count()
    }

    /// Whether other gateways still have to be told of a flush, for Redis is away.
    pub fn owes_flush(&self) -> bool {
        let mut shared = self
            .stages
            .iter()
            .filter_map(|stage| stage.cache.as_ref()?.responses.shared());
        shared.any(SharedStage::owes)
    }

    /// Forgets the stored answers to a method and URI, whatever headers of the requests their keys hold; how many there were.
    pub fn forget_cached(&self, method: &Method, uri: &Uri) -> Result<usize, NotCached> {
        let received = receive::receive(method, uri, &HeaderMap::new(), None).map_err(NotCached::Refused)?;
        let found = self.snapshot.locate(uri.host(), received.path());
        let found = found.map_err(|_| NotCached::NoMethod)?;
        let canary = found.stage.canary.as_ref().map(|canary| canary.index);
        let forgotten: Vec<_> = [Some(found.index), canary]
            .into_iter()
            .flatten()
            .map(|index| self.forget_in(index, found.path, &received))
            .collect();
        // It is enough that one of the two has a cache for it.
        match forgotten
            .iter()
            .filter_map(|result| result.as_ref().ok())
            .copied()
            .reduce(|one, other| one + other)
        {
            Some(entries) => Ok(entries),
            None => forgotten.into_iter().next().unwrap_or(Err(NotCached::Off)),
        }
    }

    fn forget_in(&self, stage: usize, path: RequestPath<'_>, received: &Received<'_>) -> Result<usize, NotCached> {
        let (Some(compiled), Some(live)) = (self.snapshot.stages.get(stage), self.stages.get(stage)) else {
            return Err(NotCached::NoMethod);
        };
        let found = compiled.router.find(path, received.verb()).ok_or(NotCached::NoMethod)?;
        let cache = live.cache.as_ref().ok_or(NotCached::Off)?;
        let plan = cache.plans.get(found.route).and_then(Option::as_ref);
        let plan = plan
            .filter(|plan| Some(plan.verb()) == received.verb())
            .ok_or(NotCached::Off)?;
        let resource = plan.resource(received.query(), &found.parameters);
        let forgotten = cache
            .responses
            .forget_here(|key, _| plan.is_of_resource(key, &resource));
        if let Some(shared) = cache.responses.shared() {
            let parts: Vec<_> = resource.iter().flatten().map(Vec::as_slice).collect();
            shared::forget(&cache.responses, shared.tag(plan.prefix(), &parts));
        }
        Ok(forgotten)
    }

    /// Stored answers and the bytes that they take, about.
    pub fn cache_usage(&self) -> (u64, u64) {
        let caches = self.stages.iter().filter_map(|stage| stage.cache.as_ref());
        caches
            .map(|cache| cache.responses.usage())
            .fold((0, 0), |total, one| (total.0 + one.0, total.1 + one.1))
    }
}
