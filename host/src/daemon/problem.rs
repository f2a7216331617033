//! Refusals, as RFC 9457 problems: a stable code for programs, and for people what was found, what was expected and what
//! to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Why a request was refused (`application/problem+json`, RFC 9457).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:wasmill:problem:CODE`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// What the code means.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// Stable: programs branch on it and never on text.
    #[schema(value_type = String)]
    pub code: Box<str>,
    /// What was found, what was expected and what to do.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// Each thing that is wrong, where there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The pipelines that stand in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The path of the key, such as `steps.rules.plugin`; empty for the document as a whole.
    pub key: String,
    /// Line of the document, from 1; 0 for the document as a whole.
    pub line: usize,
    /// What was found, what was expected and what to do.
    pub problem: String,
}

/// The codes. Their names and statuses are part of the interface and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    EmptyUpload,
    NotWasm,
    Truncated,
    Precompiled,
    NoInterface,
    InvalidWasm,
    WrongWorld,
    MissingExport,
    ForbiddenImport,
    TypeMismatch,
    UnsupportedVersion,
    TooLarge,
    CompileLimit,
    OpenFailed,
    UploadInterrupted,
    BadName,
    BadVersion,
    VersionExists,
    PluginInUse,
    NoSuchPlugin,
    NoSuchPipeline,
    BadPipeline,
    BadContentType,
    BadQuery,
    StateUnsaid,
    StillStopping,
    NotRunning,
    BadBody,
    UpgradeRefused,
    UpgradeUnderWay,
    NothingToRollBack,
    NoSuchOperation,
    NoShadow,
    BadReplay,
    NoSuchPath,
    MethodNotAllowed,
    Unauthorized,
    Forbidden,
    ForeignOrigin,
    Stopping,
    Internal,
}

impl Code {
    /// Name, status and title.
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        match self {
            Code::EmptyUpload => ("empty_upload", UNPROCESSABLE, "The upload has no bytes"),
            Code::NotWasm => ("not_wasm", UNPROCESSABLE, "The upload is not WebAssembly"),
            Code::Truncated => ("truncated", UNPROCESSABLE, "The upload ends in the middle"),
            Code::Precompiled => ("precompiled", UNPROCESSABLE, "The upload is native code"),
            Code::NoInterface => ("no_interface", UNPROCESSABLE, "The upload is a module without an interface"),
            Code::InvalidWasm => ("invalid_wasm", UNPROCESSABLE, "The upload is not valid WebAssembly"),
            Code::WrongWorld => ("wrong_world", UNPROCESSABLE, "The upload is a component of another world"),
            Code::MissingExport => ("missing_export", UNPROCESSABLE, "The component lacks an export"),
            Code::ForbiddenImport => ("forbidden_import", UNPROCESSABLE, "The component imports what it may not"),
            Code::TypeMismatch => ("type_mismatch", UNPROCESSABLE, "An interface is of another type"),
            Code::UnsupportedVersion => {
                ("unsupported_version", UNPROCESSABLE, "The component is made for another version of the boundary")
            }
            Code::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, "The upload is too large"),
            Code::CompileLimit => ("compile_limit", UNPROCESSABLE, "Compiling takes more than it may"),
            Code::OpenFailed => ("open_failed", UNPROCESSABLE, "The plugin does not open"),
            Code::UploadInterrupted => ("upload_interrupted", StatusCode::BAD_REQUEST, "The upload broke off"),
            Code::BadName => ("bad_name", StatusCode::BAD_REQUEST, "The name is not possible"),
            Code::BadVersion => ("bad_version", StatusCode::BAD_REQUEST, "The version is not possible"),
            Code::VersionExists => ("version_exists", StatusCode::CONFLICT, "The version is stored with other content"),
            Code::PluginInUse => ("plugin_in_use", StatusCode::CONFLICT, "Pipelines use the version"),
            Code::NoSuchPlugin => ("no_such_plugin", StatusCode::NOT_FOUND, "There is no such plugin"),
            Code::NoSuchPipeline => ("no_such_pipeline", StatusCode::NOT_FOUND, "There is no such pipeline"),
            Code::BadPipeline => ("bad_pipeline", UNPROCESSABLE, "The pipeline is wrong"),
            Code::BadContentType => {
                ("bad_content_type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type is not known here")
            }
            Code::BadQuery => ("bad_query", StatusCode::BAD_REQUEST, "The query is wrong"),
            Code::StateUnsaid => {
                ("state_unsaid", StatusCode::BAD_REQUEST, "What becomes of the pipeline's state was not said")
            }
            Code::StillStopping => ("still_stopping", StatusCode::CONFLICT, "The pipeline has not stopped yet"),
            Code::NotRunning => ("not_running", StatusCode::CONFLICT, "The pipeline does not run"),
            Code::BadBody => ("bad_body", StatusCode::BAD_REQUEST, "The request's body is wrong"),
            Code::UpgradeRefused => ("upgrade_refused", UNPROCESSABLE, "The version does not fit into the pipeline"),
            Code::UpgradeUnderWay => ("upgrade_under_way", StatusCode::CONFLICT, "An upgrade is under way"),
            Code::NothingToRollBack => ("nothing_to_roll_back", StatusCode::CONFLICT, "There is no version before"),
            Code::NoSuchOperation => ("no_such_operation", StatusCode::NOT_FOUND, "There is no such operation"),
            Code::NoShadow => ("no_shadow", StatusCode::CONFLICT, "The pipeline has no shadow"),
            Code::BadReplay => ("bad_replay", StatusCode::CONFLICT, "The dead letters cannot be read or replayed"),
            Code::NoSuchPath => ("no_such_path", StatusCode::NOT_FOUND, "There is nothing at this path"),
            Code::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The path does not know the method")
            }
            Code::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A token is needed"),
            Code::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The token does not allow it"),
            Code::ForeignOrigin => ("foreign_origin", StatusCode::FORBIDDEN, "A page of another site asks"),
            Code::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE, "The daemon is stopping"),
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something inside failed"),
        }
    }

    /// The stable name.
    pub(super) fn name(self) -> &'static str {
        self.parts().0
    }

    /// The code with this name; none for a name that is none of them.
    pub(super) fn of(name: &str) -> Option<Code> {
        REFUSALS_OF_UPLOADS.into_iter().find(|it| it.name() == name)
    }
}

/// What a component can be refused with after it was looked at.
const REFUSALS_OF_UPLOADS: [Code; 14] = [
    Code::EmptyUpload,
    Code::NotWasm,
    Code::Truncated,
    Code::Precompiled,
    Code::NoInterface,
    Code::InvalidWasm,
    Code::WrongWorld,
    Code::MissingExport,
    Code::ForbiddenImport,
    Code::TypeMismatch,
    Code::UnsupportedVersion,
    Code::TooLarge,
    Code::CompileLimit,
    Code::OpenFailed,
];

impl Problem {
    /// A refusal; `detail` says what was found, what was expected and what to do.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (name, status, title) = code.parts();
        let detail: String = detail.into();
        Problem {
            kind: format!("urn:wasmill:problem:{name}").into(),
            title: title.into(),
            status: status.as_u16(),
            code: name.into(),
            detail: detail.into(),
            errors: Vec::new(),
            users: Vec::new(),
        }
    }

    /// Something inside failed: `doing` says what was being done.
    pub(super) fn internal(doing: &str, error: impl fmt::Display) -> Self {
        Problem::new(Code::Internal, format!("{doing}: {error}; see the daemon's log"))
    }

    /// The same with each thing that is wrong.
    pub(super) fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Problem { errors, ..self }
    }

    /// The same with the pipelines that stand in the way.
    pub(super) fn with_users(self, users: Vec<String>) -> Self {
        Problem { users, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)?;
        for error in &self.errors {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(code = &*self.code, "{}", self.detail);
        }
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_as_rfc_9457_says() {
        let problem = Problem::new(Code::NotWasm, "found a text");
        expect_test::expect![[
            r#"{"type":"urn:wasmill:problem:not_wasm","title":"The upload is not WebAssembly","status":422,"code":"not_wasm","detail":"found a text"}"#
        ]]
        .assert_eq(&serde_json::to_string(&problem).unwrap());
        assert_eq!(serde_json::from_str::<Problem>(&serde_json::to_string(&problem).unwrap()).unwrap(), problem);
    }
}
