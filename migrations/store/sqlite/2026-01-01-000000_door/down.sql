DROP TABLE reader;
DROP TABLE parked;
DROP TABLE cursor;
DROP TABLE sequencer;
DROP TABLE outbox;
DROP TABLE idempotency;
DROP TABLE fence;
