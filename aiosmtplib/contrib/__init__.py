"""Faces towards other projects. Each imports what it is for when it is imported itself."""
