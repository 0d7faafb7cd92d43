"""What the runs of a project tell together: what got slower, what is flaky, what fails."""
