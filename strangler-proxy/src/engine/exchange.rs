//! A request and its answer between two connections, both directions at once, until both are over or one fails.
//!
//! Invariant: an upstream connection is given back only when the request was sent whole, the answer was read whole by its
//! own framing, and not a byte is left over. Everything else is closed. So an answer can reach no request but its own.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::{
    answer,
    client::Client,
    endpoint::Busy,
    fault::Fault,
    forward,
    kit::Kit,
    limits::{HALF_CLOSED, INFORMATIONAL_MAX, READ_AHEAD},
    patience::Patience,
    request::{self, Asked},
    secure::tls_error,
    stream::Stream,
    timers::Tick,
    transfer::{Encode, Stopped, Transfer},
    view::View,
};
use crate::{
    http1::{
        BodyReader, Cause, Framing, Known, Parsed, RequestFacts, Upgrade, Version,
        write::{self, Delivery, ResponseOut},
    },
    route::Why,
    seen::clock,
};

/// One try of a request on one connection.
pub struct Exchange {
    /// The connection to the upstream.
    pub upstream: Stream,
    /// Whose it is.
    pub endpoint: Busy,
    /// What came from the upstream; taken when the first bytes are there.
    pub buffer: Vec<u8>,
    view: Rc<View>,
    upload: Transfer,
    sending: Sending,
    download: Transfer,
    reply: Reply,
    facts: RequestFacts,
    informational: u32,
    status: u16,
    /// May the client's connection carry another request?
    keep_alive: bool,
    /// May the upstream's?
    reusable: bool,
    /// Did the connection come from the pool? Then the upstream may have closed it before it saw the request.
    reused: bool,
    terms: Terms,
    /// How long the upstream asks to wait before the next try.
    retry_after: Duration,
    is_set: bool,
    /// With the client as it sends the request's body, and as it takes the answer.
    sender: Patience,
    reader: Patience,
}

/// What is agreed for one try.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When the whole request must be over.
    pub total: Tick,
    /// Has the client set that time, so that it is nobody's fault?
    pub is_clients: bool,
    /// When it began, where that is to be measured.
    pub begun: Option<Instant>,
    /// May an answer be given up for another try?
    pub again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Not all of the request has gone.
    Going,
    /// All of it has.
    Done,
    /// The upstream takes no more of it. It may have answered all the same.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// No final head yet.
    Head,
    /// The head is read, the body on its way.
    Body,
    /// Another protocol from here on; the head of that answer is being written.
    Switching,
}

/// How an exchange ended well.
pub enum End {
    /// With an answer.
    Answered {
        /// Its status.
        status: u16,
        /// May the client's connection carry another request?
        keep_alive: bool,
        /// Where in the input the request ended.
        input_end: usize,
        /// The outcome, of a gRPC call.
        grpc_status: Option<u8>,
    },
    /// The connection speaks another protocol now.
    Switched(Box<Exchange>),
}

/// How an exchange failed.
pub struct Failed {
    /// Why.
    pub fault: Fault,
    /// The status of the answer that the client has got a part of.
    pub begun: Option<u16>,
    /// Was the connection an old one that died before it carried a byte of an answer? Then it is nobody's fault, and the
    /// request may be sent once more.
    pub was_stale: bool,
    /// May it be sent once more?
    pub resend: Resend,
    /// How long the upstream asks to wait before that.
    pub retry_after: Duration,
}

/// May a request be sent once more?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It has not been sent.
    Unsent,
    /// It may have been done: only where doing it twice is as good as once.
    Sent,
    /// It cannot be: a part of the answer has gone out, or not all of the request is there any more.
    Never,
}

impl Terms {
    /// What it is when the whole request is not over in time.
    pub fn late(self) -> Fault {
        if self.is_clients { Fault::DeadlineExceeded } else { Fault::TotalTimeout }
    }
}

impl Failed {
    /// Nothing was sent.
    pub fn unsent(fault: Fault) -> Self {
        let retry_after = Duration::ZERO;
        Self { fault, begun: None, was_stale: false, resend: Resend::Unsent, retry_after }
    }
}

impl Exchange {
    /// The head is staged in `kit.to_upstream`; a body begins behind the head in the input.
    pub fn new(
        (upstream, endpoint, reused): (Stream, Busy, bool),
        kit: &Kit,
        view: &Rc<View>,
        asked: &Asked,
        (framing, terms): (Framing, Terms),
    ) -> Result<Self, Cause> {
        let route = view.snapshot.route(asked.decision.route);
        let body = BodyReader::new(kit.request.framing(), route.limits.body.unwrap_or(u64::MAX))?
            .forgetting_trailers(kit.request.nominates());
        let encode = if framing == Framing::Chunked { Encode::Chunked } else { Encode::Raw };
        Ok(Self {
            upstream,
            endpoint,
            buffer: Vec::new(),
            view: Rc::clone(view),
            upload: Transfer::new(body, encode, asked.head_len),
            sending: Sending::Going,
            download: Transfer::new(BodyReader::new(Framing::None, 0)?, Encode::Raw, 0),
            reply: Reply::Head,
            facts: kit.request.facts(kit.request.upgrade() != Upgrade::None),
            informational: 0,
            status: 0,
            keep_alive: false,
            reusable: false,
            reused,
            terms,
            retry_after: Duration::ZERO,
            is_set: false,
            sender: Patience::new(&view.snapshot.client),
            reader: Patience::new(&view.snapshot.client),
        })
    }

    /// Goes on in both directions. Ready when the answer is over.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        kit: &mut Kit,
        asked: &Asked,
    ) -> Poll<Result<(), Fault>> {
        if self.sending == Sending::Going {
            self.poll_upload(cx, client, kit)?;
        }
        let polled = match self.reply {
            Reply::Head => self.poll_head(cx, client, kit, asked),
            Reply::Body | Reply::Switching => self.poll_body(cx, client, kit),
        };
        if polled.is_ready() {
            return polled;
        }
        if self.sending == Sending::Done {
            client.poll_watch(cx, &mut kit.input)?;
        } else if client.stream.has_gone(cx) {
            return Poll::Ready(Err(Fault::ClientGone));
        }
        self.poll_time(client, asked)
    }

    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        kit: &mut Kit,
    ) -> Result<(), Fault> {
        let source = (&mut client.stream, &mut kit.input);
        let sink = (&mut self.upstream, &mut kit.to_upstream);
        match self.upload.poll(cx, source, sink, &self.view.limits) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.sending = Sending::Done;
                self.is_set = false;
                Ok(())
            }
            Poll::Ready(Err(Stopped::Rule(Cause::CutShort) | Stopped::Read)) => {
                Err(Fault::ClientGone)
            }
            Poll::Ready(Err(Stopped::Rule(cause))) => Err(Fault::Refused(cause)),
            Poll::Ready(Err(Stopped::Write)) => {
                self.sending = Sending::Broken;
                Ok(())
            }
        }
    }

    /// Reads heads until the final one, and passes on those before it.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        kit: &mut Kit,
        asked: &Asked,
    ) -> Poll<Result<(), Fault>> {
        loop {
            if !self.buffer.is_empty() {
                let parsed = kit.response.parse(&self.buffer, &self.view.limits, self.facts);
                match parsed.map_err(|bad| Fault::BadResponse(bad.cause))? {
                    Parsed::Complete { head_len } if kit.response.is_interim() => {
                        self.interim(kit, head_len)?;
                        continue;
                    }
                    Parsed::Complete { head_len } => {
                        self.begin(client, kit, asked, head_len)?;
                        return self.poll_body(cx, client, kit);
                    }
                    Parsed::Partial => {}
                }
            }
            if self.poll_interim(cx, client, kit)?.is_pending() {
                return Poll::Pending;
            }
            if self.buffer.capacity() == 0 {
                if self.upstream.poll_readable(cx).is_pending() {
                    return Poll::Pending;
                }
                self.buffer = client.worker.bodies.take();
            }
            if self.buffer.len() == self.buffer.capacity() {
                self.buffer.reserve(self.view.limits.head_bytes);
            }
            match self.upstream.poll_read(cx, &mut self.buffer) {
                // The deadline stands: a head that comes byte by byte has no more time than another.
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(Ok(_) | Err(_)) if self.upstream.is_refused() => {
                    return Poll::Ready(Err(Fault::StreamRefused));
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(Fault::ClosedEarly)),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(unanswered(&error)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Stages an informational answer.
    fn interim(&mut self, kit: &mut Kit, head_len: usize) -> Result<(), Fault> {
        self.informational += 1;
        if self.informational > INFORMATIONAL_MAX {
            return Err(Fault::BadResponse(Cause::Unsolicited));
        }
        // RFC 9110, section 15.2: never to a client of HTTP/1.0.
        if kit.request.version() == Version::Http11 {
            let out = ResponseOut::of(&kit.response, Version::Http11, true);
            write::response(&mut kit.to_client, &kit.response, &self.buffer, &out);
        }
        self.buffer.drain(..head_len);
        self.is_set = false;
        Ok(())
    }

    /// Writes informational answers that are staged, as nobody knows how long the final one takes.
    fn poll_interim(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        kit: &mut Kit,
    ) -> Result<Poll<()>, Fault> {
        if kit.to_client.is_empty() {
            return Ok(Poll::Ready(()));
        }
        match self.download.poll_write(cx, &[], &mut client.stream, &mut kit.to_client) {
            Poll::Ready(Ok(())) => {
                self.download.waits_for_sink = false;
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(_)) => Err(Fault::ClientGone),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// The final head is read: stages it for the client.
    fn begin(
        &mut self,
        client: &Client,
        kit: &mut Kit,
        asked: &Asked,
        head_len: usize,
    ) -> Result<(), Fault> {
        if let Some(begun) = self.terms.begun {
            self.endpoint.load.took(begun.elapsed(), client.worker.timers.now());
        }
        self.is_worth_another(client, kit, asked)?;
        // Before the client can know of it.
        request::may_have_written(kit, asked, &self.view.snapshot);
        let (head, version) = (&kit.response, kit.request.version());
        self.status = head.status();
        self.reply = if head.is_switching() { Reply::Switching } else { Reply::Body };
        // An answer before the end of the request: the client is told that the connection ends, since what is left of
        // the request may never be read.
        let wants = kit.request.keep_alive()
            && self.sending == Sending::Done
            && !client.has_ended
            && !client.worker.draining.get();
        let mut out = ResponseOut::of(head, version, wants);
        out.edits = &self.view.snapshot.route(asked.decision.route).response_headers.edits;
        let date = client.worker.date.get();
        out.date = Some(&date);
        out.pseudonym = Some(self.view.snapshot.client.pseudonym.as_bytes());
        out.over_http2 = self.upstream.is_http2();
        self.keep_alive = out.keep_alive;
        self.reusable = head.keep_alive() && self.sending == Sending::Done;
        let encode = if out.delivery == Delivery::Chunked { Encode::Chunked } else { Encode::Raw };
        write::response(&mut kit.to_client, head, &self.buffer, &out);
        if asked.decision.why == Why::FallenBack {
            answer::mark_fallback(&mut kit.to_client);
        }
        let framing = head.framing();
        let body = BodyReader::new(framing, u64::MAX).map_err(Fault::BadResponse)?;
        let body = body.forgetting_trailers(head.nominates());
        self.download = Transfer::new(body, encode, head_len).go_on_from(&self.download);
        self.download.forget_head();
        Ok(())
    }

    /// Gives this answer up where the route says that such a one is tried again, and there is time for it.
    fn is_worth_another(&mut self, client: &Client, kit: &Kit, asked: &Asked) -> Result<(), Fault> {
        let status = kit.response.status();
        let is_safe = self.informational == 0 && self.upload.is_replayable();
        if status >= 500 && is_safe && asked.reads_ahead(&self.view.snapshot) {
            // The old side knows as well.
            return Err(Fault::Busy(status));
        }
        let retries = &self.view.snapshot.route(asked.decision.route).retries;
        let is_asked_for = match status {
            502 => retries.on_502,
            503 => retries.on_503,
            504 => retries.on_504,
            _ => false,
        };
        if !(self.terms.again && is_asked_for && is_safe) {
            return Ok(());
        }
        let wish = kit.response.value(&self.buffer, Known::RetryAfter);
        let wait = wish.map_or(Some(Duration::ZERO), clock::retry_after);
        // Longer than is waited here: the client is told instead.
        let Some(wait) = wait.filter(|wait| *wait <= retries.backoff_longest) else {
            return Ok(());
        };
        let longest = wait.max(retries.backoff_longest);
        if client.worker.timers.now().after(longest) >= self.terms.total {
            return Ok(());
        }
        self.retry_after = wait;
        Err(Fault::Busy(status))
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        kit: &mut Kit,
    ) -> Poll<Result<(), Fault>> {
        let source = (&mut self.upstream, &mut self.buffer);
        let sink = (&mut client.stream, &mut kit.to_client);
        self.download.poll(cx, source, sink, &self.view.limits).map_err(|stopped| match stopped {
            Stopped::Rule(Cause::CutShort) | Stopped::Read => Fault::CutShort,
            Stopped::Rule(cause) => Fault::BadResponse(cause),
            Stopped::Write => Fault::ClientGone,
        })
    }

    /// Sets the deadline where something has moved, and says who is late where it has passed.
    fn poll_time(&mut self, client: &Client, asked: &Asked) -> Poll<Result<(), Fault>> {
        let timers = &client.worker.timers;
        let moved =
            std::mem::take(&mut self.upload.progress) | std::mem::take(&mut self.download.progress);
        if moved || !self.is_set {
            self.is_set = true;
            let wait = self.wait(asked, timers.now());
            client.slot.set(timers.now().after(wait).min(self.terms.total));
        }
        if client.has_ended
            && self.reply == Reply::Head
            && self.terms.total > timers.now().after(HALF_CLOSED)
        {
            self.terms.total = timers.now().after(HALF_CLOSED);
            client.slot.set(self.terms.total);
        }
        if !client.slot.passed() {
            return Poll::Pending;
        }
        if timers.now() >= self.terms.total {
            // Whoever is waited for has taken too long: a client that drips is no failure of the upstream.
            let fault = match self.waits(asked).1 {
                _ if client.has_ended => Fault::ClientGone,
                clients @ (Fault::SlowBody | Fault::SlowReader) => clients,
                _ => self.terms.late(),
            };
            return Poll::Ready(Err(fault));
        }
        Poll::Ready(Err(self.waits(asked).1))
    }

    /// How long what is waited for may still take.
    fn wait(&mut self, asked: &Asked, now: Tick) -> Duration {
        let (wait, late) = self.waits(asked);
        self.sender.rest(now);
        self.reader.rest(now);
        match late {
            Fault::SlowBody => self.sender.left(now, self.upload.sent),
            Fault::SlowReader => self.reader.left(now, self.download.sent),
            _ => wait,
        }
    }

    /// How long what is waited for may take, and whose fault it is when it does not come.
    fn waits(&self, asked: &Asked) -> (Duration, Fault) {
        let timeouts = &self.view.snapshot.route(asked.decision.route).timeouts;
        let body_idle = self.view.snapshot.client.body_idle;
        if asked.is_grpc {
            // Either side may be silent for as long as the call lasts, and nobody knows which one is to speak.
            let before = self.reply == Reply::Head && self.sending != Sending::Going;
            return match timeouts.per_try.filter(|_| before) {
                Some(one) => (one, Fault::FirstByteTimeout),
                None if before => (timeouts.stream, Fault::FirstByteTimeout),
                None => (timeouts.stream, Fault::IdleTimeout),
            };
        }
        match (self.reply, self.sending) {
            (Reply::Head, _) if self.download.waits_for_sink => (body_idle, Fault::SlowReader),
            (Reply::Head, Sending::Going) if self.upload.waits_for_sink => {
                (timeouts.idle, Fault::IdleTimeout)
            }
            (Reply::Head, Sending::Going) => (body_idle, Fault::SlowBody),
            (Reply::Head, Sending::Done | Sending::Broken) => {
                let try_time = timeouts.per_try.unwrap_or(timeouts.first_byte);
                let longest = match asked.reads_ahead(&self.view.snapshot) {
                    true => timeouts.first_byte.min(READ_AHEAD),
                    false => timeouts.first_byte,
                };
                (try_time.min(longest), Fault::FirstByteTimeout)
            }
            (Reply::Body | Reply::Switching, _) if self.download.waits_for_sink => {
                (body_idle, Fault::SlowReader)
            }
            (Reply::Body | Reply::Switching, _) => (timeouts.idle, Fault::IdleTimeout),
        }
    }

    /// The answer is over: gives back what can be used again.
    pub fn finish(mut self, client: &Client) -> End {
        if self.reply == Reply::Switching {
            return End::Switched(Box::new(self));
        }
        let worker = &client.worker;
        let grpc_status = self.upstream.grpc_status();
        let is_clean = self.download.end() == self.buffer.len();
        if self.reusable && is_clean && !worker.draining.get() {
            self.endpoint.pool.put(self.upstream, worker.timers.now());
        }
        worker.bodies.put(std::mem::take(&mut self.buffer));
        let keep_alive = self.keep_alive && self.sending == Sending::Done;
        End::Answered { status: self.status, keep_alive, input_end: self.upload.end(), grpc_status }
    }

    /// The exchange is broken off; its upstream connection is closed with it.
    pub fn fail(mut self, client: &Client, kit: &Kit, fault: Fault) -> Failed {
        let begun = match self.reply {
            // Half of an informational answer: nothing can follow it.
            Reply::Head => self.download.is_half_written().then(|| fault.status()),
            Reply::Body | Reply::Switching => (self.download.sent > 0).then_some(self.status),
        };
        let unheard = self.buffer.is_empty() && self.informational == 0;
        let resend = match (self.upload.is_replayable(), self.upload.sent) {
            (false, _) => Resend::Never,
            // What has gone out cannot be taken back, an informational answer neither.
            (true, _) if begun.is_some() || self.informational > 0 => Resend::Never,
            (true, 0) => Resend::Unsent,
            (true, _) if fault == Fault::StreamRefused => Resend::Unsent,
            (true, _) => Resend::Sent,
        };
        let harmless = match resend {
            Resend::Unsent => true,
            Resend::Sent => kit.request.method().is_idempotent(),
            Resend::Never => false,
        };
        let may_be_stale = match fault {
            Fault::ClosedEarly => self.upstream.was_idle(),
            // It was on its way while the connection was told to go.
            Fault::StreamRefused => true,
            _ => false,
        };
        let was_stale = may_be_stale && self.reused && unheard && harmless;
        if let Some(begun) = self.terms.begun.filter(|_| !was_stale && fault.is_upstreams()) {
            self.endpoint.load.failed(begun.elapsed(), client.worker.timers.now());
        }
        client.worker.bodies.put(std::mem::take(&mut self.buffer));
        Failed { fault, begun, was_stale, resend, retry_after: self.retry_after }
    }

    /// How long nothing may move once the connection speaks another protocol.
    pub fn idle_time(&self, asked: &Asked) -> Duration {
        self.view.snapshot.route(asked.decision.route).timeouts.idle
    }

    /// Where the bytes begin that already belong to the other protocol: in the client's input and in the buffer.
    pub fn left_over(&self) -> (usize, usize) {
        (self.upload.end(), self.download.end())
    }
}

/// Why there is no answer on a connection that has failed.
fn unanswered(error: &io::Error) -> Fault {
    match tls_error(error) {
        Some(error) => forward::tls_fault(error),
        None if error.kind() == io::ErrorKind::InvalidData => Fault::BadResponse(Cause::Malformed),
        None => Fault::ClosedEarly,
    }
}
