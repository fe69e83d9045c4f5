"""The Hub's webhooks: who is told of a write elsewhere forgets at once what it changed."""
