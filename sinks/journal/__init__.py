"""The journal: one SQLite file with the records of every run."""
