//! A module that runs here, whichever it is.

use async_trait::async_trait;
use events::Subscription;
use store::Store;

use super::data::Own;

/// What a module does in the background.
#[async_trait]
pub trait Background: Send + Sync + 'static {
    /// What it hears.
    fn subscriptions(&self) -> Vec<&Subscription>;

    /// Ends it.
    async fn stop(&self);
}

/// A module that runs here.
pub struct Running {
    /// Its name.
    pub name: &'static str,
    own: Own,
    background: Box<dyn Background>,
}

impl Running {
    /// A module with its data and its background.
    pub(super) fn new(name: &'static str, own: Own, background: impl Background) -> Self {
        Self { name, own, background: Box::new(background) }
    }

    /// Its data.
    pub fn store(&self) -> &Store {
        &self.own.store
    }

    /// What it hears.
    pub fn subscriptions(&self) -> Vec<&Subscription> {
        self.background.subscriptions()
    }

    pub(super) async fn stop(&self) {
        self.background.stop().await;
        self.own.stop();
        let store = self.own.store.clone();
        // Whoever still holds the door finds it closed; its threads have ended when this comes back.
        drop(tokio::task::spawn_blocking(move || store.close()).await);
    }
}

#[async_trait]
impl Background for catalog_impl::Running {
    fn subscriptions(&self) -> Vec<&Subscription> {
        self.subscriptions.iter().map(AsRef::as_ref).collect()
    }
    async fn stop(&self) {
        Self::stop(self).await;
    }
}

#[async_trait]
impl Background for inventory_impl::Running {
    fn subscriptions(&self) -> Vec<&Subscription> {
        Vec::new()
    }
    async fn stop(&self) {
        Self::stop(self).await;
    }
}

#[async_trait]
impl Background for ordering_impl::Running {
    fn subscriptions(&self) -> Vec<&Subscription> {
        Vec::new()
    }
    async fn stop(&self) {
        Self::stop(self).await;
    }
}

#[async_trait]
impl Background for placement_impl::Running {
    fn subscriptions(&self) -> Vec<&Subscription> {
        Vec::new()
    }
    async fn stop(&self) {
        Self::stop(self).await;
    }
}

/// A module whose data is open and that does nothing by itself.
pub struct Idle;

#[async_trait]
impl Background for Idle {
    fn subscriptions(&self) -> Vec<&Subscription> {
        Vec::new()
    }
    async fn stop(&self) {}
}

#[async_trait]
impl Background for payments_impl::Running {
    fn subscriptions(&self) -> Vec<&Subscription> {
        self.subscriptions.iter().map(AsRef::as_ref).collect()
    }
    async fn stop(&self) {
        Self::stop(self).await;
    }
}
