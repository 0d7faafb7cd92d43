"""The journal: the records of every run in one SQLite file."""
