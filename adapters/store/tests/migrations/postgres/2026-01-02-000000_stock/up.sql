CREATE TABLE stock (
    sku TEXT NOT NULL PRIMARY KEY,
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0)
);
CREATE TABLE reservation (
    id TEXT NOT NULL PRIMARY KEY,
    sku TEXT NOT NULL REFERENCES stock (sku),
    quantity BIGINT NOT NULL,
    made_at BIGINT NOT NULL
);
