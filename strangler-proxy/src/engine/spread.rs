//! Spreading connections over the workers: the kernel deals them out by a hash, which leaves one worker with many more than
//! another where there are few, and a connection stays where it came to. So a worker that has more than its share hands what
//! it accepts over to the one that has the fewest. This costs something per connection and nothing per request.

use std::{
    io,
    net::{SocketAddr, TcpStream as Plain},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use tokio::{net::TcpStream, sync::mpsc};

/// By how much a worker may have more than the one with the fewest: an eighth and one. Evening out the last difference
/// would hand over every other connection.
const SLACK_PART: usize = 8;

/// Who accepts at which address.
#[derive(Clone, Debug, Default)]
pub struct Spread(Arc<ArcSwap<Vec<Post>>>);

/// One worker at one address, as the others see it.
#[derive(Clone, Debug)]
struct Post {
    at: SocketAddr,
    open: Arc<AtomicUsize>,
    ear: mpsc::UnboundedSender<Handed>,
}

/// A connection that is handed over.
#[derive(Debug)]
struct Handed {
    stream: Plain,
    peer: SocketAddr,
    place: Place,
}

/// Counts one connection for the worker that serves it, as long as it is kept.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One worker at one address, as it sees itself. Gone from the others' sight when dropped.
#[derive(Debug)]
pub struct Seat {
    spread: Spread,
    open: Arc<AtomicUsize>,
    at: SocketAddr,
    arriving: mpsc::UnboundedReceiver<Handed>,
}

impl Spread {
    /// From now on the others may hand connections over that came to this address.
    pub fn join(&self, at: SocketAddr) -> Seat {
        let (ear, arriving) = mpsc::unbounded_channel();
        let open = Arc::default();
        let post = Post { at, open: Arc::clone(&open), ear };
        self.0.rcu(|posts| {
            let mut posts = Vec::clone(posts);
            posts.push(post.clone());
            posts
        });
        Seat { spread: self.clone(), open, at, arriving }
    }
}

impl Seat {
    /// Takes a connection that was accepted: gives it back with its place, or nothing where another worker has it now.
    pub fn place(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Place)> {
        let posts = self.spread.0.load();
        let others =
            posts.iter().filter(|it| it.at == self.at && !Arc::ptr_eq(&it.open, &self.open));
        let open = |post: &Post| post.open.load(Ordering::Relaxed);
        let lightest = others.min_by_key(|post| open(post));
        let Some(other) = lightest.filter(|post| {
            let least = open(post);
            self.open.load(Ordering::Relaxed) > least + least / SLACK_PART + 1
        }) else {
            return Some((stream, Place::new(&self.open)));
        };
        // Without its registration at this worker's event loop; where that fails there is no connection any more.
        let stream = stream.into_std().ok()?;
        let handed = Handed { stream, peer, place: Place::new(&other.open) };
        match other.ear.send(handed) {
            Ok(()) => None,
            // That worker has just ended.
            Err(mpsc::error::SendError(Handed { stream, .. })) => {
                let stream = TcpStream::from_std(stream).ok()?;
                Some((stream, Place::new(&self.open)))
            }
        }
    }

    /// The next connection that another worker hands over. Nothing after [`leave`](Self::leave) once all have been taken.
    pub fn poll_arrival(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<(TcpStream, SocketAddr, Place)>>> {
        self.arriving.poll_recv(cx).map(|handed| {
            handed.map(|Handed { stream, peer, place }| {
                TcpStream::from_std(stream).map(|stream| (stream, peer, place))
            })
        })
    }

    /// Takes no more, but for what is on its way.
    pub fn leave(&mut self) {
        self.withdraw();
        self.arriving.close();
    }

    fn withdraw(&self) {
        self.spread.0.rcu(|posts| {
            let mut posts = Vec::clone(posts);
            posts.retain(|post| !Arc::ptr_eq(&post.open, &self.open));
            posts
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.withdraw();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::Ordering,
        task::{Context, Poll, Waker},
    };

    use tokio::net::{TcpListener, TcpStream};

    use super::{Place, Seat, Spread};

    fn open(seat: &Seat) -> usize {
        seat.open.load(Ordering::Relaxed)
    }

    async fn accepted(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        (stream, peer, client)
    }

    #[tokio::test]
    async fn who_has_more_than_its_share_hands_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let spread = Spread::default();
        let (one, mut two) = (spread.join(at), spread.join(at));
        let elsewhere = spread.join("127.0.0.1:1".parse().unwrap());
        let mut kept: Vec<Place> = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..40 {
            let (stream, peer, client) = accepted(&listener).await;
            clients.push(client);
            if let Some((_stream, place)) = one.place(stream, peer) {
                kept.push(place);
            } else {
                let (_stream, from, place) =
                    poll_fn(|cx| two.poll_arrival(cx)).await.unwrap().unwrap();
                assert_eq!(from, peer);
                kept.push(place);
            }
        }
        assert_eq!(open(&one) + open(&two), 40);
        assert!((18..=22).contains(&open(&two)), "{} of 40", open(&two));
        assert_eq!(open(&elsewhere), 0, "another address is another matter");
        kept.clear();
        assert_eq!((open(&one), open(&two)), (0, 0));
    }

    #[tokio::test]
    async fn who_leaves_gets_what_is_on_its_way_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let spread = Spread::default();
        let (one, mut two) = (spread.join(at), spread.join(at));
        let _heavy: Vec<Place> = (0..9).map(|_| Place::new(&one.open)).collect();
        let (stream, peer, _client) = accepted(&listener).await;
        assert!(one.place(stream, peer).is_none());
        two.leave();
        let (stream, peer, _other) = accepted(&listener).await;
        assert!(one.place(stream, peer).is_some(), "nobody else is there");
        assert!(poll_fn(|cx| two.poll_arrival(cx)).await.unwrap().is_ok());
        let end = two.poll_arrival(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(end, Poll::Ready(None)));
    }
}
