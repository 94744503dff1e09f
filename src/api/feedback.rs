//! `/api/v1/anomalies/{id}/feedback` and `/api/v1/feedback`: what people say of anomalies, and how right detectors are by that.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{Problem, ProblemBody};
use super::params::Params;
use super::run::{Clock, Shared, now};
use super::{Backend, FeedbackAnswer, Word};
use crate::detect::{Label, Precision};

/// Of a name and a note: bytes.
const BY_BYTES_MAX: usize = 200;
const NOTE_BYTES_MAX: usize = 2_000;

#[derive(Serialize, utoipa::ToSchema)]
pub struct PrecisionBody {
    /// By detector and model version.
    detectors: Vec<Precision>,
}

/// Says of an anomaly that it was useful, a false alarm or expected. Of each person the last word is kept. The answer shows
/// what a rule that hides its like would have hidden.
#[utoipa::path(post, path = "/api/v1/anomalies/{id}/feedback", tag = "detect", params(
    ("id" = String, Path),
    ("label" = String, Query, description = "useful, false_alarm or expected"),
    ("by" = String, Query, description = "who says so"),
    ("note" = Option<String>, Query),
), responses((status = 200, body = FeedbackAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn give(State(shared): State<Shared>, Path(id): Path<String>, params: Result<Params, Problem>) -> Response {
    let request = params.and_then(|params| {
        params.only(&["label", "by", "note"])?;
        let name = params.required("label", "useful, false_alarm or expected")?;
        let label = Label::of(&name).ok_or_else(|| {
            let detail = format!("label is {name:?}: it is useful, false_alarm or expected");
            Problem::bad_parameter("label", detail).accepting(Label::ALL.map(|(name, _)| name))
        })?;
        let by = short("by", params.required("by", "who says so")?, BY_BYTES_MAX)?;
        let note = short("note", params.get("note").unwrap_or_default().to_owned(), NOTE_BYTES_MAX)?;
        Ok((id, Word { label, by, note, at: now() }))
    });
    let ask = |backend: &dyn Backend, (id, word): (String, Word), _: Clock| backend.give_feedback(&id, word);
    shared.answer("feedback", request, ask).await
}

/// What was said of an anomaly, and what a rule that hides its like would have hidden.
#[utoipa::path(get, path = "/api/v1/anomalies/{id}/feedback", tag = "detect", params(("id" = String, Path)),
    responses((status = 200, body = FeedbackAnswer), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let ask = |backend: &dyn Backend, id: String, _: Clock| backend.feedback(&id);
    shared.answer("feedback", Ok(id), ask).await
}

/// How often each detector of each model version was right, by what people said.
#[utoipa::path(get, path = "/api/v1/feedback", tag = "detect",
    responses((status = 200, body = PrecisionBody), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn precision(State(shared): State<Shared>) -> Response {
    let ask = |backend: &dyn Backend, (), _: Clock| Ok(PrecisionBody { detectors: backend.precision()? });
    shared.answer("feedback", Ok(()), ask).await
}

fn short(name: &'static str, text: String, bytes_max: usize) -> Result<String, Problem> {
    if text.len() <= bytes_max {
        return Ok(text);
    }
    Err(Problem::bad_parameter(name, format!("{name} has {} bytes: {bytes_max} at most", text.len())))
}
