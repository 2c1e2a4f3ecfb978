//! What placement asks of its surroundings, answered by this program: the seats of every process, the processes that
//! modules move to, the proxy in front, the books, and real traffic. And how every process tells of itself and learns.

mod announcing;
mod auditing;
mod children;
mod hosting;
mod identity;
mod reaching;
mod surveying;
mod traffic;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use kernel_api::Id;
use placement_api::{Address, Name, Process};

pub use announcing::Announcing;
pub use auditing::Books;
pub use children::{Children, Nursery, carved};
pub use hosting::Hosting;
pub use identity::{House, Identity};
pub use reaching::{Reaching, Rehearse, Release, Warm, hold, lend, seat, warm};
pub use surveying::Survey;
pub use traffic::{Front, Steered};

use crate::settings::Settings;

/// This process, as it tells of itself.
#[derive(Debug, Clone)]
pub struct Oneself {
    /// Its id, new at each start.
    pub process: Id<Process>,
    /// The deployment that it is part of.
    pub deployment: Name,
    /// Where other processes reach it.
    pub url: Address,
    /// Where everybody reaches it; none behind a proxy, which has the address.
    pub public_url: Option<Address>,
}

impl Oneself {
    /// The process that listens at these addresses.
    pub fn new(
        settings: &Settings,
        internal: SocketAddr,
        public: Option<SocketAddr>,
    ) -> Result<Arc<Self>> {
        let url = match &settings.internal.url {
            Some(url) => url.clone(),
            None => format!("http://{internal}"),
        };
        let scheme = if settings.http.tls.certificate.is_some() { "https" } else { "http" };
        let public_url = public.map(|public| format!("{scheme}://{public}").parse());
        Ok(Arc::new(Self {
            process: Id::fresh(),
            deployment: settings.deployment.name.parse().context("deployment.name")?,
            url: url.parse().context("internal.url")?,
            public_url: public_url.transpose().context("http.listen")?,
        }))
    }
}
