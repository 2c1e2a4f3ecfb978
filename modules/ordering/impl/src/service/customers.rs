//! Customers: registered one by one or many at once.

use contract::{Answer, Command, Fault};
use kernel_api::{Id, Timestamp};
use ordering_api::{Customer, CustomerError, IMPORT_CUSTOMERS_MAX, NewCustomer, TEXT_LENGTH_MAX};

use ::store::{Abort, Store, Tx};

use crate::{domain::text, store};

/// Registers a customer.
pub(super) async fn register(
    store: &Store,
    command: &Command,
    wish: NewCustomer,
) -> Answer<Customer, CustomerError> {
    check(&wish).map_err(Fault::Refused)?;
    let id = wish.id.unwrap_or_else(Id::fresh);
    let asked = wish.clone();
    store
        .command(command, "register_customer", &asked, move |tx| {
            let customer = customer_of(id, &wish, tx.now());
            if store::insert_customer(tx.connection(), &customer)? {
                return Ok(customer);
            }
            let there = known(tx, &customer)?;
            let same = there.name == customer.name && there.country == customer.country;
            let taken = CustomerError::ReferenceTaken { customer: there.id };
            if same { Ok(there) } else { Err(Abort::Refused(taken)) }
        })
        .await
}

/// Registers many; those that are there stay as they are.
pub(super) async fn import(
    store: &Store,
    command: &Command,
    wishes: Vec<NewCustomer>,
) -> Answer<u64, CustomerError> {
    if wishes.len() > IMPORT_CUSTOMERS_MAX {
        return Err(Fault::Refused(CustomerError::TooMany { limit: IMPORT_CUSTOMERS_MAX }));
    }
    wishes.iter().try_for_each(check).map_err(Fault::Refused)?;
    // Idempotent by the references themselves, so no answer needs to be kept.
    store
        .write(command, move |tx| {
            let mut new = 0;
            for wish in &wishes {
                let customer = customer_of(wish.id.unwrap_or_else(Id::fresh), wish, tx.now());
                new += u64::from(store::insert_customer(tx.connection(), &customer)?);
            }
            Ok(new)
        })
        .await
}

fn customer_of(id: Id<Customer>, wish: &NewCustomer, now: Timestamp) -> Customer {
    let NewCustomer { reference, name, country, .. } = wish.clone();
    Customer { id, reference, name, country, created_at: now }
}

/// The customer that stands in the way of a new one.
fn known(tx: &mut Tx<'_>, customer: &Customer) -> Result<Customer, Abort<CustomerError>> {
    let by_reference = match customer.reference.as_deref() {
        Some(reference) => store::customer_by_reference(tx.connection(), reference)?,
        None => None,
    };
    match by_reference {
        Some(there) => Ok(there),
        None => store::customer(tx.connection(), customer.id)?
            .ok_or(Abort::Refused(CustomerError::NotFound)),
    }
}

fn check(wish: &NewCustomer) -> Result<(), CustomerError> {
    let NewCustomer { reference, name, country, .. } = wish;
    for (field, value) in [("reference", reference), ("name", name), ("country", country)] {
        if value.as_deref().is_some_and(|text| !text::is_good(text, TEXT_LENGTH_MAX)) {
            let field = field.to_owned();
            return Err(CustomerError::BadText { field, length_max: TEXT_LENGTH_MAX });
        }
    }
    Ok(())
}
