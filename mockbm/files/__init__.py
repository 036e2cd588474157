"""Scenario files become scenarios, or every problem with its position."""
