"""`GET /api/account`: the account behind the token that a call is made with. Asked of the Hub each time, never kept."""
