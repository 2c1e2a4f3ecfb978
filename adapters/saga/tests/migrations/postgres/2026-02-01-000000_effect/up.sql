-- What sagas have made true, in the order of their steps; twice would show.
CREATE TABLE effect (saga TEXT NOT NULL, what TEXT NOT NULL);
