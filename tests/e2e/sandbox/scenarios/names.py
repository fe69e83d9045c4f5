"""What each scenario must have passed, so that none can be skipped in silence."""

NAMES = {
    "repositories": [
        *("who_am_i", "create_and_delete", "kernels", "visibility", "move", "gated_access", "branches_and_tags"),
        *("likes_and_people", "collections", "lists"),
    ],
    "content": [
        *("commits", "unchanged_files_make_no_commit", "trees", "awkward_names", "cards", "pull_requests", "squash"),
    ],
    "discussions": [
        *("talk", "a_pull_request_is_merged", "a_conflict_is_told", "what_bob_may_not"),
    ],
    "services": ["webhooks", "space_settings", "space_runtime"],
    "files": [
        *("uploads", "the_same_bytes_are_not_sent_twice", "uploads_to_a_pull_request", "downloads"),
        *("absent_files_are_remembered", "snapshots", "ranges_through_the_file_system", "safetensors_are_read_in_part"),
        *("gates_and_walls", "a_cut_body_is_resumed", "a_hub_that_fails_now_and_then_is_asked_again"),
        "a_body_that_is_too_short_is_noticed",
    ],
}
