//! What a command wants done about a stage, and whether it can be.

use std::{collections::BTreeMap, fs};

use portcullis_openapi::TEXT_BYTES_MAX;
use portcullis_store::{Canary, RollbackRule};
use serde::{Deserialize, Serialize};

use super::Releases;
use crate::config::{Api, Config, Stage, check_variable};

/// A stage, and what is to become of it. On its way to a running gateway it is JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// The API's id; may be left out when there is one.
    pub(crate) api: Option<String>,
    /// The stage; may be left out when the API has one.
    pub(crate) stage: Option<String>,
    /// What is wanted.
    pub(crate) wish: Wish,
}

/// What is wanted of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Wish {
    /// The document as it is now becomes a deployment.
    Deploy(DeployOrder),
    /// The stage follows its document again.
    Follow,
    /// The stage serves an earlier deployment: this one, or the one before.
    Rollback(Option<u32>),
    /// The canary gets another part of the requests, also when it was rolled back.
    Share(f64),
    /// The canary's deployment and variables become the stage's.
    Promote,
    /// There is no canary any more.
    Remove,
    /// A canary that was rolled back gets its part again.
    Resume,
}

/// How a document is deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployOrder {
    /// What it is for.
    pub(crate) description: String,
    /// No stage is to point to it.
    pub(crate) is_recorded_only: bool,
    /// A part of the requests is to go to it, and not all.
    pub(crate) canary: Option<CanaryOrder>,
}

/// A canary to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryOrder {
    /// The part.
    pub(crate) percent: f64,
    /// Its variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// Whether it shares the stage's cache.
    pub(crate) use_stage_cache: bool,
    /// When it is rolled back: 5XX answers in percent, 99th percentile in milliseconds.
    pub(crate) error_percent_max: Option<f64>,
    /// See `error_percent_max`.
    pub(crate) latency_p99_ms_max: Option<u64>,
    /// How many requests it takes to judge.
    pub(crate) requests_min: u64,
    /// How far back is looked.
    pub(crate) window_s: u64,
}

/// Why an order is not carried out, with a way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n    {remedy}")]
pub(crate) struct Refused {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

// === impl Releases ===

impl Releases {
    /// Changes what is decided as an order says, and says what was done. Nothing is kept yet. `serving` tells which
    /// deployment a stage serves at present, where that is known.
    pub(crate) fn carry_out(
        &mut self,
        order: &Order,
        config: &Config,
        serving: &dyn Fn(&str, &str) -> Option<u32>,
    ) -> Result<String, Refused> {
        if self.store.is_none() {
            return refuse(
                "no deployments are kept without a configuration",
                "write a `portcullis.toml`",
            );
        }
        let api = named_api(config, order.api.as_deref())?;
        if let Wish::Deploy(deploy) = &order.wish
            && deploy.is_recorded_only
        {
            let number = self.deploy(api, &deploy.description)?;
            return Ok(format!(
                "deployment {number} of {} recorded; no stage points to it",
                api.id.value
            ));
        }
        let stage = named_stage(api, order.stage.as_deref())?;
        let (id, name) = (&*api.id.value, &*stage.name.value);
        let target = self.target(api, stage);
        let latest = self
            .histories
            .get(id)
            .and_then(|history| history.latest())
            .map(|latest| latest.number);
        let present = target.deployment.or_else(|| serving(id, name)).or(latest);
        match &order.wish {
            Wish::Deploy(DeployOrder {
                description,
                canary: Some(canary),
                ..
            }) => self.deploy_canary(api, stage, (description, canary), present),
            Wish::Deploy(DeployOrder { description, .. }) => {
                undeclared_deployment(stage)?;
                if let Some(canary) = &target.canary {
                    let what = format!("{name} has a canary, deployment {}", canary.deployment);
                    return refuse(what, "`portcullis canary promote` or `portcullis canary remove` first");
                }
                let number = self.deploy(api, description)?;
                self.decide(id, name).deployment = Some(number);
                Ok(format!("{name} of {id} serves deployment {number}"))
            }
            Wish::Follow => {
                undeclared_deployment(stage)?;
                self.decided.remove(id, name);
                self.is_decided_anew = true;
                Ok(format!("{name} of {id} follows its document"))
            }
            Wish::Rollback(number) => {
                undeclared_deployment(stage)?;
                let number = self.earlier(id, *number, present)?;
                let release = self.decide(id, name);
                release.deployment = Some(number);
                release.stopped = None;
                let ended = match release.canary.take() {
                    Some(canary) => format!("; its canary, deployment {}, ended", canary.deployment),
                    None => String::new(),
                };
                Ok(format!("{name} of {id} serves deployment {number}{ended}"))
            }
            Wish::Share(percent) => {
                undeclared_canary(stage)?;
                check_percent(*percent)?;
                let canary = self.decided_canary(id, name)?;
                canary.percent = *percent;
                let number = canary.deployment;
                self.decide(id, name).stopped = None;
                Ok(format!(
                    "deployment {number} gets {percent} % of the requests to {name} of {id}"
                ))
            }
            Wish::Promote => {
                undeclared_canary(stage)?;
                undeclared_deployment(stage)?;
                let canary = self.decided_canary(id, name)?.clone();
                let release = self.decide(id, name);
                (release.deployment, release.canary, release.stopped) = (Some(canary.deployment), None, None);
                let hint = match canary.variables.len() {
                    0 => "",
                    _ => {
                        "; its variables are kept with it, until they stand in portcullis.toml and `portcullis deploy --follow` clears them"
                    }
                };
                release.variables.extend(canary.variables);
                Ok(format!("{name} of {id} serves deployment {}{hint}", canary.deployment))
            }
            Wish::Remove => {
                undeclared_canary(stage)?;
                let number = self.decided_canary(id, name)?.deployment;
                let release = self.decide(id, name);
                (release.canary, release.stopped) = (None, None);
                Ok(format!(
                    "{name} of {id} has no canary any more; it was deployment {number}"
                ))
            }
            Wish::Resume => match (target.canary, target.stopped) {
                (Some(canary), Some(_)) => {
                    self.decide(id, name).stopped = None;
                    let (number, percent) = (canary.deployment, canary.percent);
                    Ok(format!(
                        "deployment {number} gets {percent} % of the requests to {name} of {id} again"
                    ))
                }
                _ => refuse(
                    format!("no canary of {name} of {id} was rolled back"),
                    "`portcullis deployments` shows what each stage serves",
                ),
            },
        }
    }

    fn deploy_canary(
        &mut self,
        api: &Api,
        stage: &Stage,
        (description, order): (&str, &CanaryOrder),
        present: Option<u32>,
    ) -> Result<String, Refused> {
        let (id, name) = (&*api.id.value, &*stage.name.value);
        undeclared_canary(stage)?;
        check_percent(order.percent)?;
        for (variable, value) in &order.variables {
            check_variable(variable, value).map_err(|remedy| Refused {
                what: format!("the variable `{variable}` cannot be honoured"),
                remedy,
            })?;
        }
        let Some(present) = present else {
            let what = format!("{name} of {id} serves no deployment yet beside which there could be a canary");
            return refuse(what, "`portcullis deploy` it first");
        };
        let number = self.deploy(api, description)?;
        let has_threshold = order.error_percent_max.is_some() || order.latency_p99_ms_max.is_some();
        let release = self.decide(id, name);
        let was_following = stage.deployment.is_none() && release.deployment.is_none();
        if was_following {
            release.deployment = Some(present); // else the stage would follow the document to what the canary shall try
        }
        release.stopped = None;
        release.canary = Some(Canary {
            deployment: number,
            percent: order.percent,
            variables: order.variables.clone(),
            use_stage_cache: order.use_stage_cache,
            rollback: has_threshold.then_some(RollbackRule {
                error_percent_max: order.error_percent_max,
                latency_p99_ms_max: order.latency_p99_ms_max,
                requests_min: order.requests_min,
                window_s: order.window_s,
            }),
        });
        let percent = order.percent;
        Ok(format!(
            "deployment {number} gets {percent} % of the requests to {name} of {id}, deployment {present} the others"
        ))
    }

    /// Makes a deployment of an API's document as it is now.
    fn deploy(&mut self, api: &Api, description: &str) -> Result<u32, Refused> {
        let path = &api.document.value;
        let unreadable = |what: String| Refused {
            what: format!("the document `{}` cannot be read: {what}", path.display()),
            remedy: "mend it; `portcullis check` says more".to_owned(),
        };
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(unreadable(format!("it has more than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(self.add_pending(&api.id.value, &text, description))
    }

    fn earlier(&self, api: &str, wanted: Option<u32>, present: Option<u32>) -> Result<u32, Refused> {
        let history = self.histories.get(api).cloned().unwrap_or_default();
        match wanted {
            Some(number) if history.find(number).is_some() => Ok(number),
            Some(number) => Err(Refused {
                what: format!("`{api}` has no deployment {number}"),
                remedy: self.known_remedy(api),
            }),
            None => match present.and_then(|present| history.before(present)) {
                Some(before) => Ok(before.number),
                None => refuse(
                    format!("`{api}` has no deployment before the present one"),
                    "`portcullis deployments` lists them",
                ),
            },
        }
    }

    fn decide(&mut self, api: &str, stage: &str) -> &mut portcullis_store::Release {
        self.is_decided_anew = true;
        self.decided.of_mut(api, stage)
    }

    fn decided_canary(&mut self, api: &str, stage: &str) -> Result<&mut Canary, Refused> {
        let what = format!("{stage} of {api} has no canary");
        let canary = self.decide(api, stage).canary.as_mut();
        canary.ok_or_else(|| Refused {
            what,
            remedy: "`portcullis deploy --canary-percent 5` makes one".to_owned(),
        })
    }
}

fn named_api<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Api, Refused> {
    let ids = || {
        config
            .apis
            .iter()
            .map(|api| &*api.id.value)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, config.apis.as_slice()) {
        (None, [api]) => Ok(api),
        (None, _) => refuse("there are several APIs", format!("say which with `--api`: {}", ids())),
        (Some(name), apis) => apis.iter().find(|api| api.id.value == name).ok_or_else(|| Refused {
            what: format!("there is no API `{name}`"),
            remedy: format!("known are: {}", ids()),
        }),
    }
}

fn named_stage<'c>(api: &'c Api, name: Option<&str>) -> Result<&'c Stage, Refused> {
    let id = &api.id.value;
    let names = || {
        api.stages
            .iter()
            .map(|stage| &*stage.name.value)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, api.stages.as_slice()) {
        (None, [stage]) => Ok(stage),
        (None, _) => refuse(
            format!("`{id}` has several stages"),
            format!("say which with `--stage`: {}", names()),
        ),
        (Some(name), stages) => stages
            .iter()
            .find(|stage| stage.name.value == name)
            .ok_or_else(|| Refused {
                what: format!("`{id}` has no stage `{name}`"),
                remedy: format!("known are: {}", names()),
            }),
    }
}

/// What stands in the configuration is changed there, so that it stays true.
fn undeclared_deployment(stage: &Stage) -> Result<(), Refused> {
    match &stage.deployment {
        None => Ok(()),
        Some(declared) => refuse(
            format!(
                "{} is pinned to deployment {} at {}",
                stage.name.value, declared.value, declared.place
            ),
            "change `deployment` there, or remove it and leave it to commands",
        ),
    }
}

fn undeclared_canary(stage: &Stage) -> Result<(), Refused> {
    match &stage.canary {
        None => Ok(()),
        Some(declared) => refuse(
            format!("the canary of {} is declared at {}", stage.name.value, declared.place),
            "change it there, or remove it and leave it to commands",
        ),
    }
}

fn check_percent(percent: f64) -> Result<(), Refused> {
    if (0.0..=100.0).contains(&percent) {
        return Ok(());
    }
    refuse(
        format!("{percent} % is no part of the requests"),
        "choose a number from 0 to 100",
    )
}

fn refuse<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refused> {
    Err(Refused {
        what: what.into(),
        remedy: remedy.into(),
    })
}
