"""What the tests in Python share: the hub under test, mock servers, tokens, clients."""
