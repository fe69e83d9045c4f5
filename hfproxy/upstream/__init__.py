"""The Hub as we see it: pure modules that know its names, headers and JSON, and one client on top."""
