//! The operator's API about this process's place: who it is, and its seats, which a carve closes and settles.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, get, post};
use http_api::Json;
use placement_api::{Hold, Lend, Placed, SeatError};

use super::ops::{Admitted, Answered, answered};
use crate::{
    placing::{self, Identity, Oneself, Rehearse, Release, Warm, seat},
    shop::Shop,
};

/// A process and its shop.
#[derive(Clone)]
pub struct Place {
    /// Its shop.
    pub shop: Arc<Shop>,
    /// Itself.
    pub oneself: Arc<Oneself>,
}

/// Mounts it.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/ops/process", get().to(process))
        .route("/ops/seats", get().to(state))
        .route("/ops/seats/warm", post().to(warm))
        .route("/ops/seats/hold", post().to(hold))
        .route("/ops/seats/settle", post().to(settle))
        .route("/ops/seats/release", post().to(release))
        .route("/ops/seats/lend", post().to(lend))
        .route("/ops/seats/rehearse", post().to(rehearse));
}

async fn process(_: Admitted, place: Data<Place>) -> Answered {
    answered(Ok(Identity::of(&place.shop, &place.oneself).await))
}

async fn state(_: Admitted, place: Data<Place>) -> Answered {
    let states: Vec<_> = place.shop.seats.values().map(|seat| seat.state()).collect();
    answered(Ok(states))
}

async fn warm(_: Admitted, place: Data<Place>, wish: Json<Warm>) -> Answered {
    let warmed = async { placing::warm(seat(&place.shop.seats, &wish.module)?).await };
    answered(warmed.await.map_err(anyhow::Error::from))
}

async fn hold(_: Admitted, place: Data<Place>, wish: Json<Hold>) -> Answered {
    let held = async { placing::hold(seat(&place.shop.seats, &wish.module)?, &wish).await };
    answered(held.await.map_err(anyhow::Error::from))
}

async fn settle(_: Admitted, place: Data<Place>, wish: Json<Placed>) -> Answered {
    let settled = async { seat(&place.shop.seats, &wish.module)?.settle(&wish).await };
    answered(settled.await.map_err(anyhow::Error::from))
}

async fn release(_: Admitted, place: Data<Place>, wish: Json<Release>) -> Answered {
    let released = seat(&place.shop.seats, &wish.module);
    let released = released.map(|seat| seat.release(&wish.carve.to_string()));
    answered(released.map_err(anyhow::Error::from))
}

async fn lend(_: Admitted, place: Data<Place>, wish: Json<Lend>) -> Answered {
    let lent = async { placing::lend(seat(&place.shop.seats, &wish.module)?, &wish).await };
    answered(lent.await.map_err(anyhow::Error::from))
}

async fn rehearse(_: Admitted, place: Data<Place>, wish: Json<Rehearse>) -> Answered {
    let done =
        |seat: &dyn crate::shop::Seated| -> Result<(), SeatError> { seat.rehearse(wish.wire()) };
    answered(seat(&place.shop.seats, &wish.module).and_then(done).map_err(anyhow::Error::from))
}
