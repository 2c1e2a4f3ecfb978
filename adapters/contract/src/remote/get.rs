//! A plain, authenticated GET of another process: what feeds are read with.

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::Remote;
use crate::{Caller, NotExecuted, Reason, rpc::header};

impl Remote {
    /// Reads `path_and_query` from the process, in the name of the module `peer`: status and body of whatever it
    /// answers. One try, within `timeout`; breaker and retries are the reader's own affair, since it comes back anyway.
    pub async fn get(
        &self,
        path_and_query: &str,
        peer: &str,
        timeout: Duration,
    ) -> Result<(u16, Bytes), NotExecuted> {
        let (peer, token) = self.keyring.choose(Some(&Caller::module(peer)));
        let request = Request::get(self.url(path_and_query))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::PEER, peer);
        let answer =
            self.client.send(request, Bytes::new(), timeout, self.limits.answer_bytes_max).await;
        match answer {
            Ok((status, body)) => Ok((status.as_u16(), body)),
            Err(silence) => Err(NotExecuted::new(Reason::Unavailable, silence.detail)),
        }
    }
}
