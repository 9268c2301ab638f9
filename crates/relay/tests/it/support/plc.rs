//! What can go wrong between a PDS and the PLC directory.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::watch;

/// How the directory fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlcFault {
    #[default]
    None,
    /// It takes operations, and the connection breaks before it says so.
    LoseAnswers,
    /// It takes operations and says nothing any more, neither that nor what it holds.
    GoAway,
    /// It takes operations, and leaves whoever sent them waiting until there is another fault, or none.
    Hang,
    /// The connection breaks while the operation is on its way; [`PlcFaults::deliver`] is when it arrives.
    Delay,
    /// It refuses operations.
    Refuse,
}

/// What stands between a directory and those who speak to it.
#[derive(Debug, Default)]
pub(crate) struct PlcFaults {
    fault: watch::Sender<PlcFault>,
    delayed: Mutex<Option<(String, Bytes)>>,
    taken: watch::Sender<Vec<(String, Value)>>,
}

impl PlcFaults {
    pub(crate) fn set(&self, fault: PlcFault) {
        self.fault.send_replace(fault);
    }

    /// The operations that were submitted, with their DIDs, whatever became of the answers.
    pub(crate) fn submitted(&self) -> Vec<(String, Value)> {
        self.taken.borrow().clone()
    }

    /// Returns the DID of an operation of a type, once there is one.
    pub(crate) async fn wait_for(&self, kind: &str) -> String {
        let mut taken = self.taken.subscribe();
        let is_it = |operation: &Value| operation["type"] == kind;
        let taken = taken.wait_for(|taken| taken.iter().any(|(_, operation)| is_it(operation))).await.unwrap();
        taken.iter().find(|(_, operation)| is_it(operation)).unwrap().0.clone()
    }

    /// Returns the DID of the first operation after `count` others, once there is one.
    pub(crate) async fn submitted_after(&self, count: usize) -> String {
        let mut taken = self.taken.subscribe();
        let taken = taken.wait_for(|taken| taken.len() > count).await.unwrap();
        taken[count].0.clone()
    }

    /// Lets the operation arrive that was delayed.
    pub(crate) async fn deliver(&self, plc: &super::Client) {
        let (did, body) = self.delayed.lock().unwrap().take().unwrap();
        let request = plc.request("POST", &format!("/{did}")).header("content-type", "application/json").body(body);
        plc.send(request).await.good();
    }
}

/// Passes requests on to the directory, with the fault of the moment.
pub(super) async fn pass(State(faults): State<Arc<PlcFaults>>, request: Request, next: Next) -> Response {
    let fault = *faults.fault.borrow();
    if request.method() != Method::POST {
        return if fault == PlcFault::GoAway {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        } else {
            next.run(request).await
        };
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let did = parts.uri.path().trim_start_matches('/').to_owned();
    let operation: Value = serde_json::from_slice(&body).unwrap();
    if fault == PlcFault::Delay {
        *faults.delayed.lock().unwrap() = Some((did, body));
        return cut();
    }
    if fault == PlcFault::Refuse {
        return (StatusCode::BAD_REQUEST, axum::Json(serde_json::json!({ "message": "no" }))).into_response();
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    faults.taken.send_modify(|taken| taken.push((did, operation)));
    match fault {
        PlcFault::None => answer,
        PlcFault::Hang => {
            faults.fault.subscribe().wait_for(|fault| *fault != PlcFault::Hang).await.unwrap();
            answer
        }
        PlcFault::LoseAnswers | PlcFault::GoAway | PlcFault::Delay | PlcFault::Refuse => cut(),
    }
}

/// An answer that breaks off.
fn cut() -> Response {
    let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("the connection broke"))]);
    Response::new(Body::from_stream(broken))
}
