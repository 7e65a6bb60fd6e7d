"""Real mail servers, each started by the tests, and what every one of them makes of what the client sends."""
