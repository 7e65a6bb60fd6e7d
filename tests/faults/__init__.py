"""Sessions that go wrong at a byte, each verdict held against the model server."""
