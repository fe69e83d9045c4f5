"""The pages for people: the home page, and the API as something to try out.

`/`, `/docs/`, and what they load below `/-/ui/`. Nothing is kept, and nothing is loaded from elsewhere.
"""
