"""Records as run events of OpenLineage. See docs/how-to/openlineage.md."""
