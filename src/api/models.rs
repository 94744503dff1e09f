//! `/api/v1/backtest` and `/api/v1/models`: detectors over stored days, and the models made of them.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::anomalies::{AnomalyBody, score_min};
use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, QueryError, RunAnswer, RunRequest};
use crate::detect::Model;

/// How far a run over stored days is, and what it found.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RunBody {
    /// `idle`, `running`, `done` or `failed`.
    state: &'static str,
    /// The day under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    days: usize,
    days_done: usize,
    /// Records told so far.
    records: u64,
    /// Oldest day first.
    found: Vec<DayBody>,
    /// The model that was made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What would have alerted on one day.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DayBody {
    day: String,
    /// Those that are not shown too: of a day the hundred of the highest score are.
    total: u64,
    anomalies: Vec<AnomalyBody>,
}

/// The model in use, and those there are.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ModelsBody {
    /// `streaming`, or a trained version.
    active: String,
    /// The newest first.
    models: Vec<Model>,
}

impl From<RunAnswer> for RunBody {
    fn from(run: RunAnswer) -> Self {
        let day = |(day, total, anomalies): (String, u64, Vec<super::Anomaly>)| DayBody {
            day,
            total,
            anomalies: anomalies.into_iter().map(AnomalyBody::from).collect(),
        };
        Self {
            state: run.state,
            day: run.day,
            days: run.days,
            days_done: run.days_done,
            records: run.records,
            found: run.found.into_iter().map(day).collect(),
            model: run.model,
            error: run.error,
        }
    }
}

/// Tells the detectors stored days, in the background: what would have alerted? The live ones are not touched.
#[utoipa::path(post, path = "/api/v1/backtest", tag = "detect", params(
    ("from" = Option<String>, Query, description = "records from this time on"),
    ("to" = Option<String>, Query, description = "records before this time"),
    ("service" = Option<String>, Query, description = "show anomalies of this service"),
    ("job" = Option<String>, Query, description = "what one job would have found: its name, or a job as it is written"),
    ("score" = Option<String>, Query, description = "show at least this score (0 to 100), or a severity; default minor"),
), responses((status = 200, body = RunBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn backtest(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["from", "to", "service", "score", "job"])?;
        let job = params.get("job").map(serde_saphyr::from_str).transpose();
        let bad = |error| Problem::bad_parameter("job", format!("job is neither a name nor JSON nor YAML: {error}"));
        let job = job.map_err(bad)?;
        let (range, service) = (params.range(now())?, params.get("service").map(str::to_owned));
        Ok(RunRequest { train: None, job, range, service, score_min: score_min(&params)? })
    });
    begin(&shared, request).await
}

/// How far the last run is, and what it found.
#[utoipa::path(get, path = "/api/v1/backtest", tag = "detect",
    responses((status = 200, body = RunBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn progress(State(shared): State<Shared>) -> Response {
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(RunBody::from(backend.run_progress()?));
    shared.answer("models", Ok(()), ask).await
}

/// Stops the run; what it found stays.
#[utoipa::path(delete, path = "/api/v1/backtest", tag = "detect",
    responses((status = 200, body = RunBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn stop(State(shared): State<Shared>) -> Response {
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(RunBody::from(backend.stop_run()?));
    shared.answer("models", Ok(()), ask).await
}

/// The model in use, and those that were trained.
#[utoipa::path(get, path = "/api/v1/models", tag = "detect",
    responses((status = 200, body = ModelsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn models(State(shared): State<Shared>) -> Response {
    shared.answer("models", Ok(()), |backend: &dyn Backend, (), _: Clock| all(backend)).await
}

/// Makes a model of stored days, in the background; `/api/v1/backtest` says how far it is.
#[utoipa::path(post, path = "/api/v1/models", tag = "detect", params(
    ("version" = String, Query, description = "its name: 1 to 64 of a-z, 0-9, - and _"),
    ("from" = Option<String>, Query, description = "of records from this time on"),
    ("to" = Option<String>, Query, description = "of records before this time"),
), responses((status = 200, body = RunBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn train(State(shared): State<Shared>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["version", "from", "to"])?;
        let train = Some(params.required("version", "the model's name")?);
        Ok(RunRequest { train, job: None, range: params.range(now())?, service: None, score_min: 50.0 })
    });
    begin(&shared, request).await
}

/// Puts a trained model in the place of the one in use. One that is no better by what people labelled needs `force`.
#[utoipa::path(post, path = "/api/v1/models/{version}/activate", tag = "detect", params(
    ("version" = String, Path), ("force" = Option<bool>, Query),
), responses((status = 200, body = ModelsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn activate(
    State(shared): State<Shared>,
    Path(version): Path<String>,
    params: Result<Params, Problem>,
) -> Response {
    let request = params.and_then(|params| {
        params.only(&["force"])?;
        match params.get("force") {
            None | Some("false") => Ok((version, false)),
            Some("true") => Ok((version, true)),
            Some(other) => {
                let detail = format!("force is {other:?}: it is true or false");
                Err(Problem::bad_parameter("force", detail).accepting(["true", "false"]))
            }
        }
    });
    let ask = |backend: &dyn Backend, (version, force): (String, bool), _: Clock| {
        backend.activate_model(&version, force)?;
        all(backend)
    };
    shared.answer("models", request, ask).await
}

/// Goes back to the model that the last activation replaced.
#[utoipa::path(post, path = "/api/v1/models/rollback", tag = "detect",
    responses((status = 200, body = ModelsBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn roll_back(State(shared): State<Shared>) -> Response {
    let ask = |backend: &dyn Backend, (), _: Clock| {
        backend.roll_back_model()?;
        all(backend)
    };
    shared.answer("models", Ok(()), ask).await
}

fn all(backend: &dyn Backend) -> Result<ModelsBody, QueryError> {
    let (active, models) = backend.models()?;
    Ok(ModelsBody { active, models })
}

async fn begin(shared: &Shared, request: Result<RunRequest, Problem>) -> Response {
    let ask = |backend: &dyn Backend, request: RunRequest, _: Clock| Ok(RunBody::from(backend.begin_run(request)?));
    shared.answer("models", request, ask).await
}
