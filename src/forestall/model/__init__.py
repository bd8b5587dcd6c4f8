"""The nouns: what crosses a package border, and its JSON.

Re-exports nothing, so that each import stays small.
"""
