//! The tables of catalog (`migrations/catalog`).

diesel::table! {
    /// Something that is sold.
    products (id) {
        id -> Text,
        title -> Text,
        description -> Text,
        published -> Bool,
        version -> BigInt,
        search -> Text,
        added_at -> BigInt,
        changed_at -> BigInt,
    }
}

diesel::table! {
    /// What can be bought of it.
    variants (sku) {
        sku -> Text,
        product -> Text,
        number -> BigInt,
        label -> Nullable<Text>,
        currency -> Text,
        price_micros -> Nullable<BigInt>,
        next_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    /// What it cost, costs and will cost.
    prices (sku, from_at) {
        sku -> Text,
        from_at -> BigInt,
        micros -> BigInt,
        set_at -> BigInt,
    }
}

diesel::table! {
    /// What inventory told last.
    availability (sku) {
        sku -> Text,
        state -> Text,
        told_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(variants, availability);
