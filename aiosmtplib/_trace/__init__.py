"""Commands and replies as they may be shown: transcripts, the log, and ``on_command``."""
