"""What may pass, by rules in a file: who, what they do, with which repository and file, under which licence and size.

Kept: nothing. Without a file there is no rule, and nothing is asked or counted.
"""
