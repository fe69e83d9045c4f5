"""`GET`, `POST`, `PUT` and `DELETE /api/repo`: repositories listed, made, changed and deleted by small JSON calls.

Each write is handed to the Hub once and never repeated; nothing is kept.
"""
