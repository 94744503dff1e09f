//! `/api/v1/incidents`, `/alerts`, `/silences`, `/receivers`, `/deliveries`, `/deploys`, `/rules/dry-run`.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, Edge, QueryError, parse_bound, parse_duration};
use crate::alert::{
    Alert, Alerting, Delivery, DeliveryState, DeliveryWish, Deploy, DryRun, Incident, IncidentWish, Matcher,
    ReceiverInfo, Refusal, RuleInfo, Silence, severity,
};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

impl From<Refusal> for QueryError {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::NotFound(text),
            Refusal::Conflict(_) => Self::Conflict(text),
            Refusal::Bad { name, message } => Self::BadParameter { name, message },
            Refusal::Ledger(_) => Self::Internal(text),
        }
    }
}

/// Asks alerting, off the event loop.
async fn ask<R: Send + 'static, A: Serialize>(
    shared: &Shared,
    request: Result<R, Problem>,
    ask: impl FnOnce(&Alerting, R, Clock) -> Result<A, Refusal> + Send + 'static,
) -> Response {
    let ask = |backend: &dyn Backend, request: R, clock: Clock| Ok(ask(&*backend.alerting()?, request, clock)?);
    shared.answer("alerts", request, ask).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct IncidentsBody {
    took_ms: u64,
    /// Those beyond the limit too.
    total: u64,
    incidents: Vec<Incident>,
}

/// What is wrong: open incidents first, the most severe in front, then those that are over, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "alert", params(
    ("state" = Option<String>, Query, description = "open or resolved; both where absent"),
    ("service" = Option<String>, Query, description = "that concern this service"),
    ("severity" = Option<String>, Query, description = "at least warning, minor, major or critical"),
    ("from" = Option<String>, Query, description = "begun from this time on"),
    ("to" = Option<String>, Query, description = "begun before this time"),
    ("limit" = Option<u32>, Query, description = "incidents, 0 to 1000, default 50"),
), responses((status = 200, body = IncidentsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn incidents(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["state", "service", "severity", "from", "to", "limit"])?;
        let open = match params.get("state") {
            None => None,
            Some("open") => Some(true),
            Some("resolved") => Some(false),
            Some(other) => {
                let detail = format!("state is {other:?}: it is open or resolved");
                return Err(Problem::bad_parameter("state", detail).accepting(["open", "resolved"]));
            }
        };
        let severity = params.get("severity").map(|text| {
            severity(text).map_err(|problem| {
                Problem::bad_parameter("severity", problem).accepting(["warning", "minor", "major", "critical"])
            })
        });
        let range = params.range(now())?;
        Ok(IncidentWish {
            open,
            service: params.get("service").map(str::to_owned),
            severity: severity.transpose()?,
            from: range.from,
            to: range.to,
            limit: params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?,
        })
    });
    let answer = |alerting: &Alerting, wish: IncidentWish, clock: Clock| {
        let (incidents, total) = alerting.incidents(&wish)?;
        Ok(IncidentsBody { took_ms: clock.took_ms(), total, incidents })
    };
    ask(&shared, request, answer).await
}

/// One incident: its findings by first cause, lines, deploys, and what was done with it.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "alert", params(("id" = String, Path)),
    responses((status = 200, body = Incident), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn incident(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    ask(&shared, Ok(id), |alerting: &Alerting, id: String, _| alerting.incident(&id)).await
}

/// Who does something, and a word on it.
struct Deed {
    id: String,
    by: String,
    note: String,
    findings: Vec<String>,
    from: String,
}

fn deed(id: String, params: Result<Params, Problem>, known: &[&str]) -> Result<Deed, Problem> {
    let params = params?;
    params.only(known)?;
    let text = |name| params.get(name).unwrap_or_default().to_owned();
    Ok(Deed {
        by: params.required("by", "who does it")?,
        note: text("note"),
        from: text("from"),
        findings: params.list("findings"),
        id,
    })
}

/// Somebody works on it: there are no reminders any more.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/acknowledge", tag = "alert", params(
    ("id" = String, Path), ("by" = String, Query, description = "who"), ("note" = Option<String>, Query),
), responses((status = 200, body = Incident), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn acknowledge(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    params: Result<Params, Problem>,
) -> Response {
    let request = deed(id, params, &["by", "note"]);
    ask(&shared, request, |alerting: &Alerting, deed: Deed, _| {
        alerting.acknowledge(&deed.id, &deed.by, &deed.note, now())
    })
    .await
}

/// It is over: receivers are told so.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/close", tag = "alert", params(
    ("id" = String, Path), ("by" = String, Query, description = "who"), ("note" = Option<String>, Query),
), responses((status = 200, body = Incident), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn close(State(shared): State<Shared>, Path(id): Path<String>, params: Result<Params, Problem>) -> Response {
    let request = deed(id, params, &["by", "note"]);
    ask(&shared, request, |alerting: &Alerting, deed: Deed, _| alerting.close(&deed.id, &deed.by, &deed.note, now()))
        .await
}

/// Another incident becomes part of this one.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/merge", tag = "alert", params(
    ("id" = String, Path), ("by" = String, Query, description = "who"),
    ("from" = String, Query, description = "the incident that becomes part of this one"),
), responses((status = 200, body = Incident), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn merge(State(shared): State<Shared>, Path(id): Path<String>, params: Result<Params, Problem>) -> Response {
    let request = deed(id, params, &["by", "from"]);
    ask(&shared, request, |alerting: &Alerting, deed: Deed, _| alerting.merge(&deed.id, &deed.from, &deed.by, now()))
        .await
}

/// Some findings become an incident of their own, which is the answer.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/split", tag = "alert", params(
    ("id" = String, Path), ("by" = String, Query, description = "who"),
    ("findings" = Vec<String>, Query, description = "ids of findings"),
), responses((status = 200, body = Incident), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn split(State(shared): State<Shared>, Path(id): Path<String>, params: Result<Params, Problem>) -> Response {
    let request = deed(id, params, &["by", "findings"]);
    ask(&shared, request, |alerting: &Alerting, deed: Deed, _| {
        alerting.split(&deed.id, &deed.findings, &deed.by, now())
    })
    .await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AlertsBody {
    alerts: Vec<Alert>,
}

/// What receivers were told, or are about to be, and is not over.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alert", params(("receiver" = Option<String>, Query)),
    responses((status = 200, body = AlertsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn alerts(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["receiver"])?;
        Ok(params.get("receiver").map(str::to_owned))
    });
    let answer = |alerting: &Alerting, receiver: Option<String>, _| {
        Ok(AlertsBody { alerts: alerting.alerts(receiver.as_deref()) })
    };
    ask(&shared, request, answer).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SilenceBody {
    /// `pending`, `active` or `expired`.
    state: &'static str,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SilencesBody {
    silences: Vec<SilenceBody>,
}

fn shown(silence: Silence) -> SilenceBody {
    SilenceBody { state: silence.state(now()), silence }
}

/// Who is not told of what, newest first.
#[utoipa::path(get, path = "/api/v1/silences", tag = "alert",
    responses((status = 200, body = SilencesBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn silences(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    let answer = |alerting: &Alerting, (), _| {
        Ok(SilencesBody { silences: alerting.silences().into_iter().map(shown).collect() })
    };
    ask(&shared, request, answer).await
}

/// Makes a silence; one that begins later is a maintenance window.
#[utoipa::path(post, path = "/api/v1/silences", tag = "alert", params(
    ("matchers" = Vec<String>, Query, description = "each such as service=\"web\" or severity=~\"minor|warning\"; all must hold"),
    ("starts" = Option<String>, Query, description = "now where absent"),
    ("ends" = Option<String>, Query, description = "its end, or give duration"),
    ("duration" = Option<String>, Query, description = "such as 2h"),
    ("author" = String, Query), ("reason" = String, Query),
), responses((status = 200, body = SilenceBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn silence(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["matchers", "starts", "ends", "duration", "author", "reason"])?;
        let matchers = params.each("matchers").iter().map(|text| Matcher::parse(text)).collect::<Result<Vec<_>, _>>();
        let matchers = matchers.map_err(|problem| Problem::bad_parameter("matchers", problem))?;
        let now = now();
        let time = |name: &str, edge| {
            let text = params.get(name);
            text.map(|text| parse_bound(text, edge, now).map_err(|err| Problem::bad_parameter(name, err.to_string())))
                .transpose()
        };
        let starts = time("starts", Edge::From)?.unwrap_or(now);
        let ends = match (time("ends", Edge::To)?, params.get("duration")) {
            (Some(ends), None) => ends,
            (None, Some(text)) => {
                let length = parse_duration(text).map_err(|err| Problem::bad_parameter("duration", err.to_string()))?;
                starts.saturating_add(length)
            }
            _ => return Err(Problem::bad_parameter("ends", "give ends or duration: every silence ends")),
        };
        let author = params.required("author", "who makes it")?;
        Ok((matchers, (starts, ends), author, params.required("reason", "why")?))
    });
    let answer = |alerting: &Alerting,
                  (matchers, times, author, reason): (Vec<Matcher>, (i64, i64), String, String),
                  _| { alerting.silence(matchers, times, &author, &reason, now()).map(shown) };
    ask(&shared, request, answer).await
}

/// Ends a silence now.
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "alert", params(("id" = String, Path)),
    responses((status = 200, body = SilenceBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn expire(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    ask(&shared, Ok(id), |alerting: &Alerting, id: String, _| alerting.expire(&id, now()).map(shown)).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ReceiversBody {
    receivers: Vec<ReceiverInfo>,
}

/// The tools that call people, without their secrets.
#[utoipa::path(get, path = "/api/v1/receivers", tag = "alert",
    responses((status = 200, body = ReceiversBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn receivers(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    ask(&shared, request, |alerting: &Alerting, (), _| Ok(ReceiversBody { receivers: alerting.receivers(now()) })).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesBody {
    rules: Vec<RuleInfo>,
}

/// The rules in use, and the incidents that are open by each.
#[utoipa::path(get, path = "/api/v1/rules", tag = "alert",
    responses((status = 200, body = RulesBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn rules(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    ask(&shared, request, |alerting: &Alerting, (), _| Ok(RulesBody { rules: alerting.rules() })).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct SentBody {
    /// Numbers of messages: `/api/v1/deliveries/NUMBER` says what became of them.
    deliveries: Vec<u64>,
}

/// Sends a test message, the way that alerts go.
#[utoipa::path(post, path = "/api/v1/receivers/{name}/test", tag = "alert", params(("name" = String, Path)),
    responses((status = 200, body = SentBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn test(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    ask(&shared, Ok(name), |alerting: &Alerting, name: String, _| {
        Ok(SentBody { deliveries: alerting.test(&name, now())? })
    })
    .await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeliveriesBody {
    took_ms: u64,
    total: u64,
    deliveries: Vec<Delivery>,
}

/// Messages, newest first, with each one's attempts.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "alert", params(
    ("receiver" = Option<String>, Query),
    ("state" = Option<String>, Query, description = "waiting, delivered or dead"),
    ("key" = Option<String>, Query, description = "of this alert"),
    ("incident" = Option<String>, Query, description = "that tell of this incident, alone or in a group"),
    ("limit" = Option<u32>, Query, description = "messages, 0 to 1000, default 50"),
), responses((status = 200, body = DeliveriesBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn deliveries(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["receiver", "state", "key", "incident", "limit"])?;
        let state = match params.get("state") {
            None => None,
            Some("waiting") => Some(DeliveryState::Waiting),
            Some("delivered") => Some(DeliveryState::Delivered),
            Some("dead") => Some(DeliveryState::Dead),
            Some(other) => {
                let detail = format!("state is {other:?}: it is waiting, delivered or dead");
                return Err(Problem::bad_parameter("state", detail).accepting(["waiting", "delivered", "dead"]));
            }
        };
        let text = |name| params.get(name).map(str::to_owned);
        let limit = params.number("limit", LIMIT_DEFAULT, LIMIT_MAX)?;
        Ok(DeliveryWish { receiver: text("receiver"), state, key: text("key"), incident: text("incident"), limit })
    });
    let answer = |alerting: &Alerting, wish: DeliveryWish, clock: Clock| {
        let (deliveries, total) = alerting.deliveries(&wish)?;
        Ok(DeliveriesBody { took_ms: clock.took_ms(), total, deliveries })
    };
    ask(&shared, request, answer).await
}

/// One message.
#[utoipa::path(get, path = "/api/v1/deliveries/{seq}", tag = "alert", params(("seq" = u64, Path)),
    responses((status = 200, body = Delivery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn delivery(State(shared): State<Shared>, Path(seq): Path<u64>) -> Response {
    ask(&shared, Ok(seq), |alerting: &Alerting, seq: u64, _| alerting.delivery(seq)).await
}

/// Sends a dead letter again, under the same id.
#[utoipa::path(post, path = "/api/v1/deliveries/{seq}/resend", tag = "alert", params(("seq" = u64, Path)),
    responses((status = 200, body = Delivery), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn resend(State(shared): State<Shared>, Path(seq): Path<u64>) -> Response {
    ask(&shared, Ok(seq), |alerting: &Alerting, seq: u64, _| alerting.resend(seq, now())).await
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct DeploysBody {
    /// Newest first.
    deploys: Vec<Deploy>,
}

/// What was put into service.
#[utoipa::path(get, path = "/api/v1/deploys", tag = "alert",
    responses((status = 200, body = DeploysBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn deploys(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| params.only(&[]));
    ask(&shared, request, |alerting: &Alerting, (), _| Ok(DeploysBody { deploys: alerting.deploys() })).await
}

/// Tells of a deploy: incidents shortly after it say so.
#[utoipa::path(post, path = "/api/v1/deploys", tag = "alert", params(
    ("version" = String, Query, description = "what was put into service"),
    ("service" = Option<String>, Query, description = "of which service; absent concerns all"),
    ("at" = Option<String>, Query, description = "now where absent"),
    ("by" = Option<String>, Query), ("url" = Option<String>, Query),
), responses((status = 200, body = Deploy), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn deploy(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["version", "service", "at", "by", "url"])?;
        let now = now();
        let at = params.get("at").map(|text| {
            parse_bound(text, Edge::From, now).map_err(|err| Problem::bad_parameter("at", err.to_string()))
        });
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        let version = params.required("version", "what was put into service")?;
        Ok(Deploy {
            at: at.transpose()?.unwrap_or(now),
            service: text("service"),
            version,
            by: text("by"),
            url: text("url"),
        })
    });
    ask(&shared, request, |alerting: &Alerting, deploy: Deploy, _| alerting.deploy(deploy, now())).await
}

/// What rules would have sent for the anomalies of a time.
#[utoipa::path(get, path = "/api/v1/rules/dry-run", tag = "alert", params(
    ("from" = Option<String>, Query, description = "anomalies found from this time on"),
    ("to" = Option<String>, Query, description = "found before this time"),
    ("rules" = Option<String>, Query, description = "a list of rules as in the configuration, YAML; those in use where absent"),
), responses((status = 200, body = DryRun), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn dry_run(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["from", "to", "rules"])?;
        Ok((params.range(now())?, params.get("rules").map(str::to_owned)))
    });
    let ask = |backend: &dyn Backend, (range, rules): (super::TimeRange, Option<String>), _: Clock| {
        backend.dry_run(range, rules.as_deref())
    };
    shared.answer("alerts", request, ask).await
}
