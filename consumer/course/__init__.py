"""How a run went: which node waited for which, what decided its length, what changed since."""
