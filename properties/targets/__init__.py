"""Targets the judge can drive: our runtime, and a naive one to hold beside it."""
