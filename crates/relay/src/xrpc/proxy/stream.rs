//! Bodies on their way through: counted, never held.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::config::UpstreamBounds;

/// How the body of a call ended, other than by being read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutShort {
    /// It has more bytes than a call may have.
    TooLarge,
    /// The caller went away, or sent something else than it announced.
    Broken,
}

/// Why a stream was ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the body of the call is larger than {0} bytes")]
    CallTooLarge(u64),
    #[error("the answer is larger than {0} bytes")]
    AnswerTooLarge(u64),
    #[error("the answer took too long")]
    TooSlow,
    #[error("the body broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes the body of an outgoing call. The receiver is told when it ended early, and closed when it was sent.
pub(super) fn outgoing(body: Body, max_bytes: u64) -> (reqwest::Body, oneshot::Receiver<CutShort>) {
    let (sender, receiver) = oneshot::channel();
    let stream = Outgoing { inner: body.into_data_stream(), left: max_bytes, max_bytes, end: Some(sender) };
    (reqwest::Body::wrap_stream(stream), receiver)
}

struct Outgoing {
    inner: BodyDataStream,
    left: u64,
    max_bytes: u64,
    end: Option<oneshot::Sender<CutShort>>,
}

impl Outgoing {
    fn cut_short(&mut self, why: CutShort) {
        if let Some(end) = self.end.take() {
            // Nobody listens any more once the service has answered.
            end.send(why).ok();
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.inner.poll_next_unpin(cx)) {
            Some(Ok(chunk)) if chunk.len() as u64 > self.left => {
                self.cut_short(CutShort::TooLarge);
                Some(Err(StreamError::CallTooLarge(self.max_bytes)))
            }
            Some(Ok(chunk)) => {
                self.left -= chunk.len() as u64;
                Some(Ok(chunk))
            }
            Some(Err(err)) => {
                self.cut_short(CutShort::Broken);
                Some(Err(StreamError::Broken(err.into())))
            }
            None => {
                self.end = None;
                None
            }
        })
    }
}

/// Makes the body of an answer. The head has gone out when it turns out to be too large or too slow, so then it breaks off.
pub(super) fn incoming(response: reqwest::Response, bounds: &UpstreamBounds) -> Body {
    Body::from_stream(Incoming {
        inner: Box::pin(response.bytes_stream()),
        left: bounds.body_bytes,
        max_bytes: bounds.body_bytes,
        deadline: Box::pin(tokio::time::sleep_until(Instant::now() + bounds.body)),
    })
}

struct Incoming<S> {
    inner: Pin<Box<S>>,
    left: u64,
    max_bytes: u64,
    deadline: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Result<Bytes, reqwest::Error>>> Stream for Incoming<S> {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(StreamError::TooSlow)));
        }
        Poll::Ready(match ready!(self.inner.as_mut().poll_next(cx)) {
            Some(Ok(chunk)) if chunk.len() as u64 > self.left => Some(Err(StreamError::AnswerTooLarge(self.max_bytes))),
            Some(Ok(chunk)) => {
                self.left -= chunk.len() as u64;
                Some(Ok(chunk))
            }
            Some(Err(err)) => Some(Err(StreamError::Broken(err.into()))),
            None => None,
        })
    }
}
