"""The other processes of this gateway, on this machine or others: what is written through one, all forget."""
