"""`GET /-/audit`: who did which write on which repository, when, and what came of it.

Kept: a row before each write is sent to the Hub, a second one when its outcome is known; triggers in the database
forbid to change or delete either. A write without an outcome is one that the gateway did not live to see the end of.
"""
