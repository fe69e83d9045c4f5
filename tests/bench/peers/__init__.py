"""What we are measured against: the least an aiohttp gateway can do, the earlier service's way, and nginx."""
