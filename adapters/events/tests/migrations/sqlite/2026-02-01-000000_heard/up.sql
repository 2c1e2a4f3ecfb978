-- What the test's subscriber has heard: per key the last value and how many there were.
CREATE TABLE heard (
    subject TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL CHECK (last < 1000000),
    count BIGINT NOT NULL
);
