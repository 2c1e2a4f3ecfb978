//! The tables of inventory (`migrations/inventory`).

diesel::table! {
    /// What lies where.
    levels (sku, location) {
        sku -> Text,
        location -> Text,
        on_hand -> BigInt,
        reserved -> BigInt,
        entries -> BigInt,
        low_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// Why it lies there.
    ledger (sku, location, number) {
        sku -> Text,
        location -> Text,
        number -> BigInt,
        kind -> Text,
        quantity -> BigInt,
        on_hand -> BigInt,
        reason -> Nullable<Text>,
        reference -> Text,
        booked_at -> BigInt,
    }
}

diesel::table! {
    /// Stock held for somebody.
    reservations (id) {
        id -> Text,
        state -> Text,
        reference -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        closed_at -> Nullable<BigInt>,
        lines -> Text,
    }
}

diesel::table! {
    /// What is booked once whatever the idempotency key.
    bookings (operation, reference) {
        operation -> Text,
        reference -> Text,
        request_hash -> Text,
        booked_at -> BigInt,
    }
}
