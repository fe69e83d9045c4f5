"""The sandbox Hub's routes, a module per resource."""

from ..routing import Routes
from . import (
    access,
    account,
    bucket_events,
    bucket_files,
    buckets,
    checks,
    collections,
    commits,
    discussions,
    files,
    git,
    info,
    large_files,
    lfs,
    listing,
    oauth,
    people,
    repos,
    safetensors,
    smart_http,
    spaces,
    tree,
    trouble,
    trust,
    webhooks,
    xet,
)


def all_routes() -> Routes:
    """Every route; where two patterns fit a path, the earlier one answers."""
    routes = Routes()
    for module in (
        trouble,
        account,
        oauth,
        checks,
        buckets,
        bucket_files,
        bucket_events,
        listing,
        people,
        webhooks,
        spaces,
        trust,
        collections,
        repos,
        git,
        tree,
        commits,
        discussions,
        large_files,
        access,
        safetensors,
        info,
        lfs,
        xet,
        smart_http,
        files,
    ):
        routes.include(module.routes)
    return routes
