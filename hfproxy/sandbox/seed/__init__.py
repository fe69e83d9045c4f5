"""What a demo Hub is filled with: repositories planned as values (`catalogue.py`), made without a server, planted."""
