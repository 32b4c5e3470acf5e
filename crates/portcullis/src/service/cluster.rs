//! The connection to Redis, and what the metrics tell of it.

use std::sync::Arc;

use portcullis_cluster::{Cluster, ClusterStats, Settings, Shares};
use portcullis_jose::SealingKey;
use portcullis_proxy::{Fixtures, SharedAnswers, keys::read_secret};
use portcullis_telemetry::metrics::ReadingError;

use crate::{config::Redis, failure::Failure};

/// Name, help, and how it is read off what counts.
type Counter = (&'static str, &'static str, fn(&ClusterStats) -> u64);

/// Starts to connect; a Redis that is away keeps nobody from starting.
pub(super) fn start(redis: &Redis) -> Result<Arc<Cluster>, Failure> {
    connect(redis, Shares::Limits)
}

/// A connection for stored answers, where there is a key to seal them with.
pub(super) fn answers(redis: &Redis) -> Result<Option<Arc<SharedAnswers>>, Failure> {
    let Some(reference) = &redis.cache_key else {
        return Ok(None);
    };
    let secret = read_secret(&reference.value).map_err(Failure::RedisCacheKey)?;
    let key = SealingKey::new(&secret).map_err(Failure::RedisCacheKeyUnusable)?;
    let cluster = connect(redis, Shares::Answers)?;
    Ok(Some(Arc::new(SharedAnswers::new(cluster, key))))
}

fn connect(redis: &Redis, shares: Shares) -> Result<Arc<Cluster>, Failure> {
    let password = redis.password.as_ref().map(|reference| read_secret(&reference.value));
    let roots = redis.roots.as_ref().map(|path| {
        std::fs::read(&path.value).map_err(|error| Failure::NotReadable(format!("`{}`", path.value.display()), error))
    });
    let settings = Settings {
        address: redis.address.value.clone(),
        username: redis.username.clone(),
        password: password.transpose().map_err(Failure::RedisPassword)?,
        roots: roots.transpose()?,
        prefix: redis.prefix.clone(),
        deadline: redis.deadline,
        shares,
    };
    Cluster::start(settings).map_err(Failure::Redis)
}

/// Adds the metrics.
pub(super) fn register(fixtures: &Fixtures) -> Result<(), ReadingError> {
    let Some(cluster) = &fixtures.cluster else {
        return Ok(());
    };
    let metrics = &fixtures.metrics;
    let up = Arc::clone(cluster);
    metrics.gauge("portcullis_redis_up", "Whether Redis answers.", &[], move || {
        if up.is_up() { 1.0 } else { 0.0 }
    })?;
    let counters: [Counter; 3] = [
        (
            "portcullis_redis_calls",
            "Questions that Redis was asked.",
            ClusterStats::calls,
        ),
        (
            "portcullis_redis_away",
            "Questions that had no answer in time; what they were about was decided without Redis.",
            ClusterStats::away,
        ),
        (
            "portcullis_redis_connected",
            "Times a connection to Redis was made.",
            ClusterStats::connected,
        ),
    ];
    for (name, help, read) in counters {
        let cluster = Arc::clone(cluster);
        metrics.counter(name, help, &[], move || read(cluster.stats()))?;
    }
    Ok(())
}
