"""The runs of a project together: what `stats` says, and the table that `export` writes."""
