"""A run from the journal as a document: a page, JUnit XML, Markdown, notes for GitHub, JSON."""
