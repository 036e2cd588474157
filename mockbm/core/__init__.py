"""A mocked BuildMaster as plain values: no web framework, no socket, no file."""
