//! Step 11: answers that are kept. It stands behind all that decide whether the caller may have the answer: a stored answer
//! is never served to someone who may not have it.
//!
//! | What is found | What becomes of the request |
//! |---|---|
//! | a fresh entry | answered from it |
//! | a stale one, within `stale_while_revalidate_s` | answered from it; it is fetched anew behind the caller's back |
//! | none, and another request fetches it | waits for that one |
//! | none, and another gateway has shared one | answered from that, which is kept here too |
//! | none | goes on to the origin, and its answer is kept where it may be |

mod control;
mod encoding;
mod entry;
mod flight;
mod forget;
mod key;
mod log;
mod pump;
mod shared;
mod shown;
mod storable;
mod store;

use std::{sync::Arc, time::Duration};

use portcullis_core::Timestamp;
use portcullis_model::{
    cache::{CacheSettings, Invalidation, Unpermitted},
    snapshot::{Integration, Route, Stage},
};
use portcullis_net::{Reply, upstream::Client};

use self::{
    entry::{Entry, Freshness},
    flight::{Joined, Lead, Outcome},
    key::Key,
    log::Mark,
    shared::{Place, SharedStage},
};
pub use self::{forget::NotCached, shared::SharedAnswers};
pub(crate) use self::{key::KeyPlan, shared::fuzz as fuzz_shared, shown::Keyed, store::ResponseCache};
use crate::{
    Rejection,
    authorize::{self, Circumstances, Cleared},
    integrate::{self, Admitted, Message},
    live::Live,
    record::Record,
};

/// A stage's cache while it is served.
#[derive(Debug)]
pub(crate) struct StageCache {
    /// Its entries; they outlive the snapshot.
    pub(crate) responses: Arc<ResponseCache>,
    /// A canary's that uses the stage's.
    pub(crate) is_shared: bool,
    /// By route; `None` where nothing is cached.
    pub(crate) plans: Vec<Option<KeyPlan>>,
}

/// What the cache says to a request.
pub(crate) enum Consulted {
    /// Nothing: the method is not cached.
    Off,
    /// Nothing, for what the request asks for is not what is kept.
    Bypassed(&'static str),
    /// Here is the answer.
    Answered(Answered),
    /// The origin has to be asked, by this request or another.
    Absent(Box<Absent>),
}

/// An answer from the cache.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) how: How,
    /// The fetch that is to go on behind the caller's back.
    pub(crate) refresh: Option<Box<Fetch>>,
}

/// Why an answer came from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It is fresh.
    Hit,
    /// It is stale, and being fetched anew.
    Stale,
    /// Another request has just fetched it.
    Shared,
    /// Another gateway has stored it.
    Elsewhere,
}

/// A request whose answer is not in the cache, or not wanted from there.
pub(crate) struct Absent {
    cache: Arc<ResponseCache>,
    key: Key,
    settings: CacheSettings,
    /// The names of headers that the key holds, for `Vary`.
    varies_by: Arc<[http::HeaderName]>,
    /// The entry that may still be served if the origin fails.
    stale: Option<Arc<Entry>>,
    /// The caller wants a fresh answer and may have it.
    is_refresh: bool,
    now: Timestamp,
    /// How long another's fetch is waited for.
    wait: Duration,
    /// How often something had been forgotten when the request came.
    generation: u64,
    /// Where other gateways find the answer; `None` where they do not.
    place: Option<Place>,
    /// What had been forgotten among all gateways when the request came, as far as it is known.
    mark: Option<Mark>,
}

/// What a request for an absent answer is to do.
pub(crate) enum Next {
    /// Nothing more: another request fetched the answer.
    Answered(Answered),
    /// Ask the origin, and bring its answer here.
    Fetch(Box<Fetch>),
}

/// A fetch whose answer is to be kept.
pub(crate) struct Fetch {
    absent: Absent,
    /// Who waits for it; `None` when this request fetches for itself alone.
    lead: Option<Lead>,
}

/// What became of a fetched answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is kept, or will be when its body has come.
    Yes,
    /// It is not, and here is why.
    No(&'static str),
    /// The origin failed; the answer is the stale entry.
    Stale,
}

/// Asks the cache. What the request says of freshness is decided here, and refused where the stage says so.
pub(crate) fn consult(
    admitted: &Admitted<'_, '_>,
    cleared: &Cleared,
    message: &Message,
    circumstances: Circumstances<'_>,
    live: &Live,
    record: &mut Record,
) -> Result<Consulted, Rejection> {
    let Some((cache, plan)) = planned(admitted, live) else {
        return Ok(Consulted::Off);
    };
    if let Some(why) = control::bypass(message) {
        record.count_cache(false);
        return Ok(Consulted::Bypassed(why));
    }
    let is_refresh =
        control::wants_fresh(&message.headers) && may_refresh(plan, admitted, cleared, circumstances, record)?;
    let key = plan.key(admitted, &message.headers, record);
    let settings = plan.settings();
    let generation = cache.generation();
    let found = cache.get(&key);
    let freshness = found.as_ref().map(|entry| entry.freshness(settings, circumstances.now));
    let absent = |stale| {
        let shared = cache.shared();
        let place = |shared: &SharedStage| shared.place(key.bytes(), plan.prefix(), &plan.resource_of(&key));
        Box::new(Absent {
            place: shared.map(place),
            mark: shared.and_then(SharedStage::mark),
            cache: Arc::clone(cache),
            key,
            settings: settings.clone(),
            varies_by: Arc::clone(plan.headers()),
            stale,
            is_refresh,
            now: circumstances.now,
            wait: wait(admitted),
            generation,
        })
    };
    match (found, freshness) {
        (Some(entry), Some(Freshness::Fresh)) if !is_refresh => {
            record.count_cache(true);
            Ok(Consulted::Answered(Answered {
                reply: entry.answer(circumstances.now),
                how: How::Hit,
                refresh: None,
            }))
        }
        (Some(entry), Some(Freshness::Revalidate)) if !is_refresh => {
            record.count_cache(true);
            Ok(Consulted::Answered(Answered {
                reply: entry.answer(circumstances.now),
                how: How::Stale,
                refresh: absent(Some(entry)).refresh(),
            }))
        }
        (found, freshness) => {
            let may_be_served = !matches!(freshness, None | Some(Freshness::Dead));
            Ok(Consulted::Absent(absent(found.filter(|_| may_be_served))))
        }
    }
}

/// As long as the origin may take: the one who fetches has an answer by then, or a refusal.
fn wait(admitted: &Admitted<'_, '_>) -> Duration {
    match &admitted.routed.route().integration {
        Integration::HttpProxy(proxy) => proxy.timeout,
        Integration::Mock(_) => Duration::ZERO,
    }
}

fn planned<'l>(admitted: &Admitted<'_, '_>, live: &'l Live) -> Option<(&'l Arc<ResponseCache>, &'l KeyPlan)> {
    let cache = live.stages.get(admitted.located.index())?.cache.as_ref()?;
    let plan = cache.plans.get(admitted.routed.index())?.as_ref()?;
    (Some(plan.verb()) == admitted.received.verb()).then_some((&cache.responses, plan))
}

/// Whether the caller gets a fresh answer that they ask for.
fn may_refresh(
    plan: &KeyPlan,
    admitted: &Admitted<'_, '_>,
    cleared: &Cleared,
    circumstances: Circumstances<'_>,
    record: &mut Record,
) -> Result<bool, Rejection> {
    let unpermitted = match plan.settings().invalidation {
        Invalidation::Anyone => return Ok(true),
        Invalidation::Permitted(unpermitted) => unpermitted,
    };
    if authorize::may_invalidate(cleared, &admitted.caller, &admitted.located, circumstances) {
        return Ok(true);
    }
    match unpermitted {
        Unpermitted::Refuse => Err(Rejection::InvalidationDenied),
        Unpermitted::Warn => {
            record.queue(http::header::WARNING, control::IGNORED);
            Ok(false)
        }
        Unpermitted::Ignore => Ok(false),
    }
}

// === impl StageCache ===

impl StageCache {
    /// The plans of a stage's routes over entries that may be there already.
    pub(crate) fn new(stage: &Stage, responses: Arc<ResponseCache>, is_shared: bool) -> Self {
        let plan = |route: &Route| route.cache.as_ref().map(KeyPlan::of);
        Self {
            responses,
            is_shared,
            plans: stage.routes.iter().map(plan).collect(),
        }
    }
}

// === impl Answered ===

impl Answered {
    /// The answer. If it is stale, it is fetched anew in a task of its own: with the evidence of the request that found it so,
    /// which has no other use for it.
    pub(crate) fn give(
        self,
        admitted: Admitted<'_, '_>,
        message: &mut Message,
        client: &Client,
        record: &Record,
    ) -> Reply {
        let Self { reply, refresh, .. } = self;
        if let Some(fetch) = refresh {
            fetch.prepare(&mut message.headers);
            match integrate::detached(admitted, message, client, record) {
                Ok(answer) => drop(tokio::spawn(async move { fetch.keep(answer.await).is_ok() })),
                Err(rejection) => drop(fetch.keep(Err(rejection))),
            }
        }
        reply
    }
}

// === impl Absent ===

impl Absent {
    /// Waits for another request that fetches the same, or becomes the one that does.
    pub(crate) async fn join(mut self: Box<Self>, record: &mut Record) -> Result<Next, Rejection> {
        let is_fresh = |entry: &Entry| entry.freshness(&self.settings, self.now) == Freshness::Fresh;
        let deadline = tokio::time::Instant::now() + self.wait;
        let lead = loop {
            if self.is_refresh || self.cache.is_passed(&self.key) {
                break None;
            }
            match self.cache.join(&self.key, &is_fresh) {
                Joined::Stored(entry) => return Ok(Next::Answered(self.shared(&entry, record))),
                Joined::Lead(lead) => break Some(lead),
                Joined::Wait(waiting) => match tokio::time::timeout_at(deadline, waiting.outcome()).await {
                    Ok(Outcome::Stored(entry)) => return Ok(Next::Answered(self.shared(&entry, record))),
                    Ok(Outcome::Failed(rejection)) => return Err(rejection),
                    // Who fetched went away: another one takes over.
                    Ok(Outcome::Abandoned) => {}
                    // What is not kept for one is fetched for each, side by side.
                    Ok(Outcome::NotStored) | Err(_) => break None,
                },
            }
        };
        if lead.is_some()
            && let Some(entry) = self.ask_elsewhere().await
        {
            record.count_cache(true);
            if let Some(lead) = lead {
                lead.resolve(Outcome::Stored(Arc::clone(&entry)));
            }
            let answered = Answered {
                reply: entry.answer(self.now),
                how: How::Elsewhere,
                refresh: None,
            };
            return Ok(Next::Answered(answered));
        }
        record.count_cache(false);
        Ok(Next::Fetch(Box::new(Fetch { absent: *self, lead })))
    }

    /// Asks what other gateways have stored, once for all who wait. A fresh answer is kept here, too; a stale one may stand in
    /// for a failing origin's.
    async fn ask_elsewhere(&mut self) -> Option<Arc<Entry>> {
        let (shared, place) = (self.cache.shared()?, self.place.as_ref()?);
        let found = shared.ask(place, self.now).await?;
        self.mark = Some(found.mark);
        let entry = Arc::new(found.entry?);
        match entry.freshness(&self.settings, self.now) {
            Freshness::Fresh => {
                let lifetime = entry.lifetime(&self.settings, self.now);
                let (key, tag) = (self.key.clone(), Arc::clone(&place.tag));
                self.cache
                    .put(key, Arc::clone(&entry), lifetime, Some(tag), self.generation);
                Some(entry)
            }
            Freshness::Revalidate | Freshness::StandIn => {
                self.stale.get_or_insert(entry);
                None
            }
            Freshness::Dead => None,
        }
    }

    /// The fetch of a stale entry, unless another request is at it.
    fn refresh(self) -> Option<Box<Fetch>> {
        match self.cache.join(&self.key, &|_| false) {
            Joined::Lead(lead) => Some(Box::new(Fetch {
                absent: self,
                lead: Some(lead),
            })),
            Joined::Stored(_) | Joined::Wait(_) => None,
        }
    }

    fn shared(&self, entry: &Arc<Entry>, record: &mut Record) -> Answered {
        record.count_cache(true);
        Answered {
            reply: entry.answer(self.now),
            how: How::Shared,
            refresh: None,
        }
    }
}

// === impl Fetch ===

impl Fetch {
    /// Takes off the request to the origin what would make its answer another one than the key says.
    pub(crate) fn prepare(&self, headers: &mut http::HeaderMap) {
        control::strip(headers, &self.absent.varies_by);
    }

    /// Takes the origin's answer: keeps it where it may be kept, and tells who waits for it. A failed origin's place is taken
    /// by the stale entry where the stage allows that.
    pub(crate) fn keep(self, result: Result<Reply, Rejection>) -> Result<(Reply, Kept), Rejection> {
        let Self { absent, lead } = self;
        let has_failed = match &result {
            Ok(reply) => reply.status.is_server_error(),
            Err(rejection) => is_failed_origin(rejection),
        };
        if has_failed
            && let Some(stale) = &absent.stale
            && stale.may_stand_in(&absent.settings, absent.now)
        {
            if let Some(lead) = lead {
                lead.resolve(Outcome::Stored(Arc::clone(stale)));
            }
            return Ok((stale.answer(absent.now), Kept::Stale));
        }
        let reply = match result {
            Ok(reply) => reply,
            Err(rejection) => {
                // Anything else is about this one request, and another one may do better.
                if let Some(lead) = lead.filter(|_| has_failed) {
                    lead.resolve(Outcome::Failed(rejection.clone()));
                }
                return Err(rejection);
            }
        };
        match storable::check(&reply, &absent.settings, &absent.varies_by) {
            Ok(()) => Ok((pump::collect(reply, absent, lead), Kept::Yes)),
            Err(why) => {
                if !has_failed {
                    absent.remove(); // the origin says something else by now
                }
                absent.give_up(lead);
                Ok((reply, Kept::No(why)))
            }
        }
    }
}

impl Absent {
    /// Keeps a whole answer.
    fn store(self, entry: Entry, lead: Option<Lead>) {
        let entry = Arc::new(entry);
        let lifetime = entry.lifetime(&self.settings, self.now);
        let tag = self.place.as_ref().map(|place| Arc::clone(&place.tag));
        self.cache
            .put(self.key, Arc::clone(&entry), lifetime, tag, self.generation);
        if let (Some(shared), Some(place), Some(mark)) = (self.cache.shared(), self.place, self.mark) {
            shared.offer(place, Arc::clone(&entry), mark, lifetime);
        }
        if let Some(lead) = lead {
            lead.resolve(Outcome::Stored(entry));
        }
    }

    /// Forgets what is stored, here and elsewhere.
    fn remove(&self) {
        self.cache.remove(&self.key);
        if let (Some(shared), Some(place)) = (self.cache.shared(), self.place.clone()) {
            shared.withdraw(place);
        }
    }

    /// Gives up: the answer is not whole, or too large.
    fn give_up(self, lead: Option<Lead>) {
        self.cache.pass(&self.key);
        if let Some(lead) = lead {
            lead.resolve(Outcome::NotStored);
        }
    }
}

/// Whether it is the origin that failed, so that whoever asks for the same would fare the same.
fn is_failed_origin(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::IntegrationMalformed | Rejection::IntegrationTimeout | Rejection::IntegrationUnreachable
    )
}
