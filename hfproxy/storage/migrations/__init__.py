"""The schema's history: `versions/NNNN_what.py`, one after the other. Only forward: a downgrade is a copy put back."""
