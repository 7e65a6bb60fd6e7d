"""The commands of the command line, a module for each, and their options and output."""
