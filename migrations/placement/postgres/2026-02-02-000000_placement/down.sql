DROP TABLE journal;
DROP TABLE carves;
DROP TABLE processes;
DROP TABLE sites;
DROP TABLE places;
