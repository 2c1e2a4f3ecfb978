//! The module's tables: see `migrations/payments`.

diesel::table! {
    payments (id) {
        id -> Text,
        kind -> Text,
        order_id -> Nullable<Text>,
        currency -> Text,
        amount -> BigInt,
        authorised -> BigInt,
        captured -> BigInt,
        voided -> BigInt,
        refunded -> BigInt,
        token -> Nullable<Text>,
        history -> Bool,
        version -> BigInt,
        intent_key -> Nullable<Text>,
        intent -> Nullable<Text>,
        ask_again_at -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    operations (key) {
        key -> Text,
        payment_id -> Text,
        kind -> Text,
        currency -> Text,
        amount -> BigInt,
        declined -> Nullable<Text>,
        reference -> Text,
        refund_id -> Nullable<Text>,
        reason -> Nullable<Text>,
        request_hash -> Text,
        settled_at -> BigInt,
    }
}

diesel::table! {
    transfers (entry_id, line) {
        entry_id -> Text,
        line -> BigInt,
        debit -> Text,
        credit -> Text,
        micros -> BigInt,
        currency -> Text,
        reason -> Text,
        reference -> Text,
        subject -> Text,
        booked_at -> BigInt,
    }
}

diesel::table! {
    simulator (reference) {
        reference -> Text,
        payment_id -> Text,
        operation -> Text,
        currency -> Text,
        amount -> BigInt,
        asked -> BigInt,
        effects -> BigInt,
    }
}
