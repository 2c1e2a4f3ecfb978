//! The tables that every module's database has, whatever the module (`migrations/store`).
#![allow(missing_docs, reason = "the columns are explained in the migrations")]

diesel::table! {
    fence (id) {
        id -> Integer,
        epoch -> BigInt,
        owner -> Text,
    }
}

diesel::table! {
    idempotency (caller, operation, key) {
        caller -> Text,
        operation -> Text,
        key -> Text,
        request_hash -> Text,
        answer -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    outbox (event_id) {
        position -> Nullable<BigInt>,
        event_id -> Text,
        kind -> Text,
        version -> Integer,
        subject -> Text,
        data -> Text,
        traceparent -> Nullable<Text>,
        occurred_at -> BigInt,
    }
}

diesel::table! {
    cursor (subscription) {
        subscription -> Text,
        position -> BigInt,
        lease_owner -> Text,
        lease_until_at -> BigInt,
        alarm -> Nullable<Text>,
        updated_at -> BigInt,
    }
}

diesel::table! {
    reader (name) {
        name -> Text,
        position -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    parked (subscription, position) {
        subscription -> Text,
        position -> BigInt,
        subject -> Text,
        event -> Text,
        attempts -> Integer,
        next_try_at -> BigInt,
        last_error -> Text,
        state -> Text,
        parked_at -> BigInt,
    }
}
