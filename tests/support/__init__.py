"""What tests share: servers, clients, samples and strategies."""
