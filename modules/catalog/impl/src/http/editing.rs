//! Changing products.

use actix_web::web::Data;
use catalog_api::{
    Add, AddVariant, Catalog, Description, Edit, Import, Imported, NewVariant, Product, Publish,
    Title,
};
use http_api::{IfMatch, Json, Path, Problem, Reply, Tell};
use kernel_api::Id;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers;

/// What is said of a product from now on. What is absent stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    /// What it is called.
    #[serde(default)]
    title: Option<Title>,
    /// What is said of it.
    #[serde(default)]
    description: Option<Description>,
}

pub(super) async fn add(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    body: Json<Add>,
) -> Result<Reply<Product>, Problem> {
    let added = catalog.add(&tell, body.0).await;
    let product = added.map_err(|fault| Problem::from_fault(fault, answers::add))?;
    let (location, version) = (format!("/v1/products/{}", product.id), product.version);
    Ok(Reply::created(location, product).etag(version))
}

pub(super) async fn edit(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    id: Path<Id<Product>>,
    expected: IfMatch,
    body: Json<Changes>,
) -> Result<Reply<Product>, Problem> {
    let Changes { title, description } = body.0;
    let wish = Edit { product: id.0, expected: expected.version(), title, description };
    let edited = catalog.edit(&tell, wish).await;
    edited.map(answers::shown).map_err(|fault| Problem::from_fault(fault, answers::edit))
}

pub(super) async fn add_variant(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    id: Path<Id<Product>>,
    expected: IfMatch,
    body: Json<NewVariant>,
) -> Result<Reply<Product>, Problem> {
    let wish = AddVariant { product: id.0, expected: expected.version(), variant: body.0 };
    let edited = catalog.add_variant(&tell, wish).await;
    edited.map(answers::shown).map_err(|fault| Problem::from_fault(fault, answers::add_variant))
}

pub(super) async fn publish(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    id: Path<Id<Product>>,
) -> Result<Reply<Product>, Problem> {
    let edited = catalog.publish(&tell, Publish { product: id.0, expected: None }).await;
    edited.map(answers::shown).map_err(|fault| Problem::from_fault(fault, answers::publish))
}

pub(super) async fn unpublish(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    id: Path<Id<Product>>,
) -> Result<Reply<Product>, Problem> {
    let edited = catalog.unpublish(&tell, Publish { product: id.0, expected: None }).await;
    edited.map(answers::shown).map_err(|fault| Problem::from_fault(fault, answers::publish))
}

pub(super) async fn import(
    catalog: Data<dyn Catalog>,
    tell: Tell,
    body: Json<Import>,
) -> Result<Json<Imported>, Problem> {
    let imported = catalog.import(&tell, body.0).await;
    imported.map(Json).map_err(|fault| Problem::from_fault(fault, answers::never))
}
