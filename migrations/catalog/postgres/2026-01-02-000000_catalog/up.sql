-- The collation "C" orders text by its bytes, as SQLite and the code do: pages follow that order.

-- Something that is sold.
CREATE TABLE products (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    published BOOLEAN NOT NULL,
    -- Rises by one with every change of the product or of its variants.
    version BIGINT NOT NULL CHECK (version > 0),
    -- What a text is looked for in: title, SKUs and labels in lower case, a line each.
    search TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- What can be bought of it. A SKU belongs to one product for ever.
CREATE TABLE variants (
    sku TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    product TEXT COLLATE "C" NOT NULL REFERENCES products (id),
    -- Its place among the product's variants: 1, 2, 3 …
    number BIGINT NOT NULL,
    label TEXT,
    currency TEXT NOT NULL,
    -- The price in force when prices were last touched; right until next_at has come. What a quote reads.
    price_micros BIGINT CHECK (price_micros >= 0),
    -- When the next planned price comes into force.
    next_at BIGINT,
    UNIQUE (product, number)
);

-- What it cost, costs and will cost: each price holds from its moment until the next one's.
CREATE TABLE prices (
    sku TEXT COLLATE "C" NOT NULL REFERENCES variants (sku),
    from_at BIGINT NOT NULL,
    micros BIGINT NOT NULL CHECK (micros >= 0),
    set_at BIGINT NOT NULL,
    PRIMARY KEY (sku, from_at)
);

-- What inventory told last. It may tell of SKUs that are in no product yet.
CREATE TABLE availability (
    sku TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('in_stock', 'low', 'sold_out')),
    told_at BIGINT NOT NULL
);
