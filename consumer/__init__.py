"""What is made of the records: which node waits, which has ended, and what to tell a person.

Pure, as `parser` is: no clock, no environment, no I/O but the reading of a manifest and of its
project's file.
"""
