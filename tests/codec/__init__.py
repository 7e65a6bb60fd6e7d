"""The codec, on both twins."""
