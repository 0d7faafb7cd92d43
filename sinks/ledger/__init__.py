"""The ledger: a small row for each node and run, which outlives the run in the journal."""
