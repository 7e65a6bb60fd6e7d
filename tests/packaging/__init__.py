"""Distributions, and interpreters beside the first."""
